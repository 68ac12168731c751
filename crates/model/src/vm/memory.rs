// SPDX-License-Identifier: GPL-3.0-or-later
//! A VM's memory.

use serde::{Deserialize, Serialize};

use super::{CpuSet, short::Short};
use crate::size::Size;

/// A VM's memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Memory {
    /// How much it has at start: 16 MiB to 16 TiB.
    pub size: Size,
    /// Up to how much it can be given while it runs; `size`, if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<Size>,
    /// Back it with huge pages of this size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub huge_pages: Option<Size>,
    /// Whether the guest can give memory back while it runs.
    pub balloon: Balloon,
    /// NUMA nodes that the guest sees.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub numa: Vec<NumaNode>,
    /// Where it comes from.
    pub backing: MemoryBacking,
}

impl Memory {
    /// Up to how much memory the VM can have while it runs.
    pub fn most(&self) -> Size {
        self.max.unwrap_or(self.size)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            size: Size::from_gib(1),
            max: None,
            huge_pages: None,
            balloon: Balloon::default(),
            numa: Vec::new(),
            backing: MemoryBacking::default(),
        }
    }
}

impl From<Short> for Result<Memory, String> {
    fn from(short: Short) -> Self {
        let size = match short {
            Short::Number(bytes) => Size::from_bytes(bytes),
            Short::Text(text) => text
                .parse()
                .map_err(|fault: crate::size::SizeError| fault.to_string())?,
        };
        Ok(Memory {
            size,
            ..Memory::default()
        })
    }
}

/// Whether a guest can give memory back while it runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Balloon {
    /// It can, and it tells how much it uses.
    #[default]
    On,
    /// It cannot.
    Off,
}

/// A NUMA node that the guest sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NumaNode {
    /// Which of the VM's CPUs are in it.
    pub cpus: CpuSet,
    /// How much memory is in it.
    pub memory: Size,
    /// Which nodes of the host that memory comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_nodes: Option<CpuSet>,
}

/// Where a VM's memory comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MemoryBacking {
    /// Ordinary anonymous memory.
    #[default]
    Anonymous,
    /// An anonymous file, which another process can be given.
    Memfd,
}
