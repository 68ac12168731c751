// SPDX-License-Identifier: GPL-3.0-or-later
//! What an entry of the audit log tells.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Digest, PublicKey};
use crate::{
    access::{Action, Decision, Origin, Principal},
    id::{HostId, OperationId},
    operation::OperationState,
    problem::ProblemKind,
};

/// How many characters of a text that others chose are kept.
const TEXT: usize = 300;

/// What an entry of the audit log tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum AuditEvent {
    /// The log begins.
    Began {
        /// The host that it is of.
        host: HostId,
        /// How many entries follow that an earlier version wrote, which kept no chain. Each has
        /// the time at which it was written then.
        carried: u64,
    },
    /// Somebody asked for something, and this was the answer.
    Decided(Decided),
    /// An operation is over.
    Ended(Ended),
    /// The host signed the log so far: everything up to and including this entry.
    Signed {
        /// With which key.
        key: PublicKey,
        /// Why now.
        reason: SignReason,
    },
    /// Entries that were too old were removed, and the host signed what they ended in.
    Cut(Cut),
    /// The daemon noticed that the log is not what it was.
    Noticed {
        /// What it is.
        fault: NoticedFault,
        /// What was seen.
        detail: String,
    },
    /// Something that another version wrote and this one does not know. It is verified like any
    /// other.
    #[serde(untagged)]
    #[schema(value_type = Object)]
    Other(serde_json::Value),
}

/// Somebody asked for something, and this was the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Decided {
    /// Who.
    pub principal: Principal,
    /// From where; absent where the daemon acts by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Origin>,
    /// What.
    pub action: Action,
    /// On what: `vm/web`.
    pub target: String,
    /// Whether they might, and by which policy.
    pub decision: Decision,
    /// The operation that it became.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<OperationId>,
}

/// An operation is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Ended {
    /// Who asked for it.
    pub principal: Principal,
    /// What was asked for.
    pub action: Action,
    /// On what: `vm/web`.
    pub target: String,
    /// Which operation.
    pub operation: OperationId,
    /// How it ended.
    pub outcome: OperationState,
    /// What kept it from succeeding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<ProblemKind>,
}

/// Entries that were too old were removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Cut {
    /// With which key this is signed.
    pub key: PublicKey,
    /// The last entry that was removed.
    pub sequence: u64,
    /// Its hash, which the first entry that is kept holds as the one before it.
    pub hash: Digest,
    /// How many were removed.
    pub removed: u64,
    /// When the first of them was written.
    #[schema(value_type = String, format = DateTime)]
    pub first: Timestamp,
    /// When the last of them was written.
    #[schema(value_type = String, format = DateTime)]
    pub last: Timestamp,
}

/// Why the log is signed now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SignReason {
    /// The daemon starts.
    Start,
    /// A day has passed.
    Daily,
    /// The log is exported; an export ends with this entry.
    Export,
    /// The daemon ends.
    End,
}

impl SignReason {
    /// The reason in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Start => "hvd started",
            Self::Daily => "a day had passed",
            Self::Export => "it was exported",
            Self::End => "hvd ended",
        }
    }
}

/// What the daemon noticed of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NoticedFault {
    /// What was signed last is not in it any more: it was cut, or an older state was put back.
    Cut,
    /// An entry does not fit.
    Changed,
    /// What was signed last is not known, since its file is gone or was changed.
    HeadLost,
    /// It was signed with another key, which is gone.
    KeyReplaced,
}

impl NoticedFault {
    /// The fault in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Cut => "the log was cut or put back",
            Self::Changed => "an entry does not fit",
            Self::HeadLost => "what was signed last is not known",
            Self::KeyReplaced => "the key is another one",
        }
    }
}

impl AuditEvent {
    /// The same with its texts cut to what is kept of them, since others choose names.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        match &mut self {
            Self::Decided(decided) => {
                bound(&mut decided.target);
                let (Decision::Allow { policy }
                | Decision::Deny { policy }
                | Decision::Ask { policy, .. }) = &mut decided.decision;
                bound(policy);
            }
            Self::Ended(ended) => bound(&mut ended.target),
            Self::Noticed { detail, .. } => bound(detail),
            Self::Began { .. } | Self::Signed { .. } | Self::Cut(_) | Self::Other(_) => {}
        }
        self
    }

    /// The key with which an entry that tells this must be signed.
    pub const fn signer(&self) -> Option<&PublicKey> {
        match self {
            Self::Signed { key, .. } | Self::Cut(Cut { key, .. }) => Some(key),
            _ => None,
        }
    }
}

fn bound(text: &mut String) {
    if let Some((end, _)) = text.char_indices().nth(TEXT) {
        text.truncate(end);
        text.push('…');
    }
}
