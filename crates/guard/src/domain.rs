// SPDX-License-Identifier: GPL-3.0-or-later
//! The fourth look: at a domain that is about to run, whoever defined it.
//!
//! libvirt's hook shows it as libvirt understood it, with all that libvirt added. So this look
//! knows nothing of a spec, and it is the only one that sees what was made with virsh or
//! virt-manager. It tells, beside its verdict, which files of the host the domain would use;
//! [`Judged::files`] must then be looked at where they lie, by [`crate::files`].

mod device;
mod rules;
mod table;

use std::path::PathBuf;

use hv_model::{id::VmId, size::Size, storage::VolumeFormat};
use roxmltree::{Document, Node, ParsingOptions};

use self::rules::DomainRules;
pub(crate) use self::rules::{FIRMWARE_FOLDERS, NVRAM_FOLDER};
use crate::{
    allowed::{Table, child, devices, has_feature},
    policy::{Feature, HostPolicy},
    refusal::{Gathered, Refusals, quote, unreadable},
};

/// How long the XML of a domain may be: libvirt's own is seldom longer than 20 KiB.
pub const LONGEST: usize = 1 << 20;

/// How many parts the XML of a domain may have.
const MOST_NODES: u32 = 100_000;

/// A domain that says nothing that the policy does not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// Its id, if it says one.
    pub id: Option<VmId>,
    /// The files of the host that it would use.
    pub files: Vec<HostFile>,
    /// Whether it would be given a device of the host.
    pub host_devices: bool,
}

/// A file of the host that a domain would use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFile {
    /// The element that names it.
    pub what: String,
    /// Where it is.
    pub path: PathBuf,
    /// What for.
    pub role: FileRole,
}

/// What a domain uses a file of the host for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileRole {
    /// As a disk, or as what a disk stands on.
    Disk(VolumeFormat),
    /// As a kernel, or what is loaded beside it, from a pool.
    Boot,
    /// As the variables of its firmware.
    Variables(VolumeFormat),
    /// As firmware of the distribution.
    Firmware,
    /// As the program that runs it.
    Emulator,
}

/// Whether this domain may run, as far as its XML tells. `name` is what libvirt calls it.
pub fn judge_domain(
    policy: &HostPolicy,
    name: Option<&str>,
    xml: &str,
) -> Result<Judged, Refusals> {
    let document = parse(xml)?;
    let root = document.root_element();
    let mut found = Gathered::default();
    let rules = DomainRules::new(policy, root);
    Table::parse(table::ALLOWED).hold(&document, policy, &rules, &mut found);
    let own_name = child(root, "name").and_then(|name| name.text());
    if let Some(name) = name.filter(|name| Some(*name) != own_name) {
        let own_name = quote(own_name.unwrap_or_default());
        let why = format!("{own_name}, while libvirt speaks of {}", quote(name));
        found.refuse("domain/name", why);
    }
    let mut files = Vec::new();
    judge_memory(policy, root, &mut found);
    judge_firmware(root, &mut files, &mut found);
    for label in root.children().filter(|node| node.has_tag_name("seclabel")) {
        judge_label(root, label, &mut found);
    }
    for device in devices(&document) {
        device::judge(policy, device, &mut files, &mut found);
    }
    found.verdict()?;
    let id = child(root, "uuid").and_then(|id| id.text()?.trim().parse().ok());
    Ok(Judged {
        id: id.map(VmId::new),
        files,
        host_devices: devices(&document).any(|device| device.has_tag_name("hostdev")),
    })
}

/// The id that a domain's XML tells, whatever else it says.
pub fn id_in(xml: &str) -> Option<VmId> {
    let document = parse(xml).ok()?;
    let id = child(document.root_element(), "uuid")?.text()?;
    id.trim().parse().ok().map(VmId::new)
}

fn parse(xml: &str) -> Result<Document<'_>, Refusals> {
    if xml.len() > LONGEST {
        let why = format!("{} bytes; allowed are {LONGEST}", xml.len());
        return Err(Refusals::one("XML", why));
    }
    let options = ParsingOptions {
        allow_dtd: false,
        nodes_limit: MOST_NODES,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(xml, options).map_err(|error| unreadable(&error))
}

/// An amount of memory as libvirt writes it, in bytes.
fn bytes_of(node: Node<'_, '_>) -> Option<u64> {
    let factor: u64 = match node.attribute("unit").unwrap_or("KiB") {
        "b" | "bytes" => 1,
        "KB" => 1000,
        "k" | "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "M" | "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "G" | "GiB" => 1 << 30,
        "TB" => 1_000_000_000_000,
        "T" | "TiB" => 1 << 40,
        _ => return None,
    };
    node.text()?.trim().parse::<u64>().ok()?.checked_mul(factor)
}

