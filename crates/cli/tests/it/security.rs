// SPDX-License-Identifier: GPL-3.0-or-later
//! The security audit of the host that the tests run on: whatever it finds, it is said as it should be.

use std::{fs, os::unix::fs::PermissionsExt};

use hv_model::security::{Category, ControlStatus, ControlsView, FindingResult, Report, Severity};

use crate::stage::{Stage, program, run};

#[test]
fn without_a_daemon_the_host_is_looked_at_and_what_hvd_knows_is_unknown() {
    let run = run(program().args([
        "--socket",
        "/nonexistent/hvd.sock",
        "audit",
        "security",
        "--json",
    ]));
    let report: Report = serde_json::from_str(&run.out).unwrap();
    assert_eq!(
        (run.code, run.err.as_str()),
        (i32::from(report.fails()), "")
    );
    for category in Category::ALL {
        assert!(!report.about(*category).is_empty(), "{category}");
    }
    let version = report
        .findings
        .iter()
        .find(|one| one.id == "dependencies.versions")
        .unwrap();
    assert_eq!(version.result, FindingResult::Unknown);
    assert!(
        version.observed.contains("/nonexistent/hvd.sock"),
        "{}",
        version.observed
    );
}

#[test]
fn a_running_daemon_is_asked() {
    let stage = Stage::set();
    let run = stage.hv("audit security --category dependencies --json");
    let report: Report = serde_json::from_str(&run.out).unwrap();
    let version = report
        .findings
        .iter()
        .find(|one| one.id == "dependencies.versions")
        .unwrap();
    assert_eq!(version.result, FindingResult::Pass, "{version:?}");
    assert!(
        report
            .findings
            .iter()
            .all(|one| one.category == Category::Dependencies)
    );
}

#[test]
fn the_exit_code_is_about_what_is_shown() {
    let stage = Stage::set();
    for arguments in [
        "",
        " --min-severity critical",
        " --category logs",
        " --min-severity low",
    ] {
        let run = stage.hv(&format!("audit security --json{arguments}"));
        let report: Report = serde_json::from_str(&run.out).unwrap();
        let failed = report.findings.iter().any(|finding| {
            finding.result == FindingResult::Fail && finding.severity >= Severity::Medium
        });
        assert_eq!(run.code, i32::from(failed), "{arguments}");
        if arguments.contains("critical") {
            let least = report.findings.iter().map(|finding| finding.severity).min();
            assert_eq!(least, Some(Severity::Critical));
        }
    }
}

#[test]
fn a_file_is_written_for_its_owner_alone_and_in_the_place_of_a_planted_link() {
    let stage = Stage::set();
    let victim = stage.folder().join("victim");
    fs::write(&victim, "keep").unwrap();
    let path = stage.folder().join("audit.html");
    std::os::unix::fs::symlink(&victim, &path).unwrap();
    let run = stage.hv("audit security --format html --output audit.html");
    assert!(
        run.out.is_empty() && run.err.contains("audit.html"),
        "{run:?}"
    );
    assert_eq!(fs::read_to_string(&victim).unwrap(), "keep");
    let status = fs::symlink_metadata(&path).unwrap();
    assert_eq!(
        (status.is_file(), status.permissions().mode() & 0o777),
        (true, 0o600)
    );
    let page = fs::read_to_string(&path).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
}

#[test]
fn the_view_by_controls_gives_each_a_status_and_never_says_that_a_framework_is_met() {
    let stage = Stage::set();
    let all = stage.hv("audit security --compliance --json");
    let view: ControlsView = serde_json::from_str(&all.out).unwrap();
    assert_eq!(view.frameworks.len(), 6);
    let mut controls = view
        .frameworks
        .iter()
        .flat_map(|framework| &framework.controls);
    assert!(controls.any(|control| control.status == ControlStatus::Inherited));
    let one = stage.hv("audit security --compliance stig --json");
    let view: ControlsView = serde_json::from_str(&one.out).unwrap();
    assert_eq!(view.frameworks.len(), 1);
    assert_eq!(view.frameworks[0].controls.len(), 17);
    for format in ["text", "markdown", "html"] {
        let page = stage.hv(&format!(
            "audit security --compliance pci-dss --format {format}"
        ));
        assert!(page.out.contains("10.6.1"), "{format}");
        assert!(!page.out.to_lowercase().contains("compliant"), "{format}");
    }
}

#[test]
fn a_wrong_name_is_told_with_those_there_are() {
    for (arguments, word) in [
        ("--category disks", "temporary"),
        ("--min-severity bad", "critical"),
        ("--compliance iso", "iso-27001"),
        ("--compliance stig --category logs", "cannot be used with"),
    ] {
        let run = run(program()
            .args(["audit", "security"])
            .args(arguments.split(' ')));
        assert_eq!(run.code, 2, "{arguments}");
        assert!(run.err.contains(word), "{arguments}: {}", run.err);
    }
}

#[test]
fn help_says_how_it_is_asked_and_what_the_exit_code_means() {
    let run = run(program().args(["audit", "security", "--help"]));
    assert_eq!(run.code, 0);
    insta::assert_snapshot!(run.out);
}
