// SPDX-License-Identifier: GPL-3.0-or-later
//! The life of a VM, from one command to the last trace of it.

use std::{
    io::{BufRead, BufReader, Write},
    process::Stdio,
    sync::mpsc,
    thread,
    time::Duration,
};

use hv_e2e::{Daemons, PrivateHost, wait_for};
use serde_json::json;

#[test]
fn one_command_makes_a_vm_whose_agent_answers_and_whose_console_gives_a_shell() {
    let host = PrivateHost::start();
    let product = Daemons::start(&host);
    product.add_demo_image("demo");

    product
        .hv(&[
            "vm", "create", "web", "--image", "demo", "--memory", "256 MiB", "--start",
        ])
        .ok();
    product.wait_for_agent("web");

    assert!(console_says(
        &product,
        "web",
        "echo $((6*7))-shell\n",
        "42-shell"
    ));
}

#[test]
fn a_vm_is_paused_resumed_saved_restored_rebooted_reset_and_killed() {
    let host = PrivateHost::start();
    let product = Daemons::start(&host);
    running_vm(&product, "web");

    product.hv(&["vm", "pause", "web"]).ok();
    assert_eq!(product.json(&["vm", "show", "web"])["state"], "paused");
    product.hv(&["vm", "resume", "web"]).ok();
    assert_eq!(product.json(&["vm", "show", "web"])["state"], "running");

    // What is in the guest's memory is there again after a restore, and gone after a reset.
    assert!(console_says(
        &product,
        "web",
        "echo kept > /run/mark; cat /run/mark\n",
        "kept"
    ));
    product.hv(&["vm", "save", "web"]).ok();
    assert_eq!(product.json(&["vm", "show", "web"])["state"], "saved");
    product.hv(&["vm", "start", "web"]).ok();
    assert!(console_says(
        &product,
        "web",
        "echo =$(cat /run/mark)=\n",
        "=kept="
    ));

    product.hv(&["vm", "reboot", "web"]).ok();
    product.wait_for_agent("web");
    product.hv(&["vm", "reset", "web", "--yes"]).ok();
    product.wait_for_agent("web");
    assert!(console_says(
        &product,
        "web",
        "echo =$(ls /run/mark 2>/dev/null)=\n",
        "=="
    ));

    product.hv(&["vm", "kill", "web", "--yes"]).ok();
    assert_eq!(product.json(&["vm", "show", "web"])["state"], "off");
}

#[test]
fn a_guest_that_heeds_shuts_down_and_one_that_does_not_is_reported() {
    let host = PrivateHost::start();
    let product = Daemons::start(&host);
    running_vm(&product, "web");
    product.hv(&["vm", "stop", "web"]).ok();
    assert_eq!(product.json(&["vm", "show", "web"])["state"], "off");

    product.add_deaf_image("deaf");
    product
        .hv(&[
            "vm", "create", "deaf", "--image", "deaf", "--memory", "256 MiB", "--start",
        ])
        .ok();
    let complaint = product
        .hv(&["vm", "stop", "deaf", "--timeout", "4"])
        .fails_with(1);
    assert!(
        complaint.contains("still runs 4 seconds after it was asked"),
        "{complaint}"
    );
    assert!(complaint.contains("hv vm kill deaf"), "{complaint}");
    assert_eq!(product.json(&["vm", "show", "deaf"])["state"], "running");
}

