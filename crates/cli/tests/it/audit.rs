// SPDX-License-Identifier: GPL-3.0-or-later
//! The audit log: listed, shown, exported, verified with and without the daemon.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::Value;

use crate::stage::{Run, Stage, cells, program, run};

/// An export of a log in which a VM was made.
fn exported() -> (Stage, Vec<String>) {
    let stage = Stage::set();
    stage.done("vm create web");
    stage.done("audit export audit.jsonl");
    let text = fs::read_to_string(stage.folder().join("audit.jsonl")).unwrap();
    let lines = text.lines().map(str::to_owned).collect();
    (stage, lines)
}

/// Verifies these lines as a file, without a daemon.
fn verify(stage: &Stage, lines: &[String], more: &str) -> Run {
    fs::write(stage.folder().join("some.jsonl"), lines.join("\n") + "\n").unwrap();
    let arguments = format!("--socket /nonexistent audit verify some.jsonl {more}");
    run(&mut stage.command(&arguments))
}

fn place_of(lines: &[String], part: &str) -> usize {
    lines.iter().position(|line| line.contains(part)).unwrap()
}

#[test]
fn who_did_what_and_how_it_ended_is_listed_and_shown() {
    let stage = Stage::set();
    stage.done("vm create web");
    let list = stage.done("audit list");
    let line = |word: &str| list.lines().find(|line| line.contains(word)).unwrap();
    assert_eq!(
        cells(line("succeeded"))[3..6],
        ["vm.create", "vm/web", "succeeded"]
    );
    assert_eq!(
        cells(line("allowed"))[3..6],
        ["vm.create", "vm/web", "allowed"]
    );
    let number = cells(line("allowed"))[0];
    let shown = stage.done(&format!("audit show {number}"));
    let from = shown.lines().find(|line| line.starts_with("from")).unwrap();
    assert!(from.contains("uid ") && from.contains("pid "), "{shown}");
    assert_eq!(stage.hv("audit show 999999").code, 3);
}

#[test]
fn an_export_is_for_its_owner_alone_and_is_verified_without_the_daemon() {
    let (stage, lines) = exported();
    let path = stage.folder().join("audit.jsonl");
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let verified = verify(&stage, &lines, "");
    assert_eq!(
        (verified.code, verified.err.as_str()),
        (0, ""),
        "{verified:?}"
    );
    assert!(
        verified.out.contains("audit log  whole: entries 1 to "),
        "{verified:?}"
    );
    let taken = stage.hv("audit export audit.jsonl");
    assert_eq!(taken.code, 1, "a file that is there is kept: {taken:?}");
    let streamed = stage.done("audit export");
    assert!(
        streamed.starts_with(&lines.join("\n")),
        "what was written stays as it was"
    );
}

#[test]
fn the_daemon_and_the_program_both_verify_its_log() {
    let (stage, _) = exported();
    let verified = stage.done("audit verify");
    let key = stage.done("host show");
    let key = key
        .lines()
        .find(|line| line.starts_with("audit key"))
        .unwrap();
    let key = key.split_whitespace().last().unwrap();
    assert!(verified.contains(key), "{verified}");
    stage.done(&format!("audit verify --key {key}"));
    let json: Value = serde_json::from_str(&stage.done("audit verify --json")).unwrap();
    assert_eq!(json["hvd"]["key"], key);
    assert!(json["summary"]["entries"].as_u64() > Some(4), "{json}");
    let other = stage.hv(&format!("audit verify --key {}", "ab".repeat(32)));
    assert_eq!(other.code, 1);
    assert!(other.err.contains("a key that is not trusted"), "{other:?}");
}

#[test]
fn the_first_bad_entry_of_an_export_is_named() {
    let (stage, lines) = exported();
    let made = place_of(&lines, "\"kind\":\"decided\"");
    let mut changed = lines.clone();
    changed[made] = changed[made].replace("vm/web", "vm/wed");
    let mut dropped = lines.clone();
    dropped.remove(made);
    let mut swapped = lines.clone();
    swapped.swap(made, made + 1);
    let mut repeated = lines.clone();
    repeated.insert(made + 1, lines[made].clone());
    let cut = lines[..lines.len() - 1].to_vec();
    let number = made + 1;
    for (lines, what) in [
        (changed, format!("entry {number} of ")),
        (dropped, format!("from {number} on, is missing")),
        (swapped, format!("entry {} of ", number + 1)),
        (repeated, format!("it stands where {} should", number + 1)),
        (cut, format!("entry {}: it is missing", lines.len())),
    ] {
        let found = verify(&stage, &lines, "");
        assert_eq!(found.code, 1, "{found:?}");
        let told = found.err.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.contains(&what), "{what}: {told}");
    }
    let json = verify(&stage, &lines[1..], "--json");
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["fault"]["sequence"], 2);
}

#[test]
fn an_older_export_is_told_by_what_the_system_s_log_kept() {
    let (stage, lines) = exported();
    let last = lines.last().unwrap();
    let log = format!("something else\nJan  2 03:04:05 node hvd-audit[7]: {last}\n");
    fs::write(stage.folder().join("heads"), log).unwrap();
    assert_eq!(verify(&stage, &lines, "--heads heads").code, 0);
    let first_head = place_of(&lines, "\"kind\":\"signed\"");
    let older = &lines[..=first_head];
    assert_eq!(verify(&stage, older, "").code, 0, "by itself it is whole");
    let found = verify(&stage, older, "--heads heads");
    assert_eq!(found.code, 1, "{found:?}");
    assert!(
        found.err.contains(&format!("entry {}", lines.len())),
        "{found:?}"
    );
    fs::write(stage.folder().join("heads"), "nothing\n").unwrap();
    assert_eq!(verify(&stage, &lines, "--heads heads").code, 2);
}

#[test]
fn help_says_how_the_log_is_verified() {
    let help = run(program().args(["audit", "verify", "--help"]));
    insta::assert_snapshot!(help.out);
}
