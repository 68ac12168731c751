// SPDX-License-Identifier: GPL-3.0-or-later
//! The files of the host that a domain would use, looked at where they lie.
//!
//! A path says little: it may lead elsewhere by a link, and a disk may stand on other files that
//! its XML doesn't name. So each is opened, without following a link, below the pool's folder, and
//! what a disk stands on is read from its own header, down to the last. Nothing is opened that
//! could block or act, such as a device or a pipe, and nothing is ever probed by QEMU.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read},
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
};

use hv_model::{name::VolumeName, storage::VolumeFormat};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, open, openat2};

use crate::{
    domain::{FIRMWARE_FOLDERS, FileRole, HostFile, NVRAM_FOLDER},
    image::{self, Backing},
    policy::HostPolicy,
    refusal::{Gathered, Refusals, names, quote},
    trust::{self, Doubt},
};

/// How many files a disk may stand on, one on the other.
const LONGEST_CHAIN: usize = 64;

/// Where distributions put QEMU; NixOS links to its store.
const EMULATOR_FOLDERS: [&str; 4] = ["/usr/bin", "/usr/libexec", "/usr/lib", "/nix/store"];

/// A file whatever it is called: the number of its device, and its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// The device that it lies on.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
}

/// Whether a domain may use these files. Returns which they are, with all that they stand on.
pub fn examine(policy: &HostPolicy, files: &[HostFile]) -> Result<BTreeSet<Identity>, Refusals> {
    let mut found = Gathered::default();
    let mut seen = BTreeSet::new();
    for file in files {
        let looked = match file.role {
            FileRole::Disk(format) => chain(policy, &file.path, format, &mut seen),
            FileRole::Boot => in_pool(policy, &file.path).map(|(_, identity)| {
                seen.insert(identity);
            }),
            FileRole::Variables(format) => variables(&file.path, format, &mut seen),
            FileRole::Firmware => of_system(&file.path, &FIRMWARE_FOLDERS).map(|(_, identity)| {
                seen.insert(identity);
            }),
            FileRole::Emulator => emulator(&file.path).map(|identity| {
                seen.insert(identity);
            }),
        };
        if let Err(why) = looked {
            found.refuse(&file.what, why);
        }
    }
    found.verdict().map(|()| seen)
}

/// A disk, and all that it stands on.
fn chain(
    policy: &HostPolicy,
    top: &Path,
    format: VolumeFormat,
    seen: &mut BTreeSet<Identity>,
) -> Result<(), String> {
    let mut next = Some((top.to_owned(), format));
    let mut length = 0;
    while let Some((path, format)) = next.take() {
        length += 1;
        if length > LONGEST_CHAIN {
            let top = quote(&top.to_string_lossy());
            return Err(format!("{top} stands on more than {LONGEST_CHAIN} files"));
        }
        let (file, identity) = in_pool(policy, &path)?;
        seen.insert(identity);
        next = below(&file, identity, format).map_err(|why| {
            let path = quote(&path.to_string_lossy());
            format!("{path}: {why}")
        })?;
    }
    Ok(())
}

/// What a file of a disk stands on, by its header.
fn below(
    file: &OwnedFd,
    identity: Identity,
    format: VolumeFormat,
) -> Result<Option<(PathBuf, VolumeFormat)>, String> {
    if format == VolumeFormat::Raw {
        return Ok(None);
    }
    let header = header(file, identity).map_err(|error| format!("it can't be read: {error}"))?;
    let backing = std::cell::RefCell::new(None);
    let remember = |path: &str, format: VolumeFormat| {
        *backing.borrow_mut() = Some((PathBuf::from(path), format));
        true
    };
    image::inspect_disk(&header, format, Backing::If(&remember))
        .map_err(|refusal| refusal.to_string())?;
    Ok(backing.into_inner())
}

fn header(path_only: &OwnedFd, identity: Identity) -> io::Result<Vec<u8>> {
    // The way over the descriptor, so that what is read is what was looked at.
    let again = format!(
        "/proc/self/fd/{}",
        std::os::fd::AsRawFd::as_raw_fd(path_only)
    );
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(open(again, flags, Mode::empty())?);
    let status = file.metadata()?;
    if identity != Identity::of(&status) {
        return Err(io::Error::other("another file took its place"));
    }
    let mut header = Vec::new();
    file.take(image::HEADER as u64).read_to_end(&mut header)?;
    Ok(header)
}

