// SPDX-License-Identifier: GPL-3.0-or-later
//! libvirt's virtual networks.

use std::net::IpAddr;
use std::ptr::NonNull;

use uuid::Uuid;
use virt_sys as sys;

use crate::connection::Connection;
use crate::error::{Result, borrowed_text, checked, done, owned_text, pointer, text};
use crate::handle::{handle, list};

handle! {
    /// A virtual network.
    pub struct Network(virt_sys::virNetwork), freed by virNetworkFree
}

/// An address that a network's DHCP server has lent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DhcpLease {
    /// The network's device on the host.
    pub interface: String,
    /// When it ends, in seconds since 1970.
    pub expires: i64,
    /// Who has it.
    pub mac: Option<String>,
    /// The address.
    pub address: IpAddr,
    /// The length of the network's prefix.
    pub prefix: u32,
    /// The host name that the guest gave: its word, not checked.
    pub hostname: Option<String>,
}

/// Name and UUID of a network that stays libvirt's; no call to libvirtd.
///
/// # Safety
/// `network` must be a valid network during the call.
pub(crate) unsafe fn identity(network: sys::virNetworkPtr) -> Result<(Uuid, String)> {
    let mut bytes = [0; 16];
    // SAFETY: the caller promises a valid network; libvirt writes exactly 16 bytes.
    let read = unsafe { sys::virNetworkGetUUID(network, bytes.as_mut_ptr()) };
    done(read, "virNetworkGetUUID")?;
    // SAFETY: the caller promises a valid network, which owns the name.
    let name = unsafe { borrowed_text(sys::virNetworkGetName(network)) };
    Ok((Uuid::from_bytes(bytes), name.unwrap_or_default()))
}

/// Finding and defining networks.
impl Connection {
    /// All networks.
    pub fn networks(&self) -> Result<Vec<Network>> {
        // SAFETY: the connection is live; libvirt stores an array of owned networks.
        unsafe {
            let call = |array| sys::virConnectListAllNetworks(self.as_ptr(), array, 0);
            list("virConnectListAllNetworks", call, |found| {
                Network::from_raw(found)
            })
        }
    }

    /// The network with this name.
    pub fn network_by_name(&self, name: &str) -> Result<Network> {
        const FUNCTION: &str = "virNetworkLookupByName";
        let name = text(name, FUNCTION)?;
        // SAFETY: the connection is live and the name a valid string for the call.
        let found = unsafe { sys::virNetworkLookupByName(self.as_ptr(), name.as_ptr()) };
        // SAFETY: a lookup returns a reference that the caller owns.
        pointer(found, FUNCTION).map(|found| unsafe { Network::from_raw(found) })
    }

    /// The network with this UUID.
    pub fn network_by_uuid(&self, uuid: Uuid) -> Result<Network> {
        // SAFETY: the connection is live and libvirt reads exactly 16 bytes.
        let found = unsafe { sys::virNetworkLookupByUUID(self.as_ptr(), uuid.as_bytes().as_ptr()) };
        // SAFETY: a lookup returns a reference that the caller owns.
        pointer(found, "virNetworkLookupByUUID").map(|found| unsafe { Network::from_raw(found) })
    }

    /// Stores a network's definition, new or in place of the one with the same UUID.
    pub fn define_network(&self, xml: &str) -> Result<Network> {
        const FUNCTION: &str = "virNetworkDefineXML";
        let xml = text(xml, FUNCTION)?;
        // SAFETY: the connection is live and the XML a valid string for the call.
        let defined = unsafe { sys::virNetworkDefineXML(self.as_ptr(), xml.as_ptr()) };
        // SAFETY: defining returns a reference that the caller owns.
        pointer(defined, FUNCTION).map(|defined| unsafe { Network::from_raw(defined) })
    }
}

impl Network {
    /// The name; no call to libvirtd.
    pub fn name(&self) -> String {
        // SAFETY: the network is live and owns the name, which nothing changes.
        unsafe { borrowed_text(sys::virNetworkGetName(self.as_ptr())) }.unwrap_or_default()
    }

