// SPDX-License-Identifier: GPL-3.0-or-later
//! Rules for memory.

use super::{cpus::MAX_CPUS, findings::Findings};
use crate::{
    size::Size,
    vm::{Arch, Balloon, VmSpec},
};

const LEAST: Size = Size::from_mib(16);
const MOST: Size = Size::from_gib(16 * 1024);
/// What the memory of a NUMA node counts in.
const MEBIBYTE: Size = Size::from_mib(1);
/// How many NUMA nodes a guest may see.
const MAX_NODES: usize = 128;

pub(super) fn check(spec: &VmSpec, findings: &mut Findings) {
    let memory = &spec.memory;
    findings.within("memory.size", memory.size, LEAST..=MOST);
    if let Some(max) = memory.max {
        if max < memory.size {
            let what = format!("is less than the size of {}", memory.size);
            findings.add_plain(
                "memory.max",
                max,
                what,
                format!("{} to {MOST}", memory.size),
            );
        } else {
            findings.within("memory.max", max, LEAST..=MOST);
        }
        if max > memory.size && memory.balloon == Balloon::Off {
            let what = "is not possible while memory.max is above memory.size";
            findings.add_plain("memory.balloon", "off", what, "on, or no memory.max");
        }
    }
    huge_pages(spec, findings);
    numa(spec, findings);
}

fn huge_pages(spec: &VmSpec, findings: &mut Findings) {
    let Some(page) = spec.memory.huge_pages else {
        return;
    };
    let sizes = huge_page_sizes(spec.arch);
    if !sizes.contains(&page) {
        let what = format!("is not a size of huge pages on {}", spec.arch.as_str());
        let sizes: Vec<String> = sizes.iter().map(Size::to_string).collect();
        findings.add_plain("memory.huge_pages", page, what, sizes.join(", "));
        return;
    }
    let whole = |size: Size| size.bytes().is_multiple_of(page.bytes());
    let most = spec.memory.most();
    if !whole(most) {
        let path = if spec.memory.max.is_some() {
            "memory.max"
        } else {
            "memory.size"
        };
        let what = format!("is not a whole number of huge pages of {page}");
        findings.add_plain(path, most, what, format!("a multiple of {page}"));
    }
    for (index, node) in spec.memory.numa.iter().enumerate() {
        if !whole(node.memory) {
            let path = format!("memory.numa[{index}].memory");
            let what = format!("is not a whole number of huge pages of {page}");
            findings.add_plain(path, node.memory, what, format!("a multiple of {page}"));
        }
    }
}

/// The sizes of huge pages that Linux has on an architecture, with any of its base page sizes.
fn huge_page_sizes(arch: Arch) -> Vec<Size> {
    match arch {
        Arch::X86_64 => vec![Size::from_mib(2), Size::from_gib(1)],
        Arch::Aarch64 => vec![
            Size::from_bytes(64 << 10),
            Size::from_mib(2),
            Size::from_mib(32),
            Size::from_mib(512),
            Size::from_gib(1),
            Size::from_gib(16),
        ],
        Arch::Riscv64 => {
            vec![
                Size::from_bytes(64 << 10),
                Size::from_mib(2),
                Size::from_gib(1),
            ]
        }
        Arch::Loongarch64 => vec![Size::from_mib(32), Size::from_gib(64)],
    }
}

fn numa(spec: &VmSpec, findings: &mut Findings) {
    let nodes = &spec.memory.numa;
    if nodes.is_empty() {
        return;
    }
    if !findings.at_most("memory.numa", nodes.len(), MAX_NODES) {
        return;
    }
    let sum = nodes
        .iter()
        .fold(0_u64, |sum, node| sum.saturating_add(node.memory.bytes()));
    let most = spec.memory.most();
    if sum != most.bytes() {
        let value = Size::from_bytes(sum);
        let whose = if spec.memory.max.is_some() {
            "memory.max"
        } else {
            "memory.size"
        };
        let what = format!("is the sum of all nodes, and {whose} is {most}");
        findings.add_plain(
            "memory.numa",
            value,
            what,
            format!("nodes that make {most}"),
        );
    }
    // A count that is out of range is told elsewhere, and must not be taken for a length.
    if spec.cpus.most() > MAX_CPUS {
        return;
    }
    let mut homes = vec![None; usize::try_from(spec.cpus.most()).unwrap_or_default()];
    for (index, node) in nodes.iter().enumerate() {
        let path = format!("memory.numa[{index}].memory");
        if (MEBIBYTE..=MOST).contains(&node.memory) {
            if !node.memory.bytes().is_multiple_of(MEBIBYTE.bytes()) {
                let what = "is not a whole number of MiB";
                findings.add_plain(path, node.memory, what, "a multiple of 1 MiB");
            }
        } else {
            findings.within(path, node.memory, MEBIBYTE..=MOST);
        }
        let path = format!("memory.numa[{index}].cpus");
        for cpu in node
            .cpus
            .ranges()
            .iter()
            .flat_map(|(first, last)| *first..=*last)
        {
            let home = usize::try_from(cpu).ok().and_then(|cpu| homes.get_mut(cpu));
            match home {
                None => {
                    let last = spec.cpus.most().saturating_sub(1);
                    let what = format!("names CPU {cpu}, which this VM does not have");
                    findings.add_plain(
                        path,
                        String::from(node.cpus.clone()),
                        what,
                        format!("0 to {last}"),
                    );
                    break;
                }
                Some(Some(other)) => {
                    let what = format!("names CPU {cpu}, which is in node {other} already");
                    findings.add_plain(
                        path,
                        String::from(node.cpus.clone()),
                        what,
                        "each CPU in one node",
                    );
                    break;
                }
                Some(home) => *home = Some(index),
            }
        }
    }
    if let Some(cpu) = homes.iter().position(Option::is_none) {
        let what = format!("have no place for CPU {cpu}");
        findings.add_plain("memory.numa", "the nodes", what, "each CPU in one node");
    }
}
