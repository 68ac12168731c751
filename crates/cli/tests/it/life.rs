// SPDX-License-Identifier: GPL-3.0-or-later
//! The life of a VM, command by command.

use hv_model::vm::VmState;
use hvd::sim::Temper;
use rustix::process::Signal;
use serde_json::Value;

use crate::{
    stage::{Stage, cells},
    terminal::Terminal,
};

#[test]
fn a_vm_lives_from_create_to_purge() {
    let stage = Stage::set();
    assert_eq!(
        stage.hv("vm list").err,
        "There are no VMs. Make one: hv vm create NAME --image IMAGE\n"
    );
    assert_eq!(
        stage.done("vm create web --size 10GiB --memory 2GiB --tag prod"),
        "web is made. Start it: hv vm start web\n"
    );
    assert_eq!(stage.done("vm start web"), "web runs.\n");
    assert_eq!(stage.state("web"), VmState::Running);
    let list = stage.done("vm list");
    let mut lines = list.lines();
    assert!(lines.next().unwrap().starts_with("NAME  STATE"), "{list}");
    let row = cells(lines.next().unwrap());
    assert_eq!(row[..2], ["web", "running"], "{list}");
    assert_eq!(
        stage.done("vm pause web"),
        "web is paused. Let it go on: hv vm resume web\n"
    );
    assert_eq!(stage.state("web"), VmState::Paused);
    assert_eq!(stage.done("vm resume web"), "web goes on.\n");
    assert_eq!(
        stage.done("vm save web"),
        "web is saved. It goes on where it was: hv vm start web\n"
    );
    assert_eq!(stage.done("vm start web"), "web runs.\n");
    assert_eq!(stage.done("vm reboot web"), "web reboots.\n");
    assert_eq!(stage.done("vm reset web --yes"), "web was reset.\n");
    assert_eq!(stage.done("vm stop web"), "web is off.\n");
    assert_eq!(stage.done("vm rename web www"), "web is now called www.\n");
    assert_eq!(
        stage.done("vm delete www --yes"),
        "www is in the trash. Bring it back: hv vm undelete www\n"
    );
    assert_eq!(
        cells(stage.done("vm list --trash").lines().nth(1).unwrap())[..2],
        ["www", "trashed"]
    );
    assert_eq!(stage.done("vm undelete www"), "www is back, and off.\n");
    stage.done("vm delete www --yes");
    assert_eq!(
        stage.done("vm purge www --yes"),
        "www and its disks are destroyed.\n"
    );
    assert!(stage.host.all_volumes().is_empty() && stage.host.all_vms().is_empty());
}

#[test]
fn several_vms_are_started_by_one_command_and_each_is_told() {
    let stage = Stage::set();
    stage.done("vm create web");
    stage.done("vm create db");
    let run = stage.hv("vm start web nobody db");
    let mut told: Vec<&str> = run.out.lines().collect();
    told.sort_unstable();
    assert_eq!(told, ["db runs.", "web runs."]);
    assert_eq!(run.code, 3, "{run:?}");
    assert!(run.err.contains("nobody"), "{run:?}");
}

#[test]
fn a_change_says_what_is_live_and_what_waits_and_a_dry_run_changes_nothing() {
    let stage = Stage::set();
    stage.done("vm create web --memory 2GiB --cpus 2");
    stage.done("vm start web");
    let dry = stage.done("vm set web --cpus 4 --add-tag prod --dry-run");
    insta::assert_snapshot!("dry_run", dry);
    assert_eq!(
        stage.done("vm set web --cpus 2"),
        "web is like that already.\n"
    );
    insta::assert_snapshot!(
        "set",
        stage.done("vm set web --cpus 4 --add-tag prod --limit-cpu 150")
    );
    // The weight is set beside the limit, which stays.
    stage.done("vm set web --cpu-weight 500");
    let view: Value = serde_json::from_str(&stage.done("vm show web --json")).unwrap();
    assert_eq!(
        view["spec"]["limits"],
        serde_json::json!({"cpu_percent": 150, "cpu_weight": 500})
    );
    assert_eq!(view["pending"].as_array().unwrap().len(), 1);
}

#[test]
fn explain_tells_why_and_the_plain_commands() {
    let stage = Stage::set();
    stage.done("vm create web");
    insta::assert_snapshot!(stage.done("vm start web --explain"));
}

