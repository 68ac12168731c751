// SPDX-License-Identifier: GPL-3.0-or-later
//! Memory, processors, firmware and the like.

use hv_model::{
    domain_xml::{METADATA_NAMESPACE, nvram_path},
    id::VmId,
    size::Size,
    vm::{
        Arch, CpuModel, CpuTopology, FeaturePolicy, Firmware, Memory, MemoryBacking, OnCrash,
        VmSpec,
    },
};
use roxmltree::Node;

use super::reader::{Reader, quote};

/// Metadata that may be lost: which system somebody once installed, and the description of the VM
/// of ours that this one is a copy of.
const PASSED: [&str; 2] = [
    "http://libosinfo.org/xmlns/libvirt/domain/1.0",
    METADATA_NAMESPACE,
];

pub(super) fn read<'a: 'd, 'd>(reader: &mut Reader<'a, 'd>, vm: VmId, spec: &mut VmSpec) {
    let root = reader.root();
    reader.expect(root, &[("type", &["kvm", "qemu"])]);
    // Its number while it runs.
    reader.attribute(root, "id");
    reader.pass_over_in(root, &["uuid"]);
    metadata(reader);
    spec.description = reader.text_at("description").unwrap_or_default().to_owned();
    memory(reader, spec);
    cpus(reader, spec);
    firmware(reader, vm, spec);
    features(reader);
    time(reader);
    endings(reader, spec);
}

fn metadata<'a: 'd, 'd>(reader: &mut Reader<'a, 'd>) {
    let Some(metadata) = reader.at("metadata") else {
        return;
    };
    let passed = metadata.children().filter(|child| {
        child
            .tag_name()
            .namespace()
            .is_some_and(|namespace| PASSED.contains(&namespace))
    });
    for element in passed.collect::<Vec<_>>() {
        reader.pass_over(element);
    }
}

fn size<'a: 'd, 'd>(reader: &mut Reader<'a, 'd>, node: Node<'a, 'd>) -> Option<Size> {
    let unit = match reader.attribute(node, "unit").unwrap_or("KiB") {
        "b" | "bytes" => 1,
        "k" | "KiB" => 1 << 10,
        "M" | "MiB" => 1 << 20,
        "G" | "GiB" => 1 << 30,
        _ => return None,
    };
    let count: u64 = reader.text(node)?.parse().ok()?;
    count.checked_mul(unit).map(Size::from_bytes)
}

fn memory<'a: 'd, 'd>(reader: &mut Reader<'a, 'd>, spec: &mut VmSpec) {
    let most = reader.at("memory").and_then(|node| size(reader, node));
    let current = reader
        .at("currentMemory")
        .and_then(|node| size(reader, node));
    if let Some(most) = most {
        let current = current.unwrap_or(most);
        let max = (current != most).then_some(most);
        spec.memory = Memory {
            size: current,
            max,
            ..Memory::default()
        };
    } else {
        let root = reader.root();
        reader.refuse(root, "its memory is not said in a known unit");
    }
    let Some(backing) = reader.at("memoryBacking") else {
        return;
    };
    let source = reader.child(backing, "source");
    if let Some(source) = source {
        reader.expect(source, &[("type", &["memfd"])]);
        spec.memory.backing = MemoryBacking::Memfd;
    }
    if let Some(access) = reader.child(backing, "access") {
        reader.expect(access, &[("mode", &["shared"])]);
    }
    if let Some(pages) = reader.child(backing, "hugepages") {
        match reader.child(pages, "page") {
            Some(page) => {
                let unit = reader.attribute(page, "unit");
                let count = reader
                    .attribute(page, "size")
                    .and_then(|size| size.parse().ok());
                match (count, unit) {
                    (Some(kib), None | Some("KiB")) => {
                        spec.memory.huge_pages = u64::checked_mul(kib, 1024).map(Size::from_bytes);
                    }
                    _ => reader.refuse(page, "its size is not said in KiB"),
                }
            }
            None => reader.refuse(pages, "a spec says how large the pages are"),
        }
    }
}

fn cpus<'a: 'd, 'd>(reader: &mut Reader<'a, 'd>, spec: &mut VmSpec) {
    let most: u32 = match reader.at("vcpu") {
        Some(vcpu) => {
            reader.expect(vcpu, &[("placement", &["static"])]);
            let most = reader
                .text(vcpu)
                .and_then(|text| text.parse().ok())
                .unwrap_or(1);
            let current = reader
                .attribute(vcpu, "current")
                .and_then(|text| text.parse().ok());
            spec.cpus.count = current.unwrap_or(most);
            most
        }
        None => 1,
    };
    spec.cpus.max = (most != spec.cpus.count).then_some(most);
    let Some(cpu) = reader.at("cpu") else { return };
    reader.expect(
        cpu,
        &[
            ("match", &["exact"]),
            ("check", &["none", "partial", "full"]),
            ("migratable", &["on"]),
        ],
    );
    let model = reader.child(cpu, "model");
    let named = model.and_then(|model| {
        reader.expect(model, &[("fallback", &["forbid", "allow"])]);
        reader.text(model)
    });
    spec.cpus.model = match (reader.attribute(cpu, "mode"), named) {
        (Some("host-passthrough"), None) => CpuModel::HostPassthrough,
        (Some("host-model"), None) => CpuModel::HostModel,
        (Some("maximum"), None) => CpuModel::Maximum,
        (Some("custom") | None, Some(name)) => match name.parse() {
            Ok(name) => CpuModel::Named(name),
            Err(_) => return reader.refuse(cpu, format!("model {}", quote(name))),
        },
        (None, None) => CpuModel::Best,
        (mode, _) => {
            return reader.refuse(cpu, format!("mode {}", quote(mode.unwrap_or_default())));
        }
    };
    if let Some(topology) = reader.child(cpu, "topology") {
        reader.expect(topology, &[("dies", &["1"]), ("clusters", &["1"])]);
        let mut number = |name| {
            reader
                .attribute(topology, name)
                .and_then(|text| text.parse().ok())
                .unwrap_or(1)
        };
        spec.cpus.topology = Some(CpuTopology {
            sockets: number("sockets"),
            cores: number("cores"),
            threads: number("threads"),
        });
    }
    for feature in reader.children(cpu, "feature") {
        let policy = match reader.attribute(feature, "policy") {
            Some("require") => Some(FeaturePolicy::Require),
            Some("optional") => Some(FeaturePolicy::Optional),
            Some("disable") => Some(FeaturePolicy::Disable),
            _ => None,
        };
        let name = reader
            .attribute(feature, "name")
            .and_then(|name| name.parse().ok());
        match (name, policy) {
            (Some(name), Some(policy)) => drop(spec.cpus.features.insert(name, policy)),
            _ => reader.refuse(feature, "a spec can't say what is done about it"),
        }
    }
}

