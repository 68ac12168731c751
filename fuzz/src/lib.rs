// SPDX-License-Identifier: GPL-3.0-or-later
//! The host that the targets imagine: its policy, its VM and its volumes.

use hv_broker::foreign::Volumes;
use hv_guard::HostPolicy;
use hv_model::{
    device::ImageSource,
    domain_xml::RenderHost,
    host::Acceleration,
    hypervisor::{Definition, PlacedDisk},
    id::VmId,
    size::Size,
    storage::{VolumeFormat, VolumeRef},
    vm::{Arch, VmSpec},
};
use uuid::Uuid;

/// Where QEMU is.
pub const EMULATOR: &str = "/usr/bin/qemu-system-x86_64";

const POLICY: &str = r#"
    networks = ["default"]
    bridges = ["br0"]
    features = ["huge-pages", "pinning", "no-spoof-filter"]
    [[pools]]
    name = "disks"
    path = "/pools/disks"
    [[pools]]
    name = "images"
    path = "/pools/images"
    purpose = "images"
"#;

/// A policy that allows much.
pub fn policy() -> HostPolicy {
    HostPolicy::parse(POLICY).expect("the policy is well-formed")
}

/// The id of every VM here.
pub const fn id() -> VmId {
    VmId::new(Uuid::from_u128(0xabc))
}

/// The spec with each of its disks in a volume of its own.
pub fn placed(spec: VmSpec) -> Definition {
    let pool = |number: usize| {
        let disk = spec.disks.get(number);
        let is_cdrom = disk.is_some_and(|disk| disk.source == ImageSource::Cdrom);
        if is_cdrom { "images" } else { "disks" }
    };
    let disks = spec.disk_names().into_iter().enumerate();
    let disks = disks.map(|(number, name)| PlacedDisk {
        volume: VolumeRef {
            pool: pool(number).parse().expect("a pool's name"),
            name: format!("old-{name}").parse().expect("a volume's name"),
        },
        name,
        format: VolumeFormat::Raw,
    });
    Definition {
        id: id(),
        generation: 1,
        disks: disks.collect(),
        spec,
    }
}

/// The host on which a definition is rendered.
pub fn render_host(definition: &Definition, acceleration: Acceleration) -> RenderHost {
    let files = definition.disks.iter();
    RenderHost {
        acceleration,
        arch: Arch::X86_64,
        emulator: EMULATOR.to_owned(),
        disk_paths: files
            .map(|disk| format!("/pools/{}", disk.volume))
            .collect(),
    }
}

/// Volumes that are all there, and all of one size.
pub struct AllThere(pub HostPolicy);

impl Volumes for AllThere {
    fn volume(&self, path: &str, _: VolumeFormat) -> Result<(VolumeRef, Size), String> {
        let elsewhere = || format!("{path} is elsewhere");
        let (pool, name) = self.0.volume_at(path).ok_or_else(elsewhere)?;
        let volume = VolumeRef {
            pool: pool.name.clone(),
            name: name.parse().map_err(|_| elsewhere())?,
        };
        Ok((volume, Size::from_gib(4)))
    }
}
