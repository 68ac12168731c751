// SPDX-License-Identifier: GPL-3.0-or-later
//! What no table can say of a device: how its parts belong together.

use hv_model::{
    device::{PciAddress, UsbId},
    storage::{PoolPurpose, VolumeFormat},
};
use roxmltree::Node;

use super::{FileRole, HostFile, allows};
use crate::{
    allowed::child,
    policy::{Feature, HostPolicy},
    refusal::{Gathered, names, quote},
};

/// Looks at a device, and adds the files that it names.
pub(super) fn judge(
    policy: &HostPolicy,
    device: Node<'_, '_>,
    files: &mut Vec<HostFile>,
    found: &mut Gathered,
) {
    match device.tag_name().name() {
        "disk" => disk(policy, device, files, found),
        "interface" => interface(policy, device, found),
        "channel" => channel(device, found),
        "graphics" => graphics(policy, device, found),
        "hostdev" => host_device(policy, device, found),
        _ => {}
    }
}

fn disk(policy: &HostPolicy, disk: Node<'_, '_>, files: &mut Vec<HostFile>, found: &mut Gathered) {
    let target = child(disk, "target").and_then(|target| target.attribute("dev"));
    let what = format!("domain/devices/disk[{}]", target.unwrap_or("?"));
    let path = child(disk, "source").and_then(|source| source.attribute("file"));
    let kind = disk.attribute("device").unwrap_or("disk");
    let Some(path) = path else {
        // A drive without a medium; what is put in later is the broker's to judge.
        if kind == "disk" {
            found.refuse(what, "it has no file");
        }
        return;
    };
    let driver = child(disk, "driver");
    if driver.is_none_or(|driver| driver.attribute("name") != Some("qemu")) {
        found.refuse(&what, "it does not say that QEMU's own driver opens it");
    }
    let format = driver.and_then(|driver| driver.attribute("type"));
    file(&what, path, format, files, found);
    let written = child(disk, "readonly").is_none() || kind != "cdrom";
    if let Some((pool, _)) = policy.volume_at(path)
        && written
        && pool.purpose != PoolPurpose::Disks
    {
        let why = format!(
            "{} can be written and lies in pool {}",
            quote(path),
            pool.name
        );
        found.refuse(&what, why);
    }
    let below = |node: &Node<'_, '_>| node.has_tag_name("backingStore");
    for backing in disk.descendants().filter(below) {
        let path = child(backing, "source").and_then(|source| source.attribute("file"));
        let format = child(backing, "format").and_then(|format| format.attribute("type"));
        match path {
            Some(path) => file(&what, path, format, files, found),
            // An empty one says that nothing is below.
            None if backing.attributes().len() == 0 && !backing.has_children() => {}
            None => found.refuse(&what, "a file below it is not named"),
        }
    }
}

fn file(
    what: &str,
    path: &str,
    format: Option<&str>,
    files: &mut Vec<HostFile>,
    found: &mut Gathered,
) {
    let format = match format {
        Some("qcow2") => VolumeFormat::Qcow2,
        Some("raw") => VolumeFormat::Raw,
        // The table tells of formats that are none of these.
        Some(_) => return,
        None => {
            let why = format!("{} has no format, so QEMU would guess it", quote(path));
            found.refuse(what, why);
            return;
        }
    };
    files.push(HostFile {
        what: what.to_owned(),
        path: path.into(),
        role: FileRole::Disk(format),
    });
}

fn interface(policy: &HostPolicy, interface: Node<'_, '_>, found: &mut Gathered) {
    let address = child(interface, "mac").and_then(|mac| mac.attribute("address"));
    let what = format!("domain/devices/interface[{}]", address.unwrap_or("?"));
    let source = child(interface, "source");
    let says = |name| source.and_then(|source| source.attribute(name));
    // A network of the policy may be made of a bridge, which libvirt then names beside it.
    match (says("network"), says("bridge"), interface.attribute("type")) {
        (Some(_), _, _) => {}
        (None, Some(bridge), Some("bridge")) => {
            if policy.bridges.iter().all(|name| name.as_str() != bridge) {
                let (bridge, allowed) = (quote(bridge), names(&policy.bridges));
                found.refuse(
                    &what,
                    format!("bridge {bridge}; allowed bridges: {allowed}"),
                );
            }
        }
        _ => found.refuse(&what, "it is not plugged into a network or a bridge"),
    }
    let feature = Feature::NoSpoofFilter;
    if child(interface, "filterref").is_none() && !allows(policy, feature) {
        let feature = feature.as_str();
        let why = format!(
            "packets with a forged sender could leave it; allowed: <filterref filter='clean-traffic'/>, \
             or feature {feature}"
        );
        found.refuse(&what, why);
    }
}

/// A channel that is no socket of libvirt's own has nothing to say of a path.
fn channel(channel: Node<'_, '_>, found: &mut Gathered) {
    let kind = channel.attribute("type").unwrap_or_default();
    let path = child(channel, "source").and_then(|source| source.attribute("path"));
    if let Some(path) = path.filter(|_| kind != "unix" && kind != "pty") {
        let why = format!(
            "{} in a channel of type {kind}; allowed is no path",
            quote(path)
        );
        found.refuse("domain/devices/channel/source path", why);
    }
}

fn graphics(policy: &HostPolicy, graphics: Node<'_, '_>, found: &mut Gathered) {
    let everywhere = |node: &Node<'_, '_>| {
        node.has_tag_name("listen") && node.attribute("type") == Some("network")
    };
    if graphics.children().any(|node| everywhere(&node)) && !allows(policy, Feature::RemoteDisplay)
    {
        let why = "it listens in a whole network; this needs feature remote-display";
        found.refuse("domain/devices/graphics/listen", why);
    }
}

fn host_device(policy: &HostPolicy, device: Node<'_, '_>, found: &mut Gathered) {
    let what = "domain/devices/hostdev";
    let Some(source) = child(device, "source") else {
        found.refuse(what, "it names no device");
        return;
    };
    let part = |name: &str, attribute: &str| {
        let text = child(source, name)?.attribute(attribute)?;
        u32::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok()
    };
    if device.attribute("type") == Some("pci") {
        let address = || {
            let part = |name| part("address", name);
            let (domain, bus) = (part("domain").unwrap_or(0), part("bus")?);
            let (slot, function) = (part("slot")?, part("function").unwrap_or(0));
            PciAddress::try_from(format!("{domain:04x}:{bus:02x}:{slot:02x}.{function}")).ok()
        };
        let allowed = names(policy.devices.pci.iter().map(|&each| String::from(each)));
        match address() {
            Some(address) if policy.devices.pci.contains(&address) => {}
            Some(address) => {
                let address = String::from(address);
                let why = format!("PCI device {address}; allowed PCI devices: {allowed}");
                found.refuse(what, why);
            }
            None => found.refuse(what, format!("it names no PCI device; allowed: {allowed}")),
        }
    } else {
        let id = || {
            let (vendor, product) = (part("vendor", "id")?, part("product", "id")?);
            UsbId::try_from(format!("{vendor:04x}:{product:04x}")).ok()
        };
        let allowed = names(policy.devices.usb.iter().map(|&each| String::from(each)));
        match id() {
            Some(id) if policy.devices.usb.contains(&id) => {}
            Some(id) => {
                let id = String::from(id);
                found.refuse(
                    what,
                    format!("USB device {id}; allowed USB devices: {allowed}"),
                );
            }
            // By its port alone it could be any that is plugged in there.
            None => {
                let why =
                    format!("it names no USB device by vendor and product; allowed: {allowed}");
                found.refuse(what, why);
            }
        }
    }
}
