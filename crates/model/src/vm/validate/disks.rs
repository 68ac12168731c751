// SPDX-License-Identifier: GPL-3.0-or-later
//! Rules for disks.

use super::findings::Findings;
use crate::{
    device::{Disk, ImageSource},
    size::Size,
    vm::{
        VmSpec,
        default_names::{disk_number, disk_prefix},
    },
};

const LEAST: Size = Size::from_mib(1);
const MOST: Size = Size::from_gib(64 * 1024);
/// What every disk counts in.
const SECTOR: u64 = 512;
/// How many disks a VM may have.
const MAX_DISKS: usize = 64;
/// The slowest and the fastest that a disk may be limited to, in bytes a second.
const BANDWIDTH: (Size, Size) = (Size::from_bytes(4 << 10), Size::from_gib(1024));

pub(super) fn check(spec: &VmSpec, findings: &mut Findings) {
    if !findings.at_most("disks", spec.disks.len(), MAX_DISKS) {
        return;
    }
    for (index, disk) in spec.disks.iter().enumerate() {
        let path = |field: &str| format!("disks[{index}].{field}");
        name(spec, disk, path("name"), findings);
        content(disk, &path, findings);
        if let Some(place) = disk.boot_order {
            findings.within(path("boot_order"), place, 1..=999);
        }
        if let Some(bandwidth) = disk.limits.bandwidth {
            findings.within(
                path("limits.bandwidth"),
                bandwidth,
                BANDWIDTH.0..=BANDWIDTH.1,
            );
        }
        if let Some(iops) = disk.limits.iops {
            findings.within(path("limits.iops"), iops, 1..=1_000_000_000);
        }
    }
    let names = spec.disk_names().into_iter().enumerate();
    findings.unique(
        "name",
        names.map(|(index, name)| (format!("disks[{index}].name"), name)),
    );
    let places = spec.disks.iter().enumerate().filter_map(|(index, disk)| {
        disk.boot_order
            .map(|place| (format!("disks[{index}].boot_order"), place))
    });
    findings.unique("place", places);
}

/// libvirt takes a disk's name as its place on its bus, so a name can't be just any word.
fn name(spec: &VmSpec, disk: &Disk, path: String, findings: &mut Findings) {
    let Some(name) = &disk.name else { return };
    let prefix = disk_prefix(spec.bus_of(disk));
    if !name.as_str().starts_with(prefix) || disk_number(name.as_str()).is_none() {
        let what = "is not a name for a disk on this bus";
        findings.add(
            path,
            name.as_str(),
            what,
            format!("{prefix}a to {prefix}z, {prefix}aa to {prefix}zz"),
        );
    }
}

fn content(disk: &Disk, path: &dyn Fn(&str) -> String, findings: &mut Findings) {
    match (&disk.image, disk.source, disk.size) {
        (None, ImageSource::Cdrom, _) => {
            findings.missing(path("image"), "the name of an image, since a CD needs one");
        }
        (None, ImageSource::Copy, None) => {
            findings.missing(path("image"), "the name of the image to copy");
        }
        (None, ImageSource::Clone, None) => {
            findings.missing(path("size"), "a size, or an image to take it from");
        }
        (Some(_), ImageSource::Cdrom, Some(size)) => {
            let what = "is given for a CD, which is as large as its image";
            findings.add_plain(path("size"), size, what, "no size");
        }
        (None, ImageSource::Copy, Some(_)) => {
            findings.add_plain(
                path("as"),
                "copy",
                "needs an image to copy",
                "an image, or no as",
            );
        }
        _ => {}
    }
    let Some(size) = disk.size else { return };
    findings.within(path("size"), size, LEAST..=MOST);
    if !size.bytes().is_multiple_of(SECTOR) {
        let what = "is not a whole number of sectors";
        findings.add_plain(path("size"), size, what, "a multiple of 512 B");
    }
}
