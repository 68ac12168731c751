// SPDX-License-Identifier: GPL-3.0-or-later
//! Pools, where disks live, and the volumes in them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    name::{PoolName, VolumeName},
    size::Size,
};

/// A volume, by its pool and its name: the only way in which a disk is ever named.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct VolumeRef {
    /// The pool that it lives in.
    pub pool: PoolName,
    /// Its name there.
    pub name: VolumeName,
}

impl fmt::Display for VolumeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.pool, self.name)
    }
}

/// How a volume's bytes are laid out. It is always said and never probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum VolumeFormat {
    /// QEMU's copy-on-write format, version 2 or 3.
    Qcow2,
    /// The disk's bytes as they are; an ISO, too.
    Raw,
}

impl VolumeFormat {
    /// The format in libvirt's and QEMU's spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Qcow2 => "qcow2",
            Self::Raw => "raw",
        }
    }
}

/// A pool as the host sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Pool {
    /// Its name.
    pub name: PoolName,
    /// What it is for.
    pub purpose: PoolPurpose,
    /// Whether it can be used now.
    pub active: bool,
    /// How much fits into it, in all.
    pub capacity: Size,
    /// How much is still free.
    pub available: Size,
}

/// What a pool is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PoolPurpose {
    /// Disks of VMs.
    #[default]
    Disks,
    /// Images to clone from.
    Images,
}

/// A volume as the host sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Volume {
    /// Where it is.
    pub volume: VolumeRef,
    /// How large its disk is.
    pub capacity: Size,
    /// How much of the pool it takes.
    pub allocation: Size,
}
