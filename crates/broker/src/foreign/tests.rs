// SPDX-License-Identifier: GPL-3.0-or-later
//! What a spec can say is read back; all else stands in the way and is named.

use hv_model::{
    device::{
        Audio, Disk, DiskBus, DiskCache, DiskLimits, Graphics, GraphicsKind, ImageSource, Nic,
        NicLimits, NicModel, Tpm, Watchdog, WatchdogAction,
    },
    domain_xml::{RenderHost, render},
    host::Acceleration,
    vm::{
        Agent, Arch, Balloon, CpuModel, CpuTopology, FeaturePolicy, Firmware, MemoryBacking,
        OnCrash,
    },
};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

const POLICY: &str = r#"
    networks = ["default"]
    bridges = ["br0"]
    features = ["huge-pages"]
    [[pools]]
    name = "disks"
    path = "/pools/disks"
    [[pools]]
    name = "images"
    path = "/pools/images"
    purpose = "images"
"#;

const SIZE: Size = Size::from_gib(4);

/// Volumes that are all there, and all of one size.
struct All(HostPolicy);

impl Volumes for All {
    fn volume(
        &self,
        path: &str,
        _format: VolumeFormat,
    ) -> std::result::Result<(VolumeRef, Size), String> {
        let (pool, name) = self
            .0
            .volume_at(path)
            .ok_or_else(|| format!("{path} is elsewhere"))?;
        Ok((
            VolumeRef {
                pool: pool.name.clone(),
                name: name.parse().unwrap(),
            },
            SIZE,
        ))
    }
}

fn id() -> VmId {
    VmId::new(Uuid::from_u128(0xabc))
}

fn seen(xml: &str) -> ForeignVm {
    let policy = HostPolicy::parse(POLICY).unwrap();
    understand(&policy, &All(policy.clone()), id(), xml)
}

fn obstacles(xml: &str) -> String {
    seen(xml).obstacles.join("\n")
}

/// A VM with its disks, as XML of ours.
fn rendered(spec: &VmSpec, pools: &[&str]) -> (Definition, String) {
    let disks = spec
        .disk_names()
        .into_iter()
        .zip(pools)
        .map(|(name, pool)| PlacedDisk {
            volume: VolumeRef {
                pool: pool.parse().unwrap(),
                name: format!("old-{name}").parse().unwrap(),
            },
            name,
            format: VolumeFormat::Raw,
        });
    let definition = Definition {
        id: id(),
        generation: 1,
        spec: spec.clone(),
        disks: disks.collect(),
    };
    let files = definition
        .disks
        .iter()
        .map(|disk| format!("/pools/{}", disk.volume));
    let host = RenderHost {
        acceleration: Acceleration::Tcg {
            why: "a test".into(),
        },
        arch: Arch::X86_64,
        emulator: "/usr/bin/qemu-system-x86_64".into(),
        disk_paths: files.collect(),
    };
    let xml = render(&definition, &host).unwrap();
    (definition, xml)
}

/// A spec in which every field that can be read back is something else than its default.
fn rich() -> VmSpec {
    let mut spec = VmSpec::new("old".parse().unwrap());
    spec.description = "Sells & <ships>".into();
    spec.machine = Some("pc-q35-7.2".parse().unwrap());
    spec.cpus.count = 2;
    spec.cpus.max = Some(4);
    spec.cpus.model = CpuModel::Named("Nehalem".parse().unwrap());
    spec.cpus.topology = Some(CpuTopology {
        sockets: 1,
        cores: 2,
        threads: 2,
    });
    spec.cpus
        .features
        .insert("x2apic".parse().unwrap(), FeaturePolicy::Disable);
    spec.memory.size = Size::from_mib(300);
    spec.memory.max = Some(Size::from_mib(600));
    spec.memory.huge_pages = Some(Size::from_mib(2));
    spec.memory.backing = MemoryBacking::Memfd;
    spec.memory.balloon = Balloon::On;
    spec.firmware = Firmware::SecureBoot;
    spec.tpm = Some(Tpm::default());
    spec.disks = vec![
        Disk {
            size: Some(SIZE),
            cache: DiskCache::Writethrough,
            limits: DiskLimits {
                bandwidth: Some(Size::from_mib(9)),
                iops: Some(9),
            },
            boot_order: Some(2),
            ..Disk::default()
        },
        Disk {
            size: Some(SIZE),
            bus: DiskBus::Scsi,
            boot_order: Some(1),
            ..Disk::default()
        },
        Disk {
            image: Some("old-sdb".parse().unwrap()),
            source: ImageSource::Cdrom,
            bus: DiskBus::Sata,
            ..Disk::default()
        },
    ];
    let limits = NicLimits {
        inbound: Some(Size::from_bytes(5000)),
        outbound: Some(Size::from_bytes(7000)),
    };
    spec.nics = vec![
        Nic {
            network: Some("default".parse().unwrap()),
            limits,
            ..Nic::default()
        },
        Nic {
            bridge: Some("br0".parse().unwrap()),
            model: NicModel::E1000e,
            ..Nic::default()
        },
    ];
    spec.graphics = Graphics {
        kind: GraphicsKind::Vnc,
        heads: 1,
    };
    spec.audio = Audio::Hda;
    spec.watchdog = Some(Watchdog {
        action: WatchdogAction::Pause,
    });
    spec.on_crash = OnCrash::Stop;
    spec
}

