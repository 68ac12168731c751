// SPDX-License-Identifier: GPL-3.0-or-later
//! Completion in a shell.

use std::time::{Duration, Instant};

use hvd::sim::Temper;

use crate::stage::{Run, Stage, program, run};

/// What bash is offered for the last of these words.
fn offered(stage: &Stage, line: &str) -> Vec<String> {
    let words: Vec<&str> = line.split(' ').collect();
    let mut command = stage.command("");
    command
        .env("COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string())
        .env("_CLAP_COMPLETE_COMP_TYPE", "9")
        .env("_CLAP_COMPLETE_SPACE", "true")
        .env("_CLAP_IFS", "\n")
        .arg("--")
        .args(words);
    let Run { out, err, code } = run(&mut command);
    assert_eq!((code, err.as_str()), (0, ""));
    out.lines().map(str::to_owned).collect()
}

#[test]
fn names_are_those_that_there_are_now() {
    let stage = Stage::set();
    stage.done("vm create web");
    stage.done("vm create www");
    stage.done("vm create db");
    stage.done("vm start www");
    assert_eq!(offered(&stage, "hv vm show w"), ["web", "www"]);
    assert_eq!(offered(&stage, "hv vm start w"), ["web"]);
    assert_eq!(offered(&stage, "hv vm stop w"), ["www"]);
    assert!(offered(&stage, "hv vm st").contains(&"start".to_owned()));
    assert_eq!(offered(&stage, "hv vm create x --network d"), ["default"]);
    assert_eq!(offered(&stage, "hv explain image-i"), ["image-in-use"]);
}

#[test]
fn what_can_be_cancelled_is_what_is_not_over() {
    let stage = Stage::set();
    stage.done("vm create web");
    stage
        .host
        .set_temper(stage.id("web"), Temper::Deaf)
        .unwrap();
    stage.done("vm start web");
    stage.done("vm stop web --no-wait");
    let open = offered(&stage, "hv op cancel ");
    let ids = open.iter().filter(|offer| !offer.starts_with('-'));
    assert_eq!(ids.count(), 1, "{open:?}");
    let all = offered(&stage, "hv op show ");
    assert!(all.len() >= 3, "{all:?}");
}

#[test]
fn without_a_daemon_it_is_quick_and_silent() {
    let start = Instant::now();
    let run = run(program()
        .env("COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", "3")
        .env("_CLAP_IFS", "\n")
        .env("HV_SOCKET", "/nonexistent/hvd.sock")
        .args(["--", "hv", "vm", "start", "we"]));
    assert_eq!((run.code, run.out.as_str(), run.err.as_str()), (0, "", ""));
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn each_shell_gets_its_script() {
    for shell in ["bash", "zsh", "fish", "elvish"] {
        let run = run(program().args(["completions", shell]));
        assert!(
            run.code == 0 && run.out.contains("COMPLETE"),
            "{shell}: {run:?}"
        );
    }
}
