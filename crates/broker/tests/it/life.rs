// SPDX-License-Identifier: GPL-3.0-or-later
//! A VM's life, from an upload to its end.

use hv_model::{
    device::{DiskLimits, NicLimits, Tpm},
    domain_xml::nvram_path,
    host::Acceleration,
    hypervisor::{
        AgentLink, Fact, GuestRequest, Hypervisor, HypervisorErrorKind, LiveChange, NewVolume,
        Takeover, VolumeContent,
    },
    network::NetworkMode,
    size::Size,
    storage::{PoolPurpose, VolumeFormat},
    vm::{Firmware, Limits, VmState},
};

use crate::{
    host::{TestHost, is_skipped, wait_for},
    virtual_machine::{
        Console, boot, clone_of_demo, definition, id, state_of, upload_demo, volume,
        wait_for_agent, wait_for_state,
    },
};

#[test]
fn a_host_tells_what_it_has_and_what_its_policy_allows() {
    if is_skipped() {
        return;
    }
    let host = TestHost::start();
    let client = &host.client;
    let told = client.host().unwrap();
    assert!(
        told.cpus > 0 && told.memory_available.bytes() > 0,
        "{told:?}"
    );
    if let Acceleration::Tcg { why } = &told.acceleration {
        assert!(!why.is_empty());
    }
    let purposes: Vec<_> = client
        .pools()
        .unwrap()
        .iter()
        .map(|pool| pool.purpose)
        .collect();
    assert_eq!(purposes, [PoolPurpose::Disks, PoolPurpose::Images]);
    let networks = client.networks().unwrap();
    assert!(
        networks[0].allowed && networks[0].mode == NetworkMode::Nat,
        "{networks:?}"
    );
}

#[test]
fn a_running_vm_answers_gives_a_shell_and_is_changed() {
    if is_skipped() {
        return;
    }
    let host = TestHost::start();
    let client = &host.client;
    upload_demo(&host);
    let facts = client.subscribe().unwrap();
    let vm = boot(&host, &facts, 1, "web");
    assert_eq!(state_of(&host, vm), Some(VmState::Running));

    wait_for_agent(&facts, vm);
    let guest = client.guest(vm).unwrap();
    assert_eq!(guest.hostname.as_deref(), Some("demo"));
    assert!(guest.kernel.is_some(), "{guest:?}");
    let details = client.details(&[vm, id(99)]).unwrap();
    assert_eq!(details.len(), 1);
    assert_eq!(details[0].agent, Some(AgentLink::Connected));
    assert_eq!(details[0].memory, Size::from_mib(256));
    assert_eq!(
        details[0].definition.as_deref(),
        Some(&definition(1, "web"))
    );
    assert_eq!(details[0].foreign, None);

    let mut console = Console::new(client.console(vm, Takeover::Refuse).unwrap());
    console.ask("echo $((6 * 7))-answers", "42-answers");
    let refused = client.console(vm, Takeover::Refuse).unwrap_err();
    assert!(
        matches!(
            refused.kind,
            HypervisorErrorKind::WrongState | HypervisorErrorKind::Busy
        ),
        "{refused:?}"
    );
    let mut second = Console::new(client.console(vm, Takeover::Force).unwrap());
    console.wait_until_closed();
    second.ask("echo $((7 * 8))-answers", "56-answers");
    drop(second);

    let stats = client.stats().unwrap();
    assert_eq!(stats[0].id, Some(vm));
    assert!(
        stats[0].cpu_time_ns > 0 && stats[0].disk_read_bytes > 0,
        "{stats:?}"
    );

    client
        .change_live(vm, &LiveChange::Memory(Size::from_mib(200)))
        .unwrap();
    let limits = Limits {
        cpu_percent: Some(80),
        cpu_weight: None,
    };
    client.change_live(vm, &LiveChange::Limits(limits)).unwrap();
    let limits = DiskLimits {
        bandwidth: Some(Size::from_mib(100)),
        iops: None,
    };
    let disk = "vda".parse().unwrap();
    client
        .change_live(vm, &LiveChange::DiskLimits { disk, limits })
        .unwrap();
    let limits = NicLimits {
        inbound: Some(Size::from_mib(1)),
        outbound: None,
    };
    let mac = definition(1, "web").spec.mac_addresses(vm)[0];
    // Some kernels lack what shapes traffic.
    if let Err(error) = client.change_live(vm, &LiveChange::NicLimits { mac, limits }) {
        assert_eq!(error.kind, HypervisorErrorKind::Unsupported, "{error}");
    }
    let refused = client.change_live(vm, &LiveChange::Cpus(64)).unwrap_err();
    assert_eq!(refused.kind, HypervisorErrorKind::Refused);
}

