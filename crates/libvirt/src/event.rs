// SPDX-License-Identifier: GPL-3.0-or-later
//! What libvirt tells by itself: events of domains, networks and pools.

use uuid::Uuid;
use virt_sys as sys;

use crate::codes::code_enum;
use crate::domain::JobStats;

/// Something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// To a domain.
    Domain {
        /// The domain.
        uuid: Uuid,
        /// Its name at that time.
        name: String,
        /// What happened.
        event: DomainEvent,
    },
    /// To a network.
    Network {
        /// The network.
        uuid: Uuid,
        /// Its name.
        name: String,
        /// What happened.
        event: NetworkEvent,
    },
    /// To a storage pool.
    Pool {
        /// The pool.
        uuid: Uuid,
        /// Its name.
        name: String,
        /// What happened.
        event: PoolEvent,
    },
}

/// What happened to a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DomainEvent {
    /// It went on in its life.
    Lifecycle(Lifecycle),
    /// The agent in the guest came or went.
    Agent(AgentState),
    /// A disk failed.
    IoError {
        /// The disk's file or device.
        path: String,
        /// The disk's alias, such as `virtio-disk0`.
        device: String,
        /// What libvirt did.
        action: IoErrorAction,
        /// Why, such as `enospc`; empty if not known.
        reason: String,
    },
    /// The watchdog fired.
    Watchdog(WatchdogAction),
    /// The balloon has a new size, in bytes.
    BalloonChanged(u64),
    /// The device with this alias was plugged in.
    DeviceAdded(String),
    /// The device with this alias is gone.
    DeviceRemoved(String),
    /// The metadata changed.
    MetadataChanged {
        /// Which part.
        kind: MetadataKind,
        /// The namespace of the element that changed.
        namespace: Option<String>,
    },
    /// A job ended.
    JobCompleted(Box<JobStats>),
    /// The guest rebooted.
    Rebooted,
}

/// A step in a domain's life, with its cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lifecycle {
    /// A definition was stored.
    Defined(DefinedDetail),
    /// The definition is gone.
    Undefined(UndefinedDetail),
    /// It runs.
    Started(StartedDetail),
    /// Its CPUs stopped.
    Suspended(SuspendedDetail),
    /// Its CPUs go on.
    Resumed(ResumedDetail),
    /// It does not run any more.
    Stopped(StoppedDetail),
    /// The guest has shut down; it stops next.
    Shutdown(ShutdownDetail),
    /// The guest went to sleep.
    PmSuspended(PmSuspendedDetail),
    /// The guest crashed.
    Crashed(CrashedDetail),
    /// A step that a newer libvirt added.
    Unknown {
        /// libvirt's number of the step.
        event: i32,
        /// libvirt's number of the cause.
        detail: i32,
    },
}

impl Lifecycle {
    /// Reads libvirt's pair of numbers.
    pub(crate) fn from_codes(event: i32, detail: i32) -> Self {
        match u32::try_from(event) {
            Ok(sys::VIR_DOMAIN_EVENT_DEFINED) => Self::Defined(detail.into()),
            Ok(sys::VIR_DOMAIN_EVENT_UNDEFINED) => Self::Undefined(detail.into()),
            Ok(sys::VIR_DOMAIN_EVENT_STARTED) => Self::Started(detail.into()),
            Ok(sys::VIR_DOMAIN_EVENT_SUSPENDED) => Self::Suspended(detail.into()),
            Ok(sys::VIR_DOMAIN_EVENT_RESUMED) => Self::Resumed(detail.into()),
            Ok(sys::VIR_DOMAIN_EVENT_STOPPED) => Self::Stopped(detail.into()),
            Ok(sys::VIR_DOMAIN_EVENT_SHUTDOWN) => Self::Shutdown(detail.into()),
            Ok(sys::VIR_DOMAIN_EVENT_PMSUSPENDED) => Self::PmSuspended(detail.into()),
            Ok(sys::VIR_DOMAIN_EVENT_CRASHED) => Self::Crashed(detail.into()),
            _ => Self::Unknown { event, detail },
        }
    }
}

code_enum! {
    /// How a definition came to be.
    pub enum DefinedDetail {
        /// New.
        Added = VIR_DOMAIN_EVENT_DEFINED_ADDED,
        /// In place of an older one.
        Updated = VIR_DOMAIN_EVENT_DEFINED_UPDATED,
        /// Under another name.
        Renamed = VIR_DOMAIN_EVENT_DEFINED_RENAMED,
        /// From a snapshot.
        FromSnapshot = VIR_DOMAIN_EVENT_DEFINED_FROM_SNAPSHOT,
    }
}

