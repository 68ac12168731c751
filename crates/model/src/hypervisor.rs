// SPDX-License-Identifier: GPL-3.0-or-later
//! The port: everything that may be asked of a host, in typed terms.
//!
//! Whoever can define a libvirt domain is root on the host, so there is neither XML nor a path in
//! here: a VM is a [`Definition`], a disk is a [`VolumeRef`]. The broker serves this trait over a
//! socket and judges each call by the host's policy; the daemon's `sim` serves it from memory.
//!
//! All calls block. Calls that change something are idempotent where that can be: deleting what is
//! not there succeeds, defining what is defined replaces it.

use std::{os::fd::OwnedFd, sync::mpsc::Receiver};

use serde::{Deserialize, Serialize};

use crate::{
    device::{DiskLimits, MacAddress, NicLimits},
    host::Host,
    id::VmId,
    image::ImageFacts,
    name::{DeviceName, NetworkName, UserName, VmName},
    network::Network,
    refusal::GuardRefusal,
    rights::Finding,
    size::Size,
    storage::{Pool, Volume, VolumeFormat, VolumeRef},
    vm::{Arch, Firmware, Limits, VmSpec, VmState},
};

/// What a call comes to.
pub type Result<T> = std::result::Result<T, HypervisorError>;

/// A host that runs VMs.
pub trait Hypervisor: Send + Sync {
    /// The same host, whose changes are made for this person: where the host's profile is strict,
    /// libvirt judges them as that person's. Without it they are the service's own.
    fn on_behalf_of(&self, person: &Behalf) -> Box<dyn Hypervisor>;

    /// What the host is and can do.
    fn host(&self) -> Result<Host>;

    /// What is wrong with the rights of whoever works at the host, as they found it when they
    /// started.
    fn rights(&self) -> Result<Vec<Finding>>;

    /// Every VM on the host with its state, whoever made it; one call to libvirt, not one a VM.
    fn vms(&self) -> Result<Vec<VmFacts>>;

    /// What these VMs are defined as. Those that do not exist are left out. Costs a call a VM:
    /// ask only for those that are new or changed.
    fn details(&self, vms: &[VmId]) -> Result<Vec<VmDetails>>;

    /// Counters and gauges of all running VMs, in one call to libvirt.
    fn stats(&self) -> Result<Vec<VmStats>>;

    /// Defines a VM, or replaces its definition; a running VM gets it at its next boot.
    fn define(&self, definition: &Definition) -> Result<()>;

    /// Makes a VM that was made elsewhere ours: gives it this definition, which must be that of the
    /// machine that is there, with its disks and MAC addresses. [`define`](Self::define) refuses
    /// such a VM.
    fn adopt(&self, definition: &Definition) -> Result<()> {
        self.define(definition)
    }

    /// Forgets a VM's definition and saved memory. Its disks stay, and so do its firmware's
    /// variables and its TPM, which may hold the keys to them.
    fn undefine(&self, vm: VmId) -> Result<()>;

    /// Destroys what an undefined VM has left besides its disks: its firmware's variables and its
    /// TPM. `definition` is what it was last.
    fn erase(&self, definition: &Definition) -> Result<()> {
        let _ = definition;
        Ok(())
    }

    /// Starts a VM, or restores it where its memory was saved.
    fn start(&self, vm: VmId) -> Result<()>;

    /// Asks the guest to shut down, and returns at once.
    fn shut_down(&self, vm: VmId, way: GuestRequest) -> Result<()>;

    /// Asks the guest to reboot, and returns at once.
    fn reboot(&self, vm: VmId, way: GuestRequest) -> Result<()>;

    /// Ends a VM as if its power were cut.
    fn force_off(&self, vm: VmId) -> Result<()>;

    /// Resets a VM as if its reset button were pressed.
    fn reset(&self, vm: VmId) -> Result<()>;

    /// Stops a VM in its tracks.
    fn pause(&self, vm: VmId) -> Result<()>;

    /// Lets a paused VM go on.
    fn resume(&self, vm: VmId) -> Result<()>;

    /// Saves a VM's memory to disk and stops it.
    fn save(&self, vm: VmId) -> Result<()>;

    /// Forgets a VM's saved memory, so that its next start is a cold one.
    fn discard_saved(&self, vm: VmId) -> Result<()>;

    /// Gives a VM that is off another name.
    fn rename(&self, vm: VmId, name: &VmName) -> Result<()>;

    /// Changes a running VM at once. Its definition is not touched.
    fn change_live(&self, vm: VmId, change: &LiveChange) -> Result<()>;

