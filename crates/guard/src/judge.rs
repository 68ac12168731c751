// SPDX-License-Identifier: GPL-3.0-or-later
//! The first look: is what is wanted allowed on this host at all?

use hv_model::{
    device::{Attachment, Disk, ImageSource, Nic, PassthroughDevice, SpoofFilter},
    hypervisor::{Definition, NewVolume, PlacedDisk, VolumeContent},
    name::PoolName,
    size::Size,
    storage::{PoolPurpose, VolumeFormat, VolumeRef},
};

use crate::{
    policy::{Feature, HostPolicy, PoolRule},
    refusal::{Gathered, Refusals, names},
};

/// Whether this VM may be defined. Tells everything that stands in the way, not just the first.
pub fn judge(policy: &HostPolicy, definition: &Definition) -> Result<(), Refusals> {
    let mut found = Gathered::default();
    let spec = &definition.spec;
    judge_size(policy, definition, &mut found);
    judge_features(policy, definition, &mut found);
    if spec.disks.len() != definition.disks.len() {
        let (wanted, placed) = (spec.disks.len(), definition.disks.len());
        found.refuse(
            "disks",
            format!("the spec has {wanted}, of which {placed} have a volume"),
        );
    }
    for (index, (disk, placed)) in spec.disks.iter().zip(&definition.disks).enumerate() {
        if definition
            .disks
            .iter()
            .take(index)
            .any(|other| other.name == placed.name)
        {
            found.refuse(
                format!("disks.{}", placed.name),
                "there are two of this name",
            );
        }
        if definition
            .disks
            .iter()
            .take(index)
            .any(|other| other.volume == placed.volume)
        {
            let why = format!(
                "volume {} is another disk of this VM already",
                placed.volume
            );
            found.refuse(format!("disks.{}", placed.name), why);
        }
        judge_disk(policy, disk, placed, &mut found);
    }
    for (index, nic) in spec.nics.iter().enumerate() {
        judge_nic(policy, index, nic, &mut found);
    }
    for (index, device) in spec.passthrough.iter().enumerate() {
        judge_device(policy, index, device, &mut found);
    }
    found.verdict()
}

/// Whether this volume may be made.
pub fn judge_volume(policy: &HostPolicy, wanted: &NewVolume) -> Result<(), Refusals> {
    let mut found = Gathered::default();
    expect_pool(
        policy,
        "volume",
        &wanted.volume.pool,
        PoolPurpose::Disks,
        &mut found,
    );
    judge_disk_size(policy, "capacity", wanted.capacity, &mut found);
    match &wanted.content {
        VolumeContent::Blank => {}
        VolumeContent::CloneOf { volume, .. } => {
            expect_pool(
                policy,
                "clone of",
                &volume.pool,
                PoolPurpose::Images,
                &mut found,
            );
            if wanted.format != VolumeFormat::Qcow2 {
                let format = wanted.format.as_str();
                found.refuse(
                    "format",
                    format!("a clone can't be {format}; allowed is qcow2"),
                );
            }
        }
        VolumeContent::CopyOf { volume, .. } => {
            expect_pool(
                policy,
                "copy of",
                &volume.pool,
                PoolPurpose::Images,
                &mut found,
            );
        }
    }
    found.verdict()
}

/// Whether this volume may get this capacity.
pub fn judge_resize(
    policy: &HostPolicy,
    volume: &VolumeRef,
    capacity: Size,
) -> Result<(), Refusals> {
    let mut found = Gathered::default();
    expect_pool(
        policy,
        "volume",
        &volume.pool,
        PoolPurpose::Disks,
        &mut found,
    );
    judge_disk_size(policy, "capacity", capacity, &mut found);
    found.verdict()
}

/// Whether an image of this many bytes may be uploaded to here.
pub fn judge_upload(policy: &HostPolicy, volume: &VolumeRef, length: u64) -> Result<(), Refusals> {
    let mut found = Gathered::default();
    expect_pool(
        policy,
        "volume",
        &volume.pool,
        PoolPurpose::Images,
        &mut found,
    );
    judge_disk_size(policy, "length", Size::from_bytes(length), &mut found);
    found.verdict()
}