#[test]
fn a_spec_that_is_shown_makes_the_same_vm_again() {
    let stage = Stage::set();
    stage.done("vm create web --size 10GiB --cpus 2 --tag prod");
    let spec = stage.done("vm show web --spec");
    std::fs::write(
        stage.folder().join("web.yaml"),
        spec.replace("name: web", "name: copy"),
    )
    .unwrap();
    stage.done("vm create --file web.yaml --start");
    let again = stage.done("vm show copy --spec");
    assert_eq!(again, spec.replace("name: web", "name: copy"));
    assert_eq!(stage.state("copy"), VmState::Running);
}

#[test]
fn json_is_the_apis() {
    let stage = Stage::set();
    let made: Value = serde_json::from_str(&stage.done("--json vm create web")).unwrap();
    assert_eq!(
        (&made["kind"], &made["state"]),
        (&"vm.create".into(), &"succeeded".into())
    );
    let list: Value = serde_json::from_str(&stage.done("vm list --json")).unwrap();
    assert_eq!(list["items"][0]["name"], "web");
    let both: Value = serde_json::from_str(&stage.hv("vm start web web2 --json").out).unwrap();
    assert_eq!(both["items"].as_array().unwrap().len(), 1);
    let health: Value = serde_json::from_str(&stage.done("--json")).unwrap();
    assert!(health["checks"].is_array());
    for command in [
        "network list",
        "image list",
        "op list",
        "audit list",
        "host show",
    ] {
        let text = stage.done(&format!("{command} --json"));
        serde_json::from_str::<Value>(&text).unwrap_or_else(|error| panic!("{command}: {error}"));
    }
}

#[test]
fn events_tell_what_happened_to_a_vm() {
    let stage = Stage::set();
    stage.done("vm create web");
    stage.done("vm create db");
    stage.done("vm start web");
    let events = stage.done("vm events web --since 1h");
    assert!(
        events.contains("web                   is running"),
        "{events}"
    );
    assert!(!events.contains(" db"), "{events}");
    let first: Value = stage
        .done("vm events --json")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .next()
        .unwrap();
    assert!(first["seq"].is_u64());
}

#[test]
fn operations_are_found_by_the_end_of_their_id() {
    let stage = Stage::set();
    stage.done("vm create web");
    let list = stage.done("op list");
    let row = cells(list.lines().nth(1).unwrap());
    assert_eq!(row[1..3], ["create", "web"]);
    let shown = stage.done(&format!("op show {}", row[0]));
    assert!(
        shown.contains("create web") && shown.contains("virsh define"),
        "{shown}"
    );
    assert_eq!(
        stage.done(&format!("op watch {}", row[0])),
        "web is made. Start it: hv vm start web\n"
    );
    assert_eq!(stage.hv("op show 00000000").code, 3);
    assert_eq!(stage.hv("op show zz").code, 2);
}

#[test]
fn what_needs_attention_is_told_with_the_next_command() {
    let stage = Stage::set();
    stage.done("vm create web");
    stage.done("vm set web --on-crash stop");
    stage.done("vm start web");
    stage.host.crash(stage.id("web")).unwrap();
    stage.until(|snapshot| {
        snapshot
            .vms
            .iter()
            .any(|vm| vm.row.state == VmState::Crashed)
    });
    let page = stage.done("");
    assert!(page.contains("hv vm start web"), "{page}");
    assert!(page.contains("1 VM, 0 running."), "{page}");
}

#[test]
fn what_happens_is_told_as_it_happens() {
    let stage = Stage::set();
    stage.done("vm create web");
    let mut events = Terminal::open(&stage, "vm events --follow --since 1h");
    events.expect("create web");
    let mut list = Terminal::open(&stage, "vm list --watch");
    list.expect("off");
    stage.done("vm start web");
    events.expect("web                   is running");
    list.expect("running");
    for terminal in [events, list] {
        terminal.signal(Signal::TERM);
        terminal.end();
    }
}

#[test]
fn vms_that_are_followed_share_a_line_and_cutting_the_power_ends_the_asking() {
    let stage = Stage::set();
    for name in ["web", "db"] {
        stage.done(&format!("vm create {name}"));
        stage.host.set_temper(stage.id(name), Temper::Deaf).unwrap();
        stage.done(&format!("vm start {name}"));
    }
    let mut terminal = Terminal::open(&stage, "vm stop web db --timeout 1h");
    terminal.expect("0 of 2 done · shut down web: ");
    stage.done("vm kill web --yes");
    terminal.expect("1 of 2 done · shut down db: ");
    stage.done("vm kill db --yes");
    assert_eq!(stage.state("db"), VmState::Off);
    assert_eq!(terminal.end().0, Some(1));
}
