// SPDX-License-Identifier: GPL-3.0-or-later
//! The report on a terminal: what needs attention, in full; the rest counted.

use hv_model::security::{Category, Counts, Finding, FindingResult, Report, Severity};

use super::{heading, tally};
use crate::output::{Facts, Look, Paint, shown, text::wrapped};

/// How far facts stand from the edge, with their word.
const MARGIN: usize = 10;

/// The report as lines.
pub(crate) fn render(report: &Report, look: Look) -> String {
    let mut page = format!("{}\n", look.paint(Paint::Faint, &heading(report)));
    for category in Category::ALL {
        let findings = report.about(*category);
        if findings.is_empty() {
            continue;
        }
        let counts = Counts::of(findings.iter().copied());
        let title = look.paint(Paint::Heading, category.title());
        page.extend([format!(
            "\n{title}  {}\n",
            look.paint(Paint::Faint, &tally(counts))
        )]);
        for finding in findings
            .iter()
            .filter(|finding| finding.result.needs_attention())
        {
            page.push_str(&lines(finding, look));
        }
    }
    page.extend([format!("\n{}.\n", tally(report.counts()))]);
    if report.counts().unknown > 0 && report.looked_as != 0 {
        let root = look.paint(Paint::Command, "sudo hv audit security");
        page.extend([format!("What is unknown may be seen by root: {root}\n")]);
    }
    page
}

fn lines(finding: &Finding, look: Look) -> String {
    let paint = match (finding.result, finding.severity) {
        (FindingResult::Fail, severity) if severity >= Severity::Medium => Paint::Bad,
        (FindingResult::Unknown, _) => Paint::Faint,
        _ => Paint::Warning,
    };
    let word = match finding.result {
        FindingResult::Fail => finding.severity.as_str(),
        other => other.as_str(),
    };
    let columns = look.prose().saturating_sub(MARGIN);
    let mut page = format!(
        "  {} {} {}\n",
        look.paint(paint, &format!("{word:8}")),
        finding.title,
        look.paint(Paint::Faint, &format!("({})", finding.id)),
    );
    let mut facts = Facts::default();
    facts.add(
        "    seen",
        wrapped(&shown(&finding.observed), columns).join("\n"),
    );
    for evidence in &finding.evidence {
        facts.add("    seen", wrapped(&shown(evidence), columns).join("\n"));
    }
    // What could not be looked at needs other eyes, not a remedy.
    if finding.result != FindingResult::Unknown {
        facts.add("    why", wrapped(&finding.why, columns).join("\n"));
        for fix in &finding.fix {
            facts.add_painted("    fix", Paint::Command, wrapped(fix, columns).join("\n"));
        }
    }
    page.push_str(&facts.render(look));
    page
}
