// SPDX-License-Identifier: GPL-3.0-or-later
//! Definitions, volumes and consoles for the tests.

use std::{
    fs::File,
    io::{Read, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::Path,
    sync::mpsc::Receiver,
    time::{Duration, Instant},
};

use hv_model::{
    device::{Disk, Nic},
    hypervisor::{Definition, Fact, Hypervisor, NewVolume, PlacedDisk, Result, VolumeContent},
    id::VmId,
    image::ImageFacts,
    size::Size,
    storage::{VolumeFormat, VolumeRef},
    vm::{VmSpec, VmState},
};
use uuid::Uuid;

use crate::host::{TestHost, demo_image, wait_for};

/// The id that ends in this number.
pub(crate) fn id(number: u128) -> VmId {
    VmId::new(Uuid::from_u128(
        0x0190_0000_0000_7000_8000_0000_0000_0000 + number,
    ))
}

pub(crate) fn volume(pool: &str, name: &str) -> VolumeRef {
    VolumeRef {
        pool: pool.parse().unwrap(),
        name: name.parse().unwrap(),
    }
}

/// A small VM with one disk, on a network.
pub(crate) fn definition(number: u128, name: &str) -> Definition {
    let mut spec = VmSpec::new(name.parse().unwrap());
    spec.memory.size = Size::from_mib(256);
    spec.disks = vec![Disk {
        size: Some(Size::from_mib(512)),
        ..Disk::default()
    }];
    spec.nics = vec![Nic {
        network: Some("default".parse().unwrap()),
        ..Nic::default()
    }];
    let disk = PlacedDisk {
        name: "vda".parse().unwrap(),
        volume: volume("disks", &format!("{name}-vda.qcow2")),
        format: VolumeFormat::Qcow2,
    };
    Definition {
        id: id(number),
        generation: 1,
        spec,
        disks: vec![disk],
    }
}

/// A new disk for it that stands on the demo image.
pub(crate) fn clone_of_demo(name: &str) -> NewVolume {
    NewVolume {
        volume: volume("disks", &format!("{name}-vda.qcow2")),
        capacity: Size::from_mib(512),
        format: VolumeFormat::Qcow2,
        content: VolumeContent::CloneOf {
            volume: volume("images", "demo.qcow2"),
            format: VolumeFormat::Qcow2,
        },
    }
}

pub(crate) fn upload(
    host: &TestHost,
    path: &Path,
    name: &str,
    format: VolumeFormat,
) -> Result<ImageFacts> {
    let file = File::open(path).unwrap();
    let length = file.metadata().unwrap().len();
    host.client
        .upload_image(&volume("images", name), format, length, file.into())
}

pub(crate) fn upload_demo(host: &TestHost) {
    let facts = upload(host, &demo_image(), "demo.qcow2", VolumeFormat::Qcow2).unwrap();
    assert_eq!(facts.virtual_size, Size::from_mib(256));
}

/// Makes a VM with a disk of its own, and starts it.
pub(crate) fn boot(host: &TestHost, facts: &Receiver<Fact>, number: u128, name: &str) -> VmId {
    host.client.create_volume(&clone_of_demo(name)).unwrap();
    let definition = definition(number, name);
    host.client.define(&definition).unwrap();
    host.client.start(definition.id).unwrap();
    wait_for_state(facts, definition.id, VmState::Running);
    definition.id
}

pub(crate) fn wait_for_state(facts: &Receiver<Fact>, vm: VmId, state: VmState) -> String {
    wait_for(facts, &format!("{vm} is {state:?}"), |fact| match fact {
        Fact::State(told) if told.id == vm && told.state == state => Some(told.reason.clone()),
        _ => None,
    })
}

pub(crate) fn wait_for_agent(facts: &Receiver<Fact>, vm: VmId) {
    wait_for(facts, "the agent is there", |fact| {
        let link = hv_model::hypervisor::AgentLink::Connected;
        (*fact == Fact::Agent { id: vm, link }).then_some(())
    });
}

pub(crate) fn state_of(host: &TestHost, vm: VmId) -> Option<VmState> {
    let vms = host.client.vms().unwrap();
    vms.iter().find(|told| told.id == vm).map(|told| told.state)
}

/// A console under a test's fingers.
pub(crate) struct Console(UnixStream);

impl Console {
    pub(crate) fn new(descriptor: OwnedFd) -> Self {
        let stream = UnixStream::from(descriptor);
        stream
            .set_read_timeout(Some(Duration::from_millis(500)))
            .unwrap();
        Self(stream)
    }

    /// Types a line until the guest says the words; a guest that boots does not listen at once.
    pub(crate) fn ask(&mut self, line: &str, words: &str) -> String {
        let begun = Instant::now();
        let mut said = String::new();
        while begun.elapsed() < Duration::from_secs(60) {
            self.0.write_all(format!("{line}\n").as_bytes()).unwrap();
            let mut buffer = [0; 4096];
            while let Ok(count) = self.0.read(&mut buffer) {
                assert!(count > 0, "the console closed: {said}");
                said += &String::from_utf8_lossy(&buffer[..count]);
                if said.contains(words) {
                    return said;
                }
            }
        }
        panic!("the console never said {words:?}: {said}");
    }

    /// Whether the other side has closed it.
    pub(crate) fn wait_until_closed(mut self) {
        let begun = Instant::now();
        let mut buffer = [0; 4096];
        while begun.elapsed() < Duration::from_secs(60) {
            if self.0.read(&mut buffer).is_ok_and(|count| count == 0) {
                return;
            }
        }
        panic!("the console stays open");
    }
}
