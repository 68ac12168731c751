// SPDX-License-Identifier: GPL-3.0-or-later
//! Disks: cloned from an image, blank, or an ISO in a drive.

use serde::{Deserialize, Serialize};

use crate::{
    name::{DeviceName, ImageName, PoolName},
    size::Size,
};

/// A disk of a VM. It lives in a managed pool; there is no way to name a path of the host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Disk {
    /// Its name within the VM; `vda`, `vdb` … or `sda` … by its bus, if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<DeviceName>,
    /// The image to start from; with none, the disk is blank and `size` must be given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageName>,
    /// What the image becomes.
    #[serde(rename = "as")]
    pub source: ImageSource,
    /// How large it is, at least as large as its image: 1 MiB to 64 TiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// The pool that it lives in; the host's first pool for disks, if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolName>,
    /// How the guest sees it.
    pub bus: DiskBus,
    /// How the host caches it.
    pub cache: DiskCache,
    /// Whether space that the guest frees is given back.
    pub discard: Discard,
    /// Its place in the boot order, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot_order: Option<u32>,
    /// How fast it may be.
    #[serde(skip_serializing_if = "DiskLimits::is_default")]
    pub limits: DiskLimits,
}

/// What a disk's image becomes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ImageSource {
    /// A disk of its own that stores only what differs from the image.
    #[default]
    Clone,
    /// A disk of its own with everything copied.
    Copy,
    /// A read-only CD in a drive.
    Cdrom,
}

/// How the guest sees a disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DiskBus {
    /// Paravirtual, the fastest; a CD goes to SATA.
    #[default]
    Virtio,
    /// Paravirtual SCSI, for many disks.
    Scsi,
    /// SATA, which every guest knows.
    Sata,
    /// USB.
    Usb,
}

/// How the host caches a disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DiskCache {
    /// The hypervisor's choice: `writeback`, safe as long as the guest flushes.
    #[default]
    Default,
    /// The host's page cache is passed by.
    None,
    /// Writes are acknowledged in the page cache; flushes reach the disk.
    Writeback,
    /// Each write reaches the disk.
    Writethrough,
    /// Flushes are ignored: what the host has not written is lost when it fails.
    Unsafe,
}

/// Whether space that the guest frees is given back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Discard {
    /// It is.
    #[default]
    On,
    /// It is not.
    Off,
}

/// How fast a disk may be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DiskLimits {
    /// Bytes a second, read and written together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<Size>,
    /// Requests a second, read and written together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iops: Option<u32>,
}

impl DiskLimits {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
