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

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    device::{
        Audio, Disk, Graphics, Nic, PassthroughDevice, Rng, Serial, SharedMemory, Tpm, Watchdog,
    },
    name::{CpuName, GroupName, MachineName, Tag, UserName, VmName},
    schema::text_schema,
    size::Size,
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
    /// Tags to group and find it by.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<Tag>,
    /// What it is for, in a sentence (at most 1,000 characters).
    #[serde(default, skip_serializing_if = "String::is_empty")]
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
    /// Its disks, in the order in which the guest sees them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disks: Vec<Disk>,
    /// Its network interfaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
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
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
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
        matches!(self, Self::Running | Self::Paused | Self::Sleeping | Self::ShuttingDown)
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
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

/// A VM's processors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cpus {
    /// How many it has at start: 1 to 4,096.
    #[schema(minimum = 1, maximum = 4096)]
    pub count: u32,
    /// Up to how many can be added while it runs; `count`, if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
    /// Which processor the guest sees.
    pub model: CpuModel,
    /// How they are laid out; one socket with `count` cores, if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topology: Option<CpuTopology>,
    /// Which host CPUs each may run on, by its number: `{0: "2-3", 1: "4"}`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub pinning: BTreeMap<u32, CpuSet>,
    /// CPU features to require or hide, such as `shstk` or `ibt`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub features: BTreeMap<CpuName, FeaturePolicy>,
}

impl Default for Cpus {
    fn default() -> Self {
        Self {
            count: 1,
            max: None,
            model: CpuModel::default(),
            topology: None,
            pinning: BTreeMap::new(),
            features: BTreeMap::new(),
        }
    }
}

impl From<Short> for Result<Cpus, String> {
    fn from(short: Short) -> Self {
        match short {
            Short::Number(count) => u32::try_from(count)
                .map(|count| Cpus { count, ..Cpus::default() })
                .map_err(|_| format!("{count} is not a count of CPUs: allowed are 1 to 4096")),
            Short::Text(text) => {
                Err(format!("{text:?} is not a count of CPUs: allowed are 1 to 4096"))
            }
        }
    }
}

/// Which processor the guest sees.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum CpuModel {
    /// The host's own where KVM works, else the most that can be emulated.
    #[default]
    Best,
    /// The host's own, exactly; cannot move to another model of host.
    HostPassthrough,
    /// A named model close to the host's, which can move to equal or newer hosts.
    HostModel,
    /// Everything that this host's QEMU can give.
    Maximum,
    /// A model in QEMU's spelling, such as `Skylake-Server`.
    Named(CpuName),
}

impl TryFrom<String> for CpuModel {
    type Error = crate::name::NameError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Ok(match text.as_str() {
            "best" => Self::Best,
            "host-passthrough" => Self::HostPassthrough,
            "host-model" => Self::HostModel,
            "maximum" => Self::Maximum,
            _ => Self::Named(text.try_into()?),
        })
    }
}

impl From<CpuModel> for String {
    fn from(model: CpuModel) -> String {
        match model {
            CpuModel::Best => "best".into(),
            CpuModel::HostPassthrough => "host-passthrough".into(),
            CpuModel::HostModel => "host-model".into(),
            CpuModel::Maximum => "maximum".into(),
            CpuModel::Named(name) => name.into(),
        }
    }
}

text_schema! {
    CpuModel = "`best`, `host-passthrough`, `host-model`, `maximum`, or a model in QEMU's spelling",
        "host-passthrough";
}

/// How processors are laid out: their count is the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CpuTopology {
    /// Sockets: 1 to 64.
    #[serde(default = "one")]
    pub sockets: u32,
    /// Cores in each socket: 1 to 1,024.
    #[serde(default = "one")]
    pub cores: u32,
    /// Threads in each core: 1 to 8.
    #[serde(default = "one")]
    pub threads: u32,
}

const fn one() -> u32 {
    1
}

/// A set of host CPUs in the kernel's list form: `0-3,8`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, example = "0-3,8", pattern = "^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$")]
pub struct CpuSet(Vec<(u32, u32)>);

impl CpuSet {
    /// The CPUs' numbers, as ranges with both ends included.
    pub fn ranges(&self) -> &[(u32, u32)] {
        &self.0
    }
}

