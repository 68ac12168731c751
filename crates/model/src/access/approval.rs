// SPDX-License-Identifier: GPL-3.0-or-later
//! Requests for approval: something grave that somebody wants to do and a second person must see.
//!
//! ```text
//!  waiting ──▶ approved ──▶ used
//!     ├──▶ refused ◀─┤        what is not used an hour after it was asked for has expired
//!     └──▶ (expired) ◀
//! ```
//!
//! A request never changes: what is approved is what was asked for, down to the last byte of its
//! digest, by whom it was asked for, once.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Action, Principal};
use crate::id::ApprovalId;

/// A request for approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Approval {
    /// Its id.
    pub id: ApprovalId,
    /// What is wanted, exactly.
    pub wish: Wish,
    /// The BLAKE3 of the wish, in hexadecimal: whoever decides names it, so that what they saw is
    /// what they decide.
    pub digest: String,
    /// Who wants it.
    pub asked_by: Principal,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub asked: Timestamp,
    /// Until when it can be approved and done.
    #[schema(value_type = String, format = DateTime)]
    pub expires: Timestamp,
    /// How far it is.
    pub state: ApprovalState,
    /// Who decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<Principal>,
}

/// What somebody wants to do, exactly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Wish {
    /// What.
    pub action: Action,
    /// To what: `vm/web`.
    pub target: String,
    /// The id of what it is done to, where it has one: another VM of the same name is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What will happen, in words.
    pub summary: String,
    /// Everything else that was sent.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    #[schema(value_type = Object)]
    pub details: serde_json::Value,
}

/// How far a request for approval is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ApprovalState {
    /// Nobody decided yet.
    Waiting,
    /// It may be done, once.
    Approved,
    /// It may not be done.
    Refused,
    /// It was done.
    Used,
}

impl ApprovalState {
    /// The state's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Approved => "approved",
            Self::Refused => "refused",
            Self::Used => "used",
        }
    }
}

/// A decision on a request for approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// The digest of what was seen.
    pub digest: String,
}
