// SPDX-License-Identifier: GPL-3.0-or-later
//! The report, and the view by controls, as Markdown.

use hv_model::security::{Category, ControlsView, Counts, Finding, Report};

use super::{heading, tally};
use crate::output::shown;

/// The report as Markdown.
pub(crate) fn report(report: &Report) -> String {
    let mut page = format!(
        "# Security audit of {}\n\n{}\n\n{}.\n",
        plain(&report.host),
        plain(&heading(report)),
        tally(report.counts())
    );
    for category in Category::ALL {
        let findings = report.about(*category);
        if findings.is_empty() {
            continue;
        }
        let counts = Counts::of(findings.iter().copied());
        page.extend([format!(
            "\n## {}\n\n{}.\n\n",
            category.title(),
            tally(counts)
        )]);
        page.push_str(
            "| result | severity | what should be so | what was seen |\n|---|---|---|---|\n",
        );
        for finding in &findings {
            page.extend([format!(
                "| {} | {} | {} (`{}`) | {} |\n",
                finding.result,
                finding.severity,
                finding.title,
                finding.id,
                plain(&finding.observed)
            )]);
        }
        for finding in findings
            .iter()
            .filter(|finding| finding.result.needs_attention())
        {
            page.push_str(&details(finding));
        }
    }
    page
}

fn details(finding: &Finding) -> String {
    let mut text = format!(
        "\n### {}: {}\n\n{}\n\n",
        finding.id,
        finding.result,
        plain(&finding.observed)
    );
    for evidence in &finding.evidence {
        text.extend([format!("- {}\n", plain(evidence))]);
    }
    if !finding.evidence.is_empty() {
        text.push('\n');
    }
    text.extend([format!(
        "*Why it matters:* {}\n\n*What mends it:*\n\n",
        finding.why
    )]);
    for fix in &finding.fix {
        text.extend([format!("- {}\n", plain(fix))]);
    }
    let controls = finding
        .controls
        .iter()
        .map(|control| format!("{} {}", control.framework, control.id));
    text.extend([format!(
        "\n*Controls:* {}\n",
        controls.collect::<Vec<_>>().join(", ")
    )]);
    text
}

/// The view by controls as Markdown.
pub(crate) fn controls(view: &ControlsView) -> String {
    let mut page = format!("# Controls on {}\n\n{}\n", plain(&view.host), view.note);
    for framework in &view.frameworks {
        page.extend([format!(
            "\n## {}\n\n{}\n\n",
            framework.title, framework.scope
        )]);
        page.push_str("| control | status | what it asks for | evidence | what remains |\n|---|---|---|---|---|\n");
        for control in &framework.controls {
            let evidence: Vec<String> = control.evidence.iter().map(|line| plain(line)).collect();
            page.extend([format!(
                "| {} | {} | {} | {} | {} |\n",
                control.id,
                control.status,
                control.asks.join("; "),
                evidence.join("<br>"),
                control.remains.join(" ")
            )]);
        }
    }
    page
}

/// Text that others wrote, as nothing but text: no markup, no HTML, no new line.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len() + 8);
    for character in shown(text).chars() {
        match character {
            '&' => plain.push_str("&amp;"),
            '<' => plain.push_str("&lt;"),
            '>' => plain.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '!' | '|' | '~' => {
                plain.push('\\');
                plain.push(character);
            }
            _ => plain.push(character),
        }
    }
    plain
}