fn firmware<'a: 'd, 'd>(reader: &mut Reader<'a, 'd>, vm: VmId, spec: &mut VmSpec) {
    let Some(os) = reader.at("os") else { return };
    let auto = reader.attribute(os, "firmware");
    if let Some(kind) = reader.child(os, "type") {
        let arch = reader.attribute(kind, "arch");
        let known = [
            Arch::X86_64,
            Arch::Aarch64,
            Arch::Riscv64,
            Arch::Loongarch64,
        ];
        match known.into_iter().find(|known| Some(known.as_str()) == arch) {
            Some(arch) => spec.arch = arch,
            None => reader.refuse(kind, format!("arch is {}", quote(arch.unwrap_or_default()))),
        }
        match reader.attribute(kind, "machine").map(str::parse) {
            Some(Ok(machine)) => spec.machine = Some(machine),
            _ => reader.refuse(kind, "its machine has no plain name"),
        }
        if reader.text(kind) != Some("hvm") {
            reader.refuse(kind, "a spec is of a whole machine, hvm");
        }
    }
    let secure = reader.child(os, "loader").is_some_and(|loader| {
        reader.expect(loader, &[("secure", &["yes", "no"])]);
        loader.attribute("secure") == Some("yes")
    });
    let mut enrolled = false;
    if let Some(firmware) = reader.child(os, "firmware") {
        for feature in reader.children(firmware, "feature") {
            reader.expect(
                feature,
                &[
                    ("name", &["enrolled-keys", "secure-boot"]),
                    ("enabled", &["yes", "no"]),
                ],
            );
            enrolled |= feature.attribute("name") == Some("enrolled-keys")
                && feature.attribute("enabled") == Some("yes");
        }
    }
    spec.firmware = match auto {
        None => Firmware::Bios,
        Some("efi") if secure && enrolled => Firmware::SecureBoot,
        Some("efi") => Firmware::Uefi,
        Some(other) => return reader.refuse(os, format!("firmware is {}", quote(other))),
    };
    if secure && !enrolled {
        reader.refuse(os, "Secure Boot without enrolled keys");
    }
    if let Some(nvram) = reader.child(os, "nvram") {
        let path = reader.text(nvram).unwrap_or_default();
        if path != nvram_path(vm) {
            let why = format!(
                "the firmware's variables are at {}; ours are found by id",
                quote(path)
            );
            reader.refuse(nvram, why);
        }
    }
    // Of the kinds of device, disks come first with us, too.
    if let Some(boot) = reader.children(os, "boot").first() {
        reader.expect(*boot, &[("dev", &["hd"])]);
    }
}

fn features<'a: 'd, 'd>(reader: &mut Reader<'a, 'd>) {
    let Some(features) = reader.at("features") else {
        return;
    };
    for name in ["acpi", "apic", "pae"] {
        reader.child(features, name);
    }
    for (name, state) in [("smm", "on"), ("vmport", "off")] {
        if let Some(feature) = reader.child(features, name) {
            reader.expect(feature, &[("state", &[state])]);
        }
    }
}

fn time<'a: 'd, 'd>(reader: &mut Reader<'a, 'd>) {
    if let Some(clock) = reader.at("clock") {
        reader.expect(clock, &[("offset", &["utc"])]);
        for timer in reader.children(clock, "timer") {
            reader.expect(
                timer,
                &[
                    ("name", &["rtc", "pit", "hpet"]),
                    ("tickpolicy", &["catchup", "delay"]),
                    ("present", &["no"]),
                ],
            );
        }
    }
    if let Some(pm) = reader.at("pm") {
        for name in ["suspend-to-mem", "suspend-to-disk"] {
            if let Some(sleep) = reader.child(pm, name) {
                reader.expect(sleep, &[("enabled", &["no"])]);
            }
        }
    }
}

fn endings<'a: 'd, 'd>(reader: &mut Reader<'a, 'd>, spec: &mut VmSpec) {
    for (name, only) in [("on_poweroff", "destroy"), ("on_reboot", "restart")] {
        if let Some(node) = reader.at(name) {
            let said = reader.text(node).unwrap_or_default();
            if said != only {
                reader.refuse(
                    node,
                    format!("it says {}; with us it is {only}", quote(said)),
                );
            }
        }
    }
    if let Some(node) = reader.at("on_crash") {
        match reader.text(node).unwrap_or_default() {
            "destroy" => spec.on_crash = OnCrash::Stop,
            "restart" => spec.on_crash = OnCrash::Restart,
            other => reader.refuse(node, format!("it says {}", quote(other))),
        }
    }
}
