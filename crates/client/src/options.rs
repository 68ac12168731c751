// SPDX-License-Identifier: GPL-3.0-or-later
//! What a call can be narrowed to, and how a change is to be made.

use std::time::Duration;

use hv_model::{
    audit::WantedEntries,
    inventory::{AskGuest, RenameVm},
    name::{Tag, UserName},
    operation::OperationState,
    vm::VmState,
};

/// Which VMs to list: those that fit everything that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VmFilter {
    /// Those in this state.
    pub state: Option<VmState>,
    /// Those with this tag.
    pub tag: Option<Tag>,
    /// Those of this owner.
    pub owner: Option<UserName>,
    /// The one with this name.
    pub name: Option<String>,
    /// Those in use, or those in the trash.
    pub shelf: Shelf,
}

/// Where to look for VMs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Shelf {
    /// Among those in use.
    #[default]
    InUse,
    /// In the trash.
    Trash,
}

/// Which operations to list, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OperationFilter {
    /// Those in this state.
    pub state: Option<OperationState>,
    /// Those on this VM, by its name or id.
    pub vm: Option<String>,
    /// How many at most: 1 to 1,000.
    pub limit: Option<u32>,
    /// The `next_page` of the page before.
    pub page: Option<String>,
}

/// Which audit entries to list, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Those that fit this.
    pub wanted: WantedEntries,
    /// How many at most: 1 to 1,000.
    pub limit: Option<u32>,
    /// The `next_page` of the page before.
    pub page: Option<String>,
}

/// Which events to follow or list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Those that concern this VM, by its name or id.
    pub vm: Option<String>,
}

/// How a change is to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangeOptions {
    /// How long the daemon is to wait for the operation's end before it answers: at most five
    /// minutes. Without it the answer is the operation as it was queued.
    pub wait: Option<Duration>,
    /// Asking twice with the same key does it once.
    pub idempotency_key: Option<String>,
    /// Refuse if the VM has another generation by now.
    pub if_generation: Option<u64>,
}

impl ChangeOptions {
    /// Waits for the operation's end, at most so long.
    #[must_use]
    pub const fn wait(mut self, time: Duration) -> Self {
        self.wait = Some(time);
        self
    }

    /// Does it once, however often it is asked with this key.
    #[must_use]
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// Refuses if the VM has another generation by now.
    #[must_use]
    pub const fn if_generation(mut self, generation: u64) -> Self {
        self.if_generation = Some(generation);
        self
    }
}

/// Something to do with a VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VmAction {
    /// Start it, or restore it where its memory was saved.
    Start,
    /// Ask its guest to shut down.
    ShutDown(AskGuest),
    /// Cut its power.
    ForceOff,
    /// Ask its guest to reboot.
    Reboot(AskGuest),
    /// Press its reset button.
    Reset,
    /// Stop it in its tracks.
    Pause,
    /// Let it go on.
    Resume,
    /// Save its memory and stop it.
    Save,
    /// Give it another name.
    Rename(RenameVm),
    /// Take it out of the trash.
    Undelete,
    /// Destroy it in the trash, for good.
    Purge,
    /// Take it over, if it was made with another tool.
    Adopt,
}

impl VmAction {
    /// The last part of the action's address.
    pub(crate) const fn path(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::ShutDown(_) => "shut-down",
            Self::ForceOff => "force-off",
            Self::Reboot(_) => "reboot",
            Self::Reset => "reset",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Save => "save",
            Self::Rename(_) => "rename",
            Self::Undelete => "undelete",
            Self::Purge => "purge",
            Self::Adopt => "adopt",
        }
    }
}
