// SPDX-License-Identifier: GPL-3.0-or-later
//! Rules for processors.

use super::findings::Findings;
use crate::vm::VmSpec;

/// How many CPUs a VM may have.
pub(super) const MAX_CPUS: u32 = 4_096;
/// How many features a spec may name.
const MAX_FEATURES: usize = 256;
/// How many wrong CPU numbers are told.
const MAX_TOLD: usize = 16;

pub(super) fn check(spec: &VmSpec, findings: &mut Findings) {
    let cpus = &spec.cpus;
    findings.within("cpus.count", cpus.count, 1..=MAX_CPUS);
    if let Some(max) = cpus.max {
        if max < cpus.count && max >= 1 {
            let what = format!("is less than the count of {}", cpus.count);
            findings.add_plain(
                "cpus.max",
                max,
                what,
                format!("{} to {MAX_CPUS}", cpus.count),
            );
        } else {
            findings.within("cpus.max", max, 1..=MAX_CPUS);
        }
    }
    let most = cpus.most();
    if let Some(topology) = cpus.topology {
        findings.within("cpus.topology.sockets", topology.sockets, 1..=64);
        findings.within("cpus.topology.cores", topology.cores, 1..=1_024);
        findings.within("cpus.topology.threads", topology.threads, 1..=8);
        let [sockets, cores, threads] =
            [topology.sockets, topology.cores, topology.threads].map(u64::from);
        let product = sockets.saturating_mul(cores).saturating_mul(threads);
        if product != u64::from(most) {
            let value = format!("{sockets} × {cores} × {threads}");
            let whose = if cpus.max.is_some() {
                "the maximum"
            } else {
                "the count"
            };
            let what = format!("is {product} CPUs, and {whose} is {most}");
            findings.add_plain("cpus.topology", value, what, format!("a product of {most}"));
        }
    }
    findings.at_most("cpus.features", cpus.features.len(), MAX_FEATURES);
    // Keys are in order, so the greatest tells whether there are too many.
    for number in cpus.pinning.keys().rev().take(MAX_TOLD) {
        if *number >= most {
            let what = format!("is not a CPU of this VM, which has {most}");
            let last = most.saturating_sub(1);
            findings.add_plain("cpus.pinning", number, what, format!("0 to {last}"));
        }
    }
}
