// SPDX-License-Identifier: GPL-3.0-or-later
//! What changes cost, in every state.

use proptest::prelude::*;

use super::*;
use crate::{
    device::{Disk, DiskLimits, ImageSource, Nic, NicLimits, Tpm},
    hypervisor::LiveChange,
    id::VmId,
    inventory::{ChangeAutostart, ChangeVm},
    size::Size,
    vm::{Autostart, Limits, OnCrash},
};

fn vm() -> VmId {
    "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap()
}

/// Two CPUs of at most four, 1 GiB of at most 4 GiB, a disk, a CD and an interface.
fn web() -> VmSpec {
    let mut spec = VmSpec::new("web".parse().unwrap());
    spec.cpus.count = 2;
    spec.cpus.max = Some(4);
    spec.memory.max = Some(Size::from_gib(4));
    let image = |name: &str| Some(name.parse().unwrap());
    spec.disks = vec![
        Disk {
            image: image("debian"),
            size: Some(Size::from_gib(20)),
            ..Disk::default()
        },
        Disk {
            image: image("installer"),
            source: ImageSource::Cdrom,
            ..Disk::default()
        },
    ];
    spec.nics = vec![Nic {
        network: Some("default".parse().unwrap()),
        ..Nic::default()
    }];
    spec
}

fn changed(change: impl FnOnce(&mut VmSpec)) -> VmSpec {
    let mut spec = web();
    change(&mut spec);
    spec
}

/// The changes as lines: `field: from -> to (impact)`.
fn told(old: &VmSpec, new: &VmSpec, state: VmState) -> Vec<String> {
    let line = |change: Change| {
        format!(
            "{}: {} -> {} ({:?})",
            change.field, change.from, change.to, change.impact
        )
    };
    plan(old, new, state)
        .changes
        .into_iter()
        .map(line)
        .collect()
}

#[test]
fn what_fits_under_the_maximum_is_done_while_the_vm_runs() {
    let new = changed(|spec| {
        spec.cpus.count = 4;
        spec.memory.size = Size::from_gib(3);
    });
    let expected = [
        "cpus.count: 2 -> 4 (Live)",
        "memory.size: 1 GiB -> 3 GiB (Live)",
    ];
    assert_eq!(told(&web(), &new, VmState::Running), expected);
    let live = [LiveChange::Cpus(4), LiveChange::Memory(Size::from_gib(3))];
    assert_eq!(live_changes(vm(), &web(), &new, VmState::Running), live);
}

#[test]
fn what_exceeds_the_maximum_or_takes_a_cpu_away_waits_for_the_next_boot() {
    let new = changed(|spec| {
        spec.cpus.count = 1;
        spec.memory.size = Size::from_gib(8);
        spec.memory.max = None;
    });
    let expected = [
        "cpus.count: 2 -> 1 (NextBoot)",
        "memory.max: 4 GiB -> 8 GiB (NextBoot)",
        "memory.size: 1 GiB -> 8 GiB (NextBoot)",
    ];
    assert_eq!(told(&web(), &new, VmState::Running), expected);
    assert_eq!(live_changes(vm(), &web(), &new, VmState::Running), []);
}

#[test]
fn a_paused_guest_cannot_take_cpus_but_its_limits_change() {
    let new = changed(|spec| {
        spec.cpus.count = 3;
        spec.limits.cpu_percent = Some(50);
    });
    let expected = [
        "cpus.count: 2 -> 3 (NextBoot)",
        "limits.cpu_percent:  -> 50 (Live)",
    ];
    assert_eq!(told(&web(), &new, VmState::Paused), expected);
    let limits = Limits {
        cpu_percent: Some(50),
        ..Limits::default()
    };
    assert_eq!(
        live_changes(vm(), &web(), &new, VmState::Paused),
        [LiveChange::Limits(limits)]
    );
}

#[test]
fn a_saved_vm_goes_on_with_what_it_had() {
    let new = changed(|spec| spec.limits.cpu_weight = Some(50));
    assert_eq!(
        told(&web(), &new, VmState::Saved),
        ["limits.cpu_weight:  -> 50 (NextBoot)"]
    );
    assert_eq!(live_changes(vm(), &web(), &new, VmState::Saved), []);
}

