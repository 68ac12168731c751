// SPDX-License-Identifier: GPL-3.0-or-later
//! The host as libvirt sees it.

use std::ffi::{CStr, CString, c_char, c_ulong};

use virt_sys as sys;

use crate::connection::Connection;
use crate::domain::kibibytes;
use crate::error::{Error, Result, done, owned_text, text};

/// The host's hardware.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeInfo {
    /// The CPU's architecture, such as `x86_64`.
    pub model: String,
    /// The memory in bytes.
    pub memory: u64,
    /// The active CPUs.
    pub cpus: u32,
    /// The CPUs' clock in MHz; 0 if not known.
    pub megahertz: u32,
    /// NUMA nodes.
    pub numa_nodes: u32,
    /// Sockets in each node.
    pub sockets: u32,
    /// Cores in each socket.
    pub cores: u32,
    /// Threads in each core.
    pub threads: u32,
}

/// A version in three numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
    /// The third number.
    pub release: u32,
}

impl Version {
    #[allow(
        clippy::useless_conversion,
        reason = "C's unsigned long is not 64 bits everywhere"
    )]
    fn from_number(number: c_ulong) -> Self {
        let number = u64::from(number);
        let part = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        Self {
            major: part(number / 1_000_000),
            minor: part(number / 1_000 % 1_000),
            release: part(number % 1_000),
        }
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}.{}", self.major, self.minor, self.release)
    }
}

/// The host.
impl Connection {
    /// The host's hardware.
    pub fn node_info(&self) -> Result<NodeInfo> {
        // SAFETY: the structure is plain numbers, for which zero bytes are a value.
        let mut info: sys::virNodeInfo = unsafe { std::mem::zeroed() };
        // SAFETY: the connection is live; libvirt fills the structure.
        let read = unsafe { sys::virNodeGetInfo(self.as_ptr(), &raw mut info) };
        done(read, "virNodeGetInfo")?;
        let model: Vec<u8> = info.model.iter().map(|c| c.cast_unsigned()).collect();
        let model = CStr::from_bytes_until_nul(&model).unwrap_or_default();
        Ok(NodeInfo {
            model: model.to_string_lossy().into_owned(),
            memory: kibibytes(info.memory),
            cpus: info.cpus,
            megahertz: info.mhz,
            numa_nodes: info.nodes,
            sockets: info.sockets,
            cores: info.cores,
            threads: info.threads,
        })
    }

    /// The host's name.
    pub fn hostname(&self) -> Result<String> {
        // SAFETY: the connection is live; the string that comes back is the caller's.
        unsafe {
            owned_text(
                sys::virConnectGetHostname(self.as_ptr()),
                "virConnectGetHostname",
            )
        }
    }

    /// The version of the libvirt at the other end.
    pub fn libvirt_version(&self) -> Result<Version> {
        let mut number: c_ulong = 0;
        // SAFETY: the connection is live; libvirt writes one number.
        let read = unsafe { sys::virConnectGetLibVersion(self.as_ptr(), &raw mut number) };
        done(read, "virConnectGetLibVersion").map(|()| Version::from_number(number))
    }

    /// The version of the hypervisor, for example QEMU.
    pub fn hypervisor_version(&self) -> Result<Version> {
        let mut number: c_ulong = 0;
        // SAFETY: the connection is live; libvirt writes one number.
        let read = unsafe { sys::virConnectGetVersion(self.as_ptr(), &raw mut number) };
        done(read, "virConnectGetVersion").map(|()| Version::from_number(number))
    }

    /// What the host can do, as XML.
    pub fn capabilities(&self) -> Result<String> {
        const FUNCTION: &str = "virConnectGetCapabilities";
        // SAFETY: the connection is live; the string that comes back is the caller's.
        unsafe { owned_text(sys::virConnectGetCapabilities(self.as_ptr()), FUNCTION) }
    }

    /// What domains of a sort can have, as XML; `None` leaves the choice to libvirt.
    ///
    /// `virtualization` is a domain's type, such as `kvm` or `qemu`.
    pub fn domain_capabilities(
        &self,
        architecture: Option<&str>,
        machine: Option<&str>,
        virtualization: Option<&str>,
    ) -> Result<String> {
        const FUNCTION: &str = "virConnectGetDomainCapabilities";
        let optional = |value: Option<&str>| value.map(|value| text(value, FUNCTION)).transpose();
        let architecture = optional(architecture)?;
        let machine = optional(machine)?;
        let virtualization = optional(virtualization)?;
        // SAFETY: the connection is live, each string null or valid for the call, and the string
        // that comes back is the caller's.
        unsafe {
            let capabilities = sys::virConnectGetDomainCapabilities(
                self.as_ptr(),
                std::ptr::null(),
                or_null(architecture.as_ref()),
                or_null(machine.as_ref()),
                or_null(virtualization.as_ref()),
                0,
            );
            owned_text(capabilities, FUNCTION)
        }
    }

    /// The host's free memory in bytes.
    pub fn free_memory(&self) -> Result<u64> {
        const FUNCTION: &str = "virNodeGetFreeMemory";
        // SAFETY: the connection is live.
        let free = unsafe { sys::virNodeGetFreeMemory(self.as_ptr()) };
        // libvirt says "failed" by 0, which no running host has.
        if free == 0 {
            Err(Error::last(FUNCTION))
        } else {
            Ok(free)
        }
    }
}

fn or_null(value: Option<&CString>) -> *const c_char {
    value.map_or(std::ptr::null(), |value| value.as_ptr())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_three_numbers() {
        assert_eq!(Version::from_number(9_000_012).to_string(), "9.0.12");
    }
}
