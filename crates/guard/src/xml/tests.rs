// SPDX-License-Identifier: GPL-3.0-or-later
//! What the renderer makes passes; what it would never make does not.

use hv_model::{
    device::{
        Audio, Disk, DiskBus, DiskCache, DiskLimits, Graphics, GraphicsKind, ImageSource, Nic,
        NicLimits, SpoofFilter, Tpm, Watchdog,
    },
    domain_xml::{self, RenderHost},
    host::Acceleration,
    hypervisor::PlacedDisk,
    id::VmId,
    storage::{VolumeFormat, VolumeRef},
    vm::{Arch, Firmware, Limits, MemoryBacking, NumaNode, VmSpec},
};
use uuid::Uuid;

use super::*;

const EMULATOR: &str = "/usr/bin/qemu-system-x86_64";

const POLICY: &str = r#"
    networks = ["default"]
    bridges = ["br0"]
    features = ["huge-pages", "pinning", "no-spoof-filter"]
    [[pools]]
    name = "disks"
    path = "/pools/disks"
    purpose = "disks"
    [[pools]]
    name = "images"
    path = "/pools/images"
    purpose = "images"
    [limits]
    vcpus = 8
    memory = "8 GiB"
"#;

pub(crate) fn policy() -> HostPolicy {
    HostPolicy::parse(POLICY).unwrap()
}

pub(crate) fn strict() -> HostPolicy {
    HostPolicy {
        features: std::collections::BTreeSet::new(),
        ..policy()
    }
}

fn placed(name: &str, pool: &str, volume: &str) -> PlacedDisk {
    let volume = VolumeRef {
        pool: pool.parse().unwrap(),
        name: volume.parse().unwrap(),
    };
    PlacedDisk {
        name: name.parse().unwrap(),
        volume,
        format: VolumeFormat::Qcow2,
    }
}

pub(crate) fn rendered(definition: &Definition) -> String {
    let files = definition
        .disks
        .iter()
        .map(|disk| format!("/pools/{}", disk.volume));
    let host = RenderHost {
        acceleration: Acceleration::Tcg {
            why: "a test".into(),
        },
        arch: Arch::X86_64,
        emulator: EMULATOR.into(),
        disk_paths: files.collect(),
    };
    domain_xml::render(definition, &host).unwrap()
}

/// A VM as most are.
pub(crate) fn modest() -> Definition {
    let mut spec = VmSpec::new("web".parse().unwrap());
    spec.description = "web & <shop>".into();
    spec.disks = vec![Disk {
        size: Some(Size::from_gib(1)),
        ..Disk::default()
    }];
    spec.nics = vec![Nic {
        network: Some("default".parse().unwrap()),
        ..Nic::default()
    }];
    let disks = vec![placed("vda", "disks", "web-vda.qcow2")];
    Definition {
        id: VmId::new(Uuid::from_u128(0xabc)),
        generation: 1,
        spec,
        disks,
    }
}

/// A VM with all that can be carried out.
pub(crate) fn lavish() -> Definition {
    let mut vm = modest();
    let spec = &mut vm.spec;
    spec.firmware = Firmware::SecureBoot;
    spec.cpus.count = 2;
    spec.cpus.max = Some(4);
    spec.cpus
        .pinning
        .insert(0, "0-1".to_owned().try_into().unwrap());
    spec.memory.max = Some(Size::from_gib(2));
    spec.memory.backing = MemoryBacking::Memfd;
    spec.memory.huge_pages = Some(Size::from_mib(2));
    spec.memory.numa = vec![NumaNode {
        cpus: "0-3".to_owned().try_into().unwrap(),
        memory: Size::from_gib(2),
        host_nodes: Some("0".to_owned().try_into().unwrap()),
    }];
    spec.tpm = Some(Tpm::default());
    spec.graphics = Graphics {
        kind: GraphicsKind::Vnc,
        heads: 1,
    };
    spec.audio = Audio::Hda;
    spec.watchdog = Some(Watchdog::default());
    spec.limits = Limits {
        cpu_percent: Some(150),
        cpu_weight: Some(100),
    };
    spec.disks[0].cache = DiskCache::None;
    spec.disks[0].limits = DiskLimits {
        bandwidth: Some(Size::from_mib(9)),
        iops: Some(9),
    };
    spec.disks.push(Disk {
        bus: DiskBus::Scsi,
        size: Some(Size::from_gib(1)),
        ..Disk::default()
    });
    vm.disks.push(placed("sda", "disks", "web-sda.qcow2"));
    spec.disks.push(Disk {
        source: ImageSource::Cdrom,
        image: Some("tools".parse().unwrap()),
        ..Disk::default()
    });
    vm.disks.push(placed("sdb", "images", "tools.iso"));
    spec.nics[0].limits = NicLimits {
        inbound: Some(Size::from_mib(1)),
        outbound: Some(Size::from_mib(1)),
    };
    spec.nics.push(Nic {
        bridge: Some("br0".parse().unwrap()),
        spoof_filter: SpoofFilter::Off,
        ..Nic::default()
    });
    vm
}

