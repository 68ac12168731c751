// SPDX-License-Identifier: GPL-3.0-or-later
//! Files in real folders, with `qemu-img`'s own images and what somebody would put beside them.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    process::Command,
};

use tempfile::TempDir;

use super::*;

/// Two pools, and a file beside them that nobody should reach.
struct Place {
    folder: TempDir,
    policy: HostPolicy,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["disks", "images"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        fs::write(folder.path().join("canary"), [0; 512]).unwrap();
        let at = folder.path().display();
        let policy = HostPolicy::parse(&format!(
            "[[pools]]\nname = 'disks'\npath = '{at}/disks'\n\
             [[pools]]\nname = 'images'\npath = '{at}/images'\npurpose = 'images'\n"
        ));
        let policy = policy.unwrap();
        Self { folder, policy }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn image(&self, arguments: &[&str]) {
        let output = Command::new("qemu-img")
            .current_dir(self.folder.path())
            .args(arguments)
            .output();
        let output = output.expect("qemu-img is needed for this test");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }

    /// A copy-on-write file that stands on another.
    fn overlay(&self, below: &str, format: &str, name: &str) {
        let below = self.at(below).display().to_string();
        self.image(&[
            "create", "-q", "-f", "qcow2", "-u", "-b", &below, "-F", format, name, "1M",
        ]);
    }

    fn look(&self, path: &str, role: FileRole) -> Result<usize, String> {
        let file = HostFile {
            what: "disk".into(),
            path: self.at(path),
            role,
        };
        let looked = examine(&self.policy, &[file]);
        looked
            .map(|seen| seen.len())
            .map_err(|refused| refused.to_string())
    }

    fn refused(&self, path: &str, role: FileRole, words: &str) {
        let why = self.look(path, role).unwrap_err();
        assert!(why.contains(words), "{why}");
    }
}

const QCOW2: FileRole = FileRole::Disk(VolumeFormat::Qcow2);
const RAW: FileRole = FileRole::Disk(VolumeFormat::Raw);

#[test]
fn a_disk_in_a_pool_may_be_used_with_all_that_it_stands_on() {
    let place = Place::new();
    place.image(&["create", "-q", "-f", "qcow2", "images/base", "1M"]);
    place.overlay("images/base", "qcow2", "disks/a");
    place.overlay("disks/a", "qcow2", "disks/b");
    assert_eq!(place.look("disks/b", QCOW2), Ok(3));
    assert_eq!(place.look("images/base", FileRole::Boot), Ok(1));
}

#[test]
fn a_chain_that_leaves_the_pools_anywhere_is_refused() {
    let place = Place::new();
    place.overlay("canary", "raw", "disks/a");
    place.overlay("disks/a", "qcow2", "disks/b");
    place.refused("disks/b", QCOW2, "canary");
    // What is said to be plain bytes is plain bytes, whatever they look like.
    assert_eq!(place.look("disks/a", RAW), Ok(1));
}

#[test]
fn a_chain_that_ends_nowhere_or_in_itself_is_refused() {
    let place = Place::new();
    place.overlay("disks/none", "qcow2", "disks/a");
    place.refused("disks/a", QCOW2, "can't be opened");
    place.overlay("disks/c", "qcow2", "disks/b");
    place.overlay("disks/b", "qcow2", "disks/c");
    place.refused("disks/c", QCOW2, "stands on more than 64 files");
}

#[test]
fn a_file_below_without_a_format_or_by_a_protocol_is_refused() {
    let place = Place::new();
    place.overlay("images/base", "qcow2", "disks/a");
    let bytes = fs::read(place.at("disks/a")).unwrap();
    let ends = bytes.windows(5).position(|five| five == b"qcow2").unwrap();
    let mut unsaid = bytes.clone();
    unsaid[ends..ends + 5].copy_from_slice(b"vmdk!");
    fs::write(place.at("disks/a"), unsaid).unwrap();
    place.refused("disks/a", QCOW2, "format unsaid");
    for elsewhere in ["nbd://127.0.0.1/x", "json:{\"driver\":\"file\"}", "base"] {
        place.image(&[
            "create", "-q", "-f", "qcow2", "-u", "-b", elsewhere, "-F", "raw", "disks/b", "1M",
        ]);
        place.refused("disks/b", QCOW2, "not directly in the folder of a pool");
    }
}

#[test]
fn a_data_file_is_refused() {
    let place = Place::new();
    let options = format!("data_file={}", place.at("disks/data").display());
    place.image(&[
        "create", "-q", "-f", "qcow2", "-o", &options, "disks/a", "1M",
    ]);
    place.refused("disks/a", QCOW2, "it keeps its data in another file");
}

#[test]
fn links_of_either_kind_are_refused() {
    let place = Place::new();
    symlink(place.at("canary"), place.at("disks/soft")).unwrap();
    place.refused("disks/soft", RAW, "is a link");
    symlink("/proc/self/exe", place.at("disks/magic")).unwrap();
    place.refused("disks/magic", RAW, "is a link");
    fs::hard_link(place.at("canary"), place.at("disks/hard")).unwrap();
    place.refused("disks/hard", RAW, "has 2 names");
}

#[test]
fn what_is_no_plain_file_is_refused_and_never_waited_for() {
    let place = Place::new();
    let pipe = place.at("disks/pipe");
    rustix::fs::mknodat(CWD, &pipe, rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
    place.refused("disks/pipe", QCOW2, "is no plain file");
    fs::create_dir(place.at("disks/folder")).unwrap();
    place.refused("disks/folder", RAW, "is no plain file");
    place.refused("disks/none", RAW, "can't be opened");
    place.refused("canary", RAW, "not directly in the folder of a pool");
}

#[test]
fn a_pool_that_others_can_write_is_not_safe() {
    let place = Place::new();
    fs::write(place.at("disks/a"), [0; 512]).unwrap();
    fs::set_permissions(place.at("disks"), fs::Permissions::from_mode(0o777)).unwrap();
    place.refused("disks/a", RAW, "is not safe from others");
}

#[test]
fn the_folder_of_a_pool_may_be_a_link_that_root_made() {
    let place = Place::new();
    fs::rename(place.at("disks"), place.at("elsewhere")).unwrap();
    symlink(place.at("elsewhere"), place.at("disks")).unwrap();
    fs::write(place.at("disks/a"), [0; 512]).unwrap();
    assert_eq!(place.look("disks/a", RAW), Ok(1));
}

#[test]
fn only_the_distributions_firmware_and_qemu_may_be_used() {
    let place = Place::new();
    fs::write(place.at("qemu-system-x86_64"), "#!/bin/sh\n").unwrap();
    place.refused(
        "qemu-system-x86_64",
        FileRole::Emulator,
        "allowed: a file in /usr/bin",
    );
    place.refused(
        "canary",
        FileRole::Firmware,
        "allowed: a file in /usr/share",
    );
    let look = |path: &str, role| {
        let (what, path) = (String::new(), path.into());
        examine(&place.policy, &[HostFile { what, path, role }])
    };
    look("/usr/bin/qemu-system-x86_64", FileRole::Emulator).unwrap();
    let why = look("/usr/bin/env", FileRole::Emulator).unwrap_err();
    assert!(why.to_string().contains("is no QEMU"), "{why}");
    let firmware = "/usr/share/OVMF/OVMF_CODE_4M.fd";
    assert_eq!(look(firmware, FileRole::Firmware).unwrap().len(), 1);
    look("/usr/share/../../etc/passwd", FileRole::Firmware).unwrap_err();
    look("/etc/shadow", FileRole::Variables(VolumeFormat::Raw)).unwrap_err();
}
