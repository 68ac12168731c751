// SPDX-License-Identifier: GPL-3.0-or-later
//! What a spec must fulfil beyond the form of its values, told all at once.

mod cpus;
mod devices;
mod disks;
mod findings;
mod first_boot;
mod memory;
mod nics;

use self::findings::Findings;
use super::{Arch, Firmware, VmSpec};
use crate::document::Fault;

/// How many characters a description may have.
const MAX_DESCRIPTION: usize = 1_000;
/// How many tags a VM may have.
const MAX_TAGS: usize = 64;

impl VmSpec {
    /// Everything that is wrong with the spec; nothing, if it is right.
    ///
    /// It speaks of the spec alone: whether its image, network or pool exists, and whether this
    /// version carries all of it out ([`VmSpec::not_yet`]), are other questions.
    pub fn validate(&self) -> Vec<Fault> {
        let mut findings = Findings::default();
        description(self, &mut findings);
        machine(self, &mut findings);
        cpus::check(self, &mut findings);
        memory::check(self, &mut findings);
        devices::check_tpm(self, &mut findings);
        disks::check(self, &mut findings);
        nics::check(self, &mut findings);
        devices::check(self, &mut findings);
        first_boot::check(self, &mut findings);
        policies(self, &mut findings);
        findings.into_faults()
    }

    /// The machine type that the guest gets.
    pub fn machine_type(&self) -> &str {
        match (&self.machine, self.arch) {
            (Some(machine), _) => machine.as_str(),
            (None, Arch::X86_64) => "q35",
            (None, _) => "virt",
        }
    }

    /// Whether the guest's machine is the older of the two PCs, which has no PCI Express.
    pub(crate) fn is_old_pc(&self) -> bool {
        let machine = self.machine_type();
        machine == "pc" || machine.starts_with("pc-i440fx-")
    }
}

fn description(spec: &VmSpec, findings: &mut Findings) {
    let length = spec.description.chars().count();
    if length > MAX_DESCRIPTION {
        let what = format!("has {length} characters");
        findings.add(
            "description",
            &spec.description,
            what,
            "at most 1000 characters",
        );
    }
    if !findings::is_printable(&spec.description) {
        findings.add(
            "description",
            &spec.description,
            "has a control character",
            "printable characters, tabs and line breaks",
        );
    }
    findings.at_most("tags", spec.tags.len(), MAX_TAGS);
}

fn machine(spec: &VmSpec, findings: &mut Findings) {
    let machine = spec.machine_type();
    let (fits, allowed) = match spec.arch {
        Arch::X86_64 => (
            machine == "q35" || machine.starts_with("pc-q35-") || spec.is_old_pc(),
            "q35, pc, or one of their versions, such as pc-q35-7.2",
        ),
        _ => (
            machine == "virt" || machine.starts_with("virt-"),
            "virt, or one of its versions, such as virt-7.2",
        ),
    };
    if !fits {
        let what = format!("is not a machine type for {}", spec.arch.as_str());
        findings.add_plain("machine", machine, what, allowed);
    }
    if spec.firmware == Firmware::SecureBoot {
        if spec.arch != Arch::X86_64 {
            let what = format!("is not possible on {}", spec.arch.as_str());
            findings.add_plain("firmware", "secure-boot", what, "bios or uefi");
        } else if spec.is_old_pc() {
            let what = format!("is not possible with the machine type {machine}");
            findings.add_plain(
                "firmware",
                "secure-boot",
                what,
                "bios, uefi, or the machine q35",
            );
        }
    }
}

fn policies(spec: &VmSpec, findings: &mut Findings) {
    if let Some(percent) = spec.limits.cpu_percent {
        findings.within("limits.cpu_percent", percent, 1..=409_600);
    }
    if let Some(weight) = spec.limits.cpu_weight {
        findings.within("limits.cpu_weight", weight, 2..=10_000);
    }
    if let Some(autostart) = &spec.autostart {
        findings.within("autostart.priority", autostart.priority, 0..=100);
        findings.within(
            "autostart.delay_seconds",
            autostart.delay_seconds,
            0..=3_600,
        );
    }
}

#[cfg(test)]
mod tests;
