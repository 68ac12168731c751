// SPDX-License-Identifier: GPL-3.0-or-later
//! The host: what it has, and how its guests run.

use std::fs;

use hv_libvirt::{
    Connection,
    kvm::{KvmProbe, probe_kvm},
};
use hv_model::{
    host::{Acceleration, Host},
    hypervisor::{HypervisorError, HypervisorErrorKind, Result},
    size::Size,
    vm::Arch,
};
use roxmltree::Document;

use crate::{broker::Broker, failure::Explain};

const ARCHS: [Arch; 4] = [
    Arch::X86_64,
    Arch::Aarch64,
    Arch::Riscv64,
    Arch::Loongarch64,
];

/// How guests run on this host: really tried, once.
pub(crate) fn acceleration() -> Acceleration {
    let why = match probe_kvm() {
        KvmProbe::Works => return Acceleration::Kvm,
        KvmProbe::Absent => "this host has no KVM".to_owned(),
        KvmProbe::Denied => "the broker may not use /dev/kvm, so KVM can't be tried".to_owned(),
        KvmProbe::Broken { why } => format!("KVM does not work here: {why}"),
    };
    tracing::warn!(why, "guests are emulated");
    Acceleration::Tcg { why }
}

impl Broker {
    pub(crate) fn read_host(&self) -> Result<Host> {
        let libvirt = self.libvirt()?;
        let tried = || "the host can't be looked at".to_owned();
        let node = libvirt.node_info().explain(tried)?;
        let capabilities = libvirt.capabilities().explain(tried)?;
        let hypervisor = libvirt.hypervisor_version().explain(tried)?;
        // The kernel's own figures: libvirt counts only what its NUMA nodes had at boot.
        let figure = |name| {
            file_value("/proc/meminfo", name)
                .as_deref()
                .and_then(kibibytes)
        };
        let memory = figure("MemTotal").unwrap_or(node.memory);
        let available = match figure("MemAvailable") {
            Some(available) => available,
            None => libvirt.free_memory().explain(tried)?,
        };
        Ok(Host {
            hostname: libvirt.hostname().explain(tried)?,
            acceleration: self.acceleration().clone(),
            arch: arch_named(&node.model).unwrap_or_default(),
            cpu_model: file_value("/proc/cpuinfo", "model name").unwrap_or(node.model),
            cpus: node.cpus,
            memory: Size::from_bytes(memory),
            memory_available: Size::from_bytes(available),
            libvirt_version: libvirt.libvirt_version().explain(tried)?.to_string(),
            qemu_version: hypervisor.to_string(),
            guest_archs: guest_archs(&capabilities),
        })
    }
}

/// The architecture of the host's CPUs.
pub(crate) fn arch(libvirt: &Connection) -> Result<Arch> {
    let node = libvirt
        .node_info()
        .explain(|| "the host can't be looked at".to_owned())?;
    arch_named(&node.model).ok_or_else(|| {
        let message = format!("hosts of architecture {} are not supported", node.model);
        HypervisorError::new(HypervisorErrorKind::Unsupported, message)
    })
}

/// The QEMU that libvirt runs guests of this architecture with.
pub(crate) fn emulator(
    libvirt: &Connection,
    acceleration: &Acceleration,
    arch: Arch,
) -> Result<String> {
    let name = arch.as_str();
    let virtualization = if acceleration.is_kvm() {
        None
    } else {
        Some("qemu")
    };
    let told = libvirt.domain_capabilities(Some(name), None, virtualization);
    let told = told.explain(|| format!("this host runs no {name} guests"))?;
    let path = Document::parse(&told).ok().and_then(|document| {
        let mut elements = document.root_element().children();
        let path = elements.find(|node| node.has_tag_name("path"))?;
        path.text().map(str::to_owned)
    });
    path.ok_or_else(|| {
        let message = format!("libvirt does not say what runs {name} guests");
        HypervisorError::new(HypervisorErrorKind::Unsupported, message)
    })
}

fn arch_named(name: &str) -> Option<Arch> {
    ARCHS.into_iter().find(|arch| arch.as_str() == name)
}

fn guest_archs(capabilities: &str) -> Vec<Arch> {
    let Ok(document) = Document::parse(capabilities) else {
        return Vec::new();
    };
    let elements = document.root_element().descendants();
    let named: Vec<_> = elements
        .filter(|node| node.has_tag_name("arch") && node.has_attribute("name"))
        .filter_map(|node| node.attribute("name"))
        .collect();
    ARCHS
        .into_iter()
        .filter(|arch| named.contains(&arch.as_str()))
        .collect()
}

/// The first value in a file of the kernel's with lines `key: value`.
fn file_value(path: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| value.trim().to_owned())
    })
}

fn kibibytes(text: &str) -> Option<u64> {
    text.strip_suffix(" kB")?
        .trim()
        .parse::<u64>()
        .ok()?
        .checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_units_are_bytes() {
        assert_eq!(kibibytes("2048 kB"), Some(2 << 20));
        assert_eq!(kibibytes("2048"), None);
    }

    #[test]
    fn guests_of_known_architectures_are_told_once() {
        let capabilities = "<capabilities><host><cpu><arch>x86_64</arch></cpu></host>\
            <guest><arch name='i686'/></guest><guest><arch name='x86_64'/></guest>\
            <guest><arch name='x86_64'/></guest><guest><arch name='riscv64'/></guest>\
            </capabilities>";
        assert_eq!(guest_archs(capabilities), [Arch::X86_64, Arch::Riscv64]);
        assert!(guest_archs("nonsense").is_empty());
    }
}
