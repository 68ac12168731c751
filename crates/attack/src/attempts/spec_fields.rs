// SPDX-License-Identifier: GPL-3.0-or-later
//! Fields that other tools know, and that a spec has no place for.
//!
//! Each of them is a way to root where it is carried out, so the spec of a VM must not know it under
//! any name. The same definitions, written by root, are stopped by the hook: see `foreign.rs`.

use serde_json::{Value, json};

use super::spec_text::{smuggled, try_spec};
use crate::{Actor, Arena, Attempt, Layer, Loot, Off, Trouble};

macro_rules! fields {
    ($($name:literal like $twin:literal, $goal:literal, $success:literal, $fields:expr;)*) => {
        pub(super) const ATTEMPTS: &[Attempt] = &[$(Attempt {
            name: $name,
            goal: $goal,
            success: $success,
            actors: &[Actor::Creator, Actor::Admin],
            layer: Layer::Spec,
            off: &[Off::Past],
            twin: Some($twin),
            run: |arena, _| {
                let fields: fn(&Arena) -> Vec<Value> = $fields;
                try_all(arena, fields(arena))
            },
            evidence: smuggled,
            ..Attempt::PLAIN
        }),*];
    };
}

fields! {
    "field-xml" like "start-disk-outside", "give a VM's definition as XML", "the VM has a disk on a file of root's",
        |arena| {
            let xml = super::domain::domain("x", "", &super::domain::disk(&arena.canary, "raw"), "");
            vec![json!({"xml": xml}), json!({"domain_xml": xml}), json!({"raw": xml}), json!({"overrides": xml})]
        };
    "field-disk-path" like "start-disk-outside", "give a disk as a path on the host", "the VM has a disk on a file of root's",
        |arena| {
            let path = &arena.canary;
            ["path", "file", "source", "backing", "backing_file", "volume", "dev", "url"]
                .map(|key| json!({"disks": [{"size": "1MiB", key: path}]}))
                .to_vec()
        };
    "field-kernel" like "start-kernel", "boot a VM from files of the host", "a file of root's was given to QEMU's user",
        |arena| {
            let path = &arena.canary;
            vec![
                json!({"kernel": path}),
                json!({"kernel": path, "initrd": path, "cmdline": "x"}),
                json!({"boot": {"kernel": path}}),
                json!({"firmware": {"loader": path}}),
                json!({"nvram": path}),
            ]
        };
    "field-serial-file" like "start-serial-file", "have a VM's serial console written to a file of the host",
        "a file was made in a folder that only root may enter",
        |arena| {
            let path = arena.cellar.join("made");
            vec![
                json!({"serial": {"file": path}}),
                json!({"serial": {"kind": "file", "path": path}}),
                json!({"serial": "on", "serial_log": path}),
                json!({"channels": [{"file": path}]}),
                json!({"parallel": {"file": path}}),
            ]
        };
    "field-seclabel" like "start-as-root", "have a VM's QEMU run as root by a security label", "a QEMU runs as root",
        |_| {
            let label = json!({"model": "dac", "label": "+0:+0", "relabel": "no"});
            vec![json!({"seclabel": label}), json!({"security": label}), json!({"user": "root"})]
        };
    "field-emulator" like "start-emulator", "have a program of one's own run in place of QEMU",
        "a program of the actor's choice runs on the host",
        |_| vec![json!({"emulator": "/bin/sh"}), json!({"devices": {"emulator": "/bin/sh"}})];
    "field-command-line" like "start-command-line", "give QEMU arguments of one's own",
        "QEMU runs with them",
        |arena| {
            let arguments = json!(["-drive", format!("file={},format=raw", arena.canary.display())]);
            vec![
                json!({"qemu_commandline": arguments}),
                json!({"qemu:commandline": arguments}),
                json!({"arguments": arguments}),
                json!({"extra_args": arguments}),
            ]
        };
    "field-host-folder" like "start-host-folder", "share a folder of the host with a VM", "QEMU was given the folder",
        |arena| {
            let folder = &arena.cellar;
            vec![
                json!({"filesystems": [{"source": folder, "target": "x"}]}),
                json!({"shares": [{"path": folder}]}),
                json!({"virtiofs": folder}),
            ]
        };
}

fn try_all(arena: &Arena, fields: Vec<Value>) -> Result<Loot, Trouble> {
    let mut loot = Loot::default();
    for more in fields {
        let tried = try_spec(arena, &more)?;
        loot.asked.extend(tried.asked);
        loot.told = loot.told.or(tried.told);
    }
    Ok(loot)
}
