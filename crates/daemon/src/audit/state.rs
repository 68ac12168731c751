// SPDX-License-Identifier: GPL-3.0-or-later
//! What is known of the audit log, for health.

use std::path::PathBuf;

use hv_model::audit::{AuditEntry, AuditEvent, FirstFault, LogPlace, NoticedFault};
use jiff::Timestamp;

/// What is known of the audit log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditState {
    /// When it was last verified.
    pub verified: Option<Timestamp>,
    /// How many entries it had then.
    pub entries: u64,
    /// The first entry that did not fit then.
    pub fault: Option<FirstFault>,
    /// The last entry that tells of a fault.
    pub noticed: Option<Noticed>,
    /// What was signed last.
    pub signed: Option<LogPlace>,
    /// Why it could not be signed the last time.
    pub unsigned: Option<String>,
    /// Whether signed entries get to the system's log.
    pub copying: Copying,
    /// The key's file, if others may read it.
    pub exposed: Option<PathBuf>,
}

/// An entry that tells of a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noticed {
    /// When it was noticed.
    pub time: Timestamp,
    /// Which entry tells of it.
    pub sequence: u64,
    /// What it is.
    pub fault: NoticedFault,
    /// What was seen.
    pub detail: String,
}

/// Whether signed entries get to the system's log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Copying {
    /// They are not sent, or none was sent yet.
    #[default]
    Off,
    /// The last one got there.
    Done,
    /// The last one did not, and this is why.
    Failed(String),
}

impl Noticed {
    /// What an entry tells, if it tells of a fault.
    pub(super) fn of(entry: &AuditEntry) -> Option<Self> {
        match &entry.event {
            AuditEvent::Noticed { fault, detail } => Some(Self {
                time: entry.time,
                sequence: entry.sequence,
                fault: *fault,
                detail: detail.clone(),
            }),
            _ => None,
        }
    }
}
