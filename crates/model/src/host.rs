// SPDX-License-Identifier: GPL-3.0-or-later
//! What a host is and can do.

use serde::{Deserialize, Serialize};

use crate::{audit::PublicKey, health::Freshness, size::Size, vm::Arch};

/// A host as the broker sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Host {
    /// Its name on the network.
    pub hostname: String,
    /// How its guests run.
    pub acceleration: Acceleration,
    /// The architecture of its CPUs.
    pub arch: Arch,
    /// The model of its CPUs, as the kernel names it.
    pub cpu_model: String,
    /// How many CPUs it has online.
    pub cpus: u32,
    /// How much memory it has.
    pub memory: Size,
    /// How much of it is free for VMs now.
    pub memory_available: Size,
    /// libvirt's version.
    pub libvirt_version: String,
    /// QEMU's version.
    pub qemu_version: String,
    /// Guests of which architectures can run.
    pub guest_archs: Vec<Arch>,
}

/// How guests run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Acceleration {
    /// On the CPU itself: a VM was really made and run.
    Kvm,
    /// Emulated, which is 10 to 50 times slower.
    Tcg {
        /// Why KVM is not used.
        why: String,
    },
}

impl Acceleration {
    /// Whether guests run on the CPU itself.
    pub const fn is_kvm(&self) -> bool {
        matches!(self, Self::Kvm)
    }
}

/// A host as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HostView {
    /// What it is and can do; absent as long as it was never reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Host>,
    /// How old that is.
    pub freshness: Freshness,
    /// The public key with which the host signs its audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_key: Option<PublicKey>,
}

/// Which version of the daemon answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ServerVersion {
    /// The daemon's version: `0.1.0`.
    pub version: String,
    /// The version of its API: `v1`.
    pub api: String,
}
