// SPDX-License-Identifier: GPL-3.0-or-later
//! A domain's life cycle: starting, stopping, saving, renaming, removing.

use virt_sys as sys;

use super::Domain;
use crate::codes::flag_set;
use crate::error::{Result, done, pointer, text};

flag_set! {
    /// What goes and what stays when a domain is undefined. libvirt refuses to undefine a domain
    /// that has one of these things and no flag that says what to do with it.
    pub struct UndefineFlags {
        /// Remove the managed save image.
        MANAGED_SAVE = VIR_DOMAIN_UNDEFINE_MANAGED_SAVE,
        /// Forget the snapshots; their disk contents stay.
        SNAPSHOTS_METADATA = VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA,
        /// Forget the checkpoints.
        CHECKPOINTS_METADATA = VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA,
        /// Remove the firmware's variables.
        NVRAM = VIR_DOMAIN_UNDEFINE_NVRAM,
        /// Keep the firmware's variables.
        KEEP_NVRAM = VIR_DOMAIN_UNDEFINE_KEEP_NVRAM,
        /// Remove the TPM's state.
        TPM = VIR_DOMAIN_UNDEFINE_TPM,
        /// Keep the TPM's state.
        KEEP_TPM = VIR_DOMAIN_UNDEFINE_KEEP_TPM,
    }
}

flag_set! {
    /// How a domain starts.
    pub struct StartFlags {
        /// Paused before the first instruction.
        PAUSED = VIR_DOMAIN_START_PAUSED,
        /// Without its managed save image, which is thrown away.
        FORCE_BOOT = VIR_DOMAIN_START_FORCE_BOOT,
        /// With fresh firmware variables.
        RESET_NVRAM = VIR_DOMAIN_START_RESET_NVRAM,
    }
}

/// By which way the guest is asked to shut down or reboot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestRequest {
    /// libvirt's choice: the agent if it is there, else the power button.
    Either,
    /// The ACPI power button.
    Acpi,
    /// The agent in the guest.
    Agent,
}

/// How a domain is stopped by force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destroy {
    /// SIGTERM, then SIGKILL: QEMU may lose writes that it still holds.
    Forced,
    /// SIGTERM alone, so that QEMU can flush; fails with `Busy` if it does not end.
    Graceful,
}

/// How a managed save leaves the domain for its next start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SavedAs {
    /// As it was: running or paused.
    Found,
    /// Running.
    Running,
    /// Paused.
    Paused,
}

impl Domain {
    /// Starts the domain, from its managed save image if it has one.
    pub fn create(&self, flags: StartFlags) -> Result<()> {
        // SAFETY: the domain is live.
        let created = unsafe { sys::virDomainCreateWithFlags(self.as_ptr(), flags.bits()) };
        done(created, "virDomainCreateWithFlags")
    }

    /// Removes the stored definition. A running domain goes on and vanishes when it stops.
    pub fn undefine(&self, flags: UndefineFlags) -> Result<()> {
        // SAFETY: the domain is live.
        let undefined = unsafe { sys::virDomainUndefineFlags(self.as_ptr(), flags.bits()) };
        done(undefined, "virDomainUndefineFlags")
    }

    /// Asks the guest to shut down; returns when it has been asked.
    pub fn shutdown(&self, by: GuestRequest) -> Result<()> {
        let flags = match by {
            GuestRequest::Either => sys::VIR_DOMAIN_SHUTDOWN_DEFAULT,
            GuestRequest::Acpi => sys::VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN,
            GuestRequest::Agent => sys::VIR_DOMAIN_SHUTDOWN_GUEST_AGENT,
        };
        // SAFETY: the domain is live.
        done(
            unsafe { sys::virDomainShutdownFlags(self.as_ptr(), flags) },
            "virDomainShutdownFlags",
        )
    }

