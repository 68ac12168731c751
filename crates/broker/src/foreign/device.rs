// SPDX-License-Identifier: GPL-3.0-or-later
//! Devices.

use hv_guard::{Feature, HostPolicy};
use hv_model::{
    device::{
        Audio, Discard, Disk, DiskBus, DiskCache, Graphics, GraphicsKind, ImageSource, Nic,
        NicModel, Rng, Serial, SpoofFilter, Tpm, TpmModel, Watchdog, WatchdogAction,
    },
    hypervisor::PlacedDisk,
    size::Size,
    storage::VolumeFormat,
    vm::{Agent, Balloon, VmSpec},
};
use roxmltree::Node;

use super::{
    Volumes,
    reader::{Reader, quote},
};

const AGENT_CHANNEL: &str = "org.qemu.guest_agent.0";

pub(super) fn read<'a: 'd, 'd>(
    reader: &mut Reader<'a, 'd>,
    policy: &HostPolicy,
    volumes: &dyn Volumes,
    spec: &mut VmSpec,
    placed: &mut Vec<PlacedDisk>,
) {
    let Some(devices) = reader.at("devices") else {
        return;
    };
    // The host's own QEMU is used.
    reader.pass_over_in(devices, &["emulator"]);
    controllers(reader, devices);
    for disk in reader.children(devices, "disk") {
        read_disk(reader, volumes, disk, spec, placed);
    }
    for interface in reader.children(devices, "interface") {
        read_interface(reader, policy, interface, spec);
    }
    read_serial(reader, devices, spec);
    read_channels(reader, devices, spec);
    read_display(reader, devices, spec);
    read_small(reader, devices, spec);
}

/// Where things are plugged in, and what libvirt calls them, it finds out anew.
const BOOKKEEPING: &[&str] = &["address", "alias"];

fn controllers<'a: 'd, 'd>(reader: &mut Reader<'a, 'd>, devices: Node<'a, 'd>) {
    for controller in reader.children(devices, "controller") {
        let kind = reader.attribute(controller, "type").unwrap_or_default();
        match (kind, reader.attribute(controller, "model")) {
            ("scsi", Some("virtio-scsi"))
            | ("usb" | "pci" | "sata" | "ide" | "virtio-serial", _) => reader.pass_over(controller),
            ("scsi", model) => {
                let model = quote(model.unwrap_or("its default"));
                reader.refuse(controller, format!("SCSI by {model}; ours is virtio-scsi"));
            }
            (other, _) => reader.refuse(controller, format!("type is {}", quote(other))),
        }
    }
}

fn read_disk<'a: 'd, 'd>(
    reader: &mut Reader<'a, 'd>,
    volumes: &dyn Volumes,
    node: Node<'a, 'd>,
    spec: &mut VmSpec,
    placed: &mut Vec<PlacedDisk>,
) {
    reader.pass_over_in(node, BOOKKEEPING);
    reader.expect(node, &[("type", &["file"]), ("device", &["disk", "cdrom"])]);
    let is_cd = node.attribute("device") == Some("cdrom");
    if reader.child(node, "readonly").is_some() && !is_cd {
        reader.refuse(node, "a disk that can't be written");
    }
    let mut disk = Disk::default();
    let format = read_driver(reader, node, is_cd, &mut disk);
    if let Some(target) = reader.child(node, "target") {
        disk.name = reader
            .attribute(target, "dev")
            .and_then(|name| name.parse().ok());
        let bus = reader.attribute(target, "bus").unwrap_or_default();
        match bus {
            "virtio" => disk.bus = DiskBus::Virtio,
            "scsi" => disk.bus = DiskBus::Scsi,
            "sata" => disk.bus = DiskBus::Sata,
            "usb" => disk.bus = DiskBus::Usb,
            other => reader.refuse(target, format!("bus is {}", quote(other))),
        }
    }
    disk.boot_order = reader.child(node, "boot").and_then(|boot| {
        reader
            .attribute(boot, "order")
            .and_then(|order| order.parse().ok())
    });
    if let Some(limits) = reader.child(node, "iotune") {
        let mut number = |name| {
            let text = reader
                .child(limits, name)
                .and_then(|limit| reader.text(limit));
            text.and_then(|text| text.parse::<u64>().ok())
        };
        disk.limits.bandwidth = number("total_bytes_sec").map(Size::from_bytes);
        disk.limits.iops = number("total_iops_sec").and_then(|iops| u32::try_from(iops).ok());
    }
    let path = reader.child(node, "source").and_then(|source| {
        // Which image of a chain this is: libvirt's own count.
        reader.attribute(source, "index");
        reader.attribute(source, "file")
    });
    let (Some(name), Some(format), Some(path)) = (disk.name.clone(), format, path) else {
        return reader.refuse(node, "a spec needs its name, its format and a file");
    };
    match volumes.volume(path, format) {
        Ok((volume, size)) => {
            if is_cd {
                disk.source = ImageSource::Cdrom;
                disk.image = volume.name.as_str().parse().ok();
            } else {
                disk.size = Some(size);
            }
            spec.disks.push(disk);
            placed.push(PlacedDisk {
                name,
                volume,
                format,
            });
        }
        Err(why) => reader.refuse(node, format!("{name}: {why}")),
    }
}

