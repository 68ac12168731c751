// SPDX-License-Identifier: GPL-3.0-or-later
//! The first bytes of volumes, fetched through libvirt and judged as something hostile.

use std::ops::ControlFlow;

use hv_guard::{
    HostPolicy,
    image::{self, Backing, ImageRefusal},
};
use hv_libvirt::{ErrorKind, Volume};
use hv_model::{
    hypervisor::{HypervisorError, HypervisorErrorKind, Result},
    storage::{PoolPurpose, VolumeFormat, VolumeRef},
};

use crate::failure::Explain;

/// A volume's first bytes.
pub(crate) fn fetch(volume: &Volume, what: &VolumeRef) -> Result<Vec<u8>> {
    let mut header = Vec::new();
    let fetched = volume.download(&mut header, u64::MAX, &mut |received| {
        // The stream is cut off once there is enough.
        if received < image::HEADER as u64 {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
    match fetched {
        Err(error) if error.kind == ErrorKind::Aborted => {}
        other => drop(other.explain(|| format!("volume {what} can't be read"))?),
    }
    header.truncate(image::HEADER);
    Ok(header)
}

/// Judges a disk that a VM is to get: it may stand on a file of an images pool, and on no other.
pub(crate) fn judge_disk(
    policy: &HostPolicy,
    volume: &Volume,
    what: &VolumeRef,
    format: VolumeFormat,
) -> Result<()> {
    if format == VolumeFormat::Raw {
        return Ok(());
    }
    let header = fetch(volume, what)?;
    let is_image = |path: &str, _: VolumeFormat| {
        policy
            .volume_at(path)
            .is_some_and(|(pool, _)| pool.purpose == PoolPurpose::Images)
    };
    image::inspect_disk(&header, format, Backing::If(&is_image))
        .map(drop)
        .map_err(|refusal| unsafe_image(what, &refusal))
}

/// Why an image is refused.
pub(crate) fn unsafe_image(what: &VolumeRef, refusal: &ImageRefusal) -> HypervisorError {
    tracing::warn!(volume = %what, %refusal, "an image was refused");
    let message = format!("{what} can't be used: {refusal}");
    HypervisorError::new(HypervisorErrorKind::UnsafeImage, message)
}
