// SPDX-License-Identifier: GPL-3.0-or-later
//! Volumes: made, grown, deleted, and filled from uploads.

use std::{
    fs::File,
    io::{self, Read},
    ops::ControlFlow,
    os::fd::OwnedFd,
};

use hv_guard::{
    HostPolicy,
    image::{self, Backing},
    judge_resize, judge_upload, judge_volume, pool_of,
};
use hv_libvirt::{Connection, ErrorKind, Pool as LibvirtPool, Resize, VolumeKind};
use hv_model::{
    hypervisor::{HypervisorErrorKind, NewVolume, Result, VolumeContent},
    image::ImageFacts,
    name::PoolName,
    size::Size,
    storage::{Volume, VolumeFormat, VolumeRef},
};

use crate::{
    broker::Broker,
    failure::{Explain, fail, refused, unless_gone},
    header, pool,
    pool::{escape, refresh},
};

/// A file that a new volume stands on.
struct Base {
    path: String,
    format: VolumeFormat,
}

impl Broker {
    pub(crate) fn list_volumes(&self, pool: &PoolName) -> Result<Vec<Volume>> {
        let (policy, libvirt) = (self.policy()?, self.libvirt()?);
        let found = pool::of(&libvirt, &policy, pool)?;
        refresh(&found)?;
        let volumes = found.volume_summaries();
        let volumes = volumes.explain(|| format!("the volumes of pool {pool} can't be listed"))?;
        let ours = volumes
            .into_iter()
            .filter(|volume| volume.info.kind == VolumeKind::File);
        Ok(ours
            .filter_map(|volume| {
                Some(Volume {
                    volume: VolumeRef {
                        pool: pool.clone(),
                        name: volume.name.parse().ok()?,
                    },
                    capacity: Size::from_bytes(volume.info.capacity),
                    allocation: Size::from_bytes(volume.info.allocation),
                })
            })
            .collect())
    }

    pub(crate) fn make_volume(&self, wanted: &NewVolume) -> Result<()> {
        let policy = self.policy()?;
        self.expect_person()?;
        judge_volume(&policy, wanted).map_err(refused)?;
        // A copy may take long, and calls of one connection wait for each other beyond a few.
        let libvirt = own_connection(&self.libvirt()?)?;
        let pool = pool::of(&libvirt, &policy, &wanted.volume.pool)?;
        expect_free(&pool, &wanted.volume)?;
        let made = match &wanted.content {
            VolumeContent::Blank => pool.create_volume(&xml(wanted, None)),
            VolumeContent::CloneOf { volume, format } => {
                let base = image_base(&libvirt, &policy, volume, *format, wanted.capacity)?;
                pool.create_volume(&xml(wanted, Some(&base)))
            }
            VolumeContent::CopyOf { volume, format } => {
                image_base(&libvirt, &policy, volume, *format, wanted.capacity)?;
                let (source, _) = pool::volume(&libvirt, &policy, volume)?;
                return copy(&pool, wanted, &source);
            }
        };
        made.map(drop)
            .explain(|| format!("volume {} can't be made", wanted.volume))
    }

    pub(crate) fn grow_volume(&self, volume: &VolumeRef, capacity: Size) -> Result<()> {
        let policy = self.policy()?;
        self.expect_person()?;
        judge_resize(&policy, volume, capacity).map_err(refused)?;
        let (found, _) = pool::volume(&self.libvirt()?, &policy, volume)?;
        let info = found
            .info()
            .explain(|| format!("{volume} can't be looked at"))?;
        let now = Size::from_bytes(info.capacity);
        match capacity.cmp(&now) {
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Less => {
                let message = format!("{volume} has {now} and can't become {capacity}, smaller");
                fail(HypervisorErrorKind::Invalid, message)
            }
            std::cmp::Ordering::Greater => found
                .resize(capacity.bytes(), Resize::Grow)
                .explain(|| format!("{volume} can't become {capacity}")),
        }
    }

    pub(crate) fn remove_volume(&self, volume: &VolumeRef) -> Result<()> {
        self.expect_person()?;
        let (policy, libvirt) = (self.policy()?, self.libvirt()?);
        match pool::volume(&libvirt, &policy, volume) {
            Ok((found, _)) => unless_gone(
                found
                    .delete()
                    .explain(|| format!("{volume} can't be deleted")),
            ),
            Err(error) => unless_gone(Err(error)),
        }
    }

