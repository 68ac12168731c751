// SPDX-License-Identifier: GPL-3.0-or-later
//! What a difference costs, by its field and by what the VM is doing.

use super::{Impact, compare::Difference};
use crate::{
    device::{Disk, ImageSource},
    vm::{Balloon, VmSpec, VmState},
};

/// What can be done to a VM in a state.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// It has no process: whatever is changed is there when it boots.
    Off,
    /// The guest works with it.
    Guest,
    /// It has a process, but the guest does not work with it.
    Process,
    /// It goes on later with what it was booted with.
    None,
}

impl Reach {
    pub(super) const fn of(state: VmState) -> Self {
        match state {
            VmState::Off | VmState::Crashed | VmState::Trashed => Self::Off,
            VmState::Running => Self::Guest,
            VmState::Paused | VmState::Sleeping | VmState::ShuttingDown => Self::Process,
            VmState::Saved | VmState::Unknown => Self::None,
        }
    }

    /// Whether limits, which are the host's own matter, can be changed now.
    pub(super) const fn allows_limits(self) -> bool {
        matches!(self, Self::Guest | Self::Process)
    }

    /// CPUs can be added up to the maximum. Guests rarely let go of one, and libvirt waits long
    /// for it, so taking some away waits for the next boot.
    pub(super) fn allows_cpus(self, old: &VmSpec, new: &VmSpec) -> bool {
        self == Self::Guest && (old.cpus.count..=old.cpus.most()).contains(&new.cpus.count)
    }

    /// The balloon gives and takes up to the maximum.
    pub(super) fn allows_memory(self, old: &VmSpec, new: &VmSpec) -> bool {
        self == Self::Guest
            && old.memory.balloon == Balloon::On
            && new.memory.size <= old.memory.most()
    }
}

/// What a difference costs.
pub(super) fn of(difference: &Difference, old: &VmSpec, new: &VmSpec, state: VmState) -> Impact {
    let field: Vec<&str> = difference.field.split('.').collect();
    let reach = Reach::of(state);
    let live = match field.as_slice() {
        // What only the daemon knows of.
        [
            "description" | "owner" | "tags" | "on_crash" | "autostart",
            ..,
        ] => return Impact::None,
        _ if loses_data(difference, old, new) => return Impact::Data,
        _ if reach == Reach::Off => return Impact::None,
        ["cpus", "count"] => reach.allows_cpus(old, new),
        ["memory", "size"] => reach.allows_memory(old, new),
        ["limits", ..] | ["disks" | "nics", .., "limits", _] => reach.allows_limits(),
        _ => false,
    };
    if live { Impact::Live } else { Impact::NextBoot }
}

/// Whether something goes that no other copy is known of: a disk, a part of it, or the keys in a
/// TPM.
fn loses_data(difference: &Difference, old: &VmSpec, new: &VmSpec) -> bool {
    if difference.field == "tpm.model" && difference.to.is_empty() {
        return true;
    }
    let Some(path) = difference.field.strip_prefix("disks.") else {
        return false;
    };
    let (old, new) = (named_disk(old, path), named_disk(new, path));
    match (old, new) {
        (Some((old, _)), _) if old.source == ImageSource::Cdrom => false,
        (Some(_), None) | (Some((_, "image" | "as")), Some(_)) => true,
        (Some((old, "size")), Some((new, _))) => match (old.size, new.size) {
            (Some(old), Some(new)) => new < old,
            _ => false,
        },
        _ => false,
    }
}

/// The disk that a path below `disks` begins with, and what of it is meant. Names may have dots.
fn named_disk<'a, 'p>(spec: &'a VmSpec, path: &'p str) -> Option<(&'a Disk, &'p str)> {
    spec.disks
        .iter()
        .zip(spec.disk_names())
        .find_map(|(disk, name)| {
            let rest = path.strip_prefix(name.as_str())?;
            if rest.is_empty() {
                Some((disk, rest))
            } else {
                Some((disk, rest.strip_prefix('.')?))
            }
        })
}
