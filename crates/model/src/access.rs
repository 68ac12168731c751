// SPDX-License-Identifier: GPL-3.0-or-later
//! Who asks, for what, and what the answer is.

use serde::{Deserialize, Serialize};

use crate::name::UserName;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Principal {
    /// A user of the host, known by the credentials of their socket.
    User {
        /// Their name.
        name: UserName,
        /// Their numeric id.
        uid: u32,
    },
    /// The daemon itself: autostart, restarts, clean-up.
    System,
    /// Somebody who cannot be known: whoever reaches the loopback address.
    Anonymous,
}

impl Principal {
    /// How the principal is named in lists and logs.
    pub fn label(&self) -> &str {
        match self {
            Self::User { name, .. } => name.as_str(),
            Self::System => "system",
            Self::Anonymous => "anonymous",
        }
    }
}

macro_rules! actions {
    ($($(#[$doc:meta])* $variant:ident = $slug:literal;)*) => {
        /// Something that can be asked for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        pub enum Action {$(
            $(#[$doc])*
            #[serde(rename = $slug)]
            $variant,
        )*}

        impl Action {
            /// Every action.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The action's name in policies and in the audit log.
            pub const fn as_str(self) -> &'static str {
                match self {$(Self::$variant => $slug),*}
            }
        }
    };
}

actions! {
    /// See a VM and its state.
    VmView = "vm.view";
    /// Make a VM.
    VmCreate = "vm.create";
    /// Start a VM, or restore a saved one.
    VmStart = "vm.start";
    /// Ask the guest to shut down.
    VmShutDown = "vm.shut-down";
    /// Force a VM off.
    VmForceOff = "vm.force-off";
    /// Ask the guest to reboot.
    VmReboot = "vm.reboot";
    /// Reset a VM.
    VmReset = "vm.reset";
    /// Pause a VM.
    VmPause = "vm.pause";
    /// Let a paused VM go on.
    VmResume = "vm.resume";
    /// Save a VM's memory to disk and stop it.
    VmSave = "vm.save";
    /// Give a VM another name.
    VmRename = "vm.rename";
    /// Change a VM's spec.
    VmChange = "vm.change";
    /// Move a VM to the trash.
    VmDelete = "vm.delete";
    /// Take a VM out of the trash.
    VmUndelete = "vm.undelete";
    /// Destroy a VM in the trash, for good.
    VmPurge = "vm.purge";
    /// Take over a VM that was made elsewhere.
    VmAdopt = "vm.adopt";
    /// Use a VM's console.
    VmConsole = "vm.console";
    /// See images.
    ImageView = "image.view";
    /// Add an image.
    ImageAdd = "image.add";
    /// Delete an image.
    ImageDelete = "image.delete";
    /// See networks.
    NetworkView = "network.view";
    /// See pools.
    PoolView = "pool.view";
    /// See the host and its health.
    HostView = "host.view";
    /// See operations.
    OperationView = "operation.view";
    /// Cancel an operation.
    OperationCancel = "operation.cancel";
    /// Follow events.
    EventView = "event.view";
    /// Read the audit log.
    AuditView = "audit.view";
}

/// The answer to whether a principal may do something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "decision", rename_all = "kebab-case")]
pub enum Decision {
    /// They may.
    Allow {
        /// The policy that says so.
        policy: String,
    },
    /// They may not.
    Deny {
        /// The policy that says so.
        policy: String,
    },
}
