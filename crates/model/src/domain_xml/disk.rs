// SPDX-License-Identifier: GPL-3.0-or-later
//! Disks, CDs and the controllers that they hang on.

use super::{Context, element::Element};
use crate::{
    device::{Discard, Disk, DiskBus, DiskCache, DiskLimits, GraphicsKind, ImageSource},
    hypervisor::PlacedDisk,
    vm::{VmSpec, default_names::disk_number},
};

/// Every disk, in the order of the spec.
pub(super) fn render(context: Context<'_>) -> impl Iterator<Item = Element> {
    let disks = context.spec.disks.iter().zip(&context.definition.disks);
    let places = context.spec.boot_order();
    disks
        .zip(&context.host.disk_paths)
        .zip(places)
        .map(move |(((disk, placed), path), place)| one(context.spec, disk, placed, path, place))
}

fn one(
    spec: &VmSpec,
    disk: &Disk,
    placed: &PlacedDisk,
    path: &str,
    boot_place: Option<u32>,
) -> Element {
    let bus = spec.bus_of(disk);
    let is_cd = disk.source == ImageSource::Cdrom;
    let target = Element::new("target")
        .with("dev", &placed.name)
        .with("bus", bus_name(bus));
    Element::new("disk")
        .with("type", "file")
        .with("device", if is_cd { "cdrom" } else { "disk" })
        .containing([
            driver(disk, placed),
            Element::new("source").with("file", path),
            target,
        ])
        .containing(limits(disk.limits))
        .containing(is_cd.then(|| Element::new("readonly")))
        .containing(boot_place.map(|place| Element::new("boot").with("order", place)))
        .containing(address(bus, placed))
}

const fn bus_name(bus: DiskBus) -> &'static str {
    match bus {
        DiskBus::Virtio => "virtio",
        DiskBus::Scsi => "scsi",
        DiskBus::Sata => "sata",
        DiskBus::Usb => "usb",
    }
}

/// The format is always said, so that nothing which a guest writes into a raw disk can make it
/// something else.
fn driver(disk: &Disk, placed: &PlacedDisk) -> Element {
    let driver = Element::new("driver")
        .with("name", "qemu")
        .with("type", placed.format.as_str());
    let driver = match disk.cache {
        DiskCache::Default => driver,
        // Linux does asynchronous I/O only where the page cache is passed by.
        DiskCache::None => driver.with("cache", "none").with("io", "native"),
        DiskCache::Writeback => driver.with("cache", "writeback"),
        DiskCache::Writethrough => driver.with("cache", "writethrough"),
        DiskCache::Unsafe => driver.with("cache", "unsafe"),
    };
    match (disk.source, disk.discard) {
        (ImageSource::Cdrom, _) => driver,
        (_, Discard::On) => driver.with("discard", "unmap"),
        (_, Discard::Off) => driver.with("discard", "ignore"),
    }
}

fn limits(limits: DiskLimits) -> Option<Element> {
    let bandwidth = limits
        .bandwidth
        .map(|size| Element::text("total_bytes_sec", size.bytes()));
    let requests = limits
        .iops
        .map(|iops| Element::text("total_iops_sec", iops));
    Element::new("iotune")
        .containing(bandwidth)
        .containing(requests)
        .unless_empty()
}

/// All SCSI disks hang on one controller, each as a target of its own.
fn address(bus: DiskBus, placed: &PlacedDisk) -> Option<Element> {
    let number = disk_number(placed.name.as_str()).filter(|_| bus == DiskBus::Scsi)?;
    let address = Element::new("address")
        .with("type", "drive")
        .with("controller", 0)
        .with("bus", 0);
    Some(address.with("target", number).with("unit", 0))
}

/// The controllers that the disks need. There is no USB unless a disk or a display needs it.
pub(super) fn controllers(spec: &VmSpec) -> Vec<Element> {
    let has = |bus| spec.disks.iter().any(|disk| spec.bus_of(disk) == bus);
    let controller = |kind| {
        Element::new("controller")
            .with("type", kind)
            .with("index", 0)
    };
    let mut controllers = Vec::new();
    if has(DiskBus::Scsi) {
        controllers.push(controller("scsi").with("model", "virtio-scsi"));
    }
    let usb = if has(DiskBus::Usb) || spec.graphics.kind != GraphicsKind::None {
        controller("usb")
            .with("model", "qemu-xhci")
            .with("ports", 15)
    } else {
        controller("usb").with("model", "none")
    };
    controllers.push(usb);
    controllers
}
