// SPDX-License-Identifier: GPL-3.0-or-later
//! What a process of ours found wrong with its own rights.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Something about the rights of a process that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which way it is wrong.
    pub kind: FindingKind,
    /// What was found, as a sentence.
    pub what: String,
    /// What mends it: a command, or words.
    pub fix: String,
}

/// Which way a right is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// A right that is needed is not there.
    Missing,
    /// There is one that must not be.
    Excess,
}

impl Finding {
    /// A right that is needed and not there.
    pub fn missing(what: impl Into<String>, fix: impl Into<String>) -> Self {
        let (what, fix, kind) = (what.into(), fix.into(), FindingKind::Missing);
        Self { kind, what, fix }
    }

    /// A right that must not be there.
    pub fn excess(what: impl Into<String>, fix: impl Into<String>) -> Self {
        let (what, fix, kind) = (what.into(), fix.into(), FindingKind::Excess);
        Self { kind, what, fix }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.what, self.fix)
    }
}