fn refusals(xml: &str) -> String {
    match judge_xml(&strict(), xml, &modest(), EMULATOR) {
        Ok(()) => String::new(),
        Err(refused) => refused.to_string(),
    }
}

#[test]
fn every_row_of_the_table_has_its_parent_and_known_features() {
    let table = Table::parse(ALLOWED);
    assert!(table.rows().len() > 80);
    table.expect_whole();
}

#[test]
fn what_the_renderer_makes_passes() {
    judge_xml(&strict(), &rendered(&modest()), &modest(), EMULATOR).unwrap();
    judge_xml(&policy(), &rendered(&lavish()), &lavish(), EMULATOR).unwrap();
}

#[test]
fn features_that_the_policy_does_not_name_are_refused_here_too() {
    let refused = judge_xml(&strict(), &rendered(&lavish()), &lavish(), EMULATOR).unwrap_err();
    let refused = refused.to_string();
    for words in ["huge-pages", "pinning", "no-spoof-filter"] {
        assert!(refused.contains(words), "{words}: {refused}");
    }
}

#[test]
fn the_limits_hold_for_the_xml_as_well() {
    let mut vm = lavish();
    vm.spec.cpus.max = Some(16);
    vm.spec.memory.max = Some(Size::from_gib(16));
    vm.spec.memory.numa.clear();
    let refused = judge_xml(&policy(), &rendered(&vm), &vm, EMULATOR)
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("domain/vcpu") && refused.contains("domain/memory"),
        "{refused}"
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "it is one table")]
fn every_known_way_to_the_host_is_refused() {
    let xml = rendered(&modest());
    assert_eq!(refusals(&xml), "");
    let device = |device: &str| xml.replace("</devices>", &format!("{device}</devices>"));
    let swap = |from: &str, to: &str| {
        assert!(xml.contains(from), "{from}");
        xml.replace(from, to)
    };
    for (what, bad) in [
        ("a path outside", swap("/pools/disks/web", "/etc/web")),
        (
            "a path that climbs",
            swap("/pools/disks/web-vda.qcow2", "/pools/disks/../../etc/x"),
        ),
        (
            "a folder below",
            swap("/pools/disks/web", "/pools/disks/sub/web"),
        ),
        (
            "a writable image",
            swap("/pools/disks/web", "/pools/images/web"),
        ),
        (
            "a block device",
            swap("file='/pools/disks/web-vda.qcow2'", "dev='/dev/sda'"),
        ),
        (
            "a disk of another type",
            swap("<disk type='file'", "<disk type='block'"),
        ),
        (
            "a network disk",
            swap("<disk type='file'", "<disk type='network'"),
        ),
        (
            "a passed-through disk",
            swap("device='disk'", "device='lun'"),
        ),
        ("a guessed format", swap(" type='qcow2'", "")),
        (
            "a data file",
            swap(
                "<target dev='vda'",
                "<source dataStore='x'/><target dev='vda'",
            ),
        ),
        (
            "a backing chain",
            swap("<target dev='vda'", "<backingStore/><target dev='vda'"),
        ),
        (
            "an own emulator",
            swap("/usr/bin/qemu-system-x86_64", "/tmp/x"),
        ),
        (
            "another network",
            swap("network='default'", "network='mgmt'"),
        ),
        ("a bridge", swap("network='default'", "bridge='eth0'")),
        (
            "an own script",
            swap("<mac ", "<script path='/tmp/x'/><mac "),
        ),
        (
            "no filter",
            xml.replace("<filterref filter='clean-traffic'/>", ""),
        ),
        (
            "a serial in a file",
            swap("<serial type='pty'", "<serial type='file'"),
        ),
        (
            "a logged serial",
            device("<serial type='pty'><log file='/root/x'/></serial>"),
        ),
        (
            "a second serial",
            device("<serial type='pty'><target port='1'/></serial>"),
        ),
        (
            "a channel to a path",
            swap(
                "<channel type='unix'>",
                "<channel type='unix'><source path='/run/x'/>",
            ),
        ),
        (
            "a channel in a file",
            swap("<channel type='unix'>", "<channel type='file'>"),
        ),
        ("another random file", swap("/dev/urandom", "/etc/shadow")),
        ("a random socket", swap("model='random'", "model='egd'")),
        (
            "a folder of the host",
            device("<filesystem type='mount'><source dir='/'/><target dir='x'/></filesystem>"),
        ),
        (
            "a host device",
            device("<hostdev mode='subsystem' type='pci'/>"),
        ),
        (
            "a USB redirection",
            device("<redirdev bus='usb' type='spicevmc'/>"),
        ),
        ("shared memory", device("<shmem name='x'/>")),
        (
            "a pmem file",
            device("<memory model='nvdimm'><source><path>/etc/x</path></source></memory>"),
        ),
        ("a vsock", device("<vsock model='virtio'/>")),
        (
            "a vnc port",
            device("<graphics type='vnc' port='5900' listen='0.0.0.0'/>"),
        ),
        (
            "a TPM of the host",
            device(
                "<tpm model='tpm-tis'><backend type='passthrough'><device path='/dev/tpm0'/></backend></tpm>",
            ),
        ),
        (
            "a parallel port",
            device("<parallel type='file'><source path='/x'/></parallel>"),
        ),
        ("a smart card", device("<smartcard mode='host'/>")),
        (
            "a security label",
            swap("<devices>", "<seclabel type='none'/><devices>"),
        ),
        (
            "a firmware file",
            swap("</os>", "<loader>/etc/x</loader></os>"),
        ),
        (
            "variables in a file",
            swap("</os>", "<nvram>/etc/x</nvram></os>"),
        ),
        (
            "a kernel of the host",
            swap("</os>", "<kernel>/boot/vmlinuz</kernel></os>"),
        ),
        ("an init", swap("</os>", "<init>/bin/sh</init></os>")),
        (
            "a boot loader",
            swap("<os>", "<bootloader>/bin/sh</bootloader><os>"),
        ),
        (
            "QEMU's command line",
            swap(
                "<domain ",
                "<domain xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0' ",
            )
            .replace(
                "</domain>",
                "<qemu:commandline><qemu:arg value='-x'/></qemu:commandline></domain>",
            ),
        ),
        (
            "another's metadata",
            swap("<metadata>", "<metadata><a:b xmlns:a='urn:a'/>"),
        ),
        (
            "a resource partition",
            swap(
                "<devices>",
                "<resource><partition>/x</partition></resource><devices>",
            ),
        ),
        (
            "a launch security",
            swap("<devices>", "<launchSecurity type='sev'/><devices>"),
        ),
        ("a key wrap", swap("<devices>", "<keywrap/><devices>")),
        (
            "an own crash action",
            swap("<on_crash>destroy", "<on_crash>coredump-destroy"),
        ),
        (
            "a container",
            swap("<domain type='qemu'", "<domain type='lxc'"),
        ),
        (
            "another's UUID",
            swap(
                "00000000-0000-0000-0000-000000000abc",
                "00000000-0000-0000-0000-000000000abd",
            ),
        ),
        ("another's name", swap("<name>web<", "<name>db<")),
        ("two names", swap("<name>", "<name>db</name><name>")),
        (
            "an entity",
            format!("<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>{xml}"),
        ),
        (
            "an attribute with a namespace",
            swap("<name>", "<name xmlns:a='urn:a' a:x='1'>"),
        ),
        ("text between devices", swap("<devices>", "<devices>text")),
        ("no XML", "<domain".to_owned()),
        ("another document", "<network/>".to_owned()),
    ] {
        assert!(bad != xml, "{what} changes nothing");
        assert_ne!(refusals(&bad), "", "{what} passes");
    }
}

#[test]
fn what_is_told_names_the_value_and_what_is_allowed() {
    let xml = rendered(&modest()).replace("/pools/disks/web", "/etc/web");
    insta::assert_snapshot!(refusals(&xml));
}