#[test]
fn limits_of_devices_are_changed_by_the_names_of_the_devices() {
    let new = changed(|spec| {
        spec.disks[0].limits.iops = Some(100);
        spec.nics[0].limits.inbound = Some(Size::from_mib(1));
    });
    let expected = [
        "disks.vda.limits.iops:  -> 100 (Live)",
        "nics.net0.limits.inbound:  -> 1 MiB (Live)",
    ];
    assert_eq!(told(&web(), &new, VmState::Running), expected);
    let [mac] = web().mac_addresses(vm())[..] else {
        panic!("not one interface")
    };
    let live = [
        LiveChange::DiskLimits {
            disk: "vda".parse().unwrap(),
            limits: DiskLimits {
                iops: Some(100),
                ..DiskLimits::default()
            },
        },
        LiveChange::NicLimits {
            mac,
            limits: NicLimits {
                inbound: Some(Size::from_mib(1)),
                ..NicLimits::default()
            },
        },
    ];
    assert_eq!(live_changes(vm(), &web(), &new, VmState::Running), live);
}

#[test]
fn what_only_the_daemon_knows_of_costs_nothing() {
    let new = changed(|spec| {
        spec.description = "The shop.".into();
        spec.tags.insert("prod".parse().unwrap());
        spec.on_crash = OnCrash::Stop;
        spec.autostart = Some(Autostart::default());
    });
    let plan = plan(&web(), &new, VmState::Running);
    assert_eq!(plan.changes.len(), 5, "{plan:?}");
    assert_eq!(plan.impact(), Impact::None);
    assert_eq!(pending(&web(), &new), []);
}

#[test]
fn a_disk_that_goes_is_data_that_goes_even_if_the_vm_is_off() {
    let new = changed(|spec| {
        spec.disks.remove(0);
    });
    assert_eq!(
        told(&web(), &new, VmState::Off),
        ["disks.vda: clone of debian, 20 GiB ->  (Data)"]
    );
    let new = changed(|spec| {
        spec.disks.remove(1);
    });
    assert_eq!(
        told(&web(), &new, VmState::Off),
        ["disks.sda: CD installer ->  (None)"]
    );
    let new = changed(|spec| spec.disks[0].size = Some(Size::from_gib(10)));
    assert_eq!(
        told(&web(), &new, VmState::Off),
        ["disks.vda.size: 20 GiB -> 10 GiB (Data)"]
    );
    let sealed = changed(|spec| spec.tpm = Some(Tpm::default()));
    assert_eq!(
        told(&sealed, &web(), VmState::Off),
        ["tpm.model: crb ->  (Data)"]
    );
}

#[test]
fn names_and_addresses_that_are_written_out_are_no_change() {
    assert_eq!(
        told(&web(), &web().settled(vm()), VmState::Running).len(),
        1
    );
    assert_eq!(
        told(&web().settled(vm()), &web(), VmState::Running),
        [""; 0]
    );
}

#[test]
fn what_was_done_live_is_no_longer_pending() {
    let new = changed(|spec| {
        spec.cpus.count = 3;
        spec.memory.size = Size::from_gib(2);
        spec.firmware = crate::vm::Firmware::Uefi;
    });
    let mut booted = web();
    for change in live_changes(vm(), &web(), &new, VmState::Running) {
        booted = after_live_change(vm(), &booted, &change);
    }
    let fields: Vec<String> = pending(&booted, &new)
        .into_iter()
        .map(|c| c.field)
        .collect();
    assert_eq!(fields, ["firmware"]);
}

#[test]
fn a_change_without_anything_changes_nothing() {
    assert_eq!(apply(&web(), &ChangeVm::default()), Ok(web()));
}