#[test]
fn a_change_says_what_is_live_and_what_waits_for_the_next_boot() {
    let host = PrivateHost::start();
    let product = Daemons::start(&host);
    running_vm(&product, "web");

    let said = product
        .hv(&[
            "vm",
            "set",
            "web",
            "--memory",
            "384 MiB",
            "--add-tag",
            "prod",
        ])
        .ok();
    assert!(said.contains("next boot"), "{said}");
    let shown = product.json(&["vm", "show", "web"]);
    assert_eq!(shown["spec"]["memory"]["size"], "384 MiB");
    assert_eq!(shown["tags"], json!(["prod"]));
    assert_eq!(shown["pending"][0]["impact"], "next-boot");

    product.hv(&["vm", "set", "web", "--limit-cpu", "50"]).ok();
    let quota = host.virsh(&["schedinfo", "web", "--live"]);
    assert!(
        quota.contains("vcpu_quota") || quota.contains("global_quota"),
        "{quota}"
    );

    product.hv(&["vm", "stop", "web"]).ok();
    product.hv(&["vm", "start", "web"]).ok();
    let shown = product.json(&["vm", "show", "web"]);
    assert_eq!(shown.get("pending"), None, "{shown}");
    assert!(host.virsh(&["dominfo", "web"]).contains("393216 KiB"));
}

#[test]
fn a_deleted_vm_comes_back_from_the_trash_and_a_purged_one_leaves_nothing() {
    let host = PrivateHost::start();
    let product = Daemons::start(&host);
    running_vm(&product, "web");

    product.hv(&["vm", "delete", "web", "--yes"]).fails_with(5);
    product
        .hv(&["vm", "delete", "web", "--yes", "--force-off"])
        .ok();
    assert_eq!(product.json(&["vm", "list"])["items"], json!([]));
    assert_eq!(
        product.json(&["vm", "list", "--trash"])["items"][0]["name"],
        "web"
    );
    assert_eq!(host.virsh(&["list", "--all", "--name"]).trim(), "");

    product.hv(&["vm", "undelete", "web"]).ok();
    product.hv(&["vm", "start", "web"]).ok();
    product.wait_for_agent("web");

    product
        .hv(&["vm", "delete", "web", "--yes", "--force-off"])
        .ok();
    product.hv(&["vm", "purge", "web", "--yes"]).ok();
    assert_eq!(host.virsh(&["vol-list", "hyper-disks"]).trim(), "");
    product.hv(&["image", "delete", "demo", "--yes"]).ok();
    assert_eq!(host.virsh(&["vol-list", "hyper-images"]).trim(), "");
}

#[test]
fn a_vm_is_renamed_and_keeps_what_it_is() {
    let host = PrivateHost::start();
    let product = Daemons::start(&host);
    product.add_demo_image("demo");
    product
        .hv(&[
            "vm", "create", "web", "--image", "demo", "--memory", "256 MiB",
        ])
        .ok();
    let before = product.json(&["vm", "show", "web"]);

    product.hv(&["vm", "rename", "web", "www"]).ok();

    let after = product.json(&["vm", "show", "www"]);
    assert_eq!(before["id"], after["id"]);
    assert_eq!(before["disks"], after["disks"]);
    assert_eq!(after["spec"]["name"], "www");
    product.hv(&["vm", "show", "web"]).fails_with(3);
    assert_eq!(host.virsh(&["list", "--all", "--name"]).trim(), "www");
}

/// Makes a VM from the demo image and waits for its agent.
pub(crate) fn running_vm(product: &Daemons, name: &str) {
    product.add_demo_image("demo");
    product
        .hv(&[
            "vm", "create", name, "--image", "demo", "--memory", "256 MiB", "--start",
        ])
        .ok();
    product.wait_for_agent(name);
}

/// Types into a VM's console, again if need be, until it says something on a line of its own. What
/// is typed while a guest boots is lost.
pub(crate) fn console_says(product: &Daemons, vm: &str, typed: &str, said: &str) -> bool {
    let mut console = product
        .command(&["vm", "console", vm, "--force"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("hv runs");
    let mut input = console.stdin.take().expect("it was piped");
    let output = console.stdout.take().expect("it was piped");
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let _ = sender.send(String::from_utf8_lossy(&line).trim().to_owned());
        }
    });
    let found = wait_for(&format!("the console to say {said:?}"), || {
        input
            .write_all(typed.as_bytes())
            .expect("the console is open");
        while let Ok(line) = lines.recv_timeout(Duration::from_secs(3)) {
            if line == said {
                return Some(true);
            }
        }
        None
    });
    let _ = console.kill();
    let _ = console.wait();
    found
}
