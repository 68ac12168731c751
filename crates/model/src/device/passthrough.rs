// SPDX-License-Identifier: GPL-3.0-or-later
//! What of the host a guest is given for itself.

use serde::{Deserialize, Serialize};

use crate::{name::DeviceName, schema::text_schema, size::Size};

/// A device of the host that the guest gets for itself: exactly one of `pci` and `usb`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PassthroughDevice {
    /// A PCI device, by its address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pci: Option<PciAddress>,
    /// A USB device, by vendor and product.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usb: Option<UsbId>,
}

/// A PCI address: `0000:01:00.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PciAddress {
    /// PCI domain.
    pub domain: u16,
    /// Bus.
    pub bus: u8,
    /// Slot: 0 to 31.
    pub slot: u8,
    /// Function: 0 to 7.
    pub function: u8,
}

impl TryFrom<String> for PciAddress {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let parse = || {
            let (rest, function) = text.split_once('.')?;
            let mut parts = rest.split(':');
            let address = Self {
                domain: u16::from_str_radix(parts.next()?, 16).ok()?,
                bus: u8::from_str_radix(parts.next()?, 16).ok()?,
                slot: u8::from_str_radix(parts.next()?, 16).ok()?,
                function: function.parse().ok()?,
            };
            (parts.next().is_none() && address.slot < 32 && address.function < 8).then_some(address)
        };
        parse().ok_or_else(|| {
            let text: String = text.chars().take(40).collect();
            format!(
                "{text:?} is not a PCI address: write it as lspci -D does, such as 0000:01:00.0"
            )
        })
    }
}

impl From<PciAddress> for String {
    fn from(a: PciAddress) -> String {
        format!(
            "{:04x}:{:02x}:{:02x}.{}",
            a.domain, a.bus, a.slot, a.function
        )
    }
}

/// A kind of USB device: `046d:c52b`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UsbId {
    /// The vendor.
    pub vendor: u16,
    /// The vendor's product.
    pub product: u16,
}

impl TryFrom<String> for UsbId {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let part = |part: &str| match part.len() {
            4 => u16::from_str_radix(part, 16).ok(),
            _ => None,
        };
        let parse = || {
            let (vendor, product) = text.split_once(':')?;
            Some(Self {
                vendor: part(vendor)?,
                product: part(product)?,
            })
        };
        parse().ok_or_else(|| {
            let text: String = text.chars().take(40).collect();
            format!("{text:?} is not a USB id: write it as lsusb does, such as 046d:c52b")
        })
    }
}

impl From<UsbId> for String {
    fn from(id: UsbId) -> String {
        format!("{:04x}:{:04x}", id.vendor, id.product)
    }
}

/// Memory shared with a program on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SharedMemory {
    /// The region's name.
    pub name: DeviceName,
    /// How large it is: a power of two, 1 MiB to 1 GiB.
    pub size: Size,
}

text_schema! {
    PciAddress = "A PCI address, as `lspci -D` writes it", "0000:01:00.0";
    UsbId = "A kind of USB device, as `lsusb` writes it", "046d:c52b";
}
