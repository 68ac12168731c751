// SPDX-License-Identifier: GPL-3.0-or-later
//! What the host's guard refused, or found to run against the host's policy.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::VmId;

/// How many reasons are told at most.
pub const MOST_REASONS: usize = 20;

/// How many characters of a name or of a reason are told at most.
pub const LONGEST_REASON: usize = 300;

/// A VM that libvirt was about to run, or runs, against the host's policy, whoever asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardRefusal {
    /// When.
    pub time: Timestamp,
    /// What libvirt calls the VM.
    pub name: String,
    /// Its id, if it said one.
    #[serde(default)]
    pub id: Option<VmId>,
    /// What libvirt was about to do: `prepare`, `start`, `restore` and so on.
    pub operation: String,
    /// What came of it.
    pub effect: GuardEffect,
    /// Each thing that the policy does not allow, with its value and what is allowed.
    pub reasons: Vec<String>,
}

/// What came of a look at a VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuardEffect {
    /// It does not run.
    Refused,
    /// It ran already, and goes on.
    Reported,
}

impl GuardRefusal {
    /// The same, no longer than may be told.
    #[must_use]
    pub fn shortened(mut self) -> Self {
        let short = |text: &str| text.chars().take(LONGEST_REASON).collect::<String>();
        let more = self.reasons.len().saturating_sub(MOST_REASONS);
        self.reasons.truncate(MOST_REASONS);
        if more > 0 {
            self.reasons.push(format!("and {more} more"));
        }
        for reason in &mut self.reasons {
            *reason = short(reason);
        }
        self.name = short(&self.name);
        self.operation = short(&self.operation);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_stays_short() {
        let long = GuardRefusal {
            time: Timestamp::UNIX_EPOCH,
            name: "x".repeat(1000),
            id: None,
            operation: "start".into(),
            effect: GuardEffect::Refused,
            reasons: vec!["y".repeat(1000); 30],
        };
        let short = long.shortened();
        assert_eq!(short.name.len(), LONGEST_REASON);
        assert_eq!(short.reasons.len(), MOST_REASONS + 1);
        assert_eq!(short.reasons.last().unwrap(), "and 10 more");
        assert!(
            short
                .reasons
                .iter()
                .all(|reason| reason.len() <= LONGEST_REASON)
        );
    }
}