/// Opens a file that lies directly in a pool's folder.
fn in_pool(policy: &HostPolicy, path: &Path) -> Result<(OwnedFd, Identity), String> {
    let shown = quote(&path.to_string_lossy());
    let outside = || {
        let folders = names(policy.pools.iter().map(|pool| pool.path.display()));
        format!("{shown} is not directly in the folder of a pool; allowed: {folders}")
    };
    let text = path.to_str().ok_or_else(outside)?;
    let (pool, name) = policy.volume_at(text).ok_or_else(outside)?;
    let name: VolumeName = name.parse().map_err(|_| outside())?;
    let fault = |error: io::Error| format!("the folder of pool {}: {error}", pool.name);
    // The folder is root's word, links included; what lies in it is not.
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = open(&pool.path, flags, Mode::empty()).map_err(|error| fault(error.into()))?;
    let folder = File::from(folder);
    let status = folder.metadata().map_err(fault)?;
    trust::expect_part(&pool.path, &status).map_err(|doubt| {
        let why = match doubt {
            Doubt::Shared { why, .. } => why,
            Doubt::Unknown(error) => error.to_string(),
        };
        format!(
            "the folder of pool {} is not safe from others: {why}",
            pool.name
        )
    })?;
    plain(&folder, name.as_str()).map_err(|why| format!("{shown} {why}"))
}

/// Opens a plain file in a folder, for looking at it.
fn plain(folder: &File, name: &str) -> Result<(OwnedFd, Identity), String> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let way = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let opened = openat2(folder, name, flags, Mode::empty(), way)
        .map_err(|error| format!("can't be opened: {}", io::Error::from(error)))?;
    let file = File::from(opened);
    let status = file
        .metadata()
        .map_err(|error| format!("can't be looked at: {error}"))?;
    if status.is_symlink() {
        return Err("is a link; allowed are plain files".to_owned());
    }
    if !status.is_file() {
        return Err("is no plain file".to_owned());
    }
    if status.nlink() != 1 {
        let links = status.nlink();
        return Err(format!("has {links} names (hard links); allowed is one"));
    }
    Ok((file.into(), Identity::of(&status)))
}

/// The variables of a VM's firmware, which libvirt makes when they are not there.
fn variables(
    path: &Path,
    format: VolumeFormat,
    seen: &mut BTreeSet<Identity>,
) -> Result<(), String> {
    let shown = quote(&path.to_string_lossy());
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.filter(|_| path.parent() == Some(Path::new(NVRAM_FOLDER)));
    let Some(name) = name else {
        return Err(format!(
            "{shown}; allowed: a file directly in {NVRAM_FOLDER}"
        ));
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = match open(NVRAM_FOLDER, flags, Mode::empty()) {
        Ok(folder) => File::from(folder),
        Err(rustix::io::Errno::NOENT) => return Ok(()),
        Err(error) => return Err(format!("{NVRAM_FOLDER}: {}", io::Error::from(error))),
    };
    match rustix::fs::statat(&folder, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW) {
        Err(rustix::io::Errno::NOENT) => return Ok(()),
        Err(error) => return Err(format!("{shown}: {}", io::Error::from(error))),
        Ok(_) => {}
    }
    let (file, identity) = plain(&folder, name).map_err(|why| format!("{shown} {why}"))?;
    seen.insert(identity);
    match below(&file, identity, format)? {
        None => Ok(()),
        Some((path, _)) => {
            let path = quote(&path.to_string_lossy());
            Err(format!(
                "{shown} stands on {path}; allowed is no other file"
            ))
        }
    }
}

/// A file of the distribution, wherever links lead: only root can change it.
fn of_system(path: &Path, folders: &[&str]) -> Result<(PathBuf, Identity), String> {
    let shown = quote(&path.to_string_lossy());
    let fault = |error: io::Error| format!("{shown}: {error}");
    let real = path.canonicalize().map_err(fault)?;
    let inside = |folder: &&&str| real.starts_with(folder);
    if !folders.iter().any(|folder| inside(&folder)) {
        let real = quote(&real.to_string_lossy());
        let folders = names(folders);
        return Err(format!("{shown} is {real}; allowed: a file in {folders}"));
    }
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat2(CWD, &real, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS);
    let file = File::from(file.map_err(|error| fault(error.into()))?);
    let status = file.metadata().map_err(fault)?;
    trust::expect_private(&real, &status).map_err(|doubt| match doubt {
        Doubt::Shared { part, why } => {
            let part = quote(&part.to_string_lossy());
            format!("{shown} is not safe from others: {part}: {why}")
        }
        Doubt::Unknown(error) => fault(error),
    })?;
    Ok((real, Identity::of(&status)))
}

fn emulator(path: &Path) -> Result<Identity, String> {
    let (real, identity) = of_system(path, &EMULATOR_FOLDERS)?;
    let name = real.file_name().and_then(|name| name.to_str());
    let is_qemu = |name: &str| {
        let name = name.trim_start_matches('.');
        name.starts_with("qemu-system-") || name == "qemu-kvm"
    };
    if name.is_some_and(is_qemu) {
        Ok(identity)
    } else {
        let real = quote(&real.to_string_lossy());
        Err(format!(
            "{real} is no QEMU; allowed: qemu-system-…, qemu-kvm"
        ))
    }
}

impl Identity {
    pub(crate) fn of(status: &std::fs::Metadata) -> Self {
        Self {
            device: status.dev(),
            inode: status.ino(),
        }
    }
}

#[cfg(test)]
mod tests;
