// SPDX-License-Identifier: GPL-3.0-or-later
//! Virtual networks.

use serde::{Deserialize, Serialize};

use crate::name::{BridgeName, NetworkName};

/// A virtual network as the host sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Network {
    /// Its name.
    pub name: NetworkName,
    /// How it reaches the world.
    pub mode: NetworkMode,
    /// Whether VMs can use it now.
    pub active: bool,
    /// Whether it starts with the host.
    pub autostart: bool,
    /// The bridge that it makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bridge: Option<BridgeName>,
    /// Its addresses, such as `192.168.122.0/24`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subnets: Vec<String>,
    /// Whether the host's policy lets VMs use it.
    pub allowed: bool,
}

/// How a network reaches the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkMode {
    /// Through the host's own address.
    Nat,
    /// By routing.
    Routed,
    /// Directly, through a bridge.
    Bridge,
    /// Not at all.
    Isolated,
    /// In a way that this version does not know.
    Other,
}
