// SPDX-License-Identifier: GPL-3.0-or-later
//! Memory: its size, its backing, its balloon and its NUMA nodes.

use super::element::Element;
use crate::{
    size::Size,
    vm::{Balloon, MemoryBacking, VmSpec},
};

/// How often the guest's balloon driver tells how much memory it uses, in seconds.
const STATISTICS_PERIOD: u32 = 10;

/// How much there is, and where it comes from.
///
/// The guest boots with the most that it may have, and its balloon takes away what is above
/// `memory.size`.
pub(super) fn render(spec: &VmSpec) -> Vec<Element> {
    let kib = |name, size: Size| Element::text(name, size.kib()).with("unit", "KiB");
    let mut elements = vec![
        kib("memory", spec.memory.most()),
        kib("currentMemory", spec.memory.size),
    ];
    elements.extend(backing(spec).unless_empty());
    elements
}

fn backing(spec: &VmSpec) -> Element {
    let pages = spec.memory.huge_pages.map(|size| {
        let page = Element::new("page")
            .with("size", size.kib())
            .with("unit", "KiB");
        Element::new("hugepages").containing([page])
    });
    let source = match spec.memory.backing {
        MemoryBacking::Anonymous => vec![],
        MemoryBacking::Memfd => vec![
            Element::new("source").with("type", "memfd"),
            Element::new("access").with("mode", "shared"),
        ],
    };
    Element::new("memoryBacking")
        .containing(pages)
        .containing(source)
}

/// The NUMA nodes that the guest sees.
pub(super) fn numa_cells(spec: &VmSpec) -> Option<Element> {
    let cells = spec.memory.numa.iter().zip(0_u32..).map(|(node, id)| {
        Element::new("cell")
            .with("id", id)
            .with("cpus", String::from(node.cpus.clone()))
            .with("memory", node.memory.kib())
            .with("unit", "KiB")
    });
    Element::new("numa").containing(cells).unless_empty()
}

/// The host's NUMA nodes that memory comes from.
pub(super) fn numa_tune(spec: &VmSpec) -> Option<Element> {
    let nodes = spec
        .memory
        .numa
        .iter()
        .zip(0_u32..)
        .filter_map(|(node, id)| {
            let host_nodes = node.host_nodes.clone()?;
            Some(
                Element::new("memnode")
                    .with("cellid", id)
                    .with("mode", "strict")
                    .with("nodeset", String::from(host_nodes)),
            )
        });
    Element::new("numatune").containing(nodes).unless_empty()
}

/// The balloon, by which the guest gives memory back.
pub(super) fn balloon(spec: &VmSpec) -> Element {
    let balloon = Element::new("memballoon");
    match spec.memory.balloon {
        Balloon::Off => balloon.with("model", "none"),
        Balloon::On => balloon
            .with("model", "virtio")
            .with("freePageReporting", "on")
            .containing([Element::new("stats").with("period", STATISTICS_PERIOD)]),
    }
}
