// SPDX-License-Identifier: GPL-3.0-or-later
//! A VM: what is intended for it ([`VmSpec`]) and what it is doing ([`VmState`]).
//!
//! ```text
//!               start                    pause
//!      ┌─ off ─────────▶ running ◀──────────────▶ paused
//!      │   ▲  ◀───────── │  │ │      resume
//!      │   │  shut down, │  │ └──────▶ crashed ──▶ (start)
//!      │   │  force off  │  └ save ──▶ saved ────▶ (start restores)
//!      │   └ undelete    ▼
//!      └─ delete ─▶ trashed ─▶ purged (gone for good)
//! ```

mod cloud_init;
mod cpu;
pub(crate) mod default_names;
mod memory;
mod not_yet;
mod schema;
mod short;
mod validate;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use self::short::short_or_full;
pub use self::{
    cloud_init::CloudInit,
    cpu::{CpuModel, CpuSet, CpuTopology, Cpus, FeaturePolicy},
    memory::{Balloon, Memory, MemoryBacking, NumaNode},
    schema::json_schema,
};
use crate::{
    device::{
        Audio, Disk, Graphics, Nic, PassthroughDevice, Rng, Serial, SharedMemory, Tpm, Watchdog,
    },
    name::{GroupName, MachineName, Tag, UserName, VmName},
};

/// What is intended for a VM.
///
/// Only `name` must be given. Everything else has a safe default: an agent channel, a source of
/// randomness, a serial console, and no access to the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VmSpec {
    /// The VM's name, unique on its host.
    pub name: VmName,
    /// Who is responsible for it; the one who creates it, if nobody is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<UserName>,
    /// Tags to group and find it by: at most 64.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(max_items = 64)]
    pub tags: BTreeSet<Tag>,
    /// What it is for, in a sentence (at most 1,000 characters).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schema(max_length = 1000)]
    pub description: String,
    /// The architecture that the guest runs on.
    #[serde(default)]
    pub arch: Arch,
    /// The machine type; the best of the host for the architecture, if none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<MachineName>,
    /// Its processors. A bare number is their count.
    #[serde(default, deserialize_with = "short_or_full")]
    #[schema(value_type = Cpus)]
    pub cpus: Cpus,
    /// Its memory. A bare size is how much.
    #[serde(default, deserialize_with = "short_or_full")]
    #[schema(value_type = Memory)]
    pub memory: Memory,
    /// How it boots.
    #[serde(default)]
    pub firmware: Firmware,
    /// An emulated TPM 2.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tpm: Option<Tpm>,
    /// Its disks, in the order in which the guest sees them: at most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 64)]
    pub disks: Vec<Disk>,
    /// Its network interfaces: at most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 32)]
    pub nics: Vec<Nic>,
    /// Its display.
    #[serde(default)]
    pub graphics: Graphics,
    /// Its sound card.
    #[serde(default, skip_serializing_if = "Audio::is_none")]
    pub audio: Audio,
    /// Its serial console.
    #[serde(default)]
    pub serial: Serial,
    /// A source of randomness from the host.
    #[serde(default)]
    pub rng: Rng,
    /// A watchdog that acts when the guest hangs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watchdog: Option<Watchdog>,
    /// Devices of the host that the guest gets for itself. Only an administrator may give them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passthrough: Vec<PassthroughDevice>,
    /// Memory encryption against the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidential: Option<Confidential>,
    /// Memory shared with a program on the host, such as Looking Glass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shared_memory: Vec<SharedMemory>,
    /// What the guest is told at its first boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_init: Option<CloudInit>,
    /// The channel to the guest agent.
    #[serde(default)]
    pub agent: Agent,
    /// How much of the host it may use.
    #[serde(default, skip_serializing_if = "Limits::is_default")]
    pub limits: Limits,
    /// Start with the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autostart: Option<Autostart>,
    /// What to do when it crashes.
    #[serde(default)]
    pub on_crash: OnCrash,
}

