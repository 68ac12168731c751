// SPDX-License-Identifier: GPL-3.0-or-later
//! Storage pools: places for volumes.

use uuid::Uuid;
use virt_sys as sys;

use super::volume::{Volume, VolumeSummary};
use crate::codes::code_enum;
use crate::connection::Connection;
use crate::error::{ErrorKind, Result, borrowed_text, checked, done, owned_text, pointer, text};
use crate::handle::{handle, list};

handle! {
    /// A storage pool.
    pub struct Pool(virt_sys::virStoragePool), freed by virStoragePoolFree
}

code_enum! {
    /// How a pool is.
    pub enum PoolState {
        /// Not started.
        Inactive = VIR_STORAGE_POOL_INACTIVE,
        /// Being made.
        Building = VIR_STORAGE_POOL_BUILDING,
        /// Running.
        Running = VIR_STORAGE_POOL_RUNNING,
        /// Running with a part missing.
        Degraded = VIR_STORAGE_POOL_DEGRADED,
        /// Running and not to be reached.
        Inaccessible = VIR_STORAGE_POOL_INACCESSIBLE,
    }
}

/// The figures of a pool, as of its latest refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolInfo {
    /// How it is.
    pub state: PoolState,
    /// Its size in bytes.
    pub capacity: u64,
    /// Bytes in use, by whomever.
    pub allocation: u64,
    /// Bytes free.
    pub available: u64,
}

/// Name and UUID of a pool that stays libvirt's; no call to libvirtd.
///
/// # Safety
/// `pool` must be a valid pool during the call.
pub(crate) unsafe fn identity(pool: sys::virStoragePoolPtr) -> Result<(Uuid, String)> {
    let mut bytes = [0; 16];
    // SAFETY: the caller promises a valid pool; libvirt writes exactly 16 bytes.
    let read = unsafe { sys::virStoragePoolGetUUID(pool, bytes.as_mut_ptr()) };
    done(read, "virStoragePoolGetUUID")?;
    // SAFETY: the caller promises a valid pool, which owns the name.
    let name = unsafe { borrowed_text(sys::virStoragePoolGetName(pool)) };
    Ok((Uuid::from_bytes(bytes), name.unwrap_or_default()))
}

/// Finding and defining pools.
impl Connection {
    /// All pools.
    pub fn pools(&self) -> Result<Vec<Pool>> {
        // SAFETY: the connection is live; libvirt stores an array of owned pools.
        unsafe {
            let call = |array| sys::virConnectListAllStoragePools(self.as_ptr(), array, 0);
            list("virConnectListAllStoragePools", call, |found| {
                Pool::from_raw(found)
            })
        }
    }

    /// The pool with this name.
    pub fn pool_by_name(&self, name: &str) -> Result<Pool> {
        const FUNCTION: &str = "virStoragePoolLookupByName";
        let name = text(name, FUNCTION)?;
        // SAFETY: the connection is live and the name a valid string for the call.
        let found = unsafe { sys::virStoragePoolLookupByName(self.as_ptr(), name.as_ptr()) };
        // SAFETY: a lookup returns a reference that the caller owns.
        pointer(found, FUNCTION).map(|found| unsafe { Pool::from_raw(found) })
    }

    /// The pool with this UUID.
    pub fn pool_by_uuid(&self, uuid: Uuid) -> Result<Pool> {
        let bytes = uuid.as_bytes().as_ptr();
        // SAFETY: the connection is live and libvirt reads exactly 16 bytes.
        let found = unsafe { sys::virStoragePoolLookupByUUID(self.as_ptr(), bytes) };
        // SAFETY: a lookup returns a reference that the caller owns.
        pointer(found, "virStoragePoolLookupByUUID").map(|found| unsafe { Pool::from_raw(found) })
    }

    /// Stores a pool's definition, new or in place of the one with the same UUID.
    pub fn define_pool(&self, xml: &str) -> Result<Pool> {
        const FUNCTION: &str = "virStoragePoolDefineXML";
        let xml = text(xml, FUNCTION)?;
        // SAFETY: the connection is live and the XML a valid string for the call.
        let defined = unsafe { sys::virStoragePoolDefineXML(self.as_ptr(), xml.as_ptr(), 0) };
        // SAFETY: defining returns a reference that the caller owns.
        pointer(defined, FUNCTION).map(|defined| unsafe { Pool::from_raw(defined) })
    }
}

impl Pool {
    /// The name; no call to libvirtd.
    pub fn name(&self) -> String {
        // SAFETY: the pool is live and owns the name, which nothing changes.
        unsafe { borrowed_text(sys::virStoragePoolGetName(self.as_ptr())) }.unwrap_or_default()
    }

    /// The UUID; no call to libvirtd.
    pub fn uuid(&self) -> Uuid {
        let mut bytes = [0; 16];
        // SAFETY: the pool is live; libvirt writes exactly 16 bytes. It fails for handles that are
        // not pools alone, which the type rules out.
        unsafe { sys::virStoragePoolGetUUID(self.as_ptr(), bytes.as_mut_ptr()) };
        Uuid::from_bytes(bytes)
    }

    /// The pool's XML.
    pub fn xml(&self) -> Result<String> {
        const FUNCTION: &str = "virStoragePoolGetXMLDesc";
        // SAFETY: the pool is live; the string that comes back is the caller's.
        unsafe { owned_text(sys::virStoragePoolGetXMLDesc(self.as_ptr(), 0), FUNCTION) }
    }

