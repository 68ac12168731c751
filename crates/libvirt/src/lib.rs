// SPDX-License-Identifier: GPL-3.0-or-later
//! libvirt behind a safe, synchronous API.
//!
//! This crate is the only one with `unsafe`. It knows libvirt's terms and none of ours: its types
//! are plain, and who uses them maps them. Every call blocks its thread until libvirt answers;
//! handles may be shared between threads. All memory that libvirt hands out is freed here, and
//! callbacks from C end here: a panic in a receiver does not reach libvirt.

mod codes;
mod connection;
mod console;
mod domain;
mod error;
mod event;
mod event_loop;
mod handle;
mod host;
pub mod kvm;
mod network;
mod registry;
mod stats;
mod storage;
mod stream;
mod subscription;
mod typed_parameter;
pub mod view;

pub use connection::{Access, CloseReason, Connection, Identity, Keepalive, OpenOptions};
pub use console::{Console, ConsoleAccess, Pump};
pub use domain::{
    AddressSource, Bandwidth, BlockLimits, CpuLimits, CrashedReason, Destroy, Domain, DomainFilter,
    DomainInfo, GuestFilesystem, GuestInfo, GuestInfoGroups, GuestRequest, Impact,
    InterfaceAddresses, JobKind, JobOperation, JobStats, NO_QUOTA, OperatingSystem, PausedReason,
    Quantity, RunningReason, SavedAs, ShutdownReason, ShutoffReason, StartFlags, State,
    UndefineFlags, XmlFlags,
};
pub use error::{Error, ErrorKind, Result};
pub use event::{
    AgentState, CrashedDetail, DefinedDetail, DomainEvent, Event, IoErrorAction, Lifecycle,
    MetadataKind, NetworkEvent, PmSuspendedDetail, PoolEvent, ResumedDetail, ShutdownDetail,
    StartedDetail, StoppedDetail, SuspendedDetail, UndefinedDetail, WatchdogAction,
};
pub use host::{NodeInfo, Version};
pub use network::{DhcpLease, Network};
pub use stats::{
    BalloonStats, DiskStats, DomainStats, InterfaceStats, StatsFlags, StatsGroups, VcpuState,
    VcpuStats,
};
pub use storage::{
    Pool, PoolInfo, PoolState, Progress, Resize, Volume, VolumeInfo, VolumeKind, VolumeSummary,
};
pub use subscription::Subscription;
pub use typed_parameter::Value;
