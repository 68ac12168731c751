// SPDX-License-Identifier: GPL-3.0-or-later
//! The checks of the security audit, a file a category.
//!
//! A check asks one thing of the host and can come out either way; each has cases of both in
//! `tests`. One that could not see all it needs says so: [`Unreadable`] becomes unknown.

mod alerts;
mod backups;
mod dashboard;
mod dependencies;
mod execution;
mod files;
mod hardening;
mod in_force;
mod input;
mod logs;
mod metrics;
mod network;
mod observation;
mod privileges;
mod secrets;
mod temporary;
#[cfg(test)]
mod tests;

use hv_model::security::{Category, Finding, FindingResult, Objective, Severity};

use super::system::{System, Unreadable};

/// One question to the host.
#[derive(Debug)]
pub(crate) struct Check {
    /// Its category and a word: `files.libvirt-socket`.
    pub id: &'static str,
    /// What it is about.
    pub category: Category,
    /// What should be so.
    pub title: &'static str,
    /// How much harm it does if it is not.
    pub severity: Severity,
    /// Why it matters.
    pub why: &'static str,
    /// Commands or words that mend it.
    pub fix: &'static [&'static str],
    /// What it bears on.
    pub objectives: &'static [Objective],
    /// Looks at the host.
    pub look: fn(&System) -> Answer,
}

/// What a check saw, or what it could not.
pub(crate) type Answer = Result<Observation, Unreadable>;

/// What a check saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Observation {
    /// Whether that is as it should be.
    pub result: FindingResult,
    /// What was seen, in a sentence.
    pub observed: String,
    /// Where.
    pub evidence: Vec<String>,
}

/// Every check, in the order of the categories.
pub(crate) fn all() -> impl Iterator<Item = &'static Check> {
    [
        dashboard::CHECKS,
        alerts::CHECKS,
        in_force::CHECKS,
        backups::CHECKS,
        metrics::CHECKS,
        files::CHECKS,
        input::CHECKS,
        secrets::CHECKS,
        network::CHECKS,
        hardening::CHECKS,
        logs::CHECKS,
        execution::CHECKS,
        temporary::CHECKS,
        privileges::CHECKS,
        dependencies::CHECKS,
    ]
    .into_iter()
    .flatten()
}

impl Check {
    /// Asks it of a host.
    pub(crate) fn run(&self, system: &System) -> Finding {
        let seen = (self.look)(system).unwrap_or_else(|why| Observation {
            result: FindingResult::Unknown,
            observed: format!("Not known: {why}."),
            evidence: Vec::new(),
        });
        Finding {
            id: self.id.to_owned(),
            category: self.category,
            title: self.title.to_owned(),
            result: seen.result,
            severity: self.severity,
            observed: seen.observed,
            evidence: seen.evidence,
            why: self.why.to_owned(),
            fix: self.fix.iter().map(ToString::to_string).collect(),
            objectives: self.objectives.to_vec(),
            controls: self
                .objectives
                .iter()
                .flat_map(|one| one.controls())
                .collect(),
        }
    }
}
