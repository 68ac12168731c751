// SPDX-License-Identifier: GPL-3.0-or-later
//! What is refused, with which exit code and which advice.

use std::process::Stdio;

use hv_model::vm::VmState;
use hvd::sim::Temper;

use rustix::process::Signal;

use crate::{stage::Stage, terminal::Terminal};

#[test]
fn exit_codes_tell_what_kind_of_refusal_it_is() {
    let stage = Stage::set();
    stage.done("vm create web");
    for (arguments, code) in [
        ("vm show nobody", 3),
        ("vm create web", 5),
        ("vm stop web", 5),
        ("vm create bad_name!", 2),
        ("vm create big --memory 1MiB", 2),
        ("vm list --state tired", 2),
        ("image delete nothing --yes", 3),
        ("vm create x --image nothing", 3),
        ("op cancel 0198c1f0-1111-7222-8333-444455556666", 3),
        ("vm create --file nowhere.yaml", 3),
        ("vm console web", 5),
    ] {
        let run = stage.hv(arguments);
        assert_eq!(run.code, code, "hv {arguments}: {run:?}");
        assert!(
            run.out.is_empty() && !run.err.is_empty(),
            "hv {arguments}: {run:?}"
        );
    }
}

#[test]
fn the_usage_of_a_mistake_names_only_what_is_needed() {
    let stage = Stage::set();
    let told = stage.hv("vm show").err;
    assert!(told.contains("Usage: hv vm show <VM>\n"), "{told}");
}

#[test]
fn a_change_of_nothing_is_a_question_not_a_list_of_flags() {
    let stage = Stage::set();
    stage.done("vm create web");
    let run = stage.hv("vm set web");
    let told = "error: it is not said what to change of web\n  \
                fix  hv vm set --help lists what can be changed.\n";
    assert_eq!((run.code, run.err.as_str()), (2, told));
}

#[test]
fn a_problem_is_told_with_advice_and_as_json() {
    let stage = Stage::set();
    stage.done("vm create web");
    insta::assert_snapshot!("name_taken", stage.hv("vm create web").err);
    let json = stage.hv("vm create web --json");
    let problem: serde_json::Value = serde_json::from_str(&json.err).unwrap();
    assert_eq!((json.code, &problem["kind"]), (5, &"name-taken".into()));
}

#[test]
fn what_loses_something_is_not_done_without_a_yes() {
    let stage = Stage::set();
    stage.done("vm create web");
    stage.done("vm start web");
    for arguments in ["vm kill web", "vm reset web", "vm delete web --force-off"] {
        let run = stage.hv(arguments);
        assert_eq!(run.code, 2, "{run:?}");
        assert!(run.err.contains("--yes"), "{run:?}");
    }
    assert_eq!(stage.state("web"), VmState::Running);
    assert_eq!(
        stage.done("vm kill web --yes"),
        "web is off; its power was cut.\n"
    );
}

#[test]
fn a_guest_that_does_not_answer_is_told_with_what_to_do() {
    let stage = Stage::set();
    stage.done("vm create web");
    stage
        .host
        .set_temper(stage.id("web"), Temper::Deaf)
        .unwrap();
    stage.done("vm start web");
    let run = stage.hv("vm stop web --timeout 1s");
    assert_eq!(run.code, 1, "{run:?}");
    insta::assert_snapshot!(run.err);
    assert_eq!(stage.state("web"), VmState::Running);
}

#[test]
fn every_fault_of_a_spec_from_standard_input_is_told() {
    let stage = Stage::set();
    let mut command = stage.command("vm create --file -");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let spec = b"name: web\nmemroy: 1 GiB\ncpus: 0\n";
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), spec).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    insta::assert_snapshot!(String::from_utf8(output.stderr).unwrap());
}

#[test]
fn what_is_left_by_ctrl_c_goes_on() {
    let stage = Stage::set();
    stage.done("vm create web");
    stage
        .host
        .set_temper(stage.id("web"), Temper::Deaf)
        .unwrap();
    stage.done("vm start web");
    let mut terminal = Terminal::open(&stage, "vm stop web --timeout 1h");
    terminal.expect("shut down web: ");
    terminal.signal(Signal::INT);
    terminal.expect("shut down web goes on without this command.");
    terminal.expect("hv op cancel ");
    assert_eq!(terminal.end().0, Some(130));
    let list = stage.done("op list --state running");
    let operation = list.lines().nth(1).unwrap().split(' ').next().unwrap();
    let cancelled = stage.done(&format!("op cancel {operation}"));
    assert_eq!(
        cancelled,
        "shut down web is cancelled, and what it had begun is undone.\n"
    );
}

#[test]
fn a_person_is_asked_and_may_say_no() {
    let stage = Stage::set();
    stage.done("vm create web --size 10GiB");
    let mut terminal = Terminal::open(&stage, "vm delete web");
    terminal.expect("Move web to the trash? [y/N] ");
    terminal.type_in(b"n\r");
    terminal.expect("Nothing was changed.");
    let (code, _, seen) = terminal.end();
    assert_eq!(code, Some(1));
    assert!(seen.contains("disks  vda 10 GiB"), "{seen}");
    let mut terminal = Terminal::open(&stage, "vm delete web");
    terminal.expect("[y/N] ");
    terminal.type_in(b"y\r");
    terminal.expect("web is in the trash.");
    assert_eq!(terminal.end().0, Some(0));
}
