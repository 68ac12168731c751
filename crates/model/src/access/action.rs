// SPDX-License-Identifier: GPL-3.0-or-later
//! What can be asked for.

use serde::{Deserialize, Serialize};

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
    /// Give a VM another owner or other tags, on which grants depend.
    VmAssign = "vm.assign";
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
    /// See who may do what: grants, quotas, accounts, sessions and tokens of others.
    AccessView = "access.view";
    /// Change grants and quotas.
    AccessChange = "access.change";
    /// Make, change and remove accounts, and end sessions and tokens of others.
    AccountChange = "account.change";
    /// Log in, or prove anew who one is.
    AccountLogin = "account.login";
    /// See requests for approval of others.
    ApprovalView = "approval.view";
    /// Approve, as a second person, what others ask for.
    ApprovalGive = "approval.give";
}

impl Action {
    /// Whether it destroys something, or changes who may do what, so that a grant alone may not be
    /// enough.
    pub const fn is_grave(self) -> bool {
        matches!(
            self,
            Self::VmPurge | Self::AccessChange | Self::AccountChange
        )
    }

    /// What kind of thing it is done to: `vm` of `vm.start`.
    pub fn noun(self) -> &'static str {
        self.as_str().split_once('.').map_or("", |(noun, _)| noun)
    }

    /// What is done to it: `start` of `vm.start`.
    pub fn verb(self) -> &'static str {
        self.as_str().split_once('.').map_or("", |(_, verb)| verb)
    }
}
