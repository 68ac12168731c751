// SPDX-License-Identifier: GPL-3.0-or-later
//! What the engine can be asked for.

use std::os::fd::OwnedFd;

use hv_model::{
    access::Action,
    id::{ImageId, VmId},
    inventory::{AskGuest, ChangeVm, CreateVm, DeleteVm, RenameVm},
    name::ImageName,
    operation::OperationKind,
    problem::{Problem, ProblemKind},
    storage::VolumeFormat,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::oneshot;

/// Something to be done, with everything that it needs.
#[derive(Debug)]
pub enum JobRequest {
    /// Make a VM.
    VmCreate(Box<CreateVm>),
    /// Start a VM.
    VmStart(VmId),
    /// Ask the guest to shut down, and wait.
    VmShutDown(VmId, AskGuest),
    /// Force a VM off.
    VmForceOff(VmId),
    /// Ask the guest to reboot, and wait.
    VmReboot(VmId, AskGuest),
    /// Reset a VM.
    VmReset(VmId),
    /// Pause a VM.
    VmPause(VmId),
    /// Let a paused VM go on.
    VmResume(VmId),
    /// Save a VM's memory and stop it.
    VmSave(VmId),
    /// Rename a VM.
    VmRename(VmId, RenameVm),
    /// Change a VM's spec.
    VmChange(VmId, Box<ChangeVm>),
    /// Move a VM to the trash.
    VmDelete(VmId, DeleteVm),
    /// Take a VM out of the trash.
    VmUndelete(VmId),
    /// Destroy a VM in the trash.
    VmPurge(VmId),
    /// Take over a VM made elsewhere.
    VmAdopt(VmId),
    /// Add an image.
    ImageAdd(AddImage, Upload),
    /// Delete an image.
    ImageDelete(ImageId),
}

/// An image to be added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddImage {
    /// Its name.
    pub name: ImageName,
    /// How its bytes are laid out.
    pub format: VolumeFormat,
    /// How many bytes it has.
    pub length: u64,
}

/// The bytes of an image on their way.
#[derive(Debug)]
pub struct Upload {
    /// Where they come from: the read end of a pipe or a socket.
    pub body: OwnedFd,
    /// The BLAKE3 of all of them in hexadecimal, once they are through; why they broke off, if
    /// they did. A sender that is dropped counts as broken off.
    pub digest: oneshot::Receiver<Result<String, String>>,
}

impl JobRequest {
    /// What kind of work it is.
    pub const fn kind(&self) -> OperationKind {
        match self {
            Self::VmCreate(_) => OperationKind::VmCreate,
            Self::VmStart(_) => OperationKind::VmStart,
            Self::VmShutDown(..) => OperationKind::VmShutDown,
            Self::VmForceOff(_) => OperationKind::VmForceOff,
            Self::VmReboot(..) => OperationKind::VmReboot,
            Self::VmReset(_) => OperationKind::VmReset,
            Self::VmPause(_) => OperationKind::VmPause,
            Self::VmResume(_) => OperationKind::VmResume,
            Self::VmSave(_) => OperationKind::VmSave,
            Self::VmRename(..) => OperationKind::VmRename,
            Self::VmChange(..) => OperationKind::VmChange,
            Self::VmDelete(..) => OperationKind::VmDelete,
            Self::VmUndelete(_) => OperationKind::VmUndelete,
            Self::VmPurge(_) => OperationKind::VmPurge,
            Self::VmAdopt(_) => OperationKind::VmAdopt,
            Self::ImageAdd(..) => OperationKind::ImageAdd,
            Self::ImageDelete(_) => OperationKind::ImageDelete,
        }
    }

    /// What whoever asks must be allowed to do.
    pub const fn action(&self) -> Action {
        self.kind().action()
    }

    /// The VM that it works on; `None`, where it makes one or is about an image.
    pub const fn vm(&self) -> Option<VmId> {
        match self {
            Self::VmStart(vm)
            | Self::VmShutDown(vm, _)
            | Self::VmForceOff(vm)
            | Self::VmReboot(vm, _)
            | Self::VmReset(vm)
            | Self::VmPause(vm)
            | Self::VmResume(vm)
            | Self::VmSave(vm)
            | Self::VmRename(vm, _)
            | Self::VmChange(vm, _)
            | Self::VmDelete(vm, _)
            | Self::VmUndelete(vm)
            | Self::VmPurge(vm)
            | Self::VmAdopt(vm) => Some(*vm),
            Self::VmCreate(_) | Self::ImageAdd(..) | Self::ImageDelete(_) => None,
        }
    }

    /// What was asked for, as the operation keeps it.
    pub(super) fn parameters(&self) -> Result<Value, Problem> {
        let written = match self {
            Self::VmCreate(request) => serde_json::to_value(request),
            Self::VmShutDown(_, request) | Self::VmReboot(_, request) => {
                serde_json::to_value(request)
            }
            Self::VmRename(_, request) => serde_json::to_value(request),
            Self::VmChange(_, request) => serde_json::to_value(request),
            Self::VmDelete(_, request) => serde_json::to_value(request),
            Self::ImageAdd(request, _) => serde_json::to_value(request),
            Self::VmStart(_)
            | Self::VmForceOff(_)
            | Self::VmReset(_)
            | Self::VmPause(_)
            | Self::VmResume(_)
            | Self::VmSave(_)
            | Self::VmUndelete(_)
            | Self::VmPurge(_)
            | Self::VmAdopt(_)
            | Self::ImageDelete(_) => Ok(Value::Object(serde_json::Map::new())),
        };
        written.map_err(|error| {
            Problem::new(
                ProblemKind::Internal,
                format!("The request can't be kept: {error}."),
            )
        })
    }
}
