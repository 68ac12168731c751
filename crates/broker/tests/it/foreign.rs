// SPDX-License-Identifier: GPL-3.0-or-later
//! VMs that somebody made with virsh.

use std::fs;

use hv_model::{
    hypervisor::{Fact, Hypervisor, HypervisorErrorKind, LiveChange, VolumeContent},
    size::Size,
    vm::VmState,
};

use crate::{
    host::{TestHost, is_skipped, wait_for},
    virtual_machine::{clone_of_demo, id, upload_demo, wait_for_state},
};

/// A VM as a person would write it, with a disk at this path.
fn xml(name: &str, number: u128, disk: &str, more: &str) -> String {
    let uuid = id(number);
    format!(
        "<domain type='qemu'><name>{name}</name><uuid>{uuid}</uuid>\
         <memory unit='MiB'>256</memory><vcpu>1</vcpu>\
         <os><type arch='x86_64' machine='q35'>hvm</type><boot dev='hd'/></os>\
         <features><acpi/><apic/></features><on_crash>restart</on_crash>\
         <devices>\
         <disk type='file' device='disk'><driver name='qemu' type='qcow2' discard='unmap'/>\
         <source file='{disk}'/><target dev='vda' bus='virtio'/></disk>\
         <interface type='network'><mac address='52:54:00:12:34:56'/>\
         <source network='default'/><model type='virtio'/></interface>\
         <serial type='pty'/><console type='pty'/>\
         <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>\
         <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>{more}\
         </devices></domain>"
    )
}

#[test]
fn a_vm_made_with_virsh_is_seen_started_and_changed_only_once_it_is_adopted() {
    if is_skipped() {
        return;
    }
    let host = TestHost::start();
    let client = &host.client;
    upload_demo(&host);
    let facts = client.subscribe().unwrap();
    let disk = clone_of_demo("old");
    assert!(matches!(disk.content, VolumeContent::CloneOf { .. }));
    client.create_volume(&disk).unwrap();
    let path = host.pools().join("disks/old-vda.qcow2");
    let file = host.folder().join("old.xml");
    fs::write(&file, xml("old", 1, path.to_str().unwrap(), "")).unwrap();
    host.virsh(&["define", file.to_str().unwrap()]);
    host.virsh(&["autostart", "old"]);
    let vm = id(1);
    wait_for(&facts, "it is defined", |fact| {
        (*fact
            == Fact::Defined {
                id: vm,
                name: "old".into(),
            })
        .then_some(())
    });

    let details = client.details(&[vm]).unwrap().remove(0);
    assert_eq!(details.definition, None);
    let foreign = details.foreign.unwrap();
    assert_eq!(foreign.obstacles, [""; 0]);
    let nearest = *foreign.definition.unwrap();
    assert_eq!(nearest.id, vm);
    assert_eq!(nearest.spec.memory.size, Size::from_mib(256));
    assert_eq!(nearest.disks[0].volume, disk.volume);
    let mac = nearest.spec.nics[0].mac.unwrap();
    assert_eq!(mac.to_string(), "52:54:00:12:34:56");

    client.start(vm).unwrap();
    wait_for_state(&facts, vm, VmState::Running);
    for refused in [
        client.define(&nearest),
        client.undefine(vm),
        client.rename(vm, &"new".parse().unwrap()),
        client.change_live(vm, &LiveChange::Memory(Size::from_mib(200))),
    ] {
        assert_eq!(refused.unwrap_err().kind, HypervisorErrorKind::WrongState);
    }

    let mut other = nearest.clone();
    other.spec.nics[0].mac = Some("52:54:00:00:00:01".parse().unwrap());
    assert_eq!(
        client.adopt(&other).unwrap_err().kind,
        HypervisorErrorKind::Invalid
    );
    client.adopt(&nearest).unwrap();
    client.adopt(&nearest).unwrap();
    let details = client.details(&[vm]).unwrap().remove(0);
    assert_eq!(details.definition.as_deref(), Some(&nearest));
    assert!(
        host.virsh(&["dominfo", "old"]).contains("disable"),
        "libvirt does not autostart it"
    );
    client.force_off(vm).unwrap();
    wait_for_state(&facts, vm, VmState::Off);
    client.start(vm).unwrap();
    client.force_off(vm).unwrap();
    client.undefine(vm).unwrap();
}

#[test]
fn what_a_spec_cannot_say_stands_in_the_way() {
    if is_skipped() {
        return;
    }
    let host = TestHost::start();
    let client = &host.client;
    fs::write(host.folder().join("outside.qcow2"), "").unwrap();
    let outside = host.folder().join("outside.qcow2");
    let more = "<filesystem type='mount'><source dir='/root'/><target dir='x'/></filesystem>\
        <serial type='file'><source path='/root/log'/><target port='1'/></serial>";
    let file = host.folder().join("odd.xml");
    fs::write(&file, xml("odd", 2, outside.to_str().unwrap(), more)).unwrap();
    host.virsh(&["define", file.to_str().unwrap()]);
    let details = client.details(&[id(2)]).unwrap().remove(0);
    let foreign = details.foreign.unwrap();
    assert_eq!(foreign.definition, None);
    // Those that are not there are left out, also where many are asked for.
    let many: Vec<_> = (0..20).map(id).collect();
    assert_eq!(
        client.details(&many).unwrap()[0].foreign,
        Some(foreign.clone())
    );
    let obstacles = foreign.obstacles.join("\n");
    for words in ["outside.qcow2 is not in a pool", "filesystem", "serial"] {
        assert!(obstacles.contains(words), "{words}: {obstacles}");
    }
    // A copy that still carries another VM's description is not that VM.
    let named = hv_model::name::VmName::try_from("odd".to_owned()).unwrap();
    let mut wanted = crate::virtual_machine::definition(2, "odd");
    wanted.spec.name = named;
    assert_eq!(
        client.adopt(&wanted).unwrap_err().kind,
        HypervisorErrorKind::Refused
    );
}
