// SPDX-License-Identifier: GPL-3.0-or-later
//! Everything that an audit found.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Category, Finding, FindingResult, Severity};

/// Everything that an audit found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The host's name.
    pub host: String,
    /// Its operating system, as it names itself.
    pub system: String,
    /// The version of what looked.
    pub version: String,
    /// When.
    pub time: Timestamp,
    /// The user who looked, by number; what root alone may read is unknown to others.
    pub looked_as: u32,
    /// What was found, in the order of the categories.
    pub findings: Vec<Finding>,
}

/// How many checks came out how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Passed.
    pub pass: usize,
    /// Did not apply.
    pub not_applicable: usize,
    /// Could not be looked at.
    pub unknown: usize,
    /// Warn.
    pub warn: usize,
    /// Failed.
    pub fail: usize,
}

impl Report {
    /// The severity from which on something that failed makes the command fail, too.
    pub const FAILS_FROM: Severity = Severity::Medium;

    /// Whether something failed that is at least of severity medium.
    pub fn fails(&self) -> bool {
        self.findings.iter().any(|finding| {
            finding.result == FindingResult::Fail && finding.severity >= Self::FAILS_FROM
        })
    }

    /// How many checks came out how.
    pub fn counts(&self) -> Counts {
        Counts::of(self.findings.iter())
    }

    /// The findings about a category: what needs attention first, the worst before the rest.
    pub fn about(&self, category: Category) -> Vec<&Finding> {
        let mut findings: Vec<&Finding> = self
            .findings
            .iter()
            .filter(|finding| finding.category == category)
            .collect();
        findings.sort_by_key(|finding| std::cmp::Reverse((finding.result, finding.severity)));
        findings
    }

    /// The findings without those of a lesser severity.
    #[must_use]
    pub fn at_least(mut self, severity: Severity) -> Self {
        self.findings.retain(|finding| finding.severity >= severity);
        self
    }
}

impl Counts {
    /// The counts of some findings.
    pub fn of<'a>(findings: impl Iterator<Item = &'a Finding>) -> Self {
        let mut counts = Self::default();
        for finding in findings {
            *counts.slot(finding.result) += 1;
        }
        counts
    }

    /// How many came out like this.
    pub const fn get(&self, result: FindingResult) -> usize {
        match result {
            FindingResult::Pass => self.pass,
            FindingResult::NotApplicable => self.not_applicable,
            FindingResult::Unknown => self.unknown,
            FindingResult::Warn => self.warn,
            FindingResult::Fail => self.fail,
        }
    }

    const fn slot(&mut self, result: FindingResult) -> &mut usize {
        match result {
            FindingResult::Pass => &mut self.pass,
            FindingResult::NotApplicable => &mut self.not_applicable,
            FindingResult::Unknown => &mut self.unknown,
            FindingResult::Warn => &mut self.warn,
            FindingResult::Fail => &mut self.fail,
        }
    }
}
