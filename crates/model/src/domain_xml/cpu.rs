// SPDX-License-Identifier: GPL-3.0-or-later
//! Processors: their count, their model and their layout.

use super::{Context, element::Element, memory};
use crate::vm::{Arch, CpuModel, CpuTopology, FeaturePolicy, VmSpec};

/// How many there are, and how many can be added.
pub(super) fn count(spec: &VmSpec) -> Element {
    let most = spec.cpus.most();
    let element = Element::text("vcpu", most).with("placement", "static");
    if most == spec.cpus.count { element } else { element.with("current", spec.cpus.count) }
}

/// Which processor the guest sees.
pub(super) fn render(context: Context<'_>) -> Element {
    let spec = context.spec;
    let topology = spec.cpus.topology.unwrap_or(CpuTopology {
        sockets: 1,
        cores: spec.cpus.most(),
        threads: 1,
    });
    let topology = Element::new("topology")
        .with("sockets", topology.sockets)
        .with("dies", 1)
        .with("cores", topology.cores)
        .with("threads", topology.threads);
    let features = spec.cpus.features.iter().map(|(name, policy)| {
        let policy = match policy {
            FeaturePolicy::Require => "require",
            FeaturePolicy::Optional => "optional",
            FeaturePolicy::Disable => "disable",
        };
        Element::new("feature").with("policy", policy).with("name", name)
    });
    model(context).containing([topology]).containing(features).containing(memory::numa_cells(spec))
}

fn model(context: Context<'_>) -> Element {
    let cpu = Element::new("cpu");
    let mode = |mode: &str| {
        Element::new("cpu").with("mode", mode).with("check", "none").with("migratable", "on")
    };
    match &context.spec.cpus.model {
        CpuModel::Best if context.kvm => mode("host-passthrough"),
        CpuModel::Best => match context.spec.arch {
            Arch::X86_64 | Arch::Aarch64 => mode("maximum"),
            // QEMU's own model for the machine type is the only one that libvirt knows to be there.
            Arch::Riscv64 | Arch::Loongarch64 => cpu,
        },
        CpuModel::HostPassthrough => mode("host-passthrough"),
        CpuModel::Maximum => mode("maximum"),
        CpuModel::HostModel => cpu.with("mode", "host-model").with("check", "partial"),
        CpuModel::Named(name) => cpu
            .with("mode", "custom")
            .with("match", "exact")
            .with("check", "partial")
            .containing([Element::text("model", name).with("fallback", "forbid")]),
    }
}
