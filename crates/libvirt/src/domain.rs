// SPDX-License-Identifier: GPL-3.0-or-later
//! Domains: finding them, and their life cycle.

mod agent;
mod device;
mod job;
mod life_cycle;
mod limit;
mod state;

use std::ffi::CStr;

use uuid::Uuid;
use virt_sys as sys;

use crate::codes::flag_set;
use crate::connection::Connection;
use crate::error::{Result, borrowed_text, checked, done, owned_text, pointer, text};
use crate::handle::{handle, list};

pub use agent::{
    AddressSource, GuestFilesystem, GuestInfo, GuestInfoGroups, InterfaceAddresses, OperatingSystem,
};
pub use device::Quantity;
pub use job::{JobKind, JobOperation, JobStats};
pub use life_cycle::{Destroy, GuestRequest, SavedAs, StartFlags, UndefineFlags};
pub use limit::{Bandwidth, BlockLimits, CpuLimits, NO_QUOTA};
pub use state::{CrashedReason, PausedReason, RunningReason, ShutdownReason, ShutoffReason, State};

handle! {
    /// A domain: libvirt's word for a VM.
    pub struct Domain(virt_sys::virDomain), freed by virDomainFree
}

flag_set! {
    /// Which domains to list. Flags of one group widen it; flags of different groups narrow it.
    pub struct DomainFilter {
        /// Group of activity: those that run, paused ones included.
        ACTIVE = VIR_CONNECT_LIST_DOMAINS_ACTIVE,
        /// Group of activity: those that do not run.
        INACTIVE = VIR_CONNECT_LIST_DOMAINS_INACTIVE,
        /// Group of persistence: those with a stored definition.
        PERSISTENT = VIR_CONNECT_LIST_DOMAINS_PERSISTENT,
        /// Group of persistence: those that vanish when they stop.
        TRANSIENT = VIR_CONNECT_LIST_DOMAINS_TRANSIENT,
        /// Group of state: running.
        RUNNING = VIR_CONNECT_LIST_DOMAINS_RUNNING,
        /// Group of state: paused.
        PAUSED = VIR_CONNECT_LIST_DOMAINS_PAUSED,
        /// Group of state: shut off.
        SHUTOFF = VIR_CONNECT_LIST_DOMAINS_SHUTOFF,
        /// Group of state: none of the other three.
        OTHER = VIR_CONNECT_LIST_DOMAINS_OTHER,
        /// Group of saved state: those with a managed save image.
        MANAGED_SAVE = VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE,
        /// Group of saved state: those without.
        NO_MANAGED_SAVE = VIR_CONNECT_LIST_DOMAINS_NO_MANAGEDSAVE,
        /// Group of autostart: those that start with the host.
        AUTOSTART = VIR_CONNECT_LIST_DOMAINS_AUTOSTART,
        /// Group of autostart: those that do not.
        NO_AUTOSTART = VIR_CONNECT_LIST_DOMAINS_NO_AUTOSTART,
        /// Group of snapshots: those with at least one.
        HAS_SNAPSHOT = VIR_CONNECT_LIST_DOMAINS_HAS_SNAPSHOT,
        /// Group of checkpoints: those with at least one.
        HAS_CHECKPOINT = VIR_CONNECT_LIST_DOMAINS_HAS_CHECKPOINT,
    }
}

flag_set! {
    /// What [`Domain::xml`] is to show.
    pub struct XmlFlags {
        /// With passwords and other secrets; needs a read-write connection.
        SECURE = VIR_DOMAIN_XML_SECURE,
        /// As it will be at the next start, not as it runs.
        INACTIVE = VIR_DOMAIN_XML_INACTIVE,
        /// With the CPU features that the host adds.
        UPDATE_CPU = VIR_DOMAIN_XML_UPDATE_CPU,
    }
}

/// What a change applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Impact {
    /// The running domain alone.
    Live,
    /// The stored definition alone: from the next start on.
    Config,
    /// Both.
    LiveAndConfig,
}

impl Impact {
    pub(crate) const fn bits(self) -> u32 {
        match self {
            Self::Live => sys::VIR_DOMAIN_AFFECT_LIVE,
            Self::Config => sys::VIR_DOMAIN_AFFECT_CONFIG,
            Self::LiveAndConfig => sys::VIR_DOMAIN_AFFECT_LIVE | sys::VIR_DOMAIN_AFFECT_CONFIG,
        }
    }
}

/// Figures of one domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DomainInfo {
    /// The most memory that it may have, in bytes.
    pub memory_max: u64,
    /// The memory that it has now, in bytes.
    pub memory: u64,
    /// Its virtual CPUs.
    pub vcpus: u16,
    /// CPU time used, in nanoseconds.
    pub cpu_time_nanoseconds: u64,
}