fn read_driver<'a: 'd, 'd>(
    reader: &mut Reader<'a, 'd>,
    node: Node<'a, 'd>,
    is_cd: bool,
    disk: &mut Disk,
) -> Option<VolumeFormat> {
    let driver = reader.child(node, "driver")?;
    reader.expect(
        driver,
        &[
            ("name", &["qemu"]),
            ("io", &["native", "threads", "io_uring"]),
        ],
    );
    disk.cache = match reader.attribute(driver, "cache") {
        None | Some("default") => DiskCache::Default,
        Some("none") => DiskCache::None,
        Some("writeback") => DiskCache::Writeback,
        Some("writethrough") => DiskCache::Writethrough,
        Some("unsafe") => DiskCache::Unsafe,
        Some(other) => {
            reader.refuse(driver, format!("cache is {}", quote(other)));
            DiskCache::Default
        }
    };
    disk.discard = match reader.attribute(driver, "discard") {
        Some("unmap") => Discard::On,
        _ if is_cd => Discard::On,
        None | Some("ignore") => Discard::Off,
        Some(other) => {
            reader.refuse(driver, format!("discard is {}", quote(other)));
            Discard::Off
        }
    };
    match reader.attribute(driver, "type") {
        Some("qcow2") => Some(VolumeFormat::Qcow2),
        Some("raw") => Some(VolumeFormat::Raw),
        other => {
            reader.refuse(
                driver,
                format!("type is {}", quote(other.unwrap_or_default())),
            );
            None
        }
    }
}

fn read_interface<'a: 'd, 'd>(
    reader: &mut Reader<'a, 'd>,
    policy: &HostPolicy,
    node: Node<'a, 'd>,
    spec: &mut VmSpec,
) {
    reader.pass_over_in(node, BOOKKEEPING);
    let mut nic = Nic::default();
    let mac = reader
        .child(node, "mac")
        .and_then(|mac| reader.attribute(mac, "address"));
    nic.mac = mac.and_then(|address| address.parse().ok());
    if nic.mac.is_none() {
        reader.refuse(node, "its MAC address is not one of an interface");
    }
    let source = reader.child(node, "source");
    match (reader.attribute(node, "type"), source) {
        (Some("network"), Some(source)) => {
            nic.network = reader
                .attribute(source, "network")
                .and_then(|name| name.parse().ok());
        }
        (Some("bridge"), Some(source)) => {
            nic.bridge = reader
                .attribute(source, "bridge")
                .and_then(|name| name.parse().ok());
        }
        (kind, _) => {
            let kind = quote(kind.unwrap_or_default());
            return reader.refuse(node, format!("type is {kind}; ours are network and bridge"));
        }
    }
    if let Some(model) = reader.child(node, "model") {
        match reader.attribute(model, "type").unwrap_or_default() {
            "virtio" => nic.model = NicModel::Virtio,
            "e1000e" => nic.model = NicModel::E1000e,
            "rtl8139" => nic.model = NicModel::Rtl8139,
            other => reader.refuse(model, format!("type is {}", quote(other))),
        }
    } else {
        reader.refuse(node, "it does not say how the guest sees it");
    }
    match reader.child(node, "filterref") {
        Some(filter) => reader.expect(filter, &[("filter", &["clean-traffic"])]),
        // It gets a filter, unless the host allows to go without.
        None if policy.features.contains(&Feature::NoSpoofFilter) => {
            nic.spoof_filter = SpoofFilter::Off;
        }
        None => {}
    }
    if let Some(limits) = reader.child(node, "bandwidth") {
        let mut rate = |name| {
            let limit = reader.child(limits, name)?;
            let average = reader.attribute(limit, "average")?.parse::<u64>().ok()?;
            average.checked_mul(1000).map(Size::from_bytes)
        };
        (nic.limits.inbound, nic.limits.outbound) = (rate("inbound"), rate("outbound"));
    }
    spec.nics.push(nic);
}

fn read_serial<'a: 'd, 'd>(reader: &mut Reader<'a, 'd>, devices: Node<'a, 'd>, spec: &mut VmSpec) {
    spec.serial = Serial::Off;
    for element in ["serial", "console"] {
        let Some(port) = reader.child(devices, element) else {
            continue;
        };
        reader.pass_over_in(port, BOOKKEEPING);
        reader.expect(port, &[("type", &["pty"])]);
        if let Some(target) = reader.child(port, "target") {
            reader.expect(
                target,
                &[
                    ("type", &["isa-serial", "serial", "system-serial"]),
                    ("port", &["0"]),
                ],
            );
            if let Some(model) = reader.child(target, "model") {
                reader.pass_over(model);
            }
        }
        spec.serial = Serial::On;
    }
}

