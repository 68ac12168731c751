// SPDX-License-Identifier: GPL-3.0-or-later
//! What an audit's findings say about the controls of a framework.
//!
//! A control is never called met because nothing is known against it: it passes only where checks
//! see all that it asks for, and all of them passed.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Coverage, Finding, FindingResult, Framework, Objective, Report};

/// What an audit's findings say about the controls of some frameworks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlsView {
    /// The host's name.
    pub host: String,
    /// When it was looked at.
    pub time: Timestamp,
    /// What such a view is, and what it is not.
    pub note: String,
    /// The frameworks.
    pub frameworks: Vec<FrameworkView>,
}

/// What an audit's findings say about the controls of a framework.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameworkView {
    /// Which framework.
    pub framework: Framework,
    /// Its name in prose.
    pub title: String,
    /// How much of it is looked at.
    pub scope: String,
    /// Its controls.
    pub controls: Vec<ControlView>,
}

/// What an audit's findings say about a control.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlView {
    /// Its number or name.
    pub id: String,
    /// What it asks for, in our words.
    pub asks: Vec<String>,
    /// How it stands.
    pub status: ControlStatus,
    /// What was found: a check, its result, what it saw. It may hold text that others wrote.
    pub evidence: Vec<String>,
    /// What remains for people to show.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remains: Vec<String>,
}

/// How a control stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ControlStatus {
    /// Checks see all that it asks for, and each of them passed.
    Pass,
    /// A check failed.
    Fail,
    /// What was looked at is as it should be, or nearly so; something remains.
    Partial,
    /// People have to show it.
    ManualEvidence,
    /// Somebody else answers for it.
    Inherited,
    /// There is nothing here that it could be asked of.
    NotApplicable,
}

/// What such a view is, and what it is not.
const NOTE: &str = "This is evidence for an assessment, not its outcome. It covers what a host can \
                    show of itself. Whether a framework is met is for its assessor to say.";

impl ControlStatus {
    /// Every status.
    pub const ALL: &[Self] = &[
        Self::Pass,
        Self::Fail,
        Self::Partial,
        Self::ManualEvidence,
        Self::Inherited,
        Self::NotApplicable,
    ];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Partial => "partial",
            Self::ManualEvidence => "manual-evidence",
            Self::Inherited => "inherited",
            Self::NotApplicable => "not-applicable",
        }
    }

    /// How a control stands that asks for two things.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Fail, _) | (_, Self::Fail) => Self::Fail,
            (one, other) if one == other => one,
            (Self::NotApplicable, other) | (other, Self::NotApplicable) => other,
            _ => Self::Partial,
        }
    }
}

impl fmt::Display for ControlStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl ControlsView {
    /// What a report says about the controls of these frameworks.
    pub fn of(report: &Report, frameworks: &[Framework]) -> Self {
        let view = |framework: &Framework| FrameworkView {
            framework: *framework,
            title: framework.title().to_owned(),
            scope: framework.scope().to_owned(),
            controls: controls(report, *framework),
        };
        Self {
            host: report.host.clone(),
            time: report.time,
            note: NOTE.to_owned(),
            frameworks: frameworks.iter().map(view).collect(),
        }
    }
}

fn controls(report: &Report, framework: Framework) -> Vec<ControlView> {
    let mut order: Vec<&str> = Vec::new();
    let mut asked: BTreeMap<&str, Vec<Objective>> = BTreeMap::new();
    for objective in Objective::ALL {
        for id in objective.ids_in(framework) {
            let objectives = asked.entry(id).or_default();
            if objectives.is_empty() {
                order.push(id);
            }
            objectives.push(*objective);
        }
    }
    // Names stay in the order of the catalogue, numbers in their own.
    if framework != Framework::Cis {
        order.sort_by_key(|id| parts(id));
    }
    let view = |id: &str| control(report, id, asked.get(id).map_or(&[], Vec::as_slice));
    order.into_iter().map(view).collect()
}

/// A number of several parts, so that 8.2.1 comes before 10.3.2.
fn parts(id: &str) -> Vec<(u64, &str)> {
    let parts = id.split(['.', '-', '(']);
    parts
        .map(|part| (part.parse().unwrap_or(u64::MAX), part))
        .collect()
}

fn control(report: &Report, id: &str, objectives: &[Objective]) -> ControlView {
    let mut view = ControlView {
        id: id.to_owned(),
        asks: Vec::new(),
        status: ControlStatus::NotApplicable,
        evidence: Vec::new(),
        remains: Vec::new(),
    };
    let mut status: Option<ControlStatus> = None;
    for objective in objectives {
        view.asks.push(objective.title().to_owned());
        let findings: Vec<&Finding> = report
            .findings
            .iter()
            .filter(|finding| finding.objectives.contains(objective))
            .collect();
        let one = stands(*objective, &findings);
        status = Some(status.map_or(one, |before| before.and(one)));
        for finding in findings {
            let line = format!("{}: {}: {}", finding.id, finding.result, finding.observed);
            if !view.evidence.contains(&line) {
                view.evidence.push(line);
            }
        }
        match objective.coverage() {
            Coverage::Whole => {}
            Coverage::Part(what) | Coverage::Manual(what) => {
                view.remains.push(format!("To be shown: {what}."));
            }
            Coverage::Inherited(whom) => view.remains.push(format!("Answered for by {whom}.")),
        }
    }
    view.status = status.unwrap_or(ControlStatus::NotApplicable);
    view
}

