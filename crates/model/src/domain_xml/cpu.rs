// SPDX-License-Identifier: GPL-3.0-or-later
//! Processors: their count, their model and their layout.

use super::{Context, element::Element, memory};
use crate::vm::{Arch, CpuModel, CpuTopology, FeaturePolicy, VmSpec};

/// How many there are, and how many can be added.
pub(super) fn count(spec: &VmSpec) -> Element {
    let most = spec.cpus.most();
    let element = Element::text("vcpu", most).with("placement", "static");
    if most == spec.cpus.count {
        element
    } else {
        element.with("current", spec.cpus.count)
    }
}

/// Which processor the guest sees, and how its CPUs are laid out.
///
/// Nothing where the spec leaves it to the hypervisor and libvirt has no driver for the
/// architecture's processors: QEMU then takes its own model for the machine type.
pub(super) fn render(context: Context<'_>) -> Option<Element> {
    let spec = context.spec;
    let has_driver = matches!(spec.arch, Arch::X86_64 | Arch::Aarch64);
    let features = spec.cpus.features.iter().map(|(name, policy)| {
        let policy = match policy {
            FeaturePolicy::Require => "require",
            FeaturePolicy::Optional => "optional",
            FeaturePolicy::Disable => "disable",
        };
        Element::new("feature")
            .with("policy", policy)
            .with("name", name)
    });
    let topology = match spec.cpus.topology {
        None if has_driver => Some(CpuTopology {
            sockets: 1,
            cores: spec.cpus.most(),
            threads: 1,
        }),
        topology => topology,
    };
    let topology = topology.map(|topology| {
        Element::new("topology")
            .with("sockets", topology.sockets)
            .with("dies", 1)
            .with("cores", topology.cores)
            .with("threads", topology.threads)
    });
    let cpu = match &spec.cpus.model {
        CpuModel::Best if context.kvm => passing_on("host-passthrough"),
        CpuModel::Best if has_driver => passing_on("maximum"),
        CpuModel::Best => Element::new("cpu"),
        CpuModel::HostPassthrough => passing_on("host-passthrough"),
        CpuModel::Maximum => passing_on("maximum"),
        CpuModel::HostModel => Element::new("cpu")
            .with("mode", "host-model")
            .with("check", "partial"),
        CpuModel::Named(name) => Element::new("cpu")
            .with("mode", "custom")
            .with("match", "exact")
            .with("check", "partial")
            .containing([Element::text("model", name).with("fallback", "forbid")]),
    };
    cpu.containing(topology)
        .containing(features)
        .containing(memory::numa_cells(spec))
        .unless_empty()
}

/// Everything that the host, or its QEMU, can give and that can move to another host like it.
fn passing_on(mode: &str) -> Element {
    Element::new("cpu")
        .with("mode", mode)
        .with("check", "none")
        .with("migratable", "on")
}