impl VmSpec {
    /// A VM with this name and nothing but the defaults.
    pub fn new(name: VmName) -> Self {
        Self {
            name,
            owner: None,
            tags: BTreeSet::new(),
            description: String::new(),
            arch: Arch::default(),
            machine: None,
            cpus: Cpus::default(),
            memory: Memory::default(),
            firmware: Firmware::default(),
            tpm: None,
            disks: Vec::new(),
            nics: Vec::new(),
            graphics: Graphics::default(),
            audio: Audio::default(),
            serial: Serial::default(),
            rng: Rng::default(),
            watchdog: None,
            passthrough: Vec::new(),
            confidential: None,
            shared_memory: Vec::new(),
            cloud_init: None,
            agent: Agent::default(),
            limits: Limits::default(),
            autostart: None,
            on_crash: OnCrash::default(),
        }
    }
}

/// What a VM is doing.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum VmState {
    /// It does not run.
    Off,
    /// It runs.
    Running,
    /// It is stopped in its tracks and keeps its memory.
    Paused,
    /// The guest sleeps (ACPI S3).
    Sleeping,
    /// The guest is shutting down.
    ShuttingDown,
    /// Its memory is saved on disk; starting it goes on where it was.
    Saved,
    /// It ended without being told to.
    Crashed,
    /// It lies in the trash.
    Trashed,
    /// The host does not say.
    Unknown,
}

impl VmState {
    /// Whether a QEMU process exists in this state.
    pub const fn is_active(self) -> bool {
        matches!(
            self,
            Self::Running | Self::Paused | Self::Sleeping | Self::ShuttingDown
        )
    }

    /// The state in words, as tables show it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Sleeping => "sleeping",
            Self::ShuttingDown => "shutting-down",
            Self::Saved => "saved",
            Self::Crashed => "crashed",
            Self::Trashed => "trashed",
            Self::Unknown => "unknown",
        }
    }
}

/// An architecture that a guest can run on.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// 64-bit x86.
    #[default]
    #[serde(rename = "x86_64")]
    X86_64,
    /// 64-bit Arm.
    Aarch64,
    /// 64-bit RISC-V.
    Riscv64,
    /// 64-bit `LoongArch`.
    Loongarch64,
}

impl Arch {
    /// The architecture in libvirt's and QEMU's spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
            Self::Riscv64 => "riscv64",
            Self::Loongarch64 => "loongarch64",
        }
    }
}

/// How a VM boots.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Firmware {
    /// The machine type's own: BIOS on `x86_64`, UEFI elsewhere.
    #[default]
    Bios,
    /// UEFI.
    Uefi,
    /// UEFI with Secure Boot and the usual keys enrolled.
    SecureBoot,
}

/// A kind of memory encryption against the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Confidential {
    /// AMD Secure Encrypted Virtualization.
    Sev,
    /// SEV with encrypted registers.
    SevEs,
    /// SEV with memory integrity.
    SevSnp,
    /// Intel Trust Domain Extensions.
    Tdx,
}

/// The channel to the guest agent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Agent {
    /// There is one, and it is used where the guest answers.
    #[default]
    On,
    /// There is none.
    Off,
}

/// How much of the host a VM may use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// CPU time in percent of one host CPU: 1 to 409,600. `150` is one and a half CPUs.
    #[schema(minimum = 1, maximum = 409_600)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_percent: Option<u32>,
    /// Weight against other VMs when CPU time is short: 2 to 10,000.
    #[schema(minimum = 2, maximum = 10_000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_weight: Option<u32>,
}

impl Limits {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How a VM starts with its host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Autostart {
    /// 0 to 100; higher ones start first.
    #[schema(maximum = 100)]
    pub priority: u8,
    /// Seconds to wait after starting it, before the next one starts: 0 to 3,600.
    #[schema(maximum = 3600)]
    pub delay_seconds: u32,
    /// VMs of one group start together, once the group before it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupName>,
}

/// What to do when a VM crashes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnCrash {
    /// Start it again, later each time: after 1, 2, 4 … seconds, at most 5 minutes, and give up
    /// after ten crashes within an hour.
    #[default]
    Restart,
    /// Leave it as it is.
    Stop,
}