    /// The pool's figures.
    pub fn info(&self) -> Result<PoolInfo> {
        // SAFETY: the structure is plain numbers, for which zero bytes are a value.
        let mut info: sys::virStoragePoolInfo = unsafe { std::mem::zeroed() };
        // SAFETY: the pool is live; libvirt fills the structure.
        let read = unsafe { sys::virStoragePoolGetInfo(self.as_ptr(), &raw mut info) };
        done(read, "virStoragePoolGetInfo")?;
        Ok(PoolInfo {
            state: info.state.into(),
            capacity: info.capacity,
            allocation: info.allocation,
            available: info.available,
        })
    }

    /// Whether it is started.
    pub fn is_active(&self) -> Result<bool> {
        // SAFETY: the pool is live.
        let active = unsafe { sys::virStoragePoolIsActive(self.as_ptr()) };
        checked(active, "virStoragePoolIsActive").map(|active| active == 1)
    }

    /// Whether it starts with the host.
    pub fn autostart(&self) -> Result<bool> {
        let mut autostart = 0;
        // SAFETY: the pool is live; libvirt writes one number.
        let read = unsafe { sys::virStoragePoolGetAutostart(self.as_ptr(), &raw mut autostart) };
        done(read, "virStoragePoolGetAutostart").map(|()| autostart == 1)
    }

    /// Says whether it starts with the host.
    pub fn set_autostart(&self, autostart: bool) -> Result<()> {
        // SAFETY: the pool is live.
        let set = unsafe { sys::virStoragePoolSetAutostart(self.as_ptr(), autostart.into()) };
        done(set, "virStoragePoolSetAutostart")
    }

    /// Makes the pool's place, such as its folder.
    pub fn build(&self) -> Result<()> {
        // SAFETY: the pool is live.
        done(
            unsafe { sys::virStoragePoolBuild(self.as_ptr(), 0) },
            "virStoragePoolBuild",
        )
    }

    /// Starts it.
    pub fn create(&self) -> Result<()> {
        // SAFETY: the pool is live.
        done(
            unsafe { sys::virStoragePoolCreate(self.as_ptr(), 0) },
            "virStoragePoolCreate",
        )
    }

    /// Stops it; its volumes stay.
    pub fn destroy(&self) -> Result<()> {
        // SAFETY: the pool is live.
        done(
            unsafe { sys::virStoragePoolDestroy(self.as_ptr()) },
            "virStoragePoolDestroy",
        )
    }

    /// Removes its definition; its volumes stay.
    pub fn undefine(&self) -> Result<()> {
        // SAFETY: the pool is live.
        done(
            unsafe { sys::virStoragePoolUndefine(self.as_ptr()) },
            "virStoragePoolUndefine",
        )
    }

    /// Looks its volumes up anew. Fails with `Busy` while a volume is being made or copied.
    pub fn refresh(&self) -> Result<()> {
        // SAFETY: the pool is live.
        done(
            unsafe { sys::virStoragePoolRefresh(self.as_ptr(), 0) },
            "virStoragePoolRefresh",
        )
    }

    /// All its volumes, in one call.
    pub fn volumes(&self) -> Result<Vec<Volume>> {
        // SAFETY: the pool is live; libvirt stores an array of owned volumes.
        unsafe {
            let call = |array| sys::virStoragePoolListAllVolumes(self.as_ptr(), array, 0);
            list("virStoragePoolListAllVolumes", call, |found| {
                Volume::from_raw(found)
            })
        }
    }

    /// All its volumes with their figures: one call, and two for each volume, which is all that
    /// libvirt offers. A volume that vanishes meanwhile is left out.
    pub fn volume_summaries(&self) -> Result<Vec<VolumeSummary>> {
        let summaries = self
            .volumes()?
            .into_iter()
            .map(|volume| match volume.summary() {
                Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
                summary => summary.map(Some),
            });
        summaries.filter_map(Result::transpose).collect()
    }

    /// The volume with this name.
    pub fn volume_by_name(&self, name: &str) -> Result<Volume> {
        const FUNCTION: &str = "virStorageVolLookupByName";
        let name = text(name, FUNCTION)?;
        // SAFETY: the pool is live and the name a valid string for the call.
        let found = unsafe { sys::virStorageVolLookupByName(self.as_ptr(), name.as_ptr()) };
        // SAFETY: a lookup returns a reference that the caller owns.
        pointer(found, FUNCTION).map(|found| unsafe { Volume::from_raw(found) })
    }

    /// Makes a volume.
    pub fn create_volume(&self, xml: &str) -> Result<Volume> {
        const FUNCTION: &str = "virStorageVolCreateXML";
        let xml = text(xml, FUNCTION)?;
        // SAFETY: the pool is live and the XML a valid string for the call.
        let created = unsafe { sys::virStorageVolCreateXML(self.as_ptr(), xml.as_ptr(), 0) };
        // SAFETY: creating returns a reference that the caller owns.
        pointer(created, FUNCTION).map(|created| unsafe { Volume::from_raw(created) })
    }

    /// Makes a volume with the contents of `source`, converted to the format in `xml`.
    pub fn create_volume_from(&self, xml: &str, source: &Volume) -> Result<Volume> {
        const FUNCTION: &str = "virStorageVolCreateXMLFrom";
        let xml = text(xml, FUNCTION)?;
        // SAFETY: the pool and the source are live and the XML a valid string for the call.
        let created = unsafe {
            sys::virStorageVolCreateXMLFrom(self.as_ptr(), xml.as_ptr(), source.as_ptr(), 0)
        };
        // SAFETY: creating returns a reference that the caller owns.
        pointer(created, FUNCTION).map(|created| unsafe { Volume::from_raw(created) })
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Pool")
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}
