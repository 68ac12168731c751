// SPDX-License-Identifier: GPL-3.0-or-later
//! Jobs: what operations do, one file each.
//!
//! A job is a value that is read from its operation's row, so it can be taken up after a restart.
//! It works in steps; whatever a step makes that would be left over is written down as an [`Undo`]
//! before it is made. What the store is to know in the end is recorded in the transaction in which
//! the operation succeeds.
//!
//! [`Undo`]: crate::engine::Undo

mod add_image;
mod adopt_vm;
mod ask_guest;
mod change_vm;
mod create_vm;
mod delete_image;
mod delete_vm;
mod force_off_vm;
mod pause_vm;
mod purge_vm;
mod reboot_vm;
mod rename_vm;
mod reset_vm;
mod resume_vm;
mod save_vm;
mod shut_down_vm;
mod start_vm;
mod undelete_vm;
mod volume;

use std::time::Duration;

use hv_model::{
    id::{ImageId, VmId},
    operation::{Operation, OperationKind, Target},
    problem::{Problem, ProblemKind},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

pub(crate) use self::{change_vm::plan_change, volume::owner as volume_owner};
use crate::engine::{Context, Lock, Outcome, Stop};

/// How long a change that libvirt has made may take to be seen.
const SETTLE: Duration = Duration::from_secs(5);

/// What happens to a job that the daemon ended under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnRestart {
    /// What it had begun is undone, and it is begun again.
    Resume,
    /// What it had begun is undone, and it is over.
    Undo,
}

/// What an operation of one kind does.
pub(crate) trait Job: Sized {
    /// What happens to it if the daemon ended under it.
    const ON_RESTART: OnRestart;

    /// Reads it from its operation.
    fn read(target: &Target, parameters: &Value) -> Result<Self, Problem>;

    /// What it needs for itself.
    fn locks(&self) -> Vec<Lock>;

    /// Does it.
    fn run(self, context: &mut Context) -> impl Future<Output = Result<Outcome, Stop>> + Send;
}

macro_rules! jobs {
    ($($kind:ident => $job:path;)*) => {
        /// A job of any kind.
        pub(crate) enum AnyJob {$(
            #[doc = stringify!($kind)]
            $kind($job),
        )*}

        impl AnyJob {
            /// The job of an operation.
            pub(crate) fn of(operation: &Operation) -> Result<Self, Problem> {
                let (target, parameters) = (&operation.target, &operation.parameters);
                match operation.kind {
                    $(OperationKind::$kind => Job::read(target, parameters).map(Self::$kind),)*
                }
            }

            /// What it needs for itself.
            pub(crate) fn locks(&self) -> Vec<Lock> {
                match self {$(Self::$kind(job) => job.locks(),)*}
            }

            /// What happens to it if the daemon ended under it.
            pub(crate) fn on_restart(&self) -> OnRestart {
                match self {$(Self::$kind(_) => <$job as Job>::ON_RESTART,)*}
            }

            /// Does it.
            pub(crate) async fn run(self, context: &mut Context) -> Result<Outcome, Stop> {
                match self {$(Self::$kind(job) => Box::pin(job.run(context)).await,)*}
            }
        }
    };
}

jobs! {
    VmCreate => create_vm::CreateVm;
    VmStart => start_vm::StartVm;
    VmShutDown => shut_down_vm::ShutDownVm;
    VmForceOff => force_off_vm::ForceOffVm;
    VmReboot => reboot_vm::RebootVm;
    VmReset => reset_vm::ResetVm;
    VmPause => pause_vm::PauseVm;
    VmResume => resume_vm::ResumeVm;
    VmSave => save_vm::SaveVm;
    VmRename => rename_vm::RenameVm;
    VmChange => change_vm::ChangeVm;
    VmDelete => delete_vm::DeleteVm;
    VmUndelete => undelete_vm::UndeleteVm;
    VmPurge => purge_vm::PurgeVm;
    VmAdopt => adopt_vm::AdoptVm;
    ImageAdd => add_image::AddImage;
    ImageDelete => delete_image::DeleteImage;
}

fn vm(target: &Target) -> Result<VmId, Problem> {
    target
        .id
        .parse()
        .map_err(|_| unreadable(&format!("{:?} is no VM's id", target.id)))
}

fn image(target: &Target) -> Result<ImageId, Problem> {
    target
        .id
        .parse()
        .map_err(|_| unreadable(&format!("{:?} is no image's id", target.id)))
}

fn parameters<T: DeserializeOwned>(parameters: &Value) -> Result<T, Problem> {
    T::deserialize(parameters).map_err(|error| unreadable(&error.to_string()))
}

fn unreadable(why: &str) -> Problem {
    Problem::new(
        ProblemKind::Internal,
        format!("The operation's row can't be read: {why}."),
    )
}
