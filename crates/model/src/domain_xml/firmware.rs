// SPDX-License-Identifier: GPL-3.0-or-later
//! Firmware, the machine type, and what the machine does beyond its processors.

use super::{element::Element, nvram_path};
use crate::{
    hypervisor::Definition,
    vm::{Arch, Firmware, VmSpec},
};

/// The machine type and the firmware, which libvirt picks by what it must be able to do.
pub(super) fn render(definition: &Definition) -> Element {
    let spec = &definition.spec;
    let kind = Element::text("type", "hvm")
        .with("arch", spec.arch.as_str())
        .with("machine", spec.machine_type());
    let bios = Element::new("os").containing([kind]);
    let uefi = || bios.clone().with("firmware", "efi");
    let variables = Element::text("nvram", nvram_path(definition.id));
    match (spec.firmware, spec.arch) {
        (Firmware::Bios, Arch::X86_64) => bios,
        (Firmware::Uefi, Arch::X86_64) => uefi().containing([secure_boot("no"), variables]),
        (Firmware::Bios | Firmware::Uefi, _) => uefi().containing([variables]),
        (Firmware::SecureBoot, _) => {
            let loader = Element::new("loader").with("secure", "yes");
            uefi().containing([secure_boot("yes"), loader, variables])
        }
    }
}

/// Keys are enrolled exactly where Secure Boot is on.
fn secure_boot(enabled: &str) -> Element {
    let feature = |name| {
        Element::new("feature")
            .with("enabled", enabled)
            .with("name", name)
    };
    Element::new("firmware").containing([feature("enrolled-keys"), feature("secure-boot")])
}

/// What the machine does.
pub(super) fn features(spec: &VmSpec) -> Option<Element> {
    let features = Element::new("features");
    let features = match spec.arch {
        Arch::X86_64 => {
            let management_mode = (spec.firmware == Firmware::SecureBoot)
                .then(|| Element::new("smm").with("state", "on"));
            features
                .containing([Element::new("acpi"), Element::new("apic")])
                .containing(management_mode)
                // VMware's back door, which no guest of ours needs.
                .containing([Element::new("vmport").with("state", "off")])
        }
        Arch::Aarch64 | Arch::Loongarch64 => features.containing([Element::new("acpi")]),
        Arch::Riscv64 => features,
    };
    features.unless_empty()
}