fn judge_memory(policy: &HostPolicy, root: Node<'_, '_>, found: &mut Gathered) {
    let Some(most) = policy.limits.memory else {
        return;
    };
    for name in ["maxMemory", "memory", "currentMemory"] {
        let Some(node) = child(root, name) else {
            continue;
        };
        if bytes_of(node).is_none_or(|bytes| bytes > most.bytes()) {
            let wanted = bytes_of(node).map(Size::from_bytes);
            let wanted = wanted.map_or("too much".to_owned(), Size::rounded);
            let what = format!("domain/{name}");
            found.refuse(what, format!("{wanted}; allowed are {most}"));
        }
    }
}

fn judge_firmware(root: Node<'_, '_>, files: &mut Vec<HostFile>, found: &mut Gathered) {
    let Some(os) = child(root, "os") else {
        return;
    };
    let mut add = |what: &str, path: Option<&str>, role| {
        if let Some(path) = path.map(str::trim).filter(|path| !path.is_empty()) {
            files.push(HostFile {
                what: what.to_owned(),
                path: path.into(),
                role,
            });
        }
    };
    if let Some(loader) = child(os, "loader") {
        if loader.attribute("type") == Some("pflash") && loader.attribute("readonly") != Some("yes")
        {
            found.refuse(
                "domain/os/loader",
                "the VM could write it; allowed: readonly='yes'",
            );
        }
        add("domain/os/loader", loader.text(), FileRole::Firmware);
    }
    if let Some(nvram) = child(os, "nvram") {
        let format = match nvram.attribute("format") {
            Some("qcow2") => VolumeFormat::Qcow2,
            _ => VolumeFormat::Raw,
        };
        let source = child(nvram, "source").and_then(|source| source.attribute("file"));
        let template = nvram.attribute("template");
        let role = FileRole::Variables(format);
        add("domain/os/nvram", source.or_else(|| nvram.text()), role);
        add("domain/os/nvram template", template, FileRole::Firmware);
    }
    for name in ["kernel", "initrd", "dtb"] {
        let path = child(os, name).and_then(|node| node.text());
        add(&format!("domain/os/{name}"), path, FileRole::Boot);
    }
    let emulator = child(root, "devices").and_then(|devices| child(devices, "emulator"));
    let path = emulator.and_then(|emulator| emulator.text());
    add("domain/devices/emulator", path, FileRole::Emulator);
}

/// A label that libvirt made itself is what confines the VM. Any other could let it out.
fn judge_label(root: Node<'_, '_>, label: Node<'_, '_>, found: &mut Gathered) {
    let what = "domain/seclabel";
    let uuid = child(root, "uuid").and_then(|uuid| uuid.text());
    let apparmor = format!("libvirt-{}", uuid.unwrap_or_default());
    let model = label.attribute("model").unwrap_or_default();
    if !matches!(model, "dac" | "apparmor" | "selinux") {
        let why = format!("model {}; allowed: dac, apparmor, selinux", quote(model));
        found.refuse(what, why);
    }
    if label.attribute("relabel") == Some("no") || label.attribute("type") != Some("dynamic") {
        found.refuse(
            what,
            "it is not libvirt's own; allowed: type='dynamic' relabel='yes'",
        );
    }
    for name in ["label", "imagelabel"] {
        let Some(text) = child(label, name).and_then(|node| node.text()) else {
            continue;
        };
        let fits = match model {
            "dac" => unprivileged(text),
            "apparmor" => text == apparmor,
            _ => text
                .split(':')
                .nth(2)
                .is_some_and(|kind| matches!(kind, "svirt_t" | "svirt_tcg_t" | "svirt_image_t")),
        };
        if !fits {
            let why = format!("{}; allowed is what confines a VM", quote(text));
            found.refuse(format!("{what}/{name}"), why);
        }
    }
}

/// Whether a label such as `+64055:+64055` names a user and a group that are not root.
fn unprivileged(label: &str) -> bool {
    let plain = |id: &str| {
        id.strip_prefix('+')
            .unwrap_or(id)
            .parse::<u32>()
            .is_ok_and(|id| id != 0)
    };
    label
        .split_once(':')
        .is_some_and(|(user, group)| plain(user) && plain(group))
}

fn allows(policy: &HostPolicy, feature: Feature) -> bool {
    has_feature(policy, feature.as_str())
}

#[cfg(test)]
mod tests;
