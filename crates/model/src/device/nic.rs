// SPDX-License-Identifier: GPL-3.0-or-later
//! Network interfaces.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    name::{BridgeName, DeviceName, NetworkName},
    size::Size,
};

/// A network interface of a VM, plugged into either a network or a bridge.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Nic {
    /// Its name within the VM; `net0`, `net1` …, if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<DeviceName>,
    /// The virtual network that it is plugged into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkName>,
    /// The bridge of the host that it is plugged into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bridge: Option<BridgeName>,
    /// Its MAC address; one of the range 52:54:00, made from the VM's id, if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddress>,
    /// How the guest sees it.
    pub model: NicModel,
    /// Whether packets with a forged sender are dropped.
    pub spoof_filter: SpoofFilter,
    /// How fast it may be.
    #[serde(skip_serializing_if = "NicLimits::is_default")]
    pub limits: NicLimits,
}

/// What a network interface is plugged into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attachment<'a> {
    /// A virtual network.
    Network(&'a NetworkName),
    /// A bridge of the host.
    Bridge(&'a BridgeName),
}

impl Nic {
    /// What it is plugged into; nothing, if the spec names neither or both.
    pub const fn attachment(&self) -> Option<Attachment<'_>> {
        match (&self.network, &self.bridge) {
            (Some(network), None) => Some(Attachment::Network(network)),
            (None, Some(bridge)) => Some(Attachment::Bridge(bridge)),
            _ => None,
        }
    }
}

/// A MAC address of one interface: never a group address.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, example = "52:54:00:12:34:56")]
pub struct MacAddress([u8; 6]);

/// A text that is no MAC address of an interface.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a MAC address of an interface: write six hexadecimal pairs, the first even, such as 52:54:00:12:34:56"
)]
pub struct MacAddressError(String);

impl MacAddress {
    /// The address with the prefix that QEMU's and libvirt's own have, and these last three bytes.
    pub const fn with_suffix([a, b, c]: [u8; 3]) -> Self {
        Self([0x52, 0x54, 0x00, a, b, c])
    }
}

impl FromStr for MacAddress {
    type Err = MacAddressError;
    fn from_str(text: &str) -> Result<Self, MacAddressError> {
        let fault = || MacAddressError(text.chars().take(40).collect());
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts
                .next()
                .filter(|part| part.len() == 2)
                .ok_or_else(fault)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| fault())?;
        }
        let [first, ..] = bytes;
        match (parts.next(), first & 1, bytes == [0; 6]) {
            (None, 0, false) => Ok(Self(bytes)),
            _ => Err(fault()),
        }
    }
}

impl TryFrom<String> for MacAddress {
    type Error = MacAddressError;
    fn try_from(text: String) -> Result<Self, MacAddressError> {
        text.parse()
    }
}

impl From<MacAddress> for String {
    fn from(address: MacAddress) -> String {
        address.to_string()
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: Vec<String> = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        f.pad(&pairs.join(":"))
    }
}

/// How the guest sees a network interface.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NicModel {
    /// Paravirtual, the fastest.
    #[default]
    Virtio,
    /// Intel e1000e, which most guests know.
    E1000e,
    /// Realtek 8139, for old guests.
    Rtl8139,
}

/// Whether packets with a forged sender are dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SpoofFilter {
    /// They are, by MAC and by IP address.
    #[default]
    On,
    /// They are not; needed for a guest that routes or bridges for others.
    Off,
}

/// How fast a network interface may be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NicLimits {
    /// Bytes a second into the guest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inbound: Option<Size>,
    /// Bytes a second out of the guest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outbound: Option<Size>,
}

impl NicLimits {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_back_as_it_is_shown() {
        let address: MacAddress = "52:54:00:AB:cd:01".parse().unwrap();
        assert_eq!(address.to_string(), "52:54:00:ab:cd:01");
    }

    #[test]
    fn group_addresses_and_other_texts_are_refused() {
        for bad in [
            "",
            "01:00:5e:00:00:01",
            "52:54:00:12:34",
            "52:54:00:12:34:56:78",
            "00:00:00:00:00:00",
            "52-54-00-12-34-56",
        ] {
            assert!(bad.parse::<MacAddress>().is_err(), "{bad:?}");
        }
    }
}
