// SPDX-License-Identifier: GPL-3.0-or-later
//! The record of who did what: a chain of entries, each of which holds the hash of the one before.
//!
//! ```text
//!  began ◀── decided ◀── ended ◀── … ◀── signed ◀── decided ◀── …      (◀── is `previous`)
//!                                          │ with the host's key
//!                                          └──▶ the system's log, a file beside the database
//! ```
//!
//! An entry is one line of text ([`line`]), and what is hashed and signed are its very bytes, so
//! that a line that was written once can be verified by any later version. [`Verifier`] reads lines
//! one by one and names the first that does not fit.

mod event;
mod hex;
pub mod line;
mod verify;
mod wanted;

#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::{
    event::{AuditEvent, Cut, Decided, Ended, NoticedFault, SignReason},
    hex::{Digest, PublicKey, Signature},
    line::{Draft, Line, Unwritable},
    verify::{
        AuditVerification, End, FirstFault, LogPlace, Misfit, Summary, Trust, Verifier, verify,
    },
    wanted::{AuditOutcome, WantedEntries},
};
use crate::id::AuditId;

/// The format that this version writes.
pub const FORMAT: u32 = 1;

/// One entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditEntry {
    /// The format of its line.
    pub format: u32,
    /// Its place in the log, counted from 1 without a gap.
    pub sequence: u64,
    /// The hash of the entry before it; only zeros in the first one.
    pub previous: Digest,
    /// Its id.
    pub id: AuditId,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    /// What happened.
    pub event: AuditEvent,
    /// The host's signature of everything before it in its line; only some entries have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Signature>,
    /// The BLAKE3 of everything before it in its line.
    pub hash: Digest,
}