    /// Asks the guest to reboot; returns when it has been asked.
    pub fn reboot(&self, by: GuestRequest) -> Result<()> {
        let flags = match by {
            GuestRequest::Either => sys::VIR_DOMAIN_REBOOT_DEFAULT,
            GuestRequest::Acpi => sys::VIR_DOMAIN_REBOOT_ACPI_POWER_BTN,
            GuestRequest::Agent => sys::VIR_DOMAIN_REBOOT_GUEST_AGENT,
        };
        // SAFETY: the domain is live.
        done(
            unsafe { sys::virDomainReboot(self.as_ptr(), flags) },
            "virDomainReboot",
        )
    }

    /// Resets the machine as its reset button would.
    pub fn reset(&self) -> Result<()> {
        // SAFETY: the domain is live.
        done(
            unsafe { sys::virDomainReset(self.as_ptr(), 0) },
            "virDomainReset",
        )
    }

    /// Ends the domain without the guest's help.
    pub fn destroy(&self, how: Destroy) -> Result<()> {
        let flags = match how {
            Destroy::Forced => sys::VIR_DOMAIN_DESTROY_DEFAULT,
            Destroy::Graceful => sys::VIR_DOMAIN_DESTROY_GRACEFUL,
        };
        // SAFETY: the domain is live.
        done(
            unsafe { sys::virDomainDestroyFlags(self.as_ptr(), flags) },
            "virDomainDestroyFlags",
        )
    }

    /// Stops the domain's CPUs; its memory stays.
    pub fn suspend(&self) -> Result<()> {
        // SAFETY: the domain is live.
        done(
            unsafe { sys::virDomainSuspend(self.as_ptr()) },
            "virDomainSuspend",
        )
    }

    /// Lets the domain's CPUs go on.
    pub fn resume(&self) -> Result<()> {
        // SAFETY: the domain is live.
        done(
            unsafe { sys::virDomainResume(self.as_ptr()) },
            "virDomainResume",
        )
    }

    /// Saves memory and devices to a file of libvirt's and stops; the next start restores them.
    pub fn managed_save(&self, state: SavedAs) -> Result<()> {
        let flags = match state {
            SavedAs::Found => 0,
            SavedAs::Running => sys::VIR_DOMAIN_SAVE_RUNNING,
            SavedAs::Paused => sys::VIR_DOMAIN_SAVE_PAUSED,
        };
        // SAFETY: the domain is live.
        done(
            unsafe { sys::virDomainManagedSave(self.as_ptr(), flags) },
            "virDomainManagedSave",
        )
    }

    /// Throws the managed save image away.
    pub fn managed_save_remove(&self) -> Result<()> {
        // SAFETY: the domain is live.
        let removed = unsafe { sys::virDomainManagedSaveRemove(self.as_ptr(), 0) };
        done(removed, "virDomainManagedSaveRemove")
    }

    /// Gives the domain, which must not run, another name. This handle keeps the old one.
    pub fn rename(&self, name: &str) -> Result<()> {
        const FUNCTION: &str = "virDomainRename";
        let name = text(name, FUNCTION)?;
        // libvirt writes the new name into the handle that it renames, without a lock. So that no
        // other thread reads a name while it is freed, a handle is renamed that nobody else has.
        // SAFETY: the domain is live; its connection stays its own.
        let connection = unsafe { sys::virDomainGetConnect(self.as_ptr()) };
        // SAFETY: the connection is live as long as the domain; libvirt reads exactly 16 bytes.
        let alone =
            unsafe { sys::virDomainLookupByUUID(connection, self.uuid().as_bytes().as_ptr()) };
        let alone = pointer(alone, "virDomainLookupByUUID")?;
        // SAFETY: a lookup returns a reference that the caller owns.
        let alone = unsafe { Self::from_raw(alone) };
        // SAFETY: the domain is live and the name a valid string for the call.
        done(
            unsafe { sys::virDomainRename(alone.as_ptr(), name.as_ptr(), 0) },
            FUNCTION,
        )
    }

    /// Says whether the domain starts with the host.
    pub fn set_autostart(&self, autostart: bool) -> Result<()> {
        // SAFETY: the domain is live.
        let set = unsafe { sys::virDomainSetAutostart(self.as_ptr(), autostart.into()) };
        done(set, "virDomainSetAutostart")
    }
}