    /// Opens a VM's serial console: a stream of bytes, both ways.
    fn console(&self, vm: VmId, takeover: Takeover) -> Result<OwnedFd>;

    /// Asks the guest agent who it is. The answer is the guest's word: untrusted.
    fn guest(&self, vm: VmId) -> Result<Guest>;

    /// The managed pools.
    fn pools(&self) -> Result<Vec<Pool>>;

    /// The volumes of a managed pool.
    fn volumes(&self, pool: &crate::name::PoolName) -> Result<Vec<Volume>>;

    /// Makes a volume. One that exists already is an error.
    fn create_volume(&self, volume: &NewVolume) -> Result<()>;

    /// Makes a blank disk of this size larger. Never smaller.
    fn resize_volume(&self, volume: &VolumeRef, capacity: Size) -> Result<()>;

    /// Deletes a volume, if it is there.
    fn delete_volume(&self, volume: &VolumeRef) -> Result<()>;

    /// Makes a volume of an images pool from exactly `length` bytes that are read from `source`,
    /// and looks at them as at something hostile: anything that points to another file is refused.
    /// A failed upload leaves nothing.
    fn upload_image(
        &self,
        volume: &VolumeRef,
        format: VolumeFormat,
        length: u64,
        source: OwnedFd,
    ) -> Result<ImageFacts>;

    /// Every virtual network of the host.
    fn networks(&self) -> Result<Vec<Network>>;

    /// Facts from now on. The receiver is closed when the host is lost; subscribe again then, and
    /// resync, since facts were missed.
    fn subscribe(&self) -> Result<Receiver<Fact>>;
}

/// The person that a change is made for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Behalf {
    /// Their name, which is the same on the host and among our accounts.
    pub name: UserName,
    /// Their numeric id, where the host's kernel told it. It must be that of the host's user of
    /// this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
}

/// What a VM is to be on this host: its spec, and where its disks are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// The VM's id, and libvirt's UUID.
    pub id: VmId,
    /// Which version of the spec this is.
    pub generation: u64,
    /// What is intended.
    pub spec: VmSpec,
    /// Its disks' volumes, in the order of the spec's disks.
    pub disks: Vec<PlacedDisk>,
}

impl Definition {
    /// Whether it leaves something besides its disks once it is undefined: firmware's variables or
    /// a TPM.
    pub fn leaves_remains(&self) -> bool {
        let spec = &self.spec;
        spec.tpm.is_some() || spec.firmware != Firmware::Bios || spec.arch != Arch::X86_64
    }
}

/// A disk of a spec with the volume that holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlacedDisk {
    /// The disk's name within the VM: `vda`.
    pub name: DeviceName,
    /// The volume.
    pub volume: VolumeRef,
    /// How its bytes are laid out.
    pub format: VolumeFormat,
}

/// A volume to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewVolume {
    /// Where it is to be.
    pub volume: VolumeRef,
    /// How large its disk is.
    pub capacity: Size,
    /// How its bytes are to be laid out.
    pub format: VolumeFormat,
    /// What is in it.
    pub content: VolumeContent,
}

/// What is in a new volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VolumeContent {
    /// Nothing.
    Blank,
    /// What is in this image, of which only differences will be stored.
    CloneOf {
        /// The image's volume.
        volume: VolumeRef,
        /// How the image's bytes are laid out.
        format: VolumeFormat,
    },
    /// A copy of what is in this image.
    CopyOf {
        /// The image's volume.
        volume: VolumeRef,
        /// How the image's bytes are laid out.
        format: VolumeFormat,
    },
}

/// A VM's state on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmFacts {
    /// Its id.
    pub id: VmId,
    /// Its name on the host, which for VMs made elsewhere may break our rule for names.
    pub name: String,
    /// What it is doing.
    pub state: VmState,
    /// Why, in one word of libvirt's: `booted`, `ioerror`, `destroyed`.
    pub reason: String,
}

/// What a VM is defined as on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmDetails {
    /// Its id.
    pub id: VmId,
    /// Its name on the host.
    pub name: String,
    /// How many CPUs it has.
    pub cpus: u32,
    /// How much memory it has.
    pub memory: Size,
    /// Whether its guest agent is connected; `None` where it has no channel or is off.
    pub agent: Option<AgentLink>,
    /// What we defined it as; `None` for a VM made elsewhere.
    pub definition: Option<Box<Definition>>,
    /// What it would be as a spec of ours, for a VM made elsewhere, or why it can't be.
    pub foreign: Option<ForeignVm>,
}

