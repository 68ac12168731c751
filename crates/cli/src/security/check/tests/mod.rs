// SPDX-License-Identifier: GPL-3.0-or-later
//! Each check on hosts on which it must fail, and on others on which it must not.

mod confinement;
mod files;
mod host;
mod network;
mod people;
mod product;

use std::collections::BTreeSet;

use hv_model::security::{Category, FindingResult};

use self::host::Host;
use super::{Check, all};

/// A host, and what a check must say of it.
struct Case {
    check: &'static str,
    result: FindingResult,
    /// What must stand in what was seen.
    word: &'static str,
    host: fn(Host) -> Host,
}

const fn fails(check: &'static str, word: &'static str, host: fn(Host) -> Host) -> Case {
    case(check, FindingResult::Fail, word, host)
}

const fn passes(check: &'static str, host: fn(Host) -> Host) -> Case {
    case(check, FindingResult::Pass, "", host)
}

const fn case(
    check: &'static str,
    result: FindingResult,
    word: &'static str,
    host: fn(Host) -> Host,
) -> Case {
    Case {
        check,
        result,
        word,
        host,
    }
}

const CASES: &[&[Case]] = &[
    product::CASES,
    files::CASES,
    network::CASES,
    confinement::CASES,
    people::CASES,
];

fn check(id: &str) -> &'static Check {
    all()
        .find(|check| check.id == id)
        .unwrap_or_else(|| panic!("there is no check {id}"))
}

/// Runs the cases of some categories and tells all that came out otherwise.
fn hold(categories: &[Category]) {
    let mut wrong = Vec::new();
    for case in CASES.iter().copied().flatten() {
        let check = check(case.check);
        if !categories.contains(&check.category) {
            continue;
        }
        let (_folder, system) = (case.host)(Host::new()).seen();
        let finding = check.run(&system);
        let said = format!("{} {}", finding.observed, finding.evidence.join(" "));
        if finding.result != case.result || !said.contains(case.word) {
            wrong.push(format!(
                "{} must be {} and tell {:?}, and is {}: {said}",
                case.check, case.result, case.word, finding.result
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn who_reaches_the_api_is_seen() {
    hold(&[Category::Dashboard]);
}

#[test]
fn whether_somebody_is_told_and_what_is_written_is_in_force_is_seen() {
    hold(&[Category::Alerts, Category::Tests]);
}

#[test]
fn whether_there_are_backups_and_room_is_seen() {
    hold(&[Category::BackupVerification, Category::Metrics]);
}

#[test]
fn files_that_others_reach_are_seen() {
    hold(&[Category::Files, Category::Secrets, Category::TemporaryFiles]);
}

#[test]
fn what_got_past_the_policy_is_seen() {
    hold(&[Category::InputValidation]);
}

#[test]
fn what_other_machines_reach_is_seen() {
    hold(&[Category::Network]);
}

#[test]
fn what_a_taken_over_process_could_do_is_seen() {
    hold(&[Category::Hardening, Category::CodeExecution]);
}

#[test]
fn what_is_not_recorded_or_kept_is_seen() {
    hold(&[Category::Logs]);
}

#[test]
fn who_could_become_root_is_seen() {
    hold(&[Category::Privileges]);
}

#[test]
fn what_is_out_of_date_is_seen() {
    hold(&[Category::Dependencies]);
}

#[test]
fn each_check_has_a_host_on_which_it_fails_and_one_on_which_it_passes() {
    let tried = |result| {
        let cases = CASES
            .iter()
            .copied()
            .flatten()
            .filter(move |case| case.result == result);
        cases.map(|case| case.check).collect::<BTreeSet<_>>()
    };
    let every: BTreeSet<&str> = all().map(|check| check.id).collect();
    assert_eq!(tried(FindingResult::Fail), every, "some never failed");
    assert_eq!(tried(FindingResult::Pass), every, "some never passed");
}

#[test]
fn each_category_has_checks_and_each_check_an_id_of_its_own() {
    let ids: Vec<&str> = all().map(|check| check.id).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    for category in Category::ALL {
        let own: Vec<&Check> = all().filter(|check| check.category == *category).collect();
        assert!(own.len() >= 3, "{category} has {} checks", own.len());
        for check in own {
            let (prefix, word) = check.id.split_once('.').unwrap();
            assert_eq!(prefix, category.as_str(), "{}", check.id);
            assert!(
                word.chars().all(|c| c.is_ascii_lowercase() || c == '-'),
                "{}",
                check.id
            );
            assert!(
                !check.fix.is_empty() && !check.objectives.is_empty(),
                "{}",
                check.id
            );
            assert!(
                !check.title.ends_with('.') && check.why.ends_with('.'),
                "{}",
                check.id
            );
        }
    }
}

#[test]
fn what_may_not_be_read_is_unknown_and_never_a_pass() {
    use crate::security::system::Unreadable;
    let denied = Unreadable::Denied("/etc/shadow".into());
    let nothing_known = |host: Host| {
        host.hvd(|hvd| *hvd = crate::security::system::Hvd::silent(&denied))
            .seen()
    };
    let (_folder, system) = nothing_known(Host::new());
    for id in [
        "alerts.open",
        "alerts.live",
        "metrics.pool-space",
        "logs.audit-log",
        "dependencies.versions",
    ] {
        let finding = check(id).run(&system);
        assert_eq!(finding.result, FindingResult::Unknown, "{id}");
        assert!(
            finding.observed.contains("/etc/shadow"),
            "{id}: {}",
            finding.observed
        );
    }
}

#[test]
fn where_processes_are_hidden_nothing_is_said_of_them() {
    let (folder, _) = Host::new().seen();
    std::fs::remove_dir_all(folder.path().join("proc/1")).unwrap();
    let root = crate::security::system::Root::laid_out(
        folder.path(),
        std::collections::BTreeMap::default(),
    );
    let processes = crate::security::system::process::all(&root);
    assert!(processes.unwrap_err().to_string().contains("/proc"));
}