/// The rule of a pool, which must be one of the policy's.
pub fn pool_of<'a>(policy: &'a HostPolicy, pool: &PoolName) -> Result<&'a PoolRule, Refusals> {
    policy.pool(pool).ok_or_else(|| {
        let allowed = names(policy.pools.iter().map(|rule| &rule.name));
        Refusals::one("pool", format!("{pool}; allowed pools: {allowed}"))
    })
}

fn judge_size(policy: &HostPolicy, definition: &Definition, found: &mut Gathered) {
    let (cpus, memory) = (&definition.spec.cpus, &definition.spec.memory);
    if let Some(most) = policy.limits.vcpus {
        let wanted = cpus.count.max(cpus.max.unwrap_or(0));
        if wanted > most {
            found.refuse("cpus", format!("{wanted} CPUs; allowed are {most}"));
        }
    }
    if let Some(most) = policy.limits.memory {
        let nodes = memory.numa.iter().map(|node| node.memory.bytes());
        let nodes = Size::from_bytes(nodes.fold(0, u64::saturating_add));
        let wanted = memory.size.max(memory.max.unwrap_or_default()).max(nodes);
        if wanted > most {
            found.refuse("memory", format!("{wanted}; allowed are {most}"));
        }
    }
}

fn judge_features(policy: &HostPolicy, definition: &Definition, found: &mut Gathered) {
    let spec = &definition.spec;
    let pins = !spec.cpus.pinning.is_empty()
        || spec
            .memory
            .numa
            .iter()
            .any(|node| node.host_nodes.is_some());
    for (used, what, feature) in [
        (
            spec.memory.huge_pages.is_some(),
            "memory.huge_pages",
            Feature::HugePages,
        ),
        (pins, "cpus.pinning", Feature::Pinning),
        (
            !spec.shared_memory.is_empty(),
            "shared_memory",
            Feature::SharedMemory,
        ),
        (
            spec.confidential.is_some(),
            "confidential",
            Feature::Confidential,
        ),
    ] {
        if used {
            expect_feature(policy, what, feature, found);
        }
    }
}

fn expect_feature(policy: &HostPolicy, what: &str, feature: Feature, found: &mut Gathered) {
    if !policy.features.contains(&feature) {
        let allowed = names(policy.features.iter().map(|feature| feature.as_str()));
        let feature = feature.as_str();
        found.refuse(
            what,
            format!("this needs feature {feature}; allowed features: {allowed}"),
        );
    }
}

fn judge_disk(policy: &HostPolicy, disk: &Disk, placed: &PlacedDisk, found: &mut Gathered) {
    let what = format!("disks.{}", placed.name);
    if disk.name.as_ref().is_some_and(|name| *name != placed.name) {
        found.refuse(
            &what,
            "its volume is given under another name than the spec's",
        );
    }
    // What the guest may write never lies where others' disks are cloned from.
    let purpose = match disk.source {
        ImageSource::Clone | ImageSource::Copy => PoolPurpose::Disks,
        ImageSource::Cdrom => PoolPurpose::Images,
    };
    expect_pool(policy, &what, &placed.volume.pool, purpose, found);
    if let Some(size) = disk.size {
        judge_disk_size(policy, &what, size, found);
    }
}

fn judge_disk_size(policy: &HostPolicy, what: &str, size: Size, found: &mut Gathered) {
    if let Some(most) = policy.limits.disk.filter(|most| size > *most) {
        found.refuse(what, format!("{size}; allowed are {most}"));
    }
}

fn expect_pool(
    policy: &HostPolicy,
    what: &str,
    pool: &PoolName,
    purpose: PoolPurpose,
    found: &mut Gathered,
) {
    if policy.pool(pool).is_none_or(|rule| rule.purpose != purpose) {
        let allowed = names(policy.pools_for(purpose).map(|rule| &rule.name));
        let purpose = match purpose {
            PoolPurpose::Disks => "disks",
            PoolPurpose::Images => "images",
        };
        found.refuse(
            what,
            format!("pool {pool}; allowed pools for {purpose}: {allowed}"),
        );
    }
}

