// SPDX-License-Identifier: GPL-3.0-or-later
//! Undoing, as data that is written before what it undoes is done.
//!
//! Each undo is idempotent: undoing what did not happen, or undoing twice, is fine. New kinds may
//! be added; those that exist are stored in databases and keep their form.

use hv_model::{
    hypervisor::{Definition, LiveChange},
    id::{ImageId, VmId},
    name::VmName,
    storage::VolumeRef,
};
use serde::{Deserialize, Serialize};

/// What would undo a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Undo {
    /// Delete a volume that the step makes. Its name is this operation's alone.
    DeleteVolume(VolumeRef),
    /// Undefine a VM that the step defines.
    Undefine(VmId),
    /// Define a VM as it was before the step.
    Define(Box<Definition>),
    /// Give a VM the name that it had before the step.
    Rename(VmId, VmName),
    /// Force off a VM that the step starts.
    ForceOff(VmId),
    /// Change a running VM back to what it was before the step.
    ChangeLive(VmId, LiveChange),
    /// Forget a VM that the step takes into the store.
    ForgetVm(VmId),
    /// Forget an image that the step takes into the store.
    ForgetImage(ImageId),
}

/// An undo that waits, and which step it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingUndo {
    /// The step's place in the operation.
    pub step: usize,
    /// What would undo it.
    pub undo: Undo,
}