/// How an objective stands by itself.
fn stands(objective: Objective, findings: &[&Finding]) -> ControlStatus {
    match objective.coverage() {
        Coverage::Manual(_) => return ControlStatus::ManualEvidence,
        Coverage::Inherited(_) => return ControlStatus::Inherited,
        Coverage::Whole | Coverage::Part(_) => {}
    }
    let any = |result| findings.iter().any(|finding| finding.result == result);
    let all = |result| findings.iter().all(|finding| finding.result == result);
    if any(FindingResult::Fail) {
        return ControlStatus::Fail;
    }
    // Nothing was seen: not looked at in this run, or not readable.
    if findings.is_empty() || !any(FindingResult::Pass) && any(FindingResult::Unknown) {
        return ControlStatus::ManualEvidence;
    }
    if all(FindingResult::NotApplicable) {
        return ControlStatus::NotApplicable;
    }
    let clean = !any(FindingResult::Unknown) && !any(FindingResult::Warn);
    if clean && objective.coverage() == Coverage::Whole {
        ControlStatus::Pass
    } else {
        ControlStatus::Partial
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Category, Severity};
    use super::*;

    fn finding(id: &str, result: FindingResult, objectives: &[Objective]) -> Finding {
        Finding {
            id: id.into(),
            category: Category::Network,
            title: "t".into(),
            result,
            severity: Severity::Medium,
            observed: "seen".into(),
            evidence: Vec::new(),
            why: "w".into(),
            fix: Vec::new(),
            objectives: objectives.to_vec(),
            controls: objectives.iter().flat_map(|one| one.controls()).collect(),
        }
    }

    fn status(findings: Vec<Finding>, framework: Framework, id: &str) -> ControlStatus {
        let report = Report {
            host: "node-1".into(),
            system: "NixOS".into(),
            version: "0.1.0".into(),
            time: Timestamp::UNIX_EPOCH,
            looked_as: 0,
            findings,
        };
        let view = ControlsView::of(&report, &[framework]);
        let mut controls = view.frameworks.into_iter().flat_map(|view| view.controls);
        controls.find(|control| control.id == id).unwrap().status
    }

    #[test]
    fn a_control_passes_only_where_checks_see_all_of_it() {
        use FindingResult::{Fail, NotApplicable, Pass, Unknown, Warn};
        let firewall = |result| {
            let findings = vec![finding("network.firewall", result, &[Objective::Firewall])];
            status(findings, Framework::Stig, "V-268078")
        };
        assert_eq!(firewall(Pass), ControlStatus::Pass);
        assert_eq!(firewall(Fail), ControlStatus::Fail);
        assert_eq!(firewall(Warn), ControlStatus::Partial);
        assert_eq!(firewall(Unknown), ControlStatus::ManualEvidence);
        assert_eq!(firewall(NotApplicable), ControlStatus::NotApplicable);
        let in_part = vec![finding("a.b", Pass, &[Objective::EncryptionInTransit])];
        assert_eq!(
            status(in_part, Framework::PciDss, "4.2.1"),
            ControlStatus::Partial
        );
    }

    #[test]
    fn one_failure_fails_a_control_that_asks_for_several_things() {
        let findings = vec![
            finding("a.b", FindingResult::Pass, &[Objective::OpenPorts]),
            finding("a.c", FindingResult::Fail, &[Objective::Isolation]),
        ];
        let both = status(findings, Framework::PciDss, "1.4.1");
        assert_eq!(both, ControlStatus::Fail);
    }

    #[test]
    fn what_nobody_looked_at_is_for_people_to_show() {
        let none = |framework, id| status(Vec::new(), framework, id);
        assert_eq!(
            none(Framework::Cis, "KSM off"),
            ControlStatus::ManualEvidence
        );
        assert_eq!(
            none(Framework::PciDss, "12.1.1"),
            ControlStatus::ManualEvidence
        );
        assert_eq!(none(Framework::PciDss, "9.2.1"), ControlStatus::Inherited);
    }

    #[test]
    fn numbers_are_in_their_order() {
        let mut ids = [
            "10.3.2", "8.2.1", "8.2.10", "8.2.8", "A1.2", "CC6.1", "V-268088", "V-268078",
        ];
        ids.sort_by_key(|id| parts(id));
        let sorted = [
            "8.2.1", "8.2.8", "8.2.10", "10.3.2", "A1.2", "CC6.1", "V-268078", "V-268088",
        ];
        assert_eq!(ids, sorted);
    }

    #[test]
    fn no_word_of_the_catalogue_claims_that_a_framework_is_met() {
        let mut words = vec![NOTE];
        for framework in Framework::ALL {
            words.extend([framework.title(), framework.scope()]);
        }
        for objective in Objective::ALL {
            words.push(objective.title());
        }
        words.extend(ControlStatus::ALL.iter().map(|status| status.as_str()));
        assert!(
            words
                .iter()
                .all(|text| !text.to_lowercase().contains("compliant"))
        );
    }
}
