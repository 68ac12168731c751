// SPDX-License-Identifier: GPL-3.0-or-later
//! One report in each form.

use hv_model::security::{
    Category, ControlsView, Finding, FindingResult, Framework, Objective, Report, Severity,
};
use jiff::Timestamp;

use super::{controls, html, markdown, text};
use crate::output::Look;

/// What somebody could call a file or a process.
const HOSTILE: &str =
    "/etc/\x1b]0;owned\x07<script>alert('x')</script>|`$(id)`\u{202e}[a](b)\nnext";

fn finding(
    id: &str,
    category: Category,
    result: FindingResult,
    severity: Severity,
    objective: Objective,
) -> Finding {
    Finding {
        id: id.into(),
        category,
        title: "Only root can change the programs".into(),
        result,
        severity,
        observed: "Others than root can change a program.".into(),
        evidence: vec!["/usr/bin/hvd: mode 0757, user 0, group 0".into()],
        why: "Whoever writes a program has the rights of everybody who runs it, root included."
            .into(),
        fix: vec!["chmod go-w FILE".into()],
        objectives: vec![objective],
        controls: objective.controls().collect(),
    }
}

fn report() -> Report {
    use {Category as C, FindingResult as R, Severity as S};
    let mut hostile = finding(
        "secrets.keys",
        C::Secrets,
        R::Fail,
        S::Low,
        Objective::VncAccess,
    );
    hostile.observed = HOSTILE.into();
    hostile.evidence = vec![HOSTILE.into()];
    let mut unknown = finding(
        "network.firewall",
        C::Network,
        R::Unknown,
        S::High,
        Objective::Firewall,
    );
    unknown.observed = "Not known: nft may not be asked.".into();
    unknown.evidence = Vec::new();
    Report {
        host: format!("node-1{}", "\x1b[2J<b>"),
        system: "NixOS 26.05".into(),
        version: "0.1.0".into(),
        time: Timestamp::from_second(1_780_272_000).unwrap(),
        looked_as: 1000,
        findings: vec![
            finding(
                "files.shadow",
                C::Files,
                R::Pass,
                S::Critical,
                Objective::HashedPasswords,
            ),
            finding(
                "files.programs",
                C::Files,
                R::Fail,
                S::Critical,
                Objective::Drift,
            ),
            hostile,
            unknown,
            finding(
                "hardening.ksm",
                C::Hardening,
                R::NotApplicable,
                S::Medium,
                Objective::Ksm,
            ),
        ],
    }
}

fn view() -> ControlsView {
    ControlsView::of(&report(), Framework::ALL)
}

/// The report and the view by controls in each form.
fn pages() -> [String; 6] {
    [
        text::render(&report(), Look::plain()),
        controls::render(&view(), Look::plain()),
        markdown::report(&report()),
        markdown::controls(&view()),
        html::report(&report()),
        html::controls(&view()),
    ]
}

#[test]
fn a_terminal_shows_what_needs_attention_in_full() {
    insta::assert_snapshot!(text::render(&report(), Look::plain()));
}

#[test]
fn a_framework_is_shown_control_by_control() {
    let view = ControlsView::of(&report(), &[Framework::Cis]);
    insta::assert_snapshot!(controls::render(&view, Look::plain()));
}

#[test]
fn markdown_holds_all_of_it() {
    insta::assert_snapshot!(markdown::report(&report()));
}

#[test]
fn html_holds_all_of_it() {
    let page = html::report(&report());
    let body = page.split("</style>").nth(1).unwrap();
    insta::assert_snapshot!(body);
}

#[test]
fn what_others_wrote_steers_nothing_in_any_form() {
    for page in pages() {
        let steering = |c: &char| c.is_control() && *c != '\n' || *c == '\u{202e}';
        assert_eq!(page.chars().find(steering), None, "{page}");
    }
    for page in pages().into_iter().skip(2) {
        assert!(!page.contains("<script") && !page.contains("<b>"), "{page}");
    }
    for page in [markdown::report(&report()), markdown::controls(&view())] {
        assert!(
            !page.contains("](b)") && !page.contains("`$(id)`"),
            "{page}"
        );
        assert!(page.contains("\\|\\`$\\(id\\)\\`"), "{page}");
    }
}

#[test]
fn html_needs_nothing_else_and_runs_nothing() {
    for page in [html::report(&report()), html::controls(&view())] {
        assert!(page.contains("default-src 'none'; style-src 'unsafe-inline'"));
        for loads in [
            "<link",
            "<img",
            "<iframe",
            " src=",
            "url(",
            "@import",
            "javascript:",
            " onclick",
        ] {
            assert!(!page.contains(loads), "{loads}");
        }
    }
}

#[test]
fn no_form_claims_that_a_framework_is_met() {
    for page in pages() {
        assert!(!page.to_lowercase().contains("compliant"), "{page}");
    }
}