    /// The UUID; no call to libvirtd.
    pub fn uuid(&self) -> Uuid {
        let mut bytes = [0; 16];
        // SAFETY: the network is live; libvirt writes exactly 16 bytes. It fails for handles that
        // are not networks alone, which the type rules out.
        unsafe { sys::virNetworkGetUUID(self.as_ptr(), bytes.as_mut_ptr()) };
        Uuid::from_bytes(bytes)
    }

    /// The network's XML, as it is now.
    pub fn xml(&self) -> Result<String> {
        const FUNCTION: &str = "virNetworkGetXMLDesc";
        // SAFETY: the network is live; the string that comes back is the caller's.
        unsafe { owned_text(sys::virNetworkGetXMLDesc(self.as_ptr(), 0), FUNCTION) }
    }

    /// The host's bridge of this network; fails for networks without one.
    pub fn bridge_name(&self) -> Result<String> {
        const FUNCTION: &str = "virNetworkGetBridgeName";
        // SAFETY: the network is live; the string that comes back is the caller's.
        unsafe { owned_text(sys::virNetworkGetBridgeName(self.as_ptr()), FUNCTION) }
    }

    /// Whether it is started.
    pub fn is_active(&self) -> Result<bool> {
        // SAFETY: the network is live.
        let active = unsafe { sys::virNetworkIsActive(self.as_ptr()) };
        checked(active, "virNetworkIsActive").map(|active| active == 1)
    }

    /// Whether it starts with the host.
    pub fn autostart(&self) -> Result<bool> {
        let mut autostart = 0;
        // SAFETY: the network is live; libvirt writes one number.
        let read = unsafe { sys::virNetworkGetAutostart(self.as_ptr(), &raw mut autostart) };
        done(read, "virNetworkGetAutostart").map(|()| autostart == 1)
    }

    /// Says whether it starts with the host.
    pub fn set_autostart(&self, autostart: bool) -> Result<()> {
        // SAFETY: the network is live.
        let set = unsafe { sys::virNetworkSetAutostart(self.as_ptr(), autostart.into()) };
        done(set, "virNetworkSetAutostart")
    }

    /// Starts it.
    pub fn create(&self) -> Result<()> {
        // SAFETY: the network is live.
        done(
            unsafe { sys::virNetworkCreate(self.as_ptr()) },
            "virNetworkCreate",
        )
    }

    /// Stops it, whoever uses it.
    pub fn destroy(&self) -> Result<()> {
        // SAFETY: the network is live.
        done(
            unsafe { sys::virNetworkDestroy(self.as_ptr()) },
            "virNetworkDestroy",
        )
    }

    /// Removes its definition.
    pub fn undefine(&self) -> Result<()> {
        // SAFETY: the network is live.
        done(
            unsafe { sys::virNetworkUndefine(self.as_ptr()) },
            "virNetworkUndefine",
        )
    }

    /// The addresses that its DHCP server has lent, of all guests in one call.
    pub fn dhcp_leases(&self) -> Result<Vec<DhcpLease>> {
        // SAFETY: the network is live; libvirt stores an array of owned leases, each of which is
        // read and freed once.
        let leases = unsafe {
            let mac = std::ptr::null();
            let call = |array| sys::virNetworkGetDHCPLeases(self.as_ptr(), mac, array, 0);
            list("virNetworkGetDHCPLeases", call, |lease| take_lease(lease))
        }?;
        Ok(leases.into_iter().flatten().collect())
    }
}

/// Copies a lease and frees it; `None` for one whose address is no address.
///
/// # Safety
/// `lease` must be valid and the caller's; it is not valid afterwards.
unsafe fn take_lease(lease: NonNull<sys::virNetworkDHCPLease>) -> Option<DhcpLease> {
    // SAFETY: the caller promises a valid lease, whose strings are its own.
    let copy = unsafe {
        let raw = lease.as_ref();
        let address = borrowed_text(raw.ipaddr).and_then(|address| address.parse().ok());
        address.map(|address| DhcpLease {
            interface: borrowed_text(raw.iface).unwrap_or_default(),
            expires: raw.expirytime,
            mac: borrowed_text(raw.mac),
            address,
            prefix: raw.prefix,
            hostname: borrowed_text(raw.hostname),
        })
    };
    // SAFETY: the lease is the caller's and not used again.
    unsafe { sys::virNetworkDHCPLeaseFree(lease.as_ptr()) };
    copy
}

impl std::fmt::Debug for Network {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Network")
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}
