// SPDX-License-Identifier: GPL-3.0-or-later
//! Rules for network interfaces.

use super::findings::Findings;
use crate::{device::NicModel, size::Size, vm::VmSpec};

/// How many network interfaces a VM may have.
const MAX_NICS: usize = 32;
/// Linux's `IFNAMSIZ`, less the final zero.
const MAX_BRIDGE_NAME: usize = 15;
/// The slowest and the fastest that an interface may be limited to, in bytes a second.
const RATE: (Size, Size) = (Size::from_bytes(1 << 10), Size::from_gib(1024));

pub(super) fn check(spec: &VmSpec, findings: &mut Findings) {
    if !findings.at_most("nics", spec.nics.len(), MAX_NICS) {
        return;
    }
    for (index, nic) in spec.nics.iter().enumerate() {
        let path = |field: &str| format!("nics[{index}].{field}");
        match (&nic.network, &nic.bridge) {
            (None, None) => {
                findings.missing(
                    path("network"),
                    "the name of a network, or of a bridge instead",
                );
            }
            (Some(network), Some(bridge)) => {
                let what = format!("is given beside the network {network}");
                findings.add_plain(path("bridge"), bridge, what, "either a network or a bridge");
            }
            _ => {}
        }
        if let Some(bridge) = &nic.bridge
            && bridge.as_str().len() > MAX_BRIDGE_NAME
        {
            let what = "is too long for the name of a bridge";
            findings.add(
                path("bridge"),
                bridge.as_str(),
                what,
                "at most 15 characters",
            );
        }
        if nic.model == NicModel::E1000e && spec.is_old_pc() {
            let what = format!(
                "is not possible with the machine type {}",
                spec.machine_type()
            );
            findings.add_plain(path("model"), "e1000e", what, "virtio or rtl8139");
        }
        for (field, rate) in [
            ("limits.inbound", nic.limits.inbound),
            ("limits.outbound", nic.limits.outbound),
        ] {
            if let Some(rate) = rate {
                findings.within(path(field), rate, RATE.0..=RATE.1);
            }
        }
    }
    let names = spec.nic_names().into_iter().enumerate();
    findings.unique(
        "name",
        names.map(|(index, name)| (format!("nics[{index}].name"), name)),
    );
    let addresses = spec.nics.iter().enumerate();
    findings.unique(
        "MAC address",
        addresses.filter_map(|(index, nic)| nic.mac.map(|mac| (format!("nics[{index}].mac"), mac))),
    );
}
