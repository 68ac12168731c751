// SPDX-License-Identifier: GPL-3.0-or-later
//! `kill -9` at random moments, on real libvirt and QEMU.

use std::time::Duration;

use hv_e2e::{Daemons, PrivateHost, wait_for};
use serde_json::{Value, json};

use crate::life::running_vm;

/// Milliseconds after the start of an operation. They spread over what it takes; a test that fails
/// at one of them fails there again.
const MOMENTS: [u64; 8] = [0, 5, 15, 35, 75, 150, 300, 600];

#[test]
fn hvd_killed_while_it_makes_a_vm_leaves_all_of_it_or_nothing() {
    let host = PrivateHost::start();
    let mut product = Daemons::start(&host);
    product.add_demo_image("demo");

    for (round, moment) in MOMENTS.into_iter().enumerate() {
        let name = format!("vm{round}");
        let mut create = product
            .command(&[
                "vm", "create", &name, "--image", "demo", "--memory", "256 MiB", "--start",
            ])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(moment));
        product.kill_hvd();
        // It would go on asking for a while.
        let _ = create.kill();
        let _ = create.wait();
        product.start_hvd();

        settled(&product);
        let known = product.hv(&["vm", "show", &name]).code == Some(0);
        let defined = host
            .virsh(&["list", "--all", "--name"])
            .lines()
            .any(|line| line == name);
        let volumes = host
            .virsh(&["vol-list", "hyper-disks"])
            .trim()
            .lines()
            .count();
        assert_eq!(known, defined, "after {moment} ms: half a VM");
        assert_eq!(
            volumes,
            usize::from(known),
            "after {moment} ms: a stray volume"
        );
        if known {
            product
                .hv(&["vm", "delete", &name, "--yes", "--force-off"])
                .ok();
            product.hv(&["vm", "purge", &name, "--yes"]).ok();
        }
    }
}

#[test]
fn hvd_killed_while_it_deletes_and_purges_a_vm_finishes_or_keeps_it_whole() {
    let host = PrivateHost::start();
    let mut product = Daemons::start(&host);
    product.add_demo_image("demo");

    for moment in MOMENTS {
        product
            .hv(&[
                "vm", "create", "web", "--image", "demo", "--memory", "256 MiB",
            ])
            .ok();
        for arguments in [
            ["vm", "delete", "web", "--yes"],
            ["vm", "purge", "web", "--yes"],
        ] {
            let mut command = product.command(&arguments);
            command
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null());
            let mut command = command.spawn().unwrap();
            std::thread::sleep(Duration::from_millis(moment));
            product.kill_hvd();
            let _ = command.kill();
            let _ = command.wait();
            product.start_hvd();
            settled(&product);
        }
        // Whatever was reached, it can be brought to its end.
        product.hv(&["vm", "delete", "web", "--yes"]);
        product.hv(&["vm", "purge", "web", "--yes"]);
        assert_eq!(
            host.virsh(&["list", "--all", "--name"]).trim(),
            "",
            "after {moment} ms"
        );
        assert_eq!(
            host.virsh(&["vol-list", "hyper-disks"]).trim(),
            "",
            "after {moment} ms"
        );
        assert_eq!(product.json(&["vm", "list", "--trash"])["items"], json!([]));
    }
}

#[test]
fn the_broker_killed_under_an_operation_ends_it_with_a_reason() {
    let host = PrivateHost::start();
    let mut product = Daemons::start(&host);
    product.add_demo_image("demo");

    for (round, moment) in MOMENTS.into_iter().enumerate() {
        let name = format!("vm{round}");
        let mut create = product
            .command(&[
                "vm", "create", &name, "--image", "demo", "--memory", "256 MiB", "--start",
            ])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(moment));
        product.kill_broker();
        product.start_broker();
        let _ = create.wait();

        settled(&product);
        wait_for("what is left to agree", || {
            let known = product.hv(&["vm", "show", &name]).code == Some(0);
            let defined = host
                .virsh(&["list", "--all", "--name"])
                .lines()
                .any(|line| line == name);
            let volumes = host
                .virsh(&["vol-list", "hyper-disks"])
                .trim()
                .lines()
                .count();
            (known == defined && volumes == usize::from(known)).then_some(())
        });
        if product.hv(&["vm", "show", &name]).code == Some(0) {
            product
                .hv(&["vm", "delete", &name, "--yes", "--force-off"])
                .ok();
            product.hv(&["vm", "purge", &name, "--yes"]).ok();
        }
    }
}

#[test]
fn a_vm_whose_qemu_is_killed_is_started_again_by_its_policy() {
    let host = PrivateHost::start();
    let product = Daemons::start(&host);
    running_vm(&product, "web");

    let pid = host.exec(&["cat", "/run/libvirt/qemu/web.pid"]);
    host.exec(&["kill", "-9", pid.trim()]);

    wait_for("the crash to be told", || {
        let events = product.hv(&["vm", "events", "web", "--json"]).ok();
        events.contains("\"vm.crashed\"").then_some(())
    });
    product.wait_for_state("web", "running");
    product.wait_for_agent("web");
}

/// Waits until no operation is queued or running, and sees that each has an end and a reason.
fn settled(product: &Daemons) {
    let operations = wait_for("every operation to end", || {
        let list = product.json(&["op", "list"]);
        let items = list["items"].as_array().cloned().unwrap_or_default();
        let over = |operation: &Value| operation.get("ended").is_some();
        items.iter().all(over).then_some(items)
    });
    for operation in operations {
        let fine = operation["state"] == "succeeded" || operation.get("problem").is_some();
        assert!(fine, "it ended without a reason: {operation}");
    }
}
