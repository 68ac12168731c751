// SPDX-License-Identifier: GPL-3.0-or-later
//! What the program says without a daemon.

use crate::stage::{program, run};

fn help(arguments: &str) -> String {
    let run = run(program().args(arguments.split(' ')));
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{arguments}");
    run.out
}

#[test]
fn help_is_short_and_has_examples() {
    insta::assert_snapshot!("help", help("--help"));
    insta::assert_snapshot!("help_vm", help("vm --help"));
    insta::assert_snapshot!("help_vm_stop", help("vm stop --help"));
    insta::assert_snapshot!("help_vm_set", help("vm set -h"));
}

#[test]
fn a_mistyped_command_names_the_nearest() {
    let run = run(program().args(["vm", "strat", "web"]));
    assert_eq!(run.code, 2);
    insta::assert_snapshot!(run.err);
}

#[test]
fn explaining_and_the_schema_need_no_daemon() {
    insta::assert_snapshot!("explain", help("explain name-taken"));
    assert!(help("explain --list").contains("guest-not-answering"));
    assert!(help("schema vm").contains("\"$schema\""));
    let run = run(program().args(["explain", "name-takn"]));
    assert_eq!(run.code, 3);
    assert!(run.err.contains("hv explain name-taken"), "{}", run.err);
}

#[test]
fn a_daemon_that_does_not_run_is_unavailable() {
    let run = run(program().args(["--socket", "/nonexistent/hvd.sock", "vm", "list"]));
    assert_eq!((run.code, run.out.as_str()), (6, ""));
    insta::assert_snapshot!(run.err);
}

#[test]
fn a_reader_that_has_enough_is_no_failure() {
    use std::process::Stdio;
    let mut child = program()
        .args(["explain", "--list"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
}
