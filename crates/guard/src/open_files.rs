// SPDX-License-Identifier: GPL-3.0-or-later
//! What a VM's QEMU really has open, compared with what was judged.
//!
//! Between the look at a file and the moment when QEMU opens it, somebody with rights on the folder
//! could put another in its place. So once QEMU has opened its files, they are compared by what
//! they are, not by what they are called.

use std::{collections::BTreeSet, fs, os::unix::fs::FileTypeExt, path::Path};

use crate::{
    files::Identity,
    refusal::{Gathered, Refusals, quote},
};

/// Where libvirt keeps the number of each QEMU's process.
const PIDS: &str = "/run/libvirt/qemu";

/// Devices that every QEMU may open, or that libvirt opens for it.
const DEVICES: [&str; 11] = [
    "/dev/full",
    "/dev/kvm",
    "/dev/net/tun",
    "/dev/null",
    "/dev/ptmx",
    "/dev/random",
    "/dev/sev",
    "/dev/urandom",
    "/dev/userfaultfd",
    "/dev/vhost-net",
    "/dev/zero",
];

/// Folders of devices that are the guest's if it has a device of the host.
const HOST_DEVICES: [&str; 2] = ["/dev/vfio/", "/dev/bus/usb/"];

/// Folders where libvirt itself keeps what it gives a QEMU, and of firmware.
const OWN_FOLDERS: [&str; 5] = [
    "/run/libvirt/qemu/",
    "/var/lib/libvirt/qemu/",
    "/var/log/libvirt/qemu/",
    "/usr/share/",
    "/nix/store/",
];

/// The file system of huge pages.
const HUGETLBFS: u64 = 0x9584_58f6;

/// Whether a VM's QEMU has nothing open but these files and what every QEMU has.
pub(crate) fn compare(
    name: &str,
    judged: &BTreeSet<Identity>,
    host_devices: bool,
) -> Result<(), Refusals> {
    let pid = fs::read_to_string(Path::new(PIDS).join(format!("{name}.pid")))
        .ok()
        .and_then(|pid| pid.trim().parse::<u32>().ok());
    let Some(pid) = pid else {
        let why = "its process is not known, so what it has open can't be looked at";
        return Err(Refusals::one("QEMU", why));
    };
    compare_folder(Path::new(&format!("/proc/{pid}/fd")), judged, host_devices)
}

fn compare_folder(
    folder: &Path,
    judged: &BTreeSet<Identity>,
    host_devices: bool,
) -> Result<(), Refusals> {
    let unreadable = |error| Refusals::one("QEMU", format!("what it has open: {error}"));
    let mut found = Gathered::default();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let way = entry.map_err(unreadable)?.path();
        // One that was closed meanwhile is not there any more.
        let (Ok(path), Ok(status)) = (fs::read_link(&way), fs::metadata(&way)) else {
            continue;
        };
        let kind = status.file_type();
        let fits = if kind.is_file() {
            judged.contains(&Identity::of(&status)) || is_memory(&way, &path) || is_own(&path)
        } else if kind.is_char_device() {
            is_device(&path, host_devices)
        } else {
            // Sockets, pipes without a name, and what is no file at all.
            !kind.is_block_device() && !kind.is_dir() && !path.is_absolute()
        };
        if !fits {
            let path = quote(&path.to_string_lossy());
            found.refuse("QEMU", format!("it has {path} open, which was not judged"));
        }
    }
    found.verdict()
}

/// A part of the guest's memory, or of QEMU's.
fn is_memory(way: &Path, path: &Path) -> bool {
    let text = path.to_string_lossy();
    let file_system = || {
        let opened = fs::File::open(way).ok()?;
        let status = rustix::fs::fstatfs(opened).ok()?;
        u64::try_from(status.f_type).ok()
    };
    text.starts_with("/memfd:") || file_system() == Some(HUGETLBFS)
}

fn is_own(path: &Path) -> bool {
    let text = path.to_string_lossy();
    OWN_FOLDERS.iter().any(|folder| text.starts_with(folder))
}

fn is_device(path: &Path, host_devices: bool) -> bool {
    let text = path.to_string_lossy();
    let of_host = |folder: &str| host_devices && text.starts_with(folder);
    DEVICES.contains(&&*text)
        || text.starts_with("/dev/pts/")
        || HOST_DEVICES.iter().any(|folder| of_host(folder))
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::fd::AsRawFd};

    use super::*;

    /// Our own open files, as if we were a QEMU; one alone, so that other tests don't matter.
    fn compare_own(file: &File, judged: &BTreeSet<Identity>) -> Result<(), Refusals> {
        let folder = tempfile::tempdir().unwrap();
        let target = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap();
        std::os::unix::fs::symlink(target, folder.path().join("3")).unwrap();
        compare_folder(folder.path(), judged, false)
    }

    #[test]
    fn only_what_was_judged_is_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        fs::write(&path, "x").unwrap();
        let file = File::open(&path).unwrap();
        let judged = BTreeSet::from([Identity::of(&file.metadata().unwrap())]);
        compare_own(&file, &judged).unwrap();
        let refused = compare_own(&file, &BTreeSet::new()).unwrap_err();
        assert!(
            refused.to_string().contains("which was not judged"),
            "{refused}"
        );
        compare_own(&File::open("/dev/null").unwrap(), &judged).unwrap();
        compare_own(&File::open(folder.path()).unwrap(), &judged).unwrap_err();
    }

    #[test]
    fn a_file_in_anothers_place_is_told_from_it() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("disk"), folder.path().join("other"));
        fs::write(&path, "x").unwrap();
        fs::write(&other, "x").unwrap();
        let judged = BTreeSet::from([Identity::of(&fs::metadata(&path).unwrap())]);
        fs::rename(&other, &path).unwrap();
        compare_own(&File::open(&path).unwrap(), &judged).unwrap_err();
    }

    #[test]
    fn a_vm_without_a_process_is_refused() {
        compare("no/such", &BTreeSet::new(), false).unwrap_err();
    }
}