impl TryFrom<String> for CpuSet {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let range = |part: &str| -> Option<(u32, u32)> {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            (first <= last && last < 65_536).then_some((first, last))
        };
        text.split(',').map(range).collect::<Option<Vec<_>>>().map(Self).ok_or_else(|| {
            let text: String = text.chars().take(40).collect();
            format!("{text:?} is not a set of CPUs: write numbers and ranges, such as 0-3,8")
        })
    }
}

impl From<CpuSet> for String {
    fn from(set: CpuSet) -> String {
        let ranges = set.0.iter().map(|(first, last)| {
            if first == last { first.to_string() } else { format!("{first}-{last}") }
        });
        ranges.collect::<Vec<_>>().join(",")
    }
}

/// What is to be done about a CPU feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FeaturePolicy {
    /// The guest must have it; where the host can't give it, the VM does not start.
    Require,
    /// The guest gets it where the host has it.
    Optional,
    /// The guest does not see it.
    Disable,
}

/// A VM's memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Memory {
    /// How much it has at start: 16 MiB to 16 TiB.
    pub size: Size,
    /// Up to how much it can be given while it runs; `size`, if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<Size>,
    /// Back it with huge pages of this size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub huge_pages: Option<Size>,
    /// Whether the guest can give memory back while it runs.
    pub balloon: Balloon,
    /// NUMA nodes that the guest sees.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub numa: Vec<NumaNode>,
    /// Where it comes from.
    pub backing: MemoryBacking,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            size: Size::from_gib(1),
            max: None,
            huge_pages: None,
            balloon: Balloon::default(),
            numa: Vec::new(),
            backing: MemoryBacking::default(),
        }
    }
}

impl From<Short> for Result<Memory, String> {
    fn from(short: Short) -> Self {
        let size = match short {
            Short::Number(bytes) => Size::from_bytes(bytes),
            Short::Text(text) => text.parse().map_err(|fault: crate::size::SizeError| fault.to_string())?,
        };
        Ok(Memory { size, ..Memory::default() })
    }
}

/// Whether a guest can give memory back while it runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Balloon {
    /// It can, and it tells how much it uses.
    #[default]
    On,
    /// It cannot.
    Off,
}

/// A NUMA node that the guest sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NumaNode {
    /// Which of the VM's CPUs are in it.
    pub cpus: CpuSet,
    /// How much memory is in it.
    pub memory: Size,
    /// Which nodes of the host that memory comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_nodes: Option<CpuSet>,
}

/// Where a VM's memory comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MemoryBacking {
    /// Ordinary anonymous memory.
    #[default]
    Anonymous,
    /// An anonymous file, which another process can be given.
    Memfd,
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

/// What the guest is told at its first boot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CloudInit {
    /// The guest's host name; the VM's name, if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// A user to make.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserName>,
    /// Public SSH keys that may log in as that user.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ssh_keys: Vec<String>,
    /// A whole `#cloud-config` document instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_data: Option<String>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_percent: Option<u32>,
    /// Weight against other VMs when CPU time is short: 2 to 10,000.
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

/// The short form of a value that has a full form, too.
pub(crate) enum Short {
    /// A bare number.
    Number(u64),
    /// A bare text.
    Text(String),
}

/// Reads either a whole table or the one value that says it all, such as `memory: 2 GiB`.
pub(crate) fn short_or_full<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
    Result<T, String>: From<Short>,
{
    struct Visitor<T>(std::marker::PhantomData<T>);
    impl<'de, T> serde::de::Visitor<'de> for Visitor<T>
    where
        T: Deserialize<'de>,
        Result<T, String>: From<Short>,
    {
        type Value = T;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a number, a size or a table")
        }
        fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<T, E> {
            Result::from(Short::Number(number)).map_err(E::custom)
        }
        fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<T, E> {
            match u64::try_from(number) {
                Ok(number) => self.visit_u64(number),
                Err(_) => Result::from(Short::Text(number.to_string())).map_err(E::custom),
            }
        }
        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
            Result::from(Short::Text(text.to_owned())).map_err(E::custom)
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(serde::de::value::MapAccessDeserializer::new(map))
        }
    }
    deserializer.deserialize_any(Visitor(std::marker::PhantomData))
}
