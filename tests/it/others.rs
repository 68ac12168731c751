// SPDX-License-Identifier: GPL-3.0-or-later
//! What others do on the same host with other tools.

use std::{
    fs,
    time::{Duration, Instant},
};

use hv_e2e::{Daemons, PrivateHost};
use serde_json::Value;

use crate::life::running_vm;

const BLANK: &str = "<domain type='qemu'><name>theirs</name><memory unit='MiB'>64</memory>\
    <vcpu>1</vcpu><os><type arch='x86_64' machine='q35'>hvm</type></os>\
    <devices><serial type='pty'/></devices></domain>";

#[test]
fn what_virsh_does_is_right_in_the_list_within_a_second() {
    let host = PrivateHost::start();
    let product = Daemons::start(&host);
    let file = host.folder().join("theirs.xml");
    fs::write(&file, BLANK).expect("our own folder");

    host.virsh(&["define", &file.to_string_lossy()]);
    within_a_second(|| state_of(&product, "theirs") == Some("off".into()));
    host.virsh(&["start", "theirs"]);
    within_a_second(|| state_of(&product, "theirs") == Some("running".into()));
    host.virsh(&["suspend", "theirs"]);
    within_a_second(|| state_of(&product, "theirs") == Some("paused".into()));
    host.virsh(&["destroy", "theirs"]);
    within_a_second(|| state_of(&product, "theirs") == Some("off".into()));
    host.virsh(&["domrename", "theirs", "renamed"]);
    within_a_second(|| {
        state_of(&product, "theirs").is_none() && state_of(&product, "renamed").is_some()
    });
    host.virsh(&["undefine", "renamed"]);
    within_a_second(|| state_of(&product, "renamed").is_none());
}

#[test]
fn a_vm_of_others_is_started_and_stopped_and_never_changed_until_it_is_adopted() {
    let host = PrivateHost::start();
    let product = Daemons::start(&host);
    let file = host.folder().join("theirs.xml");
    fs::write(&file, BLANK).expect("our own folder");
    host.virsh(&["define", &file.to_string_lossy()]);
    within_a_second(|| state_of(&product, "theirs").is_some());
    let before = host.virsh(&["dumpxml", "--inactive", "theirs"]);

    product.hv(&["vm", "start", "theirs"]).ok();
    product.hv(&["vm", "kill", "theirs", "--yes"]).ok();
    let complaint = product
        .hv(&["vm", "set", "theirs", "--memory", "128 MiB"])
        .fails_with(5);
    assert!(complaint.contains("hv vm adopt theirs"), "{complaint}");
    product
        .hv(&["vm", "delete", "theirs", "--yes"])
        .fails_with(5);
    assert_eq!(before, host.virsh(&["dumpxml", "--inactive", "theirs"]));

    product.hv(&["vm", "adopt", "theirs"]).ok();
    product
        .hv(&["vm", "set", "theirs", "--memory", "128 MiB"])
        .ok();
    assert!(host.virsh(&["dominfo", "theirs"]).contains("131072 KiB"));
}

#[test]
fn a_vm_that_is_removed_with_virsh_under_a_running_operation_ends_it_with_a_clear_problem() {
    let host = PrivateHost::start();
    let product = Daemons::start(&host);
    product.add_deaf_image("deaf");
    product
        .hv(&[
            "vm", "create", "deaf", "--image", "deaf", "--memory", "256 MiB", "--start",
        ])
        .ok();

    let stopping = product
        .command(&["vm", "stop", "deaf", "--timeout", "60"])
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("hv runs");
    hv_e2e::wait_for("the operation to run", || {
        let running = product.json(&["op", "list", "--state", "running"]);
        running["items"]
            .as_array()
            .filter(|items| !items.is_empty())
            .map(|_| ())
    });
    host.virsh(&["undefine", "deaf", "--managed-save", "--nvram"]);
    host.virsh(&["destroy", "deaf"]);

    // It is off and gone, which is more than was asked for, or it says that it vanished.
    let outcome = stopping.wait_with_output().expect("hv ends");
    let complaint = String::from_utf8_lossy(&outcome.stderr);
    assert!(
        outcome.status.success() || outcome.status.code() == Some(5),
        "{:?} {complaint}",
        outcome.status
    );
    let running = product.json(&["op", "list", "--state", "running"]);
    assert_eq!(running["items"], serde_json::json!([]));
}

#[test]
fn a_lost_database_is_rebuilt_from_what_the_vms_carry() {
    let host = PrivateHost::start();
    let mut product = Daemons::start(&host);
    running_vm(&product, "web");
    let before = product.json(&["vm", "show", "web"]);

    product.kill_hvd();
    for entry in fs::read_dir(product.folder().join("state")).expect("the state folder") {
        let path = entry.expect("an entry").path();
        if path.is_file() && path.extension().is_some_and(|end| end != "id") {
            fs::remove_file(path).expect("a file of ours");
        }
    }
    product.start_hvd();

    hv_e2e::wait_for("the VM to be known again", || state_of(&product, "web"));
    let after = product.json(&["vm", "show", "web"]);
    assert_eq!(before["spec"], after["spec"]);
    assert_eq!(before["managed"], after["managed"]);
}

fn state_of(product: &Daemons, name: &str) -> Option<String> {
    let list = product.json(&["vm", "list"]);
    let items = list["items"].as_array().cloned().unwrap_or_default();
    let vm = items.into_iter().find(|vm| vm["name"] == name)?;
    vm["state"]
        .as_str()
        .map(str::to_owned)
        .or(Some(Value::Null.to_string()))
}

/// The promise is a second; a busy machine gets two, and what takes longer is broken.
fn within_a_second(mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(
            begun.elapsed() < Duration::from_secs(2),
            "it is not in the list after 2 seconds"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}