fn judge_nic(policy: &HostPolicy, index: usize, nic: &Nic, found: &mut Gathered) {
    let what = match &nic.name {
        Some(name) => format!("nics.{name}"),
        None => format!("nics[{index}]"),
    };
    match nic.attachment() {
        Some(Attachment::Network(name)) if !policy.networks.contains(name) => {
            let allowed = names(&policy.networks);
            found.refuse(
                &what,
                format!("network {name}; allowed networks: {allowed}"),
            );
        }
        Some(Attachment::Bridge(name)) if !policy.bridges.contains(name) => {
            let allowed = names(&policy.bridges);
            found.refuse(&what, format!("bridge {name}; allowed bridges: {allowed}"));
        }
        Some(_) => {}
        None => found.refuse(&what, "it names neither or both of network and bridge"),
    }
    if nic.spoof_filter == SpoofFilter::Off {
        expect_feature(policy, &what, Feature::NoSpoofFilter, found);
    }
}

fn judge_device(
    policy: &HostPolicy,
    index: usize,
    device: &PassthroughDevice,
    found: &mut Gathered,
) {
    let what = format!("passthrough[{index}]");
    match (device.pci, device.usb) {
        (Some(address), None) if !policy.devices.pci.contains(&address) => {
            let allowed = names(
                policy
                    .devices
                    .pci
                    .iter()
                    .map(|&address| String::from(address)),
            );
            let address = String::from(address);
            found.refuse(
                &what,
                format!("PCI device {address}; allowed PCI devices: {allowed}"),
            );
        }
        (None, Some(id)) if !policy.devices.usb.contains(&id) => {
            let allowed = names(policy.devices.usb.iter().map(|&id| String::from(id)));
            let id = String::from(id);
            found.refuse(
                &what,
                format!("USB device {id}; allowed USB devices: {allowed}"),
            );
        }
        (Some(_), None) | (None, Some(_)) => {}
        _ => found.refuse(&what, "it names neither or both of pci and usb"),
    }
}

#[cfg(test)]
mod tests {
    use hv_model::{
        device::PassthroughDevice,
        id::VmId,
        vm::{Confidential, VmSpec},
    };
    use uuid::Uuid;

    use super::*;

    const POLICY: &str = r#"
        networks = ["default", "lab"]
        [[pools]]
        name = "disks"
        path = "/pools/disks"
        purpose = "disks"
        [[pools]]
        name = "images"
        path = "/pools/images"
        purpose = "images"
        [limits]
        vcpus = 4
        memory = "4 GiB"
        disk = "100 GiB"
        [devices]
        usb = ["046d:c52b"]
    "#;

    fn policy() -> HostPolicy {
        HostPolicy::parse(POLICY).unwrap()
    }

    fn volume(pool: &str, name: &str) -> VolumeRef {
        VolumeRef {
            pool: pool.parse().unwrap(),
            name: name.parse().unwrap(),
        }
    }

    fn placed(name: &str, volume: VolumeRef) -> PlacedDisk {
        PlacedDisk {
            name: name.parse().unwrap(),
            volume,
            format: VolumeFormat::Qcow2,
        }
    }

    /// A VM within the policy.
    fn modest() -> Definition {
        let mut spec = VmSpec::new("web".parse().unwrap());
        spec.disks = vec![
            Disk::default(),
            Disk {
                source: ImageSource::Cdrom,
                ..Disk::default()
            },
        ];
        spec.nics = vec![Nic {
            network: Some("default".parse().unwrap()),
            ..Nic::default()
        }];
        Definition {
            id: VmId::new(Uuid::from_u128(1)),
            generation: 1,
            spec,
            disks: vec![
                placed("vda", volume("disks", "web-vda.qcow2")),
                placed("sda", volume("images", "tools.iso")),
            ],
        }
    }

