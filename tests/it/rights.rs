// SPDX-License-Identifier: GPL-3.0-or-later
//! What the daemons' own users may, and what they say when that is wrong.

use std::fs;

use hv_e2e::{Daemons, HVD, PrivateHost, wait_for};
use serde_json::Value;

fn rights(product: &Daemons) -> Value {
    check(product, "daemon.rights")
}

fn check(product: &Daemons, id: &str) -> Value {
    let health = product.json(&[]);
    let checks = health["checks"].as_array().expect("checks");
    let check = checks.iter().find(|check| check["id"] == id);
    check.expect("it is there").clone()
}

#[test]
fn both_daemons_run_without_roots_rights_and_have_all_that_they_need() {
    let host = PrivateHost::start();
    let product = Daemons::start(&host);
    assert_eq!(rights(&product)["status"], "pass", "{}", rights(&product));
    for pid in [product.hvd_pid(), product.broker_pid()] {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        assert!(status.contains("CapPrm:\t0000000000000000"), "{status}");
        assert!(status.contains("NoNewPrivs:\t1"), "{status}");
        assert!(!status.contains("Uid:\t0"), "{status}");
    }
    let network = format!("/proc/{}/net/dev", product.broker_pid());
    let devices = fs::read_to_string(network).expect("it runs");
    let devices = devices.lines().filter(|line| line.contains(':')).count();
    assert_eq!(devices, 1, "the loopback alone");
    let log = fs::read_to_string(product.folder().join("hv-broker.log")).expect("a log");
    // Whether the device is for a group at all is the machine's affair.
    let faults = log
        .lines()
        .filter(|line| line.contains("ERROR") && !line.contains("/dev/kvm"));
    assert_eq!(faults.collect::<Vec<_>>(), Vec::<&str>::new());
}

#[test]
fn an_hvd_that_could_go_around_the_broker_starts_and_health_says_so() {
    let host = PrivateHost::start();
    let mut product = Daemons::start_inside(&host, "");
    assert_eq!(rights(&product)["status"], "pass", "{}", rights(&product));
    host.exec(&["chmod", "666", "/run/libvirt/libvirt-sock"]);
    let state = product.folder().join("state");
    host.exec(&["chmod", "750", &state.to_string_lossy()]);

    product.kill_hvd();
    product.start_hvd();

    let told = rights(&product);
    assert_eq!(told["status"], "fail");
    let observed = told["observed"].as_str().expect("text");
    assert!(
        observed.contains("past the broker: /run/libvirt/libvirt-sock"),
        "{told}"
    );
    assert!(
        observed.contains("Others can look into hvd's state folder"),
        "{told}"
    );
    product.kill_broker();
    product.start_broker();
    wait_for("the broker to tell what is wrong with its rights", || {
        let told = check(&product, "broker.rights");
        let observed = told["observed"].as_str().expect("text");
        observed
            .contains("Everybody on this host can open libvirt's socket")
            .then_some(())
    });
    // It is so: hvd's user has libvirt to itself.
    let virsh = [
        &HVD.prefix()[..],
        &["virsh", "-q", "list", "--all"].map(str::to_owned),
    ]
    .concat();
    let status = host
        .inside()
        .args(virsh)
        .env("HOME", &state)
        .current_dir("/")
        .status();
    assert!(status.expect("it runs").success());
}