/// Name and UUID of a domain that stays libvirt's; no call to libvirtd.
///
/// # Safety
/// `domain` must be a valid domain during the call.
pub(crate) unsafe fn identity(domain: sys::virDomainPtr) -> Result<(Uuid, String)> {
    let mut bytes = [0; 16];
    // SAFETY: the caller promises a valid domain; libvirt writes exactly 16 bytes.
    let read = unsafe { sys::virDomainGetUUID(domain, bytes.as_mut_ptr()) };
    done(read, "virDomainGetUUID")?;
    // SAFETY: the caller promises a valid domain, which owns the name.
    let name = unsafe { borrowed_text(sys::virDomainGetName(domain)) };
    Ok((Uuid::from_bytes(bytes), name.unwrap_or_default()))
}

/// Finding and defining domains.
impl Connection {
    /// All domains that pass the filter, in one call.
    ///
    /// A filter is also the cheap way to learn one fact about all domains: listing those with
    /// `AUTOSTART` answers "does it start with the host?" for every domain in one call.
    pub fn domains(&self, filter: DomainFilter) -> Result<Vec<Domain>> {
        // SAFETY: the connection is live; libvirt stores an array of owned domains.
        unsafe {
            let call = |array| sys::virConnectListAllDomains(self.as_ptr(), array, filter.bits());
            list("virConnectListAllDomains", call, |found| {
                Domain::from_raw(found)
            })
        }
    }

    /// The domain with this UUID.
    pub fn domain_by_uuid(&self, uuid: Uuid) -> Result<Domain> {
        // SAFETY: the connection is live and libvirt reads exactly 16 bytes.
        let found = unsafe { sys::virDomainLookupByUUID(self.as_ptr(), uuid.as_bytes().as_ptr()) };
        // SAFETY: a lookup returns a reference that the caller owns.
        pointer(found, "virDomainLookupByUUID").map(|found| unsafe { Domain::from_raw(found) })
    }

    /// The domain with this name.
    pub fn domain_by_name(&self, name: &str) -> Result<Domain> {
        const FUNCTION: &str = "virDomainLookupByName";
        let name = text(name, FUNCTION)?;
        // SAFETY: the connection is live and the name a valid string for the call.
        let found = unsafe { sys::virDomainLookupByName(self.as_ptr(), name.as_ptr()) };
        // SAFETY: a lookup returns a reference that the caller owns.
        pointer(found, FUNCTION).map(|found| unsafe { Domain::from_raw(found) })
    }

    /// Stores a definition, new or in place of the one with the same UUID, after libvirt has
    /// checked it against its schema.
    pub fn define_domain(&self, xml: &str) -> Result<Domain> {
        const FUNCTION: &str = "virDomainDefineXMLFlags";
        let xml = text(xml, FUNCTION)?;
        let validate = sys::VIR_DOMAIN_DEFINE_VALIDATE;
        // SAFETY: the connection is live and the XML a valid string for the call.
        let defined =
            unsafe { sys::virDomainDefineXMLFlags(self.as_ptr(), xml.as_ptr(), validate) };
        // SAFETY: defining returns a reference that the caller owns.
        pointer(defined, FUNCTION).map(|defined| unsafe { Domain::from_raw(defined) })
    }
}

/// Facts.
impl Domain {
    /// The name that the domain had when this handle was obtained; no call to libvirtd.
    pub fn name(&self) -> String {
        // SAFETY: the domain is live and owns the name, which nothing here changes in place.
        unsafe { borrowed_text(sys::virDomainGetName(self.as_ptr())) }.unwrap_or_default()
    }

    /// The UUID; no call to libvirtd.
    pub fn uuid(&self) -> Uuid {
        let mut bytes = [0; 16];
        // SAFETY: the domain is live; libvirt writes exactly 16 bytes. It fails for handles that
        // are not domains alone, which the type rules out.
        unsafe { sys::virDomainGetUUID(self.as_ptr(), bytes.as_mut_ptr()) };
        Uuid::from_bytes(bytes)
    }

    /// The state and why the domain is in it.
    pub fn state(&self) -> Result<State> {
        let (mut state, mut reason) = (0, 0);
        // SAFETY: the domain is live; libvirt writes two numbers.
        let read =
            unsafe { sys::virDomainGetState(self.as_ptr(), &raw mut state, &raw mut reason, 0) };
        done(read, "virDomainGetState")?;
        Ok(State::from_codes(state, reason))
    }

