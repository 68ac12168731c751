// SPDX-License-Identifier: GPL-3.0-or-later
//! A VM's definition as libvirt's domain XML.
//!
//! The XML is rendered whole from the definition, the same for the same definition, and never
//! edited. It gives the guest nothing of the host but its disks' files, its networks, its own
//! firmware variables ([`nvram_path`]) and [`RNG_SOURCE`]. There is no `<seclabel>` in it, so libvirt's own confinement holds, no
//! pass-through of QEMU's command line, and no way for a text of the spec to become markup.
//!
//! A VM carries its own description: the definition travels in `<metadata>` as JSON, from which
//! [`definition_from_metadata`] reads it back.

mod channel;
mod clock;
mod cpu;
mod disk;
mod element;
mod firmware;
mod graphics;
mod limits;
mod memory;
mod nic;
mod watchdog;

use std::path::Path;

use self::element::{Element, ForbiddenCharacter};
pub use self::{
    limits::{CPU_PERIOD_MICROSECONDS, cpu_quota_microseconds},
    nic::kilobytes_a_second,
};
use crate::{
    document::Faults,
    host::Acceleration,
    hypervisor::Definition,
    id::VmId,
    name::DeviceName,
    vm::{Arch, CpuModel, VmSpec},
};

/// The namespace of our element in a domain's metadata.
pub const METADATA_NAMESPACE: &str = "urn:hyper-nixos:vm:1";
/// The file of the host from which a VM reads random numbers.
pub const RNG_SOURCE: &str = "/dev/urandom";
/// libvirt's filter against packets with a forged sender.
pub const SPOOF_FILTER: &str = "clean-traffic";

/// Where a VM with UEFI keeps its firmware's variables: in libvirt's own folder for them, and by its
/// id, since libvirt's default is by its name and would lose them when it is renamed.
pub fn nvram_path(vm: VmId) -> String {
    format!("/var/lib/libvirt/qemu/nvram/{vm}_VARS.fd")
}

/// What of the host a domain's XML depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderHost {
    /// How guests run that have the host's architecture. All others are emulated.
    pub acceleration: Acceleration,
    /// The architecture of the host's CPUs.
    pub arch: Arch,
    /// The QEMU that emulates the VM's architecture, as an absolute path.
    pub emulator: String,
    /// The files of the disks as absolute paths, in the order of the definition's disks.
    pub disk_paths: Vec<String>,
}

impl RenderHost {
    /// Whether a VM of this architecture runs on the CPU itself.
    const fn has_kvm_for(&self, arch: Arch) -> bool {
        self.acceleration.is_kvm() && self.arch as u8 == arch as u8
    }
}

/// Why a definition can't be rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The spec has faults, or asks for what is not carried out yet.
    #[error("the spec can't be carried out: {0}")]
    Spec(Faults),
    /// Spec, placed disks and files don't fit together.
    #[error("the spec has {wanted} disks, {placed} are placed, and {resolved} files are known")]
    DiskCount {
        /// How many the spec has.
        wanted: usize,
        /// How many the definition places.
        placed: usize,
        /// How many files the host knows.
        resolved: usize,
    },
    /// A placed disk is not the one of the spec.
    #[error("the definition places disk {placed}, where the spec has {wanted}")]
    DiskName {
        /// The spec's name.
        wanted: DeviceName,
        /// The definition's.
        placed: DeviceName,
    },
    /// A file is not named by a plain absolute path.
    #[error("{what} is {path:?}, which is not an absolute path without ..")]
    NotAbsolute {
        /// Which file.
        what: String,
        /// The path.
        path: String,
    },
    /// Something only KVM gives is asked for where guests are emulated.
    #[error("{field} is {value}, which needs KVM, and this VM would be emulated")]
    NeedsKvm {
        /// Which field of the spec.
        field: &'static str,
        /// Its value.
        value: &'static str,
    },
    /// A text has a character that XML can't hold.
    #[error("a text has the character U+{:04X}, which XML can't hold", u32::from(*.0))]
    Character(char),
    /// The definition could not be written as JSON.
    #[error("the definition can't be written as JSON: {0}")]
    Json(String),
}

impl From<ForbiddenCharacter> for RenderError {
    fn from(ForbiddenCharacter(character): ForbiddenCharacter) -> Self {
        Self::Character(character)
    }
}

