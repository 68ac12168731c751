// SPDX-License-Identifier: GPL-3.0-or-later
//! The report, and the view by controls, as one HTML file that needs nothing else.
//!
//! There is no script in it, and a policy in its head forbids any. All text is escaped.

use std::borrow::Cow;

use hv_model::security::{
    Category, ControlView, ControlsView, Counts, Finding, FindingResult, Report,
};

use super::{heading, tally};
use crate::output::shown;

const STYLE: &str = include_str!("report.css");

/// The report as a page.
pub(crate) fn report(report: &Report) -> String {
    let mut body = format!(
        "<header><h1>Security audit of {}</h1><p class=\"faint\">{}</p>{}</header>\n<main>\n<nav aria-label=\"Categories\"><ul>\n",
        escaped(&report.host),
        escaped(&heading(report)),
        counts(report.counts()),
    );
    let categories = Category::ALL
        .iter()
        .map(|category| (category, report.about(*category)));
    let categories: Vec<_> = categories
        .filter(|(_, findings)| !findings.is_empty())
        .collect();
    for (category, findings) in &categories {
        let worst = findings
            .first()
            .map_or(FindingResult::Pass, |finding| finding.result);
        body.extend([format!(
            "<li><a href=\"#{category}\"><span class=\"mark {worst}\" role=\"img\" aria-label=\"{worst}:\"></span>{}</a></li>\n",
            category.title()
        )]);
    }
    body.push_str("</ul></nav>\n<div>\n");
    for (category, findings) in &categories {
        body.push_str(&section(**category, findings));
    }
    body.push_str("</div>\n</main>\n");
    page(&format!("Security audit of {}", report.host), &body)
}

fn section(category: Category, findings: &[&Finding]) -> String {
    let mut text = format!(
        "<section id=\"{category}\"><h2>{}</h2><p class=\"faint\">{} {}.</p>\n",
        category.title(),
        category.question(),
        tally(Counts::of(findings.iter().copied())),
    );
    for finding in findings {
        text.push_str(&details(finding));
    }
    text.push_str("</section>\n");
    text
}

fn details(finding: &Finding) -> String {
    let open = if finding.result == FindingResult::Fail {
        " open"
    } else {
        ""
    };
    let controls = finding
        .controls
        .iter()
        .map(|control| format!("{} {}", control.framework, control.id));
    let fixes = match finding.result {
        FindingResult::Pass | FindingResult::NotApplicable => String::new(),
        _ => format!(
            "<dt>What mends it</dt><dd>{}</dd>",
            list(&finding.fix, "code")
        ),
    };
    format!(
        "<details{open}><summary><span class=\"badge {result}\">{result}</span> \
         <span class=\"severity {severity}\">{severity}</span> <span class=\"title\">{title}</span></summary>\n\
         <dl><dt>Seen</dt><dd><p>{observed}</p>{evidence}</dd><dt>Why it matters</dt><dd><p>{why}</p></dd>{fixes}\
         <dt>Controls</dt><dd class=\"faint\">{controls}</dd><dt>Check</dt><dd><code>{id}</code></dd></dl></details>\n",
        result = finding.result,
        severity = finding.severity,
        title = escaped(&finding.title),
        observed = escaped(&finding.observed),
        evidence = list(&finding.evidence, "code"),
        why = escaped(&finding.why),
        controls = escaped(&controls.collect::<Vec<_>>().join(", ")),
        id = escaped(&finding.id),
    )
}

/// The view by controls as a page.
pub(crate) fn controls(view: &ControlsView) -> String {
    let mut body = format!(
        "<header><h1>Controls on {}</h1><p class=\"faint\">{}</p><p class=\"note\">{}</p></header>\n<main class=\"wide\">\n",
        escaped(&view.host),
        view.time.strftime("%Y-%m-%d %H:%M:%S UTC"),
        escaped(&view.note),
    );
    for framework in &view.frameworks {
        body.extend([format!(
            "<section><h2>{}</h2><p class=\"faint\">{}</p>\n<div class=\"scroll\"><table><thead><tr><th>Control</th>\
             <th>Status</th><th>What it asks for</th><th>Evidence</th><th>What remains</th></tr></thead><tbody>\n",
            escaped(&framework.title),
            escaped(&framework.scope),
        )]);
        for control in &framework.controls {
            body.push_str(&row(control));
        }
        body.push_str("</tbody></table></div></section>\n");
    }
    body.push_str("</main>\n");
    page(&format!("Controls on {}", view.host), &body)
}

fn row(control: &ControlView) -> String {
    format!(
        "<tr><th scope=\"row\">{}</th><td><span class=\"badge {status}\">{status}</span></td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
        escaped(&control.id),
        list(&control.asks, "span"),
        list(&control.evidence, "span"),
        list(&control.remains, "span"),
        status = control.status,
    )
}

fn counts(counts: Counts) -> String {
    let mut text = String::from("<ul class=\"counts\">");
    for result in FindingResult::ALL.iter().rev() {
        text.extend([format!(
            "<li><span class=\"badge {result}\">{result}</span> {}</li>",
            counts.get(*result)
        )]);
    }
    text.push_str("</ul>");
    text
}

fn list(lines: &[String], element: &str) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let items = lines
        .iter()
        .map(|line| format!("<li><{element}>{}</{element}></li>", escaped(line)));
    format!("<ul>{}</ul>", items.collect::<String>())
}

fn page(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n",
        escaped(title)
    )
}

/// Text as text: nothing in it is markup, and nothing steers.
fn escaped(text: &str) -> Cow<'_, str> {
    let text = shown(text);
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return text;
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    Cow::Owned(escaped)
}
