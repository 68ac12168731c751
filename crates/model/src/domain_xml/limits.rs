// SPDX-License-Identifier: GPL-3.0-or-later
//! Limits on CPU time, and which CPUs of the host are used.

use super::element::Element;
use crate::vm::VmSpec;

/// The length of the period in which CPU time is counted, in microseconds.
pub const CPU_PERIOD_MICROSECONDS: u64 = 100_000;

/// Weight, quota and pinning. The quota is of the whole VM, with all its CPUs and QEMU's own threads.
pub(super) fn render(spec: &VmSpec) -> Option<Element> {
    let weight = spec
        .limits
        .cpu_weight
        .map(|weight| Element::text("shares", weight));
    let quota = spec.limits.cpu_percent.map(|percent| {
        [
            Element::text("global_period", CPU_PERIOD_MICROSECONDS),
            Element::text("global_quota", cpu_quota_microseconds(percent)),
        ]
    });
    let pins = spec.cpus.pinning.iter().map(|(cpu, set)| {
        Element::new("vcpupin")
            .with("vcpu", cpu)
            .with("cpuset", String::from(set.clone()))
    });
    Element::new("cputune")
        .containing(pins)
        .containing(weight)
        .containing(quota.into_iter().flatten())
        .unless_empty()
}

/// How much CPU time a whole VM may use in each period, for a limit in percent of one CPU.
pub fn cpu_quota_microseconds(percent: u32) -> u64 {
    u64::from(percent) * CPU_PERIOD_MICROSECONDS / 100
}
