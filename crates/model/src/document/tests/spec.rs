// SPDX-License-Identifier: GPL-3.0-or-later
//! A made-up spec with every kind of part.

use std::{collections::BTreeMap, num::NonZeroU8};

use serde::{Deserialize, Serialize};

use crate::{
    name::{Tag, VmName},
    size::Size,
};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Spec {
    pub(super) name: VmName,
    #[serde(default)]
    pub(super) tags: Vec<Tag>,
    #[serde(default)]
    pub(super) description: Option<String>,
    #[serde(default)]
    pub(super) cpus: Cpus,
    #[serde(default)]
    pub(super) memory: Option<Size>,
    #[serde(default)]
    pub(super) disks: Vec<Disk>,
    #[serde(default)]
    pub(super) firmware: Firmware,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) ports: BTreeMap<u16, bool>,
    #[serde(default)]
    pub(super) password: Option<String>,
    #[serde(default)]
    pub(super) share: Option<f64>,
    #[serde(default)]
    pub(super) window: Option<(u8, u8)>,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Cpus {
    pub(super) count: Option<NonZeroU8>,
    pub(super) pinned: Vec<u16>,
    pub(super) nested: bool,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Disk {
    pub(super) name: String,
    pub(super) size: Size,
    pub(super) bus: Bus,
    #[serde(default)]
    pub(super) source: Source,
    #[serde(default)]
    pub(super) boot: Option<u8>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Bus {
    Virtio,
    Sata,
    VirtioScsi,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Source {
    #[default]
    Blank,
    Image(String),
    Clone {
        of: VmName,
        linked: bool,
    },
}

/// Enums with a tag inside are read as a whole first.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum Firmware {
    #[default]
    Bios,
    Uefi {
        secure_boot: bool,
    },
}