#[test]
fn each_field_of_a_change_is_applied() {
    let limits = Limits {
        cpu_percent: Some(50),
        cpu_weight: None,
    };
    let disk_limits = DiskLimits {
        iops: Some(5),
        bandwidth: None,
    };
    let nic_limits = NicLimits {
        inbound: Some(Size::from_mib(1)),
        outbound: None,
    };
    let change = ChangeVm {
        description: Some("d".into()),
        owner: Some("bo".parse().unwrap()),
        add_tags: ["a".parse().unwrap()].into(),
        remove_tags: ["b".parse().unwrap()].into(),
        cpus: Some(3),
        max_cpus: Some(6),
        memory: Some(Size::from_gib(2)),
        max_memory: Some(Size::from_gib(3)),
        limits: Some(limits.clone()),
        disk_limits: Some(("vda".parse().unwrap(), disk_limits)),
        nic_limits: Some(("net0".parse().unwrap(), nic_limits)),
        autostart: Some(ChangeAutostart::On(Autostart::default())),
        on_crash: Some(OnCrash::Stop),
    };
    let old = changed(|spec| {
        spec.tags.insert("b".parse().unwrap());
    });
    let expected = changed(|spec| {
        spec.description = "d".into();
        spec.owner = Some("bo".parse().unwrap());
        spec.tags.insert("a".parse().unwrap());
        spec.cpus.count = 3;
        spec.cpus.max = Some(6);
        spec.memory.size = Size::from_gib(2);
        spec.memory.max = Some(Size::from_gib(3));
        spec.limits = limits;
        spec.disks[0].limits = disk_limits;
        spec.nics[0].limits = nic_limits;
        spec.autostart = Some(Autostart::default());
        spec.on_crash = OnCrash::Stop;
    });
    assert_eq!(apply(&old, &change), Ok(expected));
}

#[test]
fn every_fault_of_a_change_is_told_at_once() {
    let change = ChangeVm {
        cpus: Some(8),
        memory: Some(Size::from_mib(1)),
        disk_limits: Some(("vdb".parse().unwrap(), DiskLimits::default())),
        add_tags: ["a".parse().unwrap()].into(),
        remove_tags: ["a".parse().unwrap()].into(),
        ..ChangeVm::default()
    };
    let faults = apply(&web(), &change).unwrap_err();
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

fn specs() -> impl Strategy<Value = VmSpec> {
    let sizes = || (1_u32..64).prop_map(Size::from_mib);
    let device_limits = || proptest::option::of(1_u32..9);
    let parts = (
        (1_u32..5, proptest::option::of(1_u32..9)),
        (sizes(), proptest::option::of(sizes())),
        proptest::collection::vec(device_limits(), 0..4),
        proptest::collection::vec(proptest::option::of(sizes()), 0..4),
        proptest::option::of(1_u32..100),
        "[a-z]{0,3}",
    );
    parts.prop_map(|(cpus, memory, disks, nics, percent, description)| {
        let mut spec = VmSpec::new("web".parse().unwrap());
        (spec.cpus.count, spec.cpus.max) = cpus;
        (spec.memory.size, spec.memory.max) = memory;
        let disk = |iops| {
            let limits = DiskLimits {
                iops,
                bandwidth: None,
            };
            Disk {
                size: Some(Size::from_gib(1)),
                limits,
                ..Disk::default()
            }
        };
        spec.disks = disks.into_iter().map(disk).collect();
        let nic = |inbound| Nic {
            limits: NicLimits {
                inbound,
                outbound: None,
            },
            ..Nic::default()
        };
        spec.nics = nics.into_iter().map(nic).collect();
        spec.limits.cpu_percent = percent;
        spec.description = description;
        spec
    })
}

const STATES: [VmState; 9] = [
    VmState::Off,
    VmState::Running,
    VmState::Paused,
    VmState::Sleeping,
    VmState::ShuttingDown,
    VmState::Saved,
    VmState::Crashed,
    VmState::Trashed,
    VmState::Unknown,
];

proptest! {
    #[test]
    fn a_spec_does_not_differ_from_itself(spec in specs(), state in proptest::sample::select(&STATES)) {
        prop_assert_eq!(plan(&spec, &spec, state), Plan::default());
        prop_assert_eq!(live_changes(vm(), &spec, &spec, state), []);
    }

    #[test]
    fn there_is_something_to_do_now_exactly_if_the_plan_says_so(
        old in specs(),
        new in specs(),
        state in proptest::sample::select(&STATES),
    ) {
        let planned = plan(&old, &new, state).changes;
        let planned = planned.iter().any(|change| change.impact == Impact::Live);
        prop_assert_eq!(planned, !live_changes(vm(), &old, &new, state).is_empty());
    }

    #[test]
    fn specs_that_differ_have_a_plan(old in specs(), new in specs()) {
        if plan(&old, &new, VmState::Off) == Plan::default() {
            let effective = |spec: &VmSpec| (spec.cpus.most(), spec.memory.most(), spec.disks.clone());
            prop_assert_eq!(effective(&old), effective(&new));
        }
    }
}
