// SPDX-License-Identifier: GPL-3.0-or-later
//! What the agent in the guest tells and does. All of it is the guest's word: a guest may lie.

use std::ffi::{CStr, c_char, c_int};
use std::net::IpAddr;
use std::ptr::NonNull;
use std::time::Duration;

use virt_sys as sys;

use super::Domain;
use crate::codes::flag_set;
use crate::error::{Error, ErrorKind, Result, borrowed_text, checked, done, owned_text, text};
use crate::handle::list;
use crate::typed_parameter::{Parameters, Value, entry, indexed};

/// The most file systems, and the most addresses of one interface, that are taken from a guest.
const ENTRIES_MAX: usize = 256;

flag_set! {
    /// What to ask the guest for; none of them asks for all that it can tell.
    pub struct GuestInfoGroups {
        /// The operating system.
        OS = VIR_DOMAIN_GUEST_INFO_OS,
        /// The time zone.
        TIMEZONE = VIR_DOMAIN_GUEST_INFO_TIMEZONE,
        /// The host name.
        HOSTNAME = VIR_DOMAIN_GUEST_INFO_HOSTNAME,
        /// The mounted file systems.
        FILESYSTEM = VIR_DOMAIN_GUEST_INFO_FILESYSTEM,
    }
}

/// What a guest says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GuestInfo {
    /// Its host name.
    pub hostname: Option<String>,
    /// Its operating system.
    pub os: OperatingSystem,
    /// The name of its time zone.
    pub timezone: Option<String>,
    /// Its mounted file systems.
    pub filesystems: Vec<GuestFilesystem>,
}

/// What a guest says about its operating system, after its `os-release` file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OperatingSystem {
    /// Such as `debian`.
    pub id: Option<String>,
    /// Such as `Debian GNU/Linux 12 (bookworm)`.
    pub pretty_name: Option<String>,
    /// Such as `12`.
    pub version_id: Option<String>,
    /// The kernel's release.
    pub kernel_release: Option<String>,
}

/// A file system of a guest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GuestFilesystem {
    /// Where it is mounted.
    pub mountpoint: Option<String>,
    /// Its device, such as `vda1`.
    pub name: Option<String>,
    /// Such as `ext4`.
    pub kind: Option<String>,
    /// Its size in bytes.
    pub total_bytes: Option<u64>,
    /// Bytes in use.
    pub used_bytes: Option<u64>,
}

/// Where to learn a domain's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressSource {
    /// The DHCP leases of libvirt's networks.
    Lease,
    /// The agent in the guest.
    Agent,
    /// The host's ARP table.
    Arp,
}

/// An interface of a guest with its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceAddresses {
    /// Its name: the guest's with the agent, the host's with leases.
    pub name: String,
    /// Its MAC address.
    pub mac: Option<String>,
    /// Its addresses with the length of their network's prefix.
    pub addresses: Vec<(IpAddr, u32)>,
}

impl Domain {
    /// Sends `command`, a line of JSON, to the agent and returns its answer.
    ///
    /// An answer of more than `limit` bytes is refused as invalid.
    pub fn agent_command(&self, command: &str, timeout: Duration, limit: usize) -> Result<String> {
        const FUNCTION: &str = "virDomainQemuAgentCommand";
        let command = text(command, FUNCTION)?;
        let (domain, seconds) = (self.as_ptr(), whole_seconds(timeout));
        // SAFETY: the domain is live, the command a valid string for the call, and the answer the
        // caller's.
        let answer = unsafe {
            let answer = sys::virDomainQemuAgentCommand(domain, command.as_ptr(), seconds, 0);
            owned_text(answer, FUNCTION)
        }?;
        if answer.len() > limit {
            let message = format!(
                "the guest agent answered {} bytes; {limit} are the most that are taken",
                answer.len()
            );
            return Err(Error::new(ErrorKind::Invalid, message, FUNCTION));
        }
        Ok(answer)
    }

    /// Sets how long libvirt waits for this domain's agent in calls without a timeout of their
    /// own, such as freezing. It holds until the domain stops.
    pub fn set_agent_timeout(&self, timeout: Duration) -> Result<()> {
        let (domain, seconds) = (self.as_ptr(), whole_seconds(timeout));
        // SAFETY: the domain is live.
        let set = unsafe { sys::virDomainAgentSetResponseTimeout(domain, seconds, 0) };
        done(set, "virDomainAgentSetResponseTimeout")
    }

    /// Freezes all file systems of the guest; returns how many. Thaw them soon.
    pub fn fs_freeze(&self) -> Result<u32> {
        // SAFETY: the domain is live; without a list of mount points all are meant.
        let frozen = unsafe { sys::virDomainFSFreeze(self.as_ptr(), std::ptr::null_mut(), 0, 0) };
        checked(frozen, "virDomainFSFreeze").map(c_int::cast_unsigned)
    }

    /// Thaws all file systems of the guest; returns how many.
    pub fn fs_thaw(&self) -> Result<u32> {
        // SAFETY: the domain is live; without a list of mount points all are meant.
        let thawed = unsafe { sys::virDomainFSThaw(self.as_ptr(), std::ptr::null_mut(), 0, 0) };
        checked(thawed, "virDomainFSThaw").map(c_int::cast_unsigned)
    }

    /// Asks the guest about itself.
    pub fn guest_info(&self, groups: GuestInfoGroups) -> Result<GuestInfo> {
        const FUNCTION: &str = "virDomainGetGuestInfo";
        let mut list = std::ptr::null_mut();
        let mut count: c_int = 0;
        let (domain, groups) = (self.as_ptr(), groups.bits());
        // SAFETY: the domain is live; libvirt writes a list that is the caller's.
        let read =
            unsafe { sys::virDomainGetGuestInfo(domain, groups, &raw mut list, &raw mut count, 0) };
        done(read, FUNCTION)?;
        let mut info = GuestInfo::default();
        let parameters = Parameters::adopt(list, count, FUNCTION);
        parameters.for_each(|name, value| info.take(name, value));
        Ok(info)
    }