    pub(crate) fn take_upload(
        &self,
        volume: &VolumeRef,
        format: VolumeFormat,
        length: u64,
        source: OwnedFd,
    ) -> Result<ImageFacts> {
        let policy = self.policy()?;
        self.expect_person()?;
        judge_upload(&policy, volume, length).map_err(refused)?;
        let libvirt = own_connection(&self.libvirt()?)?;
        let pool = pool::of(&libvirt, &policy, &volume.pool)?;
        expect_free(&pool, volume)?;
        let rule = pool_of(&policy, &volume.pool).map_err(refused)?;
        let space = pool::space(&pool, rule);
        let space = space.explain(|| format!("pool {} can't be looked at", volume.pool))?;
        if space.available.bytes() < length {
            let (free, needed) = (
                space.available.rounded(),
                Size::from_bytes(length).rounded(),
            );
            let message = format!(
                "pool {} has {free} free; {volume} needs {needed}",
                volume.pool
            );
            return fail(HypervisorErrorKind::NoSpace, message);
        }
        // Looked at before anything is made, and once more as libvirt stored it.
        let mut source = File::from(source);
        let header = read_header(&mut source, length, volume)?;
        let look = |header: &[u8]| {
            image::inspect(header, format, length)
                .map_err(|refusal| header::unsafe_image(volume, &refusal))
        };
        let virtual_size = look(&header)?;
        // Raw, whatever is in it: its bytes are stored as they come.
        let empty = NewVolume {
            volume: volume.clone(),
            capacity: Size::from_bytes(length),
            format: VolumeFormat::Raw,
            content: VolumeContent::Blank,
        };
        let made = pool.create_volume(&xml(&empty, None));
        let made = made.explain(|| format!("volume {volume} can't be made"))?;
        tracing::info!(%volume, length, "an upload begins");
        let stored = made
            .upload(&mut header.as_slice().chain(source), length, &mut |_| {
                ControlFlow::Continue(())
            })
            .explain(|| format!("the upload of {volume} failed"))
            .and_then(|()| header::fetch(&made, volume))
            .and_then(|header| look(&header));
        match stored {
            Ok(_) => refresh(&pool)?,
            Err(error) => {
                if let Err(left) = made.delete() {
                    tracing::error!(%volume, error = %left, "a failed upload can't be deleted");
                }
                return Err(error);
            }
        }
        Ok(ImageFacts {
            format,
            virtual_size,
            size: Size::from_bytes(length),
        })
    }
}

/// An image that a disk of this capacity can stand on; looked at before each use.
fn image_base(
    libvirt: &Connection,
    policy: &HostPolicy,
    volume: &VolumeRef,
    format: VolumeFormat,
    capacity: Size,
) -> Result<Base> {
    let (found, path) = pool::volume(libvirt, policy, volume)?;
    let size = match format {
        VolumeFormat::Qcow2 => {
            let bytes = header::fetch(&found, volume)?;
            image::inspect_disk(&bytes, format, Backing::None)
                .map_err(|refusal| header::unsafe_image(volume, &refusal))?
        }
        VolumeFormat::Raw => None,
    };
    let size = if let Some(size) = size {
        size
    } else {
        let info = found.info();
        Size::from_bytes(
            info.explain(|| format!("{volume} can't be looked at"))?
                .capacity,
        )
    };
    if capacity < size {
        let message = format!("{capacity} are too small for a disk of {volume}, which has {size}");
        return fail(HypervisorErrorKind::Invalid, message);
    }
    Ok(Base { path, format })
}

fn own_connection(libvirt: &Connection) -> Result<Connection> {
    libvirt
        .another()
        .explain(|| "libvirt takes no more connections".to_owned())
}

fn expect_free(pool: &LibvirtPool, volume: &VolumeRef) -> Result<()> {
    match pool.volume_by_name(volume.name.as_str()) {
        Ok(_) => fail(
            HypervisorErrorKind::AlreadyExists,
            format!("volume {volume} is there already"),
        ),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
        other => other
            .map(drop)
            .explain(|| format!("volume {volume} can't be looked for")),
    }
}

/// Copies, and lets nothing lie around where that fails.
fn copy(pool: &LibvirtPool, wanted: &NewVolume, source: &hv_libvirt::Volume) -> Result<()> {
    let tried = || format!("volume {} can't be copied", wanted.volume);
    let made = pool
        .create_volume_from(&xml(wanted, None), source)
        .explain(tried)?;
    let grown = made.info().and_then(|info| {
        let capacity = wanted.capacity.bytes();
        if info.capacity < capacity {
            made.resize(capacity, Resize::Grow)
        } else {
            Ok(())
        }
    });
    if grown.is_err()
        && let Err(left) = made.delete()
    {
        tracing::error!(volume = %wanted.volume, error = %left, "a half-made copy can't be deleted");
    }
    grown.explain(tried)
}

fn read_header(source: &mut File, length: u64, volume: &VolumeRef) -> Result<Vec<u8>> {
    let wanted = length.min(image::HEADER as u64);
    let mut header = Vec::new();
    match source.take(wanted).read_to_end(&mut header) {
        Ok(count) if count as u64 == wanted => Ok(header),
        Ok(count) => {
            let message = format!("the upload of {volume} ended after {count} of {length} bytes");
            fail(HypervisorErrorKind::Invalid, message)
        }
        Err(error) => unreadable(volume, &error),
    }
}

fn unreadable<T>(volume: &VolumeRef, error: &io::Error) -> Result<T> {
    fail(
        HypervisorErrorKind::Invalid,
        format!("the upload of {volume} can't be read: {error}"),
    )
}

fn xml(wanted: &NewVolume, base: Option<&Base>) -> String {
    let NewVolume {
        volume,
        capacity,
        format,
        ..
    } = wanted;
    let compat = match format {
        VolumeFormat::Qcow2 => "<compat>1.1</compat>",
        VolumeFormat::Raw => "",
    };
    let backing = base.map(|base| {
        let (path, format) = (escape(&base.path), base.format.as_str());
        format!("<backingStore><path>{path}</path><format type='{format}'/></backingStore>")
    });
    format!(
        "<volume><name>{name}</name><capacity unit='bytes'>{capacity}</capacity>\
         <allocation unit='bytes'>0</allocation>\
         <target><format type='{format}'/>{compat}</target>{backing}</volume>",
        name = volume.name,
        capacity = capacity.bytes(),
        format = format.as_str(),
        backing = backing.unwrap_or_default(),
    )
}