code_enum! {
    /// How a definition went.
    pub enum UndefinedDetail {
        /// Removed.
        Removed = VIR_DOMAIN_EVENT_UNDEFINED_REMOVED,
        /// Renamed: the same domain has another name now.
        Renamed = VIR_DOMAIN_EVENT_UNDEFINED_RENAMED,
    }
}

code_enum! {
    /// How a domain came to run.
    pub enum StartedDetail {
        /// Booted.
        Booted = VIR_DOMAIN_EVENT_STARTED_BOOTED,
        /// Came from another host.
        Migrated = VIR_DOMAIN_EVENT_STARTED_MIGRATED,
        /// Restored from a saved state.
        Restored = VIR_DOMAIN_EVENT_STARTED_RESTORED,
        /// From a snapshot.
        FromSnapshot = VIR_DOMAIN_EVENT_STARTED_FROM_SNAPSHOT,
        /// Woke up.
        Wakeup = VIR_DOMAIN_EVENT_STARTED_WAKEUP,
    }
}

code_enum! {
    /// Why a domain's CPUs stopped.
    pub enum SuspendedDetail {
        /// Somebody paused it.
        Paused = VIR_DOMAIN_EVENT_SUSPENDED_PAUSED,
        /// It moves to another host.
        Migrated = VIR_DOMAIN_EVENT_SUSPENDED_MIGRATED,
        /// A disk failed.
        IoError = VIR_DOMAIN_EVENT_SUSPENDED_IOERROR,
        /// The watchdog fired.
        Watchdog = VIR_DOMAIN_EVENT_SUSPENDED_WATCHDOG,
        /// It was restored paused.
        Restored = VIR_DOMAIN_EVENT_SUSPENDED_RESTORED,
        /// It was paused in the snapshot.
        FromSnapshot = VIR_DOMAIN_EVENT_SUSPENDED_FROM_SNAPSHOT,
        /// A call failed half-way.
        ApiError = VIR_DOMAIN_EVENT_SUSPENDED_API_ERROR,
        /// It moved to another host, which still fetches its memory.
        Postcopy = VIR_DOMAIN_EVENT_SUSPENDED_POSTCOPY,
        /// As above, and the rest of its memory can't be fetched.
        PostcopyFailed = VIR_DOMAIN_EVENT_SUSPENDED_POSTCOPY_FAILED,
    }
}

code_enum! {
    /// Why a domain's CPUs go on.
    pub enum ResumedDetail {
        /// Somebody resumed it.
        Unpaused = VIR_DOMAIN_EVENT_RESUMED_UNPAUSED,
        /// It has moved.
        Migrated = VIR_DOMAIN_EVENT_RESUMED_MIGRATED,
        /// From a snapshot.
        FromSnapshot = VIR_DOMAIN_EVENT_RESUMED_FROM_SNAPSHOT,
        /// It runs here while its memory still arrives.
        Postcopy = VIR_DOMAIN_EVENT_RESUMED_POSTCOPY,
        /// As above, and the rest of its memory can't arrive.
        PostcopyFailed = VIR_DOMAIN_EVENT_RESUMED_POSTCOPY_FAILED,
    }
}

code_enum! {
    /// Why a domain does not run any more.
    pub enum StoppedDetail {
        /// The guest shut down.
        Shutdown = VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN,
        /// It was ended by force.
        Destroyed = VIR_DOMAIN_EVENT_STOPPED_DESTROYED,
        /// The guest or QEMU crashed.
        Crashed = VIR_DOMAIN_EVENT_STOPPED_CRASHED,
        /// It moved to another host.
        Migrated = VIR_DOMAIN_EVENT_STOPPED_MIGRATED,
        /// It was saved.
        Saved = VIR_DOMAIN_EVENT_STOPPED_SAVED,
        /// QEMU failed.
        Failed = VIR_DOMAIN_EVENT_STOPPED_FAILED,
        /// It did not run in the snapshot.
        FromSnapshot = VIR_DOMAIN_EVENT_STOPPED_FROM_SNAPSHOT,
    }
}

code_enum! {
    /// Who shut a guest down.
    pub enum ShutdownDetail {
        /// libvirt does not say.
        Finished = VIR_DOMAIN_EVENT_SHUTDOWN_FINISHED,
        /// The guest itself.
        Guest = VIR_DOMAIN_EVENT_SHUTDOWN_GUEST,
        /// Something on the host, such as a signal to QEMU.
        Host = VIR_DOMAIN_EVENT_SHUTDOWN_HOST,
    }
}

