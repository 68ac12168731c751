// SPDX-License-Identifier: GPL-3.0-or-later
//! VMs as lists and pages show them.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    device::{DiskLimits, NicLimits},
    host::Acceleration,
    hypervisor::{AgentLink, Guest, PlacedDisk, Takeover},
    id::{OperationId, VmId},
    name::{DeviceName, Tag, UserName, VmName},
    plan::Change,
    size::Size,
    vm::{Autostart, Limits, OnCrash, VmSpec, VmState},
};

/// A VM in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct VmSummary {
    /// Its id.
    pub id: VmId,
    /// Its name; of a VM made elsewhere it may be any text.
    pub name: String,
    /// Whether it is ours to change.
    pub managed: Management,
    /// What it is doing.
    pub state: VmState,
    /// Why, in a word of libvirt's.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Since when it has been in that state, as far as is known.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// How many CPUs it has.
    pub cpus: u32,
    /// How much memory it has.
    pub memory: Size,
    /// Who is responsible for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<UserName>,
    /// Its tags.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<Tag>,
    /// Whether its guest agent is connected; absent where it has none or is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentLink>,
    /// Whether it starts with the host.
    pub autostart: bool,
    /// Which version of its spec this is; 0 for a VM made elsewhere. It is also the `ETag`.
    pub generation: u64,
    /// The operation that is changing it now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<OperationId>,
    /// When it will be purged, if it lies in the trash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub purged_after: Option<Timestamp>,
}

/// Whether a VM is ours to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Management {
    /// It is.
    Managed,
    /// It was made with another tool: shown, started and stopped, never changed.
    Foreign,
}

/// Everything about a VM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct VmView {
    /// What a list shows of it.
    #[serde(flatten)]
    pub summary: VmSummary,
    /// What is intended; absent for a VM made elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<VmSpec>,
    /// Where its disks are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disks: Vec<PlacedDisk>,
    /// What of the spec waits for its next boot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<Change>,
    /// What stands in the way of adopting it, if it was made elsewhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub obstacles: Vec<String>,
    /// How its guest runs on this host; absent where that is not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acceleration: Option<Acceleration>,
    /// What its guest says of itself, if its agent answered lately. Untrusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest: Option<Guest>,
    /// When it was made here; absent for a VM made elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub created: Option<Timestamp>,
}

/// A VM to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateVm {
    /// What is intended.
    pub spec: VmSpec,
    /// What to do once it is made.
    #[serde(default)]
    pub then: ThenStart,
}

/// What to do once a VM is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ThenStart {
    /// Leave it off.
    #[default]
    Nothing,
    /// Start it.
    Start,
}

/// How a guest is to be asked to shut down or reboot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AskGuest {
    /// How long to wait for it, in seconds: 1 to 3,600. First its agent is asked, then, after half
    /// of that time, the power button is pressed.
    #[schema(minimum = 1, maximum = 3600)]
    pub timeout_seconds: u32,
}

impl Default for AskGuest {
    fn default() -> Self {
        Self {
            timeout_seconds: 90,
        }
    }
}

/// A new name for a VM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenameVm {
    /// The name.
    pub name: VmName,
}

/// How a VM is to be deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DeleteVm {
    /// What to do if it still runs.
    pub running: IfRunning,
}

/// What to do with a VM that still runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IfRunning {
    /// Refuse.
    #[default]
    Refuse,
    /// Force it off first.
    ForceOff,
}

/// How a console is to be opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenConsole {
    /// What happens to somebody who already uses it.
    pub takeover: Takeover,
}

/// Changes to a VM's spec: what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ChangeVm {
    /// Another description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Another owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<UserName>,
    /// Tags to add.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub add_tags: BTreeSet<Tag>,
    /// Tags to take away.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub remove_tags: BTreeSet<Tag>,
    /// Another count of CPUs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<u32>,
    /// Another maximum of CPUs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_cpus: Option<u32>,
    /// Another size of memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Size>,
    /// Another maximum of memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_memory: Option<Size>,
    /// Other limits on CPU time, in place of all there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// Other limits of a disk, by the disk's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_limits: Option<(DeviceName, DiskLimits)>,
    /// Other limits of a network interface, by its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nic_limits: Option<(DeviceName, NicLimits)>,
    /// Another way to start with the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autostart: Option<ChangeAutostart>,
    /// Another way to treat a crash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_crash: Option<OnCrash>,
}

impl ChangeVm {
    /// Changes what grants depend on: the owner and the tags.
    pub fn assign(&self, owner: &mut Option<UserName>, tags: &mut BTreeSet<Tag>) {
        if self.owner.is_some() {
            owner.clone_from(&self.owner);
        }
        tags.extend(self.add_tags.iter().cloned());
        tags.retain(|tag| !self.remove_tags.contains(tag));
    }
}

/// Another way to start with the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeAutostart {
    /// Not to start with it.
    Off,
    /// To start with it like this.
    On(Autostart),
}
