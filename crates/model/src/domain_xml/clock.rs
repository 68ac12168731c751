// SPDX-License-Identifier: GPL-3.0-or-later
//! Clocks and sleep.

use super::element::Element;
use crate::vm::{Arch, VmSpec};

/// The guest's clock runs in UTC and catches up after a pause. It can't put itself to sleep, since
/// nobody would find the key that wakes it.
pub(super) fn render(spec: &VmSpec) -> Vec<Element> {
    let clock = Element::new("clock").with("offset", "utc");
    if spec.arch != Arch::X86_64 {
        return vec![clock];
    }
    let timer = |name, policy| {
        Element::new("timer")
            .with("name", name)
            .with("tickpolicy", policy)
    };
    let no_sleep = |name| Element::new(name).with("enabled", "no");
    vec![
        clock.containing([
            timer("rtc", "catchup"),
            timer("pit", "delay"),
            Element::new("timer")
                .with("name", "hpet")
                .with("present", "no"),
        ]),
        Element::new("pm").containing([no_sleep("suspend-to-mem"), no_sleep("suspend-to-disk")]),
    ]
}
