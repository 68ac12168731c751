// SPDX-License-Identifier: GPL-3.0-or-later
//! Bad input, full disks and bad timing.

use std::{fs, process::Command};

use hv_e2e::{Daemons, PrivateHost};

use crate::life::running_vm;

#[test]
fn every_fault_of_a_spec_is_told_at_once_with_its_line() {
    let host = PrivateHost::start();
    let product = Daemons::start(&host);
    let file = host.folder().join("vm.yaml");
    fs::write(
        &file,
        "name: web\ncpus: four\nmemori: 2 GiB\ndisks:\n  - size: 20 GX\n",
    )
    .unwrap();

    let said = product
        .hv(&["vm", "create", "--file", &file.to_string_lossy()])
        .fails_with(2);

    for expected in [
        "vm.yaml:2",
        "vm.yaml:3",
        "vm.yaml:5",
        "memory",
        "20 GX",
        "four",
    ] {
        assert!(said.contains(expected), "{expected} is missing: {said}");
    }
}

#[test]
fn names_that_are_taken_and_images_that_are_missing_are_refused_clearly() {
    let host = PrivateHost::start();
    let product = Daemons::start(&host);
    product
        .hv(&["vm", "create", "web", "--image", "nothing"])
        .fails_with(3);
    product
        .hv(&["vm", "create", "web", "--size", "64 MiB"])
        .ok();
    product
        .hv(&["vm", "create", "web", "--size", "64 MiB"])
        .fails_with(5);
    product.hv(&["vm", "start", "nobody"]).fails_with(3);
}

#[test]
fn two_starts_at_once_leave_one_running_vm_and_no_failed_one() {
    let host = PrivateHost::start();
    let product = Daemons::start(&host);
    product.add_demo_image("demo");
    product
        .hv(&[
            "vm", "create", "web", "--image", "demo", "--memory", "256 MiB",
        ])
        .ok();

    let starts: Vec<_> = (0..4)
        .map(|_| {
            let mut start = product.command(&["vm", "start", "web"]);
            start
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null());
            start.spawn().unwrap()
        })
        .collect();
    let codes: Vec<_> = starts
        .into_iter()
        .map(|mut start| start.wait().unwrap().code().unwrap())
        .collect();

    assert!(codes.contains(&0), "{codes:?}");
    assert!(codes.iter().all(|code| [0, 5].contains(code)), "{codes:?}");
    assert_eq!(product.json(&["vm", "show", "web"])["state"], "running");
}

#[test]
fn an_image_that_points_to_another_file_is_refused_and_leaves_nothing() {
    let host = PrivateHost::start();
    let product = Daemons::start(&host);
    let secret = host.folder().join("secret");
    fs::write(&secret, vec![7; 1 << 20]).unwrap();
    let image = host.folder().join("evil.qcow2");
    qemu_img(
        &["create", "-q", "-f", "qcow2", "-b"],
        &[&secret, &image],
        &["-F", "raw"],
    );
    let outside = host.folder().join("outside.qcow2");
    let data_file = format!("data_file={}", host.folder().join("data").display());
    qemu_img(
        &["create", "-q", "-f", "qcow2", "-o", &data_file],
        &[&outside],
        &["1M"],
    );

    for file in [&image, &outside] {
        let said = product
            .hv(&["image", "add", "evil", &file.to_string_lossy()])
            .fails_with(2);
        assert!(said.contains("qemu-img convert"), "{said}");
    }

    assert_eq!(host.virsh(&["vol-list", "hyper-images"]).trim(), "");
    assert_eq!(
        product.json(&["image", "list"])["items"],
        serde_json::json!([])
    );
}

#[test]
fn a_full_pool_refuses_an_image_and_leaves_nothing() {
    let host = PrivateHost::start();
    let images = host.pools().join("hyper-images");
    fs::create_dir_all(&images).unwrap();
    host.exec(&[
        "mount",
        "-t",
        "tmpfs",
        "-o",
        "size=4M",
        "tmpfs",
        &images.to_string_lossy(),
    ]);
    let product = Daemons::start(&host);
    let file = host.folder().join("big.img");
    fs::write(&file, vec![7; 16 << 20]).unwrap();

    let add = ["image", "add", "big", &file.to_string_lossy()];
    let said = product.hv(&add).fails_with(1);

    assert!(said.contains("space"), "{said}");
    assert_eq!(host.virsh(&["vol-list", "hyper-images"]).trim(), "");
    assert_eq!(
        product.json(&["image", "list"])["items"],
        serde_json::json!([])
    );
}

#[test]
fn a_vm_outside_the_hosts_policy_is_refused() {
    let host = PrivateHost::start();
    let product = Daemons::start(&host);
    let said = product
        .hv(&[
            "vm", "create", "huge", "--size", "64 MiB", "--memory", "64 GiB",
        ])
        .fails_with(4);
    assert!(said.contains("8 GiB"), "{said}");
}

#[test]
fn an_image_in_use_is_kept() {
    let host = PrivateHost::start();
    let product = Daemons::start(&host);
    running_vm(&product, "web");
    product
        .hv(&["image", "delete", "demo", "--yes"])
        .fails_with(5);
    product.wait_for_agent("web");
}

fn qemu_img(before: &[&str], files: &[&std::path::Path], after: &[&str]) {
    let status = Command::new("qemu-img")
        .args(before)
        .args(files)
        .args(after)
        .status();
    assert!(status.unwrap().success());
}