#[test]
fn a_vm_is_paused_saved_restored_and_shut_down_in_both_ways() {
    if is_skipped() {
        return;
    }
    let host = TestHost::start();
    let client = &host.client;
    upload_demo(&host);
    let facts = client.subscribe().unwrap();
    let vm = boot(&host, &facts, 1, "web");
    client.pause(vm).unwrap();
    assert_eq!(wait_for_state(&facts, vm, VmState::Paused), "user");
    client.resume(vm).unwrap();
    wait_for_state(&facts, vm, VmState::Running);

    client.save(vm).unwrap();
    wait_for_state(&facts, vm, VmState::Saved);
    assert_eq!(state_of(&host, vm), Some(VmState::Saved));
    client.start(vm).unwrap();
    assert_eq!(wait_for_state(&facts, vm, VmState::Running), "restored");
    client.save(vm).unwrap();
    wait_for_state(&facts, vm, VmState::Saved);
    client.discard_saved(vm).unwrap();
    client.discard_saved(vm).unwrap();
    assert_eq!(state_of(&host, vm), Some(VmState::Off));

    client.start(vm).unwrap();
    wait_for_agent(&facts, vm);
    let again = client.start(vm).unwrap_err();
    assert_eq!(again.kind, HypervisorErrorKind::WrongState);
    client.shut_down(vm, GuestRequest::Agent).unwrap();
    assert_eq!(wait_for_state(&facts, vm, VmState::Off), "shutdown");
    client.start(vm).unwrap();
    // A guest hears its power button once it has booted.
    let mut console = Console::new(client.console(vm, Takeover::Force).unwrap());
    console.ask("echo $((6 * 7))-answers", "42-answers");
    client.shut_down(vm, GuestRequest::Acpi).unwrap();
    wait_for_state(&facts, vm, VmState::Off);
}

#[test]
fn a_vm_is_renamed_redefined_and_forgotten() {
    if is_skipped() {
        return;
    }
    let host = TestHost::start();
    let client = &host.client;
    upload_demo(&host);
    let facts = client.subscribe().unwrap();
    let vm = definition(1, "web").id;
    client.create_volume(&clone_of_demo("web")).unwrap();
    client.define(&definition(1, "web")).unwrap();
    assert_eq!(state_of(&host, vm), Some(VmState::Off));

    client.rename(vm, &"shop".parse().unwrap()).unwrap();
    client.rename(vm, &"shop".parse().unwrap()).unwrap();
    wait_for(&facts, "it has its new name", |fact| {
        (*fact
            == Fact::Defined {
                id: vm,
                name: "shop".into(),
            })
        .then_some(())
    });
    let details = client.details(&[vm]).unwrap();
    let carried = details[0].definition.clone().unwrap();
    assert_eq!(
        (details[0].name.as_str(), carried.spec.name.as_str()),
        ("shop", "shop")
    );
    let changed = hv_model::hypervisor::Definition {
        generation: 2,
        ..*carried
    };
    client.define(&changed).unwrap();

    client.undefine(vm).unwrap();
    client.undefine(vm).unwrap();
    wait_for(&facts, "it is gone", |fact| {
        (*fact == Fact::Undefined { id: vm }).then_some(())
    });
    assert_eq!(state_of(&host, vm), None);
    let disk = volume("disks", "web-vda.qcow2");
    client.delete_volume(&disk).unwrap();
    client.delete_volume(&disk).unwrap();
    assert!(
        client
            .volumes(&"disks".parse().unwrap())
            .unwrap()
            .is_empty()
    );
}