/// What the renderers of the single devices look at.
#[derive(Clone, Copy)]
struct Context<'a> {
    definition: &'a Definition,
    spec: &'a VmSpec,
    host: &'a RenderHost,
    kvm: bool,
}

/// The definition as domain XML.
///
/// It fails on a spec with faults, whoever checked it before, and where the disks' files don't fit
/// the definition.
pub fn render(definition: &Definition, host: &RenderHost) -> Result<String, RenderError> {
    let spec = &definition.spec;
    let context = Context {
        definition,
        spec,
        host,
        kvm: host.has_kvm_for(spec.arch),
    };
    check(context)?;
    let domain = Element::new("domain")
        .with("type", if context.kvm { "kvm" } else { "qemu" })
        .containing([
            Element::text("name", &spec.name),
            Element::text("uuid", definition.id),
        ])
        .containing(
            (!spec.description.is_empty()).then(|| Element::text("description", &spec.description)),
        )
        .containing([metadata(definition)?])
        .containing(memory::render(spec))
        .containing([cpu::count(spec)])
        .containing(limits::render(spec))
        .containing(memory::numa_tune(spec))
        .containing([firmware::render(definition)])
        .containing(firmware::features(spec))
        .containing(cpu::render(context))
        .containing(clock::render(spec))
        .containing([
            Element::text("on_poweroff", "destroy"),
            Element::text("on_reboot", "restart"),
            // The daemon starts a crashed VM again, later each time. libvirt would do it at once.
            Element::text("on_crash", "destroy"),
            devices(context),
        ]);
    Ok(domain.render()?)
}

/// The definition that our metadata element holds, from the text in it; nothing, if it is not one
/// that this version understands.
pub fn definition_from_metadata(text: &str) -> Option<Definition> {
    serde_json::from_str(text).ok()
}

fn check(context: Context<'_>) -> Result<(), RenderError> {
    let Context {
        definition,
        spec,
        host,
        kvm,
    } = context;
    let faults: Vec<_> = spec.validate().into_iter().chain(spec.not_yet()).collect();
    if !faults.is_empty() {
        return Err(RenderError::Spec(Faults::from(faults)));
    }
    let (wanted, placed, resolved) = (
        spec.disks.len(),
        definition.disks.len(),
        host.disk_paths.len(),
    );
    if wanted != placed || wanted != resolved {
        return Err(RenderError::DiskCount {
            wanted,
            placed,
            resolved,
        });
    }
    let disks = spec.disk_names().into_iter().zip(&definition.disks);
    for ((wanted, disk), path) in disks.zip(&host.disk_paths) {
        if wanted != disk.name {
            return Err(RenderError::DiskName {
                wanted,
                placed: disk.name.clone(),
            });
        }
        check_path(|| format!("the file of disk {wanted}"), path)?;
    }
    check_path(|| "the emulator".to_owned(), &host.emulator)?;
    if spec.cpus.model == CpuModel::HostPassthrough && !kvm {
        return Err(RenderError::NeedsKvm {
            field: "cpus.model",
            value: "host-passthrough",
        });
    }
    Ok(())
}

fn check_path(what: impl Fn() -> String, path: &str) -> Result<(), RenderError> {
    let climbs = path.split('/').any(|part| part == "..");
    if Path::new(path).is_absolute() && !climbs {
        Ok(())
    } else {
        Err(RenderError::NotAbsolute {
            what: what(),
            path: path.to_owned(),
        })
    }
}

fn metadata(definition: &Definition) -> Result<Element, RenderError> {
    let json =
        serde_json::to_string(definition).map_err(|error| RenderError::Json(error.to_string()))?;
    let ours = Element::text("hv:vm", json)
        .with("xmlns:hv", METADATA_NAMESPACE)
        .with("generation", definition.generation);
    Ok(Element::new("metadata").containing([ours]))
}

fn devices(context: Context<'_>) -> Element {
    let spec = context.spec;
    Element::new("devices")
        .containing([Element::text("emulator", &context.host.emulator)])
        .containing(disk::render(context))
        .containing(disk::controllers(spec))
        .containing(nic::render(context))
        .containing(channel::render(spec))
        .containing(graphics::render(spec))
        .containing(watchdog::render(spec))
        .containing([memory::balloon(spec)])
}

#[cfg(test)]
mod tests;