    /// Memory, CPUs and CPU time. For many domains use
    /// [`Connection::all_domain_stats`](crate::Connection::all_domain_stats).
    pub fn info(&self) -> Result<DomainInfo> {
        // SAFETY: the structure is plain numbers, for which zero bytes are a value.
        let mut info: sys::virDomainInfo = unsafe { std::mem::zeroed() };
        // SAFETY: the domain is live; libvirt fills the structure.
        let read = unsafe { sys::virDomainGetInfo(self.as_ptr(), &raw mut info) };
        done(read, "virDomainGetInfo")?;
        Ok(DomainInfo {
            memory_max: kibibytes(info.maxMem),
            memory: kibibytes(info.memory),
            vcpus: info.nrVirtCpu,
            cpu_time_nanoseconds: info.cpuTime,
        })
    }

    /// The domain's XML.
    pub fn xml(&self, flags: XmlFlags) -> Result<String> {
        const FUNCTION: &str = "virDomainGetXMLDesc";
        // SAFETY: the domain is live; the string that comes back is the caller's.
        unsafe {
            owned_text(
                sys::virDomainGetXMLDesc(self.as_ptr(), flags.bits()),
                FUNCTION,
            )
        }
    }

    /// Whether the domain runs, paused included.
    pub fn is_active(&self) -> Result<bool> {
        // SAFETY: the domain is live.
        let active = unsafe { sys::virDomainIsActive(self.as_ptr()) };
        checked(active, "virDomainIsActive").map(|active| active == 1)
    }

    /// Whether the domain has a stored definition.
    pub fn is_persistent(&self) -> Result<bool> {
        // SAFETY: the domain is live.
        let persistent = unsafe { sys::virDomainIsPersistent(self.as_ptr()) };
        checked(persistent, "virDomainIsPersistent").map(|persistent| persistent == 1)
    }

    /// Whether the domain has a managed save image.
    pub fn has_managed_save(&self) -> Result<bool> {
        // SAFETY: the domain is live.
        let saved = unsafe { sys::virDomainHasManagedSaveImage(self.as_ptr(), 0) };
        checked(saved, "virDomainHasManagedSaveImage").map(|saved| saved == 1)
    }

    /// Whether the domain starts with the host.
    pub fn autostart(&self) -> Result<bool> {
        let mut autostart = 0;
        // SAFETY: the domain is live; libvirt writes one number.
        let read = unsafe { sys::virDomainGetAutostart(self.as_ptr(), &raw mut autostart) };
        done(read, "virDomainGetAutostart").map(|()| autostart == 1)
    }

    /// The element of namespace `namespace` in the domain's metadata.
    pub fn metadata(&self, namespace: &str, impact: Impact) -> Result<String> {
        const FUNCTION: &str = "virDomainGetMetadata";
        let namespace = text(namespace, FUNCTION)?;
        // SAFETY: the domain is live, the namespace a valid string for the call, and the string
        // that comes back is the caller's.
        unsafe {
            let kind = sys::VIR_DOMAIN_METADATA_ELEMENT.cast_signed();
            let domain = self.as_ptr();
            let found = sys::virDomainGetMetadata(domain, kind, namespace.as_ptr(), impact.bits());
            owned_text(found, FUNCTION)
        }
    }

    /// Puts `element` into the metadata as the one of `namespace`, or removes it with `None`.
    ///
    /// `prefix` is the prefix that libvirt gives the namespace in the XML.
    pub fn set_metadata(
        &self,
        namespace: &str,
        prefix: &str,
        element: Option<&str>,
        impact: Impact,
    ) -> Result<()> {
        const FUNCTION: &str = "virDomainSetMetadata";
        let namespace = text(namespace, FUNCTION)?;
        let prefix = text(prefix, FUNCTION)?;
        let element = element.map(|element| text(element, FUNCTION)).transpose()?;
        let element = element.as_deref().map_or(std::ptr::null(), CStr::as_ptr);
        let key = if element.is_null() {
            std::ptr::null()
        } else {
            prefix.as_ptr()
        };
        // SAFETY: the domain is live; the strings are null or valid for the call.
        let set = unsafe {
            let kind = sys::VIR_DOMAIN_METADATA_ELEMENT.cast_signed();
            let uri = namespace.as_ptr();
            sys::virDomainSetMetadata(self.as_ptr(), kind, element, key, uri, impact.bits())
        };
        done(set, FUNCTION)
    }
}

impl std::fmt::Debug for Domain {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("Domain");
        shown
            .field("name", &self.name())
            .field("uuid", &self.uuid())
            .finish()
    }
}

/// libvirt's kibibytes as bytes.
#[allow(
    clippy::useless_conversion,
    reason = "C's unsigned long is not 64 bits everywhere"
)]
pub(crate) fn kibibytes(count: std::ffi::c_ulong) -> u64 {
    u64::from(count).saturating_mul(1024)
}
