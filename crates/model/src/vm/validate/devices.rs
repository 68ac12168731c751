// SPDX-License-Identifier: GPL-3.0-or-later
//! Rules for the smaller devices.

use super::findings::Findings;
use crate::{
    device::{GraphicsKind, TpmModel},
    size::Size,
    vm::{Arch, VmSpec},
};

/// How many devices of the host a VM may have.
const MAX_PASSTHROUGH: usize = 32;
/// How many shared regions a VM may have.
const MAX_SHARED: usize = 16;
const LEAST_SHARED: Size = Size::from_mib(1);
const MOST_SHARED: Size = Size::from_gib(1);

pub(super) fn check_tpm(spec: &VmSpec, findings: &mut Findings) {
    let Some(tpm) = spec.tpm else { return };
    let (value, allowed) = match (tpm.model, spec.arch) {
        (_, Arch::X86_64) | (TpmModel::Tis, Arch::Aarch64) => return,
        (TpmModel::Crb, Arch::Aarch64) => ("crb", "tis"),
        (TpmModel::Crb, _) => ("crb", "no tpm"),
        (TpmModel::Tis, _) => ("tis", "no tpm"),
    };
    let what = format!("is not possible on {}", spec.arch.as_str());
    findings.add_plain("tpm.model", value, what, allowed);
}

pub(super) fn check(spec: &VmSpec, findings: &mut Findings) {
    graphics(spec, findings);
    passthrough(spec, findings);
    shared_memory(spec, findings);
}

fn graphics(spec: &VmSpec, findings: &mut Findings) {
    let heads = spec.graphics.heads;
    let (what, allowed) = match (spec.graphics.kind, heads) {
        (_, 0 | 5..) => ("is out of range", "1 to 4"),
        (GraphicsKind::None, 2..) => (
            "are given, but there is no display",
            "1, or a kind of display",
        ),
        (GraphicsKind::Vnc, 2..) => ("are more than VNC shows", "1"),
        _ => return,
    };
    findings.add_plain("graphics.heads", heads, what, allowed);
}

fn passthrough(spec: &VmSpec, findings: &mut Findings) {
    if !findings.at_most("passthrough", spec.passthrough.len(), MAX_PASSTHROUGH) {
        return;
    }
    for (index, device) in spec.passthrough.iter().enumerate() {
        let path = format!("passthrough[{index}]");
        match (device.pci, device.usb) {
            (None, None) => findings.missing(path, "either pci or usb"),
            (Some(_), Some(usb)) => {
                let what = "is given beside a PCI device";
                findings.add_plain(
                    format!("{path}.usb"),
                    String::from(usb),
                    what,
                    "either pci or usb",
                );
            }
            _ => {}
        }
    }
    let devices = spec.passthrough.iter().enumerate();
    let named = devices.flat_map(|(index, device)| {
        let pci = device
            .pci
            .map(|pci| (format!("passthrough[{index}].pci"), String::from(pci)));
        let usb = device
            .usb
            .map(|usb| (format!("passthrough[{index}].usb"), String::from(usb)));
        pci.into_iter().chain(usb)
    });
    findings.unique("device", named);
}

fn shared_memory(spec: &VmSpec, findings: &mut Findings) {
    if !findings.at_most("shared_memory", spec.shared_memory.len(), MAX_SHARED) {
        return;
    }
    for (index, region) in spec.shared_memory.iter().enumerate() {
        let path = format!("shared_memory[{index}].size");
        if !(LEAST_SHARED..=MOST_SHARED).contains(&region.size) {
            findings.within(path, region.size, LEAST_SHARED..=MOST_SHARED);
        } else if !region.size.bytes().is_power_of_two() {
            findings.add_plain(
                path,
                region.size,
                "is not a power of two",
                "1 MiB, 2 MiB, 4 MiB … 1 GiB",
            );
        }
    }
    let names = spec.shared_memory.iter().enumerate();
    findings.unique(
        "name",
        names.map(|(index, region)| (format!("shared_memory[{index}].name"), &region.name)),
    );
}