#[test]
fn what_is_told_of_xml_that_cannot_be_read_is_on_one_line() {
    let told = obstacles("<domain a\0='1'/>");
    assert!(!told.contains(char::is_control), "{told:?}");
}

#[test]
fn a_path_with_control_characters_is_told_without_them() {
    let (_, xml) = rendered(&rich(), &["disks", "disks", "images"]);
    let told = obstacles(&xml.replace("/pools/disks/", "/elsewhere/\u{9b}2J\u{7f}/"));
    assert!(told.contains("/elsewhere/?2J?/"), "{told}");
    assert!(
        told.lines().all(|line| !line.contains(char::is_control)),
        "{told:?}"
    );
}

#[test]
fn all_that_we_render_is_read_back() {
    let (definition, xml) = rendered(&rich(), &["disks", "disks", "images"]);
    let seen = seen(&xml);
    assert_eq!(seen.obstacles, [""; 0]);
    let nearest = *seen.definition.unwrap();
    assert_eq!(nearest.disks, definition.disks);
    let mut expected = rich().settled(id());
    expected.nics.iter_mut().for_each(|nic| nic.name = None);
    assert_eq!(nearest.spec, expected);
    expect_same_machine(&nearest, &definition).unwrap();
}

#[test]
fn what_is_switched_off_stays_off() {
    let mut spec = VmSpec::new("old".parse().unwrap());
    spec.serial = hv_model::device::Serial::Off;
    spec.rng = hv_model::device::Rng::Off;
    spec.agent = Agent::Off;
    spec.memory.balloon = Balloon::Off;
    let (_, xml) = rendered(&spec, &[]);
    let nearest = seen(&xml).definition.unwrap().spec;
    assert_eq!(nearest.serial, spec.serial);
    assert_eq!(nearest.rng, spec.rng);
    assert_eq!(
        (nearest.agent, nearest.memory.balloon),
        (spec.agent, spec.memory.balloon)
    );
    assert!(nearest.watchdog.is_none() && nearest.tpm.is_none());
}

/// What virt-install made once, with a graphical desktop in mind.
const DESKTOP: &str = include_str!("tests/desktop.xml");

#[test]
fn a_desktop_of_another_tool_tells_each_thing_that_a_spec_cannot_say() {
    insta::assert_snapshot!(obstacles(DESKTOP));
}

#[test]
fn what_is_not_read_is_named_with_its_place_and_value() {
    let (_, xml) = rendered(&VmSpec::new("old".parse().unwrap()), &[]);
    assert_eq!(obstacles(&xml), "");
    for (from, to, words) in [
        (
            "<on_reboot>restart",
            "<on_reboot>destroy",
            "on_reboot: it says \"destroy\"",
        ),
        (
            "offset='utc'",
            "offset='localtime'",
            "clock: offset is \"localtime\"",
        ),
        (
            "<devices>",
            "<devices><vsock model='virtio'/>",
            "devices/vsock: a spec can't say this",
        ),
        (
            "<devices>",
            "<genid/><devices>",
            "genid: a spec can't say this",
        ),
        (
            "<acpi/>",
            "<acpi/><hyperv mode='custom'/>",
            "features/hyperv: a spec can't say this",
        ),
        (
            "<serial type='pty'>",
            "<serial type='pty'><log file='/x'/>",
            "devices/serial/log",
        ),
        ("<vcpu ", "<vcpu cpuset='0' ", "vcpu: cpuset is \"0\""),
        ("<name>old", "<name>a b", "its name is not one"),
        ("<domain ", "<domain a='1' ", "domain: a is \"1\""),
    ] {
        assert!(xml.contains(from), "{from}");
        let told = obstacles(&xml.replace(from, to));
        assert!(told.contains(words), "{words}: {told:?}");
    }
}

#[test]
fn another_machine_is_not_adopted_in_its_place() {
    let (definition, _) = rendered(&rich(), &["disks", "disks", "images"]);
    let changed = |change: &dyn Fn(&mut Definition)| {
        let mut wanted = definition.clone();
        change(&mut wanted);
        expect_same_machine(&definition, &wanted)
    };
    changed(&|vm| vm.spec.description = "other".into()).unwrap();
    changed(&|vm| vm.spec.limits.cpu_percent = Some(50)).unwrap();
    for refused in [
        changed(&|vm| vm.spec.name = "other".parse().unwrap()),
        changed(&|vm| vm.spec.machine = None),
        changed(&|vm| vm.spec.firmware = Firmware::Uefi),
        changed(&|vm| vm.spec.tpm = None),
        changed(&|vm| drop(vm.disks.pop())),
        changed(&|vm| vm.disks[0].format = VolumeFormat::Qcow2),
        changed(&|vm| vm.spec.nics[0].mac = Some("52:54:00:00:00:01".parse().unwrap())),
    ] {
        assert_eq!(refused.unwrap_err().kind, HypervisorErrorKind::Invalid);
    }
}

proptest! {
    #[test]
    fn no_xml_makes_it_panic(cut in 0_usize..4000, insert in "[<>/='\"a-z ]{0,20}") {
        let (_, xml) = rendered(&rich(), &["disks", "disks", "images"]);
        let mut at = cut.min(xml.len());
        while !xml.is_char_boundary(at) {
            at -= 1;
        }
        let changed = format!("{}{insert}{}", &xml[..at], &xml[at..]);
        let told = seen(&changed);
        prop_assert!(told.definition.is_some() || !told.obstacles.is_empty());
    }
}