    fn refusals(definition: &Definition) -> Vec<String> {
        let refused = judge(&policy(), definition).unwrap_err();
        refused.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_modest_vm_is_allowed_and_an_empty_policy_allows_no_disk_and_no_network() {
        judge(&policy(), &modest()).unwrap();
        let refused = judge(&HostPolicy::default(), &modest()).unwrap_err();
        assert_eq!(refused.iter().count(), 3, "{refused}");
    }

    #[test]
    fn every_reason_is_told_at_once_with_its_value_and_what_is_allowed() {
        let mut greedy = modest();
        greedy.spec.cpus.max = Some(64);
        greedy.spec.memory.size = Size::from_gib(8);
        greedy.spec.memory.huge_pages = Some(Size::from_mib(2));
        greedy.spec.confidential = Some(Confidential::Sev);
        greedy.spec.disks[0].size = Some(Size::from_gib(200));
        greedy.disks[0].volume = volume("root", "shadow");
        greedy.spec.nics[0].network = Some("management".parse().unwrap());
        greedy.spec.nics[0].spoof_filter = SpoofFilter::Off;
        greedy.spec.nics.push(Nic {
            bridge: Some("br0".parse().unwrap()),
            ..Nic::default()
        });
        greedy.spec.nics.push(Nic::default());
        let pci = "0000:00:1f.2".to_owned().try_into().ok();
        greedy.spec.passthrough = vec![
            PassthroughDevice { pci, usb: None },
            PassthroughDevice {
                pci: None,
                usb: "1234:5678".to_owned().try_into().ok(),
            },
            PassthroughDevice {
                pci: None,
                usb: "046d:c52b".to_owned().try_into().ok(),
            },
            PassthroughDevice::default(),
        ];
        insta::assert_snapshot!(refusals(&greedy).join("\n"));
    }

    #[test]
    fn a_disk_that_the_guest_writes_never_lies_among_the_images() {
        let mut vm = modest();
        vm.disks[0].volume = volume("images", "debian.qcow2");
        assert_eq!(
            refusals(&vm),
            ["disks.vda: pool images; allowed pools for disks: disks"]
        );
    }

    #[test]
    fn disks_and_their_volumes_must_match_one_to_one() {
        let mut vm = modest();
        vm.disks.pop();
        assert_eq!(
            refusals(&vm),
            ["disks: the spec has 2, of which 1 have a volume"]
        );
        let mut vm = modest();
        vm.spec.disks[0].name = Some("vdb".parse().unwrap());
        assert_eq!(refusals(&vm).len(), 1);
        let mut vm = modest();
        vm.spec.disks.push(Disk::default());
        vm.disks.push(vm.disks[0].clone());
        assert_eq!(refusals(&vm).len(), 2);
    }

    #[test]
    fn numa_nodes_cannot_hold_more_memory_than_allowed() {
        let mut vm = modest();
        vm.spec.memory.numa = vec![
            hv_model::vm::NumaNode {
                cpus: "0".to_owned().try_into().unwrap(),
                memory: Size::from_bytes(u64::MAX),
                host_nodes: None,
            };
            2
        ];
        assert_eq!(refusals(&vm).len(), 1);
    }

    #[test]
    fn volumes_come_from_images_and_go_to_disks() {
        let image = VolumeContent::CloneOf {
            volume: volume("images", "debian.qcow2"),
            format: VolumeFormat::Qcow2,
        };
        let wanted = NewVolume {
            volume: volume("disks", "web-vda.qcow2"),
            capacity: Size::from_gib(20),
            format: VolumeFormat::Qcow2,
            content: image.clone(),
        };
        judge_volume(&policy(), &wanted).unwrap();
        let disk = VolumeContent::CloneOf {
            volume: volume("disks", "other-vda.qcow2"),
            format: VolumeFormat::Qcow2,
        };
        let huge = Size::from_gib(101);
        for bad in [
            NewVolume {
                volume: volume("images", "x"),
                ..wanted.clone()
            },
            NewVolume {
                volume: volume("etc", "shadow"),
                ..wanted.clone()
            },
            NewVolume {
                capacity: huge,
                ..wanted.clone()
            },
            NewVolume {
                format: VolumeFormat::Raw,
                ..wanted.clone()
            },
            NewVolume {
                content: disk,
                ..wanted.clone()
            },
        ] {
            assert!(judge_volume(&policy(), &bad).is_err(), "{bad:?}");
        }
        assert!(judge_resize(&policy(), &wanted.volume, huge).is_err());
        assert!(judge_upload(&policy(), &wanted.volume, 1).is_err());
        judge_upload(&policy(), &volume("images", "x"), 1).unwrap();
        assert!(pool_of(&policy(), &"etc".parse().unwrap()).is_err());
    }
}
