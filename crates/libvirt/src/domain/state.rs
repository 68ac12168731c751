// SPDX-License-Identifier: GPL-3.0-or-later
//! The states of a domain and the reasons for them.

use virt_sys as sys;

use crate::codes::code_enum;

/// The state of a domain, with its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// libvirt does not say.
    NoState,
    /// Its CPUs run.
    Running(RunningReason),
    /// It waits for a resource.
    Blocked,
    /// Its CPUs are stopped.
    Paused(PausedReason),
    /// The guest is shutting down.
    Shutdown(ShutdownReason),
    /// It does not run.
    Shutoff(ShutoffReason),
    /// The guest crashed and was kept.
    Crashed(CrashedReason),
    /// The guest put itself to sleep.
    PmSuspended,
    /// A state that a newer libvirt added.
    Unknown(i32),
}

impl State {
    /// Reads libvirt's pair of numbers.
    pub(crate) fn from_codes(state: i32, reason: i32) -> Self {
        match u32::try_from(state) {
            Ok(sys::VIR_DOMAIN_NOSTATE) => Self::NoState,
            Ok(sys::VIR_DOMAIN_RUNNING) => Self::Running(reason.into()),
            Ok(sys::VIR_DOMAIN_BLOCKED) => Self::Blocked,
            Ok(sys::VIR_DOMAIN_PAUSED) => Self::Paused(reason.into()),
            Ok(sys::VIR_DOMAIN_SHUTDOWN) => Self::Shutdown(reason.into()),
            Ok(sys::VIR_DOMAIN_SHUTOFF) => Self::Shutoff(reason.into()),
            Ok(sys::VIR_DOMAIN_CRASHED) => Self::Crashed(reason.into()),
            Ok(sys::VIR_DOMAIN_PMSUSPENDED) => Self::PmSuspended,
            _ => Self::Unknown(state),
        }
    }
}

code_enum! {
    /// Why a domain runs.
    pub enum RunningReason {
        /// libvirt does not say.
        NotGiven = VIR_DOMAIN_RUNNING_UNKNOWN,
        /// It was started.
        Booted = VIR_DOMAIN_RUNNING_BOOTED,
        /// It came from another host.
        Migrated = VIR_DOMAIN_RUNNING_MIGRATED,
        /// It was restored from a saved state.
        Restored = VIR_DOMAIN_RUNNING_RESTORED,
        /// It was restored from a snapshot.
        FromSnapshot = VIR_DOMAIN_RUNNING_FROM_SNAPSHOT,
        /// It was resumed.
        Unpaused = VIR_DOMAIN_RUNNING_UNPAUSED,
        /// A migration away was given up.
        MigrationCanceled = VIR_DOMAIN_RUNNING_MIGRATION_CANCELED,
        /// A save was given up.
        SaveCanceled = VIR_DOMAIN_RUNNING_SAVE_CANCELED,
        /// The guest woke up.
        Wakeup = VIR_DOMAIN_RUNNING_WAKEUP,
        /// It goes on after a crash.
        Crashed = VIR_DOMAIN_RUNNING_CRASHED,
        /// It runs here while its memory still arrives.
        Postcopy = VIR_DOMAIN_RUNNING_POSTCOPY,
        /// As above, and the rest of its memory can't arrive.
        PostcopyFailed = VIR_DOMAIN_RUNNING_POSTCOPY_FAILED,
    }
}

code_enum! {
    /// Why a domain is paused.
    pub enum PausedReason {
        /// libvirt does not say.
        NotGiven = VIR_DOMAIN_PAUSED_UNKNOWN,
        /// Somebody paused it.
        User = VIR_DOMAIN_PAUSED_USER,
        /// It moves to another host.
        Migration = VIR_DOMAIN_PAUSED_MIGRATION,
        /// It is being saved.
        Save = VIR_DOMAIN_PAUSED_SAVE,
        /// Its memory is being dumped.
        Dump = VIR_DOMAIN_PAUSED_DUMP,
        /// A disk failed, for example because the storage is full.
        IoError = VIR_DOMAIN_PAUSED_IOERROR,
        /// The watchdog fired.
        Watchdog = VIR_DOMAIN_PAUSED_WATCHDOG,
        /// It was restored from a snapshot in which it was paused.
        FromSnapshot = VIR_DOMAIN_PAUSED_FROM_SNAPSHOT,
        /// It is shutting down.
        ShuttingDown = VIR_DOMAIN_PAUSED_SHUTTING_DOWN,
        /// A snapshot is being made.
        Snapshot = VIR_DOMAIN_PAUSED_SNAPSHOT,
        /// The guest crashed.
        Crashed = VIR_DOMAIN_PAUSED_CRASHED,
        /// It is being started.
        StartingUp = VIR_DOMAIN_PAUSED_STARTING_UP,
        /// It moved to another host, which still fetches its memory.
        Postcopy = VIR_DOMAIN_PAUSED_POSTCOPY,
        /// As above, and the rest of its memory can't be fetched.
        PostcopyFailed = VIR_DOMAIN_PAUSED_POSTCOPY_FAILED,
        /// A call failed half-way.
        ApiError = VIR_DOMAIN_PAUSED_API_ERROR,
    }
}

code_enum! {
    /// Why a domain is shutting down.
    pub enum ShutdownReason {
        /// libvirt does not say.
        NotGiven = VIR_DOMAIN_SHUTDOWN_UNKNOWN,
        /// Somebody asked for it.
        User = VIR_DOMAIN_SHUTDOWN_USER,
    }
}

code_enum! {
    /// Why a domain does not run.
    pub enum ShutoffReason {
        /// libvirt does not say; also after libvirtd started with the domain not running.
        NotGiven = VIR_DOMAIN_SHUTOFF_UNKNOWN,
        /// The guest shut down.
        Shutdown = VIR_DOMAIN_SHUTOFF_SHUTDOWN,
        /// It was ended by force.
        Destroyed = VIR_DOMAIN_SHUTOFF_DESTROYED,
        /// The guest or QEMU crashed.
        Crashed = VIR_DOMAIN_SHUTOFF_CRASHED,
        /// It moved to another host.
        Migrated = VIR_DOMAIN_SHUTOFF_MIGRATED,
        /// It was saved.
        Saved = VIR_DOMAIN_SHUTOFF_SAVED,
        /// It failed to start.
        Failed = VIR_DOMAIN_SHUTOFF_FAILED,
        /// It was restored from a snapshot in which it did not run.
        FromSnapshot = VIR_DOMAIN_SHUTOFF_FROM_SNAPSHOT,
        /// libvirtd decided so while it started.
        Daemon = VIR_DOMAIN_SHUTOFF_DAEMON,
    }
}

code_enum! {
    /// Why a domain counts as crashed.
    pub enum CrashedReason {
        /// libvirt does not say.
        NotGiven = VIR_DOMAIN_CRASHED_UNKNOWN,
        /// The guest's kernel panicked.
        Panicked = VIR_DOMAIN_CRASHED_PANICKED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_reads_as_paused_by_an_input_output_error() {
        assert_eq!(
            State::from_codes(3, 5),
            State::Paused(PausedReason::IoError)
        );
    }

    #[test]
    fn codes_of_a_newer_libvirt_are_kept() {
        assert_eq!(State::from_codes(99, 1), State::Unknown(99));
        assert_eq!(
            State::from_codes(1, -7),
            State::Running(RunningReason::Unknown(-7))
        );
    }
}
