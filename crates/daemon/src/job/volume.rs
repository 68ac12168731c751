// SPDX-License-Identifier: GPL-3.0-or-later
//! What the volumes of VMs are called.

use hv_model::{
    id::VmId,
    name::{DeviceName, VolumeName},
    problem::{Problem, ProblemKind},
    size::Size,
};

/// How much a pool must have left for a disk that grows.
pub(super) const MIN_FREE: Size = Size::from_mib(16);

/// What all volumes of VMs of ours begin with.
const PREFIX: &str = "hv-";

/// The name of a disk's volume: `hv-<id of the VM>-vda.qcow2`. A disk whose own name is too long
/// for that goes by its place.
pub(super) fn name(vm: VmId, disk: &DeviceName, place: usize) -> Result<VolumeName, Problem> {
    format!("{PREFIX}{vm}-{disk}.qcow2")
        .parse()
        .or_else(|_| format!("{PREFIX}{vm}-disk{place}.qcow2").parse())
        .map_err(|error| Problem::new(ProblemKind::Internal, format!("{error}.")))
}

/// The VM that a volume of this name was made for.
pub(crate) fn owner(volume: &VolumeName) -> Option<VmId> {
    let rest = volume.as_str().strip_prefix(PREFIX)?;
    let (id, rest) = rest.split_at_checked(36)?;
    rest.starts_with('-').then(|| id.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_volume_tells_whose_it_is() {
        let vm = VmId::new(Uuid::from_u128(7));
        for disk in ["vda", &"x".repeat(63)] {
            let name = name(vm, &disk.parse().unwrap(), 3).unwrap();
            assert_eq!(owner(&name), Some(vm), "{name}");
        }
    }

    #[test]
    fn other_volumes_are_nobodys() {
        for other in [
            "web.qcow2",
            "hv-web.qcow2",
            "hv-00000000-0000-0000-0000-000000000007.qcow2",
        ] {
            assert_eq!(owner(&other.parse().unwrap()), None, "{other}");
        }
    }
}