    /// The domain's interfaces with their addresses.
    pub fn interface_addresses(&self, source: AddressSource) -> Result<Vec<InterfaceAddresses>> {
        let source = match source {
            AddressSource::Lease => sys::VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE,
            AddressSource::Agent => sys::VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT,
            AddressSource::Arp => sys::VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP,
        };
        // SAFETY: the domain is live; libvirt stores an array of owned interfaces, each of which
        // is read and freed once.
        unsafe {
            let call = |array| sys::virDomainInterfaceAddresses(self.as_ptr(), array, source, 0);
            list("virDomainInterfaceAddresses", call, |interface| {
                take_interface(interface)
            })
        }
    }
}

/// libvirt's agent timeouts are whole seconds and at least one.
fn whole_seconds(timeout: Duration) -> c_int {
    let seconds = timeout.as_secs() + u64::from(timeout.subsec_nanos() > 0);
    c_int::try_from(seconds).unwrap_or(c_int::MAX).max(1)
}

/// Copies an interface and frees it.
///
/// # Safety
/// `interface` must be valid and the caller's; it is not valid afterwards.
unsafe fn take_interface(interface: NonNull<sys::virDomainInterface>) -> InterfaceAddresses {
    // SAFETY: the caller promises a valid interface, whose strings are its own.
    let copy = unsafe {
        let raw = interface.as_ref();
        let count = usize::try_from(raw.naddrs).unwrap_or(0).min(ENTRIES_MAX);
        let addresses = if raw.addrs.is_null() {
            &[]
        } else {
            std::slice::from_raw_parts(raw.addrs, count)
        };
        InterfaceAddresses {
            name: borrowed_text(raw.name).unwrap_or_default(),
            mac: borrowed_text(raw.hwaddr),
            addresses: addresses
                .iter()
                .filter_map(|address| Some((parse_address(address.addr)?, address.prefix)))
                .collect(),
        }
    };
    // SAFETY: the interface is the caller's and not used again.
    unsafe { sys::virDomainInterfaceFree(interface.as_ptr()) };
    copy
}

/// # Safety
/// `address` must be null or a valid string during the call.
unsafe fn parse_address(address: *const c_char) -> Option<IpAddr> {
    // SAFETY: as the caller promises.
    unsafe { borrowed_text(address) }?.parse().ok()
}

impl GuestInfo {
    /// Takes up a value by the name that libvirt gives it, such as `os.pretty-name`; what has
    /// another name or is of another kind is passed over.
    pub fn take(&mut self, name: &str, value: Value) {
        let fields = [
            (
                sys::VIR_DOMAIN_GUEST_INFO_HOSTNAME_HOSTNAME,
                &mut self.hostname,
            ),
            (sys::VIR_DOMAIN_GUEST_INFO_TIMEZONE_NAME, &mut self.timezone),
            (sys::VIR_DOMAIN_GUEST_INFO_OS_ID, &mut self.os.id),
            (
                sys::VIR_DOMAIN_GUEST_INFO_OS_PRETTY_NAME,
                &mut self.os.pretty_name,
            ),
            (
                sys::VIR_DOMAIN_GUEST_INFO_OS_VERSION_ID,
                &mut self.os.version_id,
            ),
            (
                sys::VIR_DOMAIN_GUEST_INFO_OS_KERNEL_RELEASE,
                &mut self.os.kernel_release,
            ),
        ];
        let is = |known: &CStr| known.to_bytes() == name.as_bytes();
        if let Some((_, field)) = fields.into_iter().find(|(known, _)| is(known)) {
            *field = value.text();
        } else if let Some((index, rest)) = indexed(name, "fs.") {
            self.take_filesystem(index, rest, value);
        }
    }

    fn take_filesystem(&mut self, index: usize, field: &str, value: Value) {
        let Some(filesystem) = entry(&mut self.filesystems, index, ENTRIES_MAX) else {
            return;
        };
        match field {
            "mountpoint" => filesystem.mountpoint = value.text(),
            "name" => filesystem.name = value.text(),
            "fstype" => filesystem.kind = value.text(),
            "total-bytes" => filesystem.total_bytes = value.count(),
            "used-bytes" => filesystem.used_bytes = value.count(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filesystems_are_gathered_by_their_number() {
        let mut info = GuestInfo::default();
        info.take("fs.count", Value::Unsigned(2));
        info.take("fs.1.mountpoint", Value::Text("/home".to_owned()));
        info.take("fs.0.total-bytes", Value::Unsigned(7));
        info.take("hostname", Value::Text("web".to_owned()));
        assert_eq!(info.hostname.as_deref(), Some("web"));
        assert_eq!(info.filesystems.len(), 2);
        assert_eq!(info.filesystems[1].mountpoint.as_deref(), Some("/home"));
        assert_eq!(info.filesystems[0].total_bytes, Some(7));
    }

    #[test]
    fn a_huge_number_from_the_guest_takes_no_memory() {
        let mut info = GuestInfo::default();
        info.take("fs.4000000000.name", Value::Text("vda1".to_owned()));
        assert_eq!(info.filesystems, []);
    }

    #[test]
    fn timeouts_are_rounded_up_to_at_least_a_second() {
        let seconds = [0, 1, 1000, 1001].map(|ms| whole_seconds(Duration::from_millis(ms)));
        assert_eq!(seconds, [1, 1, 1, 2]);
    }
}
