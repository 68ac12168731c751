// SPDX-License-Identifier: GPL-3.0-or-later
//! What a check of the security audit found.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Category, ControlRef, Objective};

/// How a check came out, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingResult {
    /// What it asks for is so.
    Pass,
    /// There is nothing here that it could be asked of.
    NotApplicable,
    /// It could not be looked at.
    Unknown,
    /// It is so in part, or only for as long as something else holds.
    Warn,
    /// It is not so.
    Fail,
}

/// How much harm a finding can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// It helps somebody who has got in by another way.
    Low,
    /// It opens something that another layer still keeps shut.
    Medium,
    /// It opens a VM, a secret or a service to somebody who must not have it.
    High,
    /// It gives somebody the host.
    Critical,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The check's id: its category and a word, `files.libvirt-socket`.
    pub id: String,
    /// What it is about.
    pub category: Category,
    /// What should be so.
    pub title: String,
    /// Whether it is.
    pub result: FindingResult,
    /// How much harm it does if it is not.
    pub severity: Severity,
    /// What was seen, in a sentence. It may hold text that others wrote.
    pub observed: String,
    /// Where it was seen: files with their modes, lines, processes. It may hold text that others
    /// wrote.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
    /// Why it matters.
    pub why: String,
    /// Commands or words that mend it.
    pub fix: Vec<String>,
    /// What it bears on.
    pub objectives: Vec<Objective>,
    /// The controls that ask for that.
    pub controls: Vec<ControlRef>,
}

impl FindingResult {
    /// Every result, from best to worst.
    pub const ALL: &[Self] = &[
        Self::Pass,
        Self::NotApplicable,
        Self::Unknown,
        Self::Warn,
        Self::Fail,
    ];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::NotApplicable => "not-applicable",
            Self::Unknown => "unknown",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }

    /// Whether somebody should read on: it failed, warns, or is not known.
    pub const fn needs_attention(self) -> bool {
        matches!(self, Self::Unknown | Self::Warn | Self::Fail)
    }
}

impl Severity {
    /// Every severity, from the least to the most.
    pub const ALL: &[Self] = &[
        Self::Info,
        Self::Low,
        Self::Medium,
        Self::High,
        Self::Critical,
    ];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for FindingResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