#[test]
fn volumes_are_made_copied_grown_and_never_shrunk() {
    if is_skipped() {
        return;
    }
    let host = TestHost::start();
    let client = &host.client;
    upload_demo(&host);
    let blank = NewVolume {
        volume: volume("disks", "blank.raw"),
        capacity: Size::from_mib(64),
        format: VolumeFormat::Raw,
        content: VolumeContent::Blank,
    };
    client.create_volume(&blank).unwrap();
    let twice = client.create_volume(&blank).unwrap_err();
    assert_eq!(twice.kind, HypervisorErrorKind::AlreadyExists);
    client
        .resize_volume(&blank.volume, Size::from_mib(128))
        .unwrap();
    client
        .resize_volume(&blank.volume, Size::from_mib(128))
        .unwrap();
    let shrunk = client
        .resize_volume(&blank.volume, Size::from_mib(64))
        .unwrap_err();
    assert_eq!(shrunk.kind, HypervisorErrorKind::Invalid);

    let clone = clone_of_demo("clone");
    client.create_volume(&clone).unwrap();
    let source = match &clone.content {
        VolumeContent::CloneOf { volume, format } => (volume.clone(), *format),
        _ => unreachable!(),
    };
    for (name, format) in [
        ("copy.qcow2", VolumeFormat::Qcow2),
        ("copy.raw", VolumeFormat::Raw),
    ] {
        let copy = NewVolume {
            volume: volume("disks", name),
            format,
            content: VolumeContent::CopyOf {
                volume: source.0.clone(),
                format: source.1,
            },
            ..clone.clone()
        };
        client.create_volume(&copy).unwrap();
    }
    let volumes = client.volumes(&"disks".parse().unwrap()).unwrap();
    let mut sizes: Vec<_> = volumes
        .iter()
        .map(|volume| (volume.volume.name.as_str(), volume.capacity))
        .collect();
    sizes.sort_unstable();
    assert_eq!(
        sizes,
        [
            ("blank.raw", Size::from_mib(128)),
            ("clone-vda.qcow2", Size::from_mib(512)),
            ("copy.qcow2", Size::from_mib(512)),
            ("copy.raw", Size::from_mib(512)),
        ]
    );
    let small = NewVolume {
        volume: volume("disks", "small.qcow2"),
        capacity: Size::from_mib(1),
        ..clone
    };
    assert_eq!(
        client.create_volume(&small).unwrap_err().kind,
        HypervisorErrorKind::Invalid
    );
}

#[test]
fn firmware_variables_and_a_tpm_survive_until_they_are_erased() {
    if is_skipped() {
        return;
    }
    let host = TestHost::start();
    let client = &host.client;
    let facts = client.subscribe().unwrap();
    let mut secure = definition(1, "secure");
    secure.spec.disks.clear();
    secure.disks.clear();
    secure.spec.firmware = Firmware::SecureBoot;
    secure.spec.tpm = Some(Tpm::default());
    let vm = secure.id;
    client.define(&secure).unwrap();
    client.start(vm).unwrap();
    wait_for_state(&facts, vm, VmState::Running);
    client.force_off(vm).unwrap();
    wait_for_state(&facts, vm, VmState::Off);
    let early = client.erase(&secure).unwrap_err();
    assert_eq!(early.kind, HypervisorErrorKind::WrongState);

    client.undefine(vm).unwrap();
    wait_for(&facts, "it is gone", |fact| {
        (*fact == Fact::Undefined { id: vm }).then_some(())
    });
    let variables = nvram_path(vm);
    let tpm = format!("/var/lib/libvirt/swtpm/{vm}");
    host.exec(&["test", "-s", &variables]);
    host.exec(&["test", "-d", &tpm]);
    client.erase(&secure).unwrap();
    client.erase(&secure).unwrap();
    host.exec(&["test", "!", "-e", &variables]);
    host.exec(&["test", "!", "-e", &tpm]);
    assert_eq!(
        facts.recv().unwrap(),
        Fact::Alive,
        "its moment is not told of"
    );
}
