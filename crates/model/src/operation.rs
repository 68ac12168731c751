// SPDX-License-Identifier: GPL-3.0-or-later
//! Operations: everything that changes something, as a persisted job.
//!
//! ```text
//!   queued ──▶ running ──▶ succeeded
//!     │           ├──────▶ failed        (undone, with the problem)
//!     └───────────┼──────▶ cancelled     (undone)
//!                 └──────▶ interrupted   (hvd ended under it; undone at the next start)
//! ```

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    access::{Action, Principal},
    id::OperationId,
    problem::Problem,
};

/// An operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Operation {
    /// Its id.
    pub id: OperationId,
    /// What kind of work it is.
    pub kind: OperationKind,
    /// What it works on.
    pub target: Target,
    /// What was asked for.
    #[schema(value_type = Object)]
    pub parameters: serde_json::Value,
    /// Who asked for it.
    pub actor: Principal,
    /// The key that the caller gave so that asking twice does it once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// How far it is.
    pub state: OperationState,
    /// What was done so far, step by step.
    pub steps: Vec<Step>,
    /// How much of the current step is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// What it came to, by kind.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    #[schema(value_type = Object)]
    pub result: serde_json::Value,
    /// Why it did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended: Option<Timestamp>,
}

/// What an operation works on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Target {
    /// `vm` or `image`.
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Its name then.
    pub name: String,
}

/// One step of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Step {
    /// What is done, in words.
    pub name: String,
    /// The plain command that does the same on any Linux with libvirt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// How far it is.
    pub state: StepState,
}

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    /// It is under way.
    Running,
    /// It is done.
    Done,
    /// It failed.
    Failed,
    /// It was undone.
    Undone,
}

/// How much of a step is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Progress {
    /// So much is done.
    pub done: u64,
    /// Of so much.
    pub total: u64,
    /// Of what.
    pub unit: ProgressUnit,
}

/// What progress is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProgressUnit {
    /// Bytes.
    Bytes,
    /// Seconds of waiting.
    Seconds,
}

/// How far an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OperationState {
    /// It waits for its turn.
    Queued,
    /// It is under way.
    Running,
    /// It did what was asked.
    Succeeded,
    /// It did not, and what it had begun was undone.
    Failed,
    /// Somebody stopped it, and what it had begun was undone.
    Cancelled,
    /// The daemon ended under it, and what it had begun was undone.
    Interrupted,
}

impl OperationState {
    /// Whether it is over.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }

    /// The state in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $slug:literal, $words:literal;)*) => {
        /// A kind of work.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        pub enum OperationKind {$(
            $(#[$doc])*
            #[serde(rename = $slug)]
            $variant,
        )*}

        impl OperationKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The kind's name in the API.
            pub const fn as_str(self) -> &'static str {
                match self {$(Self::$variant => $slug),*}
            }

            /// The kind in words: `start web`.
            pub const fn words(self) -> &'static str {
                match self {$(Self::$variant => $words),*}
            }

            /// What whoever asks for it must be allowed to do.
            pub const fn action(self) -> Action {
                match self {$(Self::$variant => Action::$variant),*}
            }
        }
    };
}

kinds! {
    /// Make a VM.
    VmCreate = "vm.create", "create";
    /// Start a VM.
    VmStart = "vm.start", "start";
    /// Ask the guest to shut down, and wait.
    VmShutDown = "vm.shut-down", "shut down";
    /// Force a VM off.
    VmForceOff = "vm.force-off", "force off";
    /// Ask the guest to reboot.
    VmReboot = "vm.reboot", "reboot";
    /// Reset a VM.
    VmReset = "vm.reset", "reset";
    /// Pause a VM.
    VmPause = "vm.pause", "pause";
    /// Let a paused VM go on.
    VmResume = "vm.resume", "resume";
    /// Save a VM's memory and stop it.
    VmSave = "vm.save", "save";
    /// Rename a VM.
    VmRename = "vm.rename", "rename";
    /// Change a VM's spec.
    VmChange = "vm.change", "change";
    /// Move a VM to the trash.
    VmDelete = "vm.delete", "delete";
    /// Take a VM out of the trash.
    VmUndelete = "vm.undelete", "undelete";
    /// Destroy a VM in the trash.
    VmPurge = "vm.purge", "purge";
    /// Take over a VM made elsewhere.
    VmAdopt = "vm.adopt", "adopt";
    /// Add an image.
    ImageAdd = "image.add", "add image";
    /// Delete an image.
    ImageDelete = "image.delete", "delete image";
}
