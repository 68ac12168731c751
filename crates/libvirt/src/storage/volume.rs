// SPDX-License-Identifier: GPL-3.0-or-later
//! Volumes: the disks and images in a pool.

use virt_sys as sys;

use crate::codes::code_enum;
use crate::connection::Connection;
use crate::error::{Result, borrowed_text, done, owned_text, pointer, text};
use crate::handle::handle;

handle! {
    /// A volume.
    pub struct Volume(virt_sys::virStorageVol), freed by virStorageVolFree
}

code_enum! {
    /// What a volume is on the host.
    pub enum VolumeKind {
        /// A file.
        File = VIR_STORAGE_VOL_FILE,
        /// A block device.
        Block = VIR_STORAGE_VOL_BLOCK,
        /// A folder.
        Folder = VIR_STORAGE_VOL_DIR,
        /// Something on the network.
        Network = VIR_STORAGE_VOL_NETWORK,
        /// A folder on the network.
        NetworkFolder = VIR_STORAGE_VOL_NETDIR,
        /// A Ploop folder.
        Ploop = VIR_STORAGE_VOL_PLOOP,
    }
}

/// The figures of a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VolumeInfo {
    /// What it is on the host.
    pub kind: VolumeKind,
    /// The size that a guest sees, in bytes.
    pub capacity: u64,
    /// What it takes of the storage, in bytes.
    pub allocation: u64,
}

/// A volume with its figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeSummary {
    /// Its name in the pool.
    pub name: String,
    /// Its path on the host.
    pub path: String,
    /// Its figures.
    pub info: VolumeInfo,
}

/// Which way a volume's size may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resize {
    /// Larger alone.
    Grow,
    /// Smaller too, which cuts off what is there.
    Shrink,
}

impl Connection {
    /// The volume with this path, in whichever pool.
    pub fn volume_by_path(&self, path: &str) -> Result<Volume> {
        const FUNCTION: &str = "virStorageVolLookupByPath";
        let path = text(path, FUNCTION)?;
        // SAFETY: the connection is live and the path a valid string for the call.
        let found = unsafe { sys::virStorageVolLookupByPath(self.as_ptr(), path.as_ptr()) };
        // SAFETY: a lookup returns a reference that the caller owns.
        pointer(found, FUNCTION).map(|found| unsafe { Volume::from_raw(found) })
    }
}

impl Volume {
    /// The name in the pool; no call to libvirtd.
    pub fn name(&self) -> String {
        // SAFETY: the volume is live and owns the name, which nothing changes.
        unsafe { borrowed_text(sys::virStorageVolGetName(self.as_ptr())) }.unwrap_or_default()
    }

    /// The path on the host.
    pub fn path(&self) -> Result<String> {
        // SAFETY: the volume is live; the string that comes back is the caller's.
        unsafe {
            owned_text(
                sys::virStorageVolGetPath(self.as_ptr()),
                "virStorageVolGetPath",
            )
        }
    }

    /// The volume's XML.
    pub fn xml(&self) -> Result<String> {
        const FUNCTION: &str = "virStorageVolGetXMLDesc";
        // SAFETY: the volume is live; the string that comes back is the caller's.
        unsafe { owned_text(sys::virStorageVolGetXMLDesc(self.as_ptr(), 0), FUNCTION) }
    }

    /// The volume's figures.
    pub fn info(&self) -> Result<VolumeInfo> {
        // SAFETY: the structure is plain numbers, for which zero bytes are a value.
        let mut info: sys::virStorageVolInfo = unsafe { std::mem::zeroed() };
        // SAFETY: the volume is live; libvirt fills the structure.
        let read = unsafe { sys::virStorageVolGetInfo(self.as_ptr(), &raw mut info) };
        done(read, "virStorageVolGetInfo")?;
        Ok(VolumeInfo {
            kind: info.type_.into(),
            capacity: info.capacity,
            allocation: info.allocation,
        })
    }

    /// Name, path and figures.
    pub fn summary(&self) -> Result<VolumeSummary> {
        Ok(VolumeSummary {
            name: self.name(),
            path: self.path()?,
            info: self.info()?,
        })
    }

    /// Deletes the volume and its contents.
    pub fn delete(&self) -> Result<()> {
        // SAFETY: the volume is live.
        done(
            unsafe { sys::virStorageVolDelete(self.as_ptr(), 0) },
            "virStorageVolDelete",
        )
    }

    /// Changes the size that a guest sees to `capacity` bytes.
    pub fn resize(&self, capacity: u64, way: Resize) -> Result<()> {
        let flags = match way {
            Resize::Grow => 0,
            Resize::Shrink => sys::VIR_STORAGE_VOL_RESIZE_SHRINK,
        };
        // SAFETY: the volume is live.
        let resized = unsafe { sys::virStorageVolResize(self.as_ptr(), capacity, flags) };
        done(resized, "virStorageVolResize")
    }
}

impl std::fmt::Debug for Volume {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Volume")
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}