/// A VM made elsewhere, seen as a spec of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignVm {
    /// The nearest definition of ours; `None` where it has something that we could not keep.
    pub definition: Option<Box<Definition>>,
    /// What stands in the way of adopting it: a disk outside the managed pools, a device that
    /// the policy does not allow. Empty where nothing does.
    pub obstacles: Vec<String>,
}

/// Whether a guest agent is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AgentLink {
    /// It is.
    Connected,
    /// It is not, or not yet.
    Disconnected,
}

/// What a guest agent says of its guest. Every text is bounded and free of control characters,
/// and none of it can be trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Guest {
    /// The operating system's full name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// The kernel's release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// Its host name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Its addresses, loopback left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
}

/// How a guest is asked to shut down or reboot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuestRequest {
    /// Through its agent.
    Agent,
    /// By the ACPI power button.
    Acpi,
}

/// What happens to somebody who already uses a console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Takeover {
    /// They keep it, and the newcomer is refused.
    Refuse,
    /// They lose it to the newcomer.
    Force,
}

/// What can be changed while a VM runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LiveChange {
    /// How many CPUs it has, up to its maximum.
    Cpus(u32),
    /// How much memory it has, up to its maximum, by its balloon.
    Memory(Size),
    /// How much CPU time it may use.
    Limits(Limits),
    /// How fast a disk may be.
    DiskLimits {
        /// The disk's name within the VM.
        disk: DeviceName,
        /// The limits, in place of all it has.
        limits: DiskLimits,
    },
    /// How fast a network interface may be.
    NicLimits {
        /// The interface's MAC address.
        mac: MacAddress,
        /// The limits, in place of all it has.
        limits: NicLimits,
    },
}

/// Counters and gauges of a running VM; counters count from its start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct VmStats {
    /// Which VM.
    pub id: Option<VmId>,
    /// CPU time used, in nanoseconds.
    pub cpu_time_ns: u64,
    /// CPUs online.
    pub cpus: u32,
    /// Memory that it has now, in bytes.
    pub memory_bytes: u64,
    /// Memory that its process takes on the host, in bytes.
    pub resident_bytes: u64,
    /// Memory that the guest says is unused, in bytes, if it does.
    pub unused_bytes: Option<u64>,
    /// Bytes read from all its disks.
    pub disk_read_bytes: u64,
    /// Bytes written to all its disks.
    pub disk_write_bytes: u64,
    /// Bytes received on all its interfaces.
    pub network_rx_bytes: u64,
    /// Bytes sent on all its interfaces.
    pub network_tx_bytes: u64,
}

/// Something that the host tells unasked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fact {
    /// A VM's state changed.
    State(VmFacts),
    /// A VM was defined, or its definition changed; ask for its details.
    Defined {
        /// Which.
        id: VmId,
        /// Its name now.
        name: String,
    },
    /// A VM was undefined; gone, unless it still runs.
    Undefined {
        /// Which.
        id: VmId,
    },
    /// A guest agent connected or disconnected.
    Agent {
        /// Which VM's.
        id: VmId,
        /// Whether it is there now.
        link: AgentLink,
    },
    /// A network changed.
    Network {
        /// Which.
        name: NetworkName,
    },
    /// The host's guard refused a VM, or found one that runs against the host's policy.
    Refused(GuardRefusal),
    /// Nothing happened for a while; the host is there.
    Alive,
    /// The host cannot be reached; another fact follows when it can.
    Lost {
        /// Why, in words.
        why: String,
    },
    /// The host can be reached again; facts were missed in between.
    Found,
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct HypervisorError {
    /// Which kind of failure it is.
    pub kind: HypervisorErrorKind,
    /// What failed, with which value, and why, in words.
    pub message: String,
}

impl HypervisorError {
    /// A failure of this kind.
    pub fn new(kind: HypervisorErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }
}

/// Which kind of failure a call met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HypervisorErrorKind {
    /// What was named does not exist.
    NotFound,
    /// What was to be made exists.
    AlreadyExists,
    /// The VM is in a state in which this can't be done.
    WrongState,
    /// The host's policy does not allow it, whoever asks.
    Refused,
    /// The host does not let the person do it that it is done for.
    Denied,
    /// An image points to other files, or is not what it says.
    UnsafeImage,
    /// The pool or the disk under it is full.
    NoSpace,
    /// The host cannot be reached.
    Unavailable,
    /// The host, or the guest agent, did not answer in time.
    TimedOut,
    /// This host cannot do it.
    Unsupported,
    /// What was asked makes no sense.
    Invalid,
    /// Somebody else is doing something that stands in the way.
    Busy,
    /// A fault of the host or of ours.
    Internal,
}