fn read_channels<'a: 'd, 'd>(
    reader: &mut Reader<'a, 'd>,
    devices: Node<'a, 'd>,
    spec: &mut VmSpec,
) {
    spec.agent = Agent::Off;
    if let Some(channel) = reader.child(devices, "channel") {
        reader.pass_over_in(channel, BOOKKEEPING);
        reader.expect(channel, &[("type", &["unix"])]);
        if let Some(target) = reader.child(channel, "target") {
            reader.expect(target, &[("type", &["virtio"]), ("name", &[AGENT_CHANNEL])]);
        }
        spec.agent = Agent::On;
    }
}

fn read_display<'a: 'd, 'd>(reader: &mut Reader<'a, 'd>, devices: Node<'a, 'd>, spec: &mut VmSpec) {
    spec.graphics = Graphics::default();
    if let Some(graphics) = reader.child(devices, "graphics") {
        spec.graphics.kind = match reader.attribute(graphics, "type") {
            Some("vnc") => GraphicsKind::Vnc,
            Some("spice") => GraphicsKind::Spice,
            other => {
                let other = quote(other.unwrap_or_default());
                return reader.refuse(graphics, format!("type is {other}"));
            }
        };
        // With us it listens for the daemon alone.
        for name in ["port", "tlsPort", "autoport", "listen", "socket"] {
            reader.attribute(graphics, name);
        }
        reader.pass_over_in(graphics, &["listen", "image"]);
    }
    // libvirt adds a display adapter where there is a display, and may leave one behind.
    if let Some(video) = reader.child(devices, "video") {
        reader.pass_over_in(video, BOOKKEEPING);
        if let Some(model) = reader.child(video, "model") {
            reader.expect(
                model,
                &[("type", &["virtio", "none"]), ("primary", &["yes"])],
            );
            let heads = reader
                .attribute(model, "heads")
                .and_then(|heads| heads.parse().ok());
            spec.graphics.heads = heads.unwrap_or(1);
        }
    }
    // What one points and types with.
    reader.pass_over_in(devices, &["input", "audio"]);
    if let Some(sound) = reader.child(devices, "sound") {
        reader.pass_over_in(sound, BOOKKEEPING);
        reader.expect(sound, &[("model", &["ich9"])]);
        spec.audio = Audio::Hda;
    }
}

fn read_small<'a: 'd, 'd>(reader: &mut Reader<'a, 'd>, devices: Node<'a, 'd>, spec: &mut VmSpec) {
    spec.rng = Rng::Off;
    if let Some(rng) = reader.child(devices, "rng") {
        reader.pass_over_in(rng, BOOKKEEPING);
        reader.expect(rng, &[("model", &["virtio"])]);
        if let Some(backend) = reader.child(rng, "backend") {
            reader.expect(backend, &[("model", &["random"])]);
            let file = reader.text(backend).unwrap_or_default();
            if !["/dev/urandom", "/dev/random", ""].contains(&file) {
                reader.refuse(backend, format!("it reads {}", quote(file)));
            }
        }
        spec.rng = Rng::On;
    }
    if let Some(tpm) = reader.child(devices, "tpm") {
        reader.pass_over_in(tpm, BOOKKEEPING);
        let model = match reader.attribute(tpm, "model") {
            Some("tpm-tis") => TpmModel::Tis,
            _ => TpmModel::Crb,
        };
        reader.expect(tpm, &[("model", &["tpm-crb", "tpm-tis"])]);
        if let Some(backend) = reader.child(tpm, "backend") {
            reader.expect(backend, &[("type", &["emulator"]), ("version", &["2.0"])]);
        }
        spec.tpm = Some(Tpm { model });
    }
    spec.watchdog = None;
    for watchdog in reader.children(devices, "watchdog") {
        reader.pass_over_in(watchdog, BOOKKEEPING);
        // The chipset's own, which libvirt lists by itself.
        if reader.attribute(watchdog, "model") == Some("itco") {
            reader.pass_over(watchdog);
            continue;
        }
        reader.expect(watchdog, &[("model", &["i6300esb"])]);
        let action = match reader.attribute(watchdog, "action").unwrap_or("reset") {
            "reset" => WatchdogAction::Reset,
            "poweroff" => WatchdogAction::Poweroff,
            "pause" => WatchdogAction::Pause,
            "none" => WatchdogAction::None,
            other => return reader.refuse(watchdog, format!("action is {}", quote(other))),
        };
        spec.watchdog = Some(Watchdog { action });
    }
    if let Some(balloon) = reader.child(devices, "memballoon") {
        reader.pass_over_in(balloon, BOOKKEEPING);
        reader.pass_over_in(balloon, &["stats"]);
        reader.expect(
            balloon,
            &[
                ("model", &["virtio", "none"]),
                ("freePageReporting", &["on", "off"]),
            ],
        );
        let is_off = balloon.attribute("model") == Some("none");
        spec.memory.balloon = if is_off { Balloon::Off } else { Balloon::On };
    } else {
        spec.memory.balloon = Balloon::Off;
    }
    if let Some(panic) = reader.child(devices, "panic") {
        reader.pass_over_in(panic, BOOKKEEPING);
        reader.expect(panic, &[("model", &["isa"])]);
    }
}
