// SPDX-License-Identifier: GPL-3.0-or-later
//! Every rule is broken once, and told in words.

use crate::{
    document::{self, Format},
    vm::VmSpec,
};

/// What a person is told of a spec with these lines behind its name.
fn told(yaml: &str) -> String {
    let text = format!("name: web\n{yaml}");
    let spec = document::read::<VmSpec>(&text, Format::Yaml)
        .unwrap_or_else(|faults| panic!("{yaml}: {faults}"));
    match spec.refuse(spec.value.validate()) {
        Ok(()) => String::new(),
        Err(faults) => faults.to_string(),
    }
}

/// What a person is told of each of these specs, with the specs.
fn story(specs: &[&str]) -> String {
    let tell = |spec: &&str| {
        let told = told(spec);
        assert!(!told.is_empty(), "nothing is wrong with {spec}");
        format!("{spec}\n    {}\n", told.replace('\n', "\n    "))
    };
    specs.iter().map(tell).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_name_alone_is_a_spec_without_faults() {
    assert_eq!(told(""), "");
}

#[test]
fn what_lies_at_the_end_of_its_range_is_allowed() {
    let specs = [
        "cpus: 4096",
        "memory: 16 MiB",
        "memory: 16 TiB",
        "cpus: { count: 2, max: 2 }",
        "memory: { size: 1 GiB, max: 1 GiB, balloon: 'off' }",
        "disks: [{ size: 1 MiB }, { size: 64 TiB }]",
        "limits: { cpu_percent: 1, cpu_weight: 10000 }",
        "autostart: { priority: 100, delay_seconds: 3600 }",
        "graphics: { kind: spice, heads: 4 }",
        "shared_memory: [{ name: a, size: 1 MiB }, { name: b, size: 1 GiB }]",
        "nics: [{ bridge: fifteen-letters }]",
        "cpus: { count: 2, pinning: { 1: '0' } }",
        "cpus: { count: 2, max: 4, topology: { sockets: 2, threads: 2 }, pinning: { 3: '0' } }",
        "disks: [{ image: a, as: cdrom, boot_order: 1 }, { image: a, boot_order: 2 }]",
        "machine: pc-q35-7.2\nfirmware: secure-boot",
    ];
    for spec in specs {
        assert_eq!(told(spec), "", "{spec}");
    }
    let longest = "ü".repeat(1000);
    assert_eq!(told(&format!("description: {longest}")), "");
}

#[test]
fn processors() {
    insta::assert_snapshot!(story(&[
        "cpus: 0",
        "cpus: 4097",
        "cpus: { count: 4, max: 2 }",
        "cpus: { count: 1, max: 5000 }",
        "cpus: { count: 4, topology: { sockets: 2, cores: 3 } }",
        "cpus: { count: 2, max: 8, topology: { cores: 2 } }",
        "cpus: { count: 1, topology: { sockets: 0, cores: 4294967295, threads: 9 } }",
        "cpus: { count: 2, pinning: { 2: '0' } }",
    ]));
}

#[test]
fn memory() {
    insta::assert_snapshot!(story(&[
        "memory: 15 MiB",
        "memory: 17 TiB",
        "memory: { size: 2 GiB, max: 1 GiB }",
        "memory: { size: 2 GiB, max: 4 GiB, balloon: 'off' }",
        "memory: { size: 2 GiB, huge_pages: 4 MiB }",
        "memory: { size: 1025 MiB, huge_pages: 2 MiB }",
        "arch: aarch64\nmemory: { size: 1 GiB, huge_pages: 4 KiB }",
        "memory: { size: 2 GiB, numa: [{ cpus: '0', memory: 1 GiB }] }",
        "cpus: 2\nmemory: { size: 2 GiB, numa: [{ cpus: '0', memory: 2 GiB }] }",
        "cpus: 2\nmemory: { size: 2 GiB, numa: [{ cpus: '0-1', memory: 1 GiB }, { cpus: '1', memory: 1 GiB }] }",
        "memory: { size: 2 GiB, numa: [{ cpus: '0-9', memory: 2 GiB }] }",
        "memory: { size: 1 GiB, huge_pages: 2 MiB, numa: [{ cpus: '0', memory: 1048575 KiB }, { cpus: '0', memory: 1 KiB }] }",
    ]));
}

#[test]
fn machines_and_firmware() {
    insta::assert_snapshot!(story(&[
        "machine: virt",
        "machine: microvm",
        "arch: riscv64\nmachine: q35",
        "arch: aarch64\nfirmware: secure-boot",
        "machine: pc\nfirmware: secure-boot",
        "arch: aarch64\ntpm: {}",
        "arch: riscv64\ntpm: { model: tis }",
    ]));
}

#[test]
fn disks() {
    insta::assert_snapshot!(story(&[
        "disks: [{}]",
        "disks: [{ as: cdrom }]",
        "disks: [{ as: copy }]",
        "disks: [{ as: copy, size: 1 GiB }]",
        "disks: [{ image: iso, as: cdrom, size: 1 GiB }]",
        "disks: [{ size: 1 KiB }]",
        "disks: [{ size: 1.5 MB }, { size: 2000001 }]",
        "disks: [{ size: 65 TiB }]",
        "disks: [{ name: sda, size: 1 GiB }]",
        "disks: [{ name: root, size: 1 GiB }]",
        "disks: [{ name: vdA, size: 1 GiB }, { name: vdaaa, size: 1 GiB }]",
        "disks: [{ name: vda, size: 1 GiB, bus: scsi }]",
        "disks: [{ name: vda, size: 1 GiB }, { name: vda, size: 1 GiB }]",
        "disks: [{ image: a, boot_order: 0 }]",
        "disks: [{ image: a, boot_order: 1 }, { image: b, boot_order: 1 }]",
        "disks: [{ image: a, limits: { bandwidth: 1 KiB, iops: 0 } }]",
    ]));
}

#[test]
fn network_interfaces() {
    insta::assert_snapshot!(story(&[
        "nics: [{}]",
        "nics: [{ network: default, bridge: br0 }]",
        "nics: [{ bridge: sixteen-letters-x }]",
        "nics: [{ network: a, name: lan }, { network: b, name: lan }]",
        "nics: [{ network: a, mac: '52:54:00:00:00:01' }, { network: b, mac: '52:54:00:00:00:01' }]",
        "nics: [{ network: a, limits: { inbound: 1 B, outbound: 2 TiB } }]",
        "machine: pc\nnics: [{ network: a, model: e1000e }]",
    ]));
}

#[test]
fn small_devices() {
    insta::assert_snapshot!(story(&[
        "graphics: { kind: vnc, heads: 0 }",
        "graphics: { kind: spice, heads: 5 }",
        "graphics: { kind: vnc, heads: 2 }",
        "graphics: { heads: 2 }",
        "passthrough: [{}]",
        "passthrough: [{ pci: '0000:01:00.0', usb: '046d:c52b' }]",
        "passthrough: [{ usb: '046d:c52b' }, { usb: '046d:c52b' }]",
        "shared_memory: [{ name: a, size: 3 MiB }]",
        "shared_memory: [{ name: a, size: 512 KiB }, { name: a, size: 2 GiB }]",
    ]));
}

#[test]
fn the_first_boot() {
    insta::assert_snapshot!(story(&[
        "cloud_init: { hostname: -web }",
        "cloud_init: { hostname: a..b }",
        "cloud_init: { ssh_keys: [ssh-ed25519] }",
        "cloud_init: { ssh_keys: ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5'] }",
        "cloud_init: { ssh_keys: ['ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIGx4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4 a@b'] }",
        "cloud_init: { ssh_keys: [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGx4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4 a\\nb\"] }",
        "cloud_init: { ssh_keys: ['-----BEGIN OPENSSH PRIVATE KEY----- c2VjcmV0'] }",
        "cloud_init: { user_data: 'runcmd: []' }",
        "cloud_init: { user: bo, ssh_keys: [], user_data: '#cloud-config' }",
        "cloud_init: { user_data: \"#cloud-config\\n\\e[31m\" }",
    ]));
}

#[test]
fn policies_and_texts() {
    insta::assert_snapshot!(story(&[
        "limits: { cpu_percent: 0, cpu_weight: 1 }",
        "limits: { cpu_percent: 409601, cpu_weight: 10001 }",
        "autostart: { priority: 101, delay_seconds: 3601 }",
        "description: \"a\\0b\"",
        "description: \"a\\x1b[31mb\"",
        "description: \"a\\u202eb\"",
    ]));
}

#[test]
fn a_description_is_a_sentence_and_no_book() {
    let faults = told(&format!("description: {}", "ü".repeat(1001)));
    let start = "ü".repeat(60);
    let expected = format!(
        "2:14: description: \"{start}…\" has 1001 characters; allowed: at most 1000 characters"
    );
    assert_eq!(faults, expected);
}

#[test]
fn a_real_key_is_taken() {
    let key =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGx4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4 a@b c";
    assert_eq!(
        told(&format!("cloud_init: {{ user: bo, ssh_keys: ['{key}'] }}")),
        ""
    );
}

#[test]
fn every_fault_is_told_at_once() {
    let faults = told("cpus: 0\nmemory: 1 MiB\ndisks: [{}]\nnics: [{}]\nlimits: { cpu_weight: 1 }");
    assert_eq!(faults.lines().count(), 5, "{faults}");
}

#[test]
fn far_too_many_of_anything_is_one_fault_and_quick() {
    let list = |item: &str, count: usize| vec![item; count].join(", ");
    let keys = |count: u32| {
        let pins = (0..count).map(|cpu| format!("{cpu}: '0'"));
        pins.collect::<Vec<_>>().join(", ")
    };
    let specs = [
        format!("disks: [{}]", list("{}", 20_000)),
        format!("nics: [{}]", list("{}", 20_000)),
        format!("passthrough: [{}]", list("{}", 20_000)),
        format!(
            "memory: {{ numa: [{}] }}",
            list("{ cpus: '0', memory: 1 }", 5_000)
        ),
        format!("cloud_init: {{ ssh_keys: [{}] }}", list("a", 20_000)),
        "cpus: 4294967295\nmemory: { numa: [{ cpus: '0-65535', memory: 1 GiB }] }".to_owned(),
    ];
    for spec in specs {
        assert_eq!(told(&spec).lines().count(), 1, "{}", told(&spec));
    }
    let pins = told(&format!(
        "cpus: {{ count: 1, pinning: {{ {} }} }}",
        keys(10_000)
    ));
    assert_eq!(pins.lines().count(), 16);
}

#[test]
fn what_is_not_carried_out_yet_is_refused_by_name() {
    let text = "
name: web
arch: aarch64
cpus: { count: 1, max: 2 }
graphics: { kind: spice }
audio: virtio
passthrough: [{ pci: '0000:01:00.0' }]
confidential: sev-snp
shared_memory: [{ name: glass, size: 32 MiB }]
cloud_init: {}
";
    let spec = document::read::<VmSpec>(text, Format::Yaml).unwrap();
    assert_eq!(spec.value.validate(), []);
    insta::assert_snapshot!(spec.refuse(spec.value.not_yet()).unwrap_err());
}

#[test]
fn faults_of_form_do_not_hide_faults_of_meaning_elsewhere() {
    let text = "name: web\nmemori: 2 GiB\ncpus: 0\ndisks:\n  - size: 20 GX\n  - size: 100 TiB\n";
    let judge = |spec: &VmSpec| spec.validate();
    let faults = document::read_and_judge(text, Format::Yaml, judge).unwrap_err();
    let told: Vec<_> = faults
        .as_slice()
        .iter()
        .map(|fault| (fault.path.as_str(), fault.line))
        .collect();
    assert_eq!(
        told,
        [
            ("memori", Some(2)),
            ("cpus.count", Some(3)),
            ("disks[0].size", Some(5)),
            ("disks[1].size", Some(6)),
        ]
    );
}
