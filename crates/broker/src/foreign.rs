// SPDX-License-Identifier: GPL-3.0-or-later
//! VMs made elsewhere, seen as specs of ours.
//!
//! Reading is understanding: what this module reads of a domain's XML it puts into the spec, or
//! knows to be libvirt's own bookkeeping that may be made anew. Whatever is left unread at the end
//! is something that a spec can't say, and stands in the way of adopting the VM.

mod device;
mod machine;
mod reader;
#[cfg(test)]
mod tests;

use hv_guard::{HostPolicy, judge};
use hv_libvirt::Connection;
use hv_model::{
    hypervisor::{Definition, ForeignVm, HypervisorErrorKind, PlacedDisk, Result},
    id::VmId,
    size::Size,
    storage::{VolumeFormat, VolumeRef},
    vm::VmSpec,
};
use roxmltree::Document;

use self::reader::Reader;
use crate::{failure::fail, header, pool};

/// The most obstacles that are told of one VM.
const MOST: usize = 50;

/// What a spec can't say of the disks: how large each volume is, and what it stands on.
pub trait Volumes {
    /// The volume at this path with its size, if a VM of ours could have it.
    fn volume(
        &self,
        path: &str,
        format: VolumeFormat,
    ) -> std::result::Result<(VolumeRef, Size), String>;
}

/// The nearest definition of a domain that was made elsewhere, and what stands in the way of it.
pub(crate) fn read(libvirt: &Connection, policy: &HostPolicy, vm: VmId, xml: &str) -> ForeignVm {
    understand(policy, &Stored { libvirt, policy }, vm, xml)
}

/// The same for a domain's stored XML alone.
pub fn understand(policy: &HostPolicy, volumes: &dyn Volumes, vm: VmId, xml: &str) -> ForeignVm {
    let nothing = |why: String| ForeignVm {
        definition: None,
        obstacles: vec![why],
    };
    let document = match Document::parse(xml) {
        Ok(document) => document,
        Err(error) => {
            // The words quote the XML, in which there may be anything.
            let why: String = error.to_string().chars().take(200).collect();
            let why = why.replace(char::is_control, "?");
            return nothing(format!("its XML can't be read: {why}"));
        }
    };
    let mut reader = Reader::new(document.root_element());
    let Some(name) = reader.text_at("name").and_then(|name| name.parse().ok()) else {
        let rule = hv_model::name::RULE;
        return nothing(format!(
            "its name is not one that a VM of ours may have: {rule}"
        ));
    };
    let mut spec = VmSpec::new(name);
    let mut disks = Vec::new();
    machine::read(&mut reader, vm, &mut spec);
    device::read(&mut reader, policy, volumes, &mut spec, &mut disks);
    let mut obstacles = reader.obstacles();
    let faults = spec.validate().into_iter().chain(spec.not_yet());
    obstacles.extend(faults.map(|fault| fault.to_string()));
    let definition = Definition {
        id: vm,
        generation: 1,
        spec,
        disks,
    };
    if let Err(refusals) = judge(policy, &definition) {
        obstacles.extend(refusals.iter().map(ToString::to_string));
    }
    obstacles.truncate(MOST);
    ForeignVm {
        definition: obstacles.is_empty().then(|| Box::new(definition)),
        obstacles,
    }
}

/// Whether what somebody adopts a VM as is the VM that is there: what the guest would miss must
/// be the same. Its owner, tags, limits and the like are free.
pub(crate) fn expect_same_machine(nearest: &Definition, wanted: &Definition) -> Result<()> {
    let (there, here) = (
        nearest.spec.settled(nearest.id),
        wanted.spec.settled(wanted.id),
    );
    let places = |disks: &[PlacedDisk]| disks.to_vec();
    let addresses = |spec: &VmSpec| spec.nics.iter().map(|nic| nic.mac).collect::<Vec<_>>();
    for (same, what) in [
        (there.name == here.name, "name"),
        (there.arch == here.arch, "arch"),
        (there.machine_type() == here.machine_type(), "machine"),
        (there.firmware == here.firmware, "firmware"),
        (there.tpm == here.tpm, "tpm"),
        (places(&nearest.disks) == places(&wanted.disks), "disks"),
        (addresses(&there) == addresses(&here), "MAC addresses"),
    ] {
        if !same {
            let message = format!(
                "VM {} is adopted with another {what} than it has",
                there.name
            );
            return fail(HypervisorErrorKind::Invalid, message);
        }
    }
    Ok(())
}

/// Volumes as libvirt knows them.
struct Stored<'a> {
    libvirt: &'a Connection,
    policy: &'a HostPolicy,
}

impl Volumes for Stored<'_> {
    fn volume(
        &self,
        path: &str,
        format: VolumeFormat,
    ) -> std::result::Result<(VolumeRef, Size), String> {
        let outside = || format!("{path} is not in a pool of the host's policy");
        let (pool, name) = self.policy.volume_at(path).ok_or_else(outside)?;
        let name = name.parse().map_err(|_| outside())?;
        let volume = VolumeRef {
            pool: pool.name.clone(),
            name,
        };
        let found = pool::volume(self.libvirt, self.policy, &volume);
        let (found, _) = found.map_err(|error| error.message)?;
        header::judge_disk(self.policy, &found, &volume, format).map_err(|error| error.message)?;
        let info = found.info().map_err(|error| error.message)?;
        Ok((volume, Size::from_bytes(info.capacity)))
    }
}
