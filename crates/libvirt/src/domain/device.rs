// SPDX-License-Identifier: GPL-3.0-or-later
//! A domain's devices, CPUs and memory, changed while it runs or for its next start.

use virt_sys as sys;

use super::{Domain, Impact};
use crate::error::{Error, ErrorKind, Result, done, text};

/// What a number of CPUs or an amount of memory sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// What the domain has.
    Current,
    /// The most that it can be given; in the stored definition alone.
    Maximum,
}

impl Domain {
    /// Adds the device that `xml` describes.
    pub fn attach_device(&self, xml: &str, impact: Impact) -> Result<()> {
        const FUNCTION: &str = "virDomainAttachDeviceFlags";
        let xml = text(xml, FUNCTION)?;
        // SAFETY: the domain is live and the XML a valid string for the call.
        let attached =
            unsafe { sys::virDomainAttachDeviceFlags(self.as_ptr(), xml.as_ptr(), impact.bits()) };
        done(attached, FUNCTION)
    }

    /// Asks for the removal of the device that `xml` describes. With a running guest the device
    /// is gone when the event of its removal comes, not when this returns.
    pub fn detach_device(&self, xml: &str, impact: Impact) -> Result<()> {
        const FUNCTION: &str = "virDomainDetachDeviceFlags";
        let xml = text(xml, FUNCTION)?;
        // SAFETY: the domain is live and the XML a valid string for the call.
        let detached =
            unsafe { sys::virDomainDetachDeviceFlags(self.as_ptr(), xml.as_ptr(), impact.bits()) };
        done(detached, FUNCTION)
    }

    /// Changes the device that `xml` describes in place, such as the medium of a CD drive.
    pub fn update_device(&self, xml: &str, impact: Impact) -> Result<()> {
        const FUNCTION: &str = "virDomainUpdateDeviceFlags";
        let xml = text(xml, FUNCTION)?;
        // SAFETY: the domain is live and the XML a valid string for the call.
        let updated =
            unsafe { sys::virDomainUpdateDeviceFlags(self.as_ptr(), xml.as_ptr(), impact.bits()) };
        done(updated, FUNCTION)
    }

    /// Sets the number of virtual CPUs.
    pub fn set_vcpus(&self, count: u32, quantity: Quantity, impact: Impact) -> Result<()> {
        let maximum = match quantity {
            Quantity::Current => 0,
            Quantity::Maximum => sys::VIR_DOMAIN_VCPU_MAXIMUM,
        };
        let flags = impact.bits() | maximum;
        // SAFETY: the domain is live.
        let set = unsafe { sys::virDomainSetVcpusFlags(self.as_ptr(), count, flags) };
        done(set, "virDomainSetVcpusFlags")
    }

    /// Sets the memory, in bytes; libvirt counts in KiB, so a rest is rounded up.
    pub fn set_memory(&self, bytes: u64, quantity: Quantity, impact: Impact) -> Result<()> {
        const FUNCTION: &str = "virDomainSetMemoryFlags";
        let kibibytes = bytes.div_ceil(1024);
        #[allow(
            clippy::useless_conversion,
            reason = "C's unsigned long is not 64 bits everywhere"
        )]
        let kibibytes = kibibytes.try_into().map_err(|_| {
            let message = format!("{bytes} bytes of memory are more than this libvirt can count");
            Error::new(ErrorKind::Invalid, message, FUNCTION)
        })?;
        let maximum = match quantity {
            Quantity::Current => 0,
            Quantity::Maximum => sys::VIR_DOMAIN_MEM_MAXIMUM,
        };
        let flags = impact.bits() | maximum;
        // SAFETY: the domain is live.
        done(
            unsafe { sys::virDomainSetMemoryFlags(self.as_ptr(), kibibytes, flags) },
            FUNCTION,
        )
    }

    /// Sets how often the balloon driver reports the guest's memory, in seconds; 0 is never.
    pub fn set_memory_stats_period(&self, seconds: u16, impact: Impact) -> Result<()> {
        let (domain, period) = (self.as_ptr(), seconds.into());
        // SAFETY: the domain is live.
        let set = unsafe { sys::virDomainSetMemoryStatsPeriod(domain, period, impact.bits()) };
        done(set, "virDomainSetMemoryStatsPeriod")
    }
}