code_enum! {
    /// How a guest sleeps.
    pub enum PmSuspendedDetail {
        /// To memory.
        Memory = VIR_DOMAIN_EVENT_PMSUSPENDED_MEMORY,
        /// To disk.
        Disk = VIR_DOMAIN_EVENT_PMSUSPENDED_DISK,
    }
}

code_enum! {
    /// How a guest crashed.
    pub enum CrashedDetail {
        /// Its kernel panicked.
        Panicked = VIR_DOMAIN_EVENT_CRASHED_PANICKED,
        /// Its kernel crashed and loads another one to save what happened.
        Crashloaded = VIR_DOMAIN_EVENT_CRASHED_CRASHLOADED,
    }
}

code_enum! {
    /// Whether the agent in the guest is there.
    pub enum AgentState {
        /// It connected.
        Connected = VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_CONNECTED,
        /// It went away.
        Disconnected = VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_DISCONNECTED,
    }
}

code_enum! {
    /// What libvirt did about a disk that failed.
    pub enum IoErrorAction {
        /// Nothing.
        Nothing = VIR_DOMAIN_EVENT_IO_ERROR_NONE,
        /// It paused the domain.
        Pause = VIR_DOMAIN_EVENT_IO_ERROR_PAUSE,
        /// It told the guest.
        Report = VIR_DOMAIN_EVENT_IO_ERROR_REPORT,
    }
}

code_enum! {
    /// What was done when a watchdog fired.
    pub enum WatchdogAction {
        /// Nothing.
        Nothing = VIR_DOMAIN_EVENT_WATCHDOG_NONE,
        /// The domain was paused.
        Pause = VIR_DOMAIN_EVENT_WATCHDOG_PAUSE,
        /// The domain was reset.
        Reset = VIR_DOMAIN_EVENT_WATCHDOG_RESET,
        /// The domain was ended.
        PowerOff = VIR_DOMAIN_EVENT_WATCHDOG_POWEROFF,
        /// The guest was asked to shut down.
        Shutdown = VIR_DOMAIN_EVENT_WATCHDOG_SHUTDOWN,
        /// It was logged.
        Debug = VIR_DOMAIN_EVENT_WATCHDOG_DEBUG,
        /// The guest was interrupted.
        InjectNmi = VIR_DOMAIN_EVENT_WATCHDOG_INJECTNMI,
    }
}

code_enum! {
    /// A part of a domain's metadata.
    pub enum MetadataKind {
        /// The description.
        Description = VIR_DOMAIN_METADATA_DESCRIPTION,
        /// The title.
        Title = VIR_DOMAIN_METADATA_TITLE,
        /// An element with a namespace.
        Element = VIR_DOMAIN_METADATA_ELEMENT,
    }
}

code_enum! {
    /// What happened to a network.
    pub enum NetworkEvent {
        /// It was defined.
        Defined = VIR_NETWORK_EVENT_DEFINED,
        /// Its definition is gone.
        Undefined = VIR_NETWORK_EVENT_UNDEFINED,
        /// It was started.
        Started = VIR_NETWORK_EVENT_STARTED,
        /// It was stopped.
        Stopped = VIR_NETWORK_EVENT_STOPPED,
    }
}

/// What happened to a storage pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PoolEvent {
    /// It was defined.
    Defined,
    /// Its definition is gone.
    Undefined,
    /// It was started.
    Started,
    /// It was stopped.
    Stopped,
    /// Its place was made.
    Created,
    /// Its place was removed.
    Deleted,
    /// Its volumes were looked up anew.
    Refreshed,
    /// Something that a newer libvirt added.
    Unknown(i32),
}

impl PoolEvent {
    /// Reads libvirt's number of a life cycle event.
    pub(crate) fn from_code(event: i32) -> Self {
        match u32::try_from(event) {
            Ok(sys::VIR_STORAGE_POOL_EVENT_DEFINED) => Self::Defined,
            Ok(sys::VIR_STORAGE_POOL_EVENT_UNDEFINED) => Self::Undefined,
            Ok(sys::VIR_STORAGE_POOL_EVENT_STARTED) => Self::Started,
            Ok(sys::VIR_STORAGE_POOL_EVENT_STOPPED) => Self::Stopped,
            Ok(sys::VIR_STORAGE_POOL_EVENT_CREATED) => Self::Created,
            Ok(sys::VIR_STORAGE_POOL_EVENT_DELETED) => Self::Deleted,
            _ => Self::Unknown(event),
        }
    }
}
