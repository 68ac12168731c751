// SPDX-License-Identifier: GPL-3.0-or-later
//! Each way to the host that a domain can be, tried for real.

use std::{fs, os::unix::fs::symlink, process::Command};

use super::place::{Place, domain};

/// A domain that reaches for what is not its own.
pub(super) struct Way {
    pub(super) name: &'static str,
    pub(super) xml: String,
    pub(super) reach: Reach,
}

/// What a way reaches.
#[derive(Clone, Copy)]
pub(super) enum Reach {
    /// The canary becomes QEMU's.
    Canary,
    /// libvirt makes a file as root, in a folder that only root may enter.
    MakesFile,
    /// QEMU runs as root.
    RunsAsRoot,
    /// QEMU was told of it.
    CommandLine(&'static str),
    /// A device that this machine does not have, so that libvirt refuses it, too.
    Absent,
}

/// Where in a domain a way lies.
#[derive(Clone, Copy)]
enum Part {
    /// It is the file of a disk, in this format.
    Disk(&'static str),
    /// In `<os>`.
    Os,
    /// Among the devices.
    Device,
    /// In the domain itself.
    Domain,
}

use Part::{Device, Disk, Domain, Os};
use Reach::{Absent, Canary, CommandLine, MakesFile, RunsAsRoot};

/// Words in capitals stand for paths.
#[rustfmt::skip]
const WAYS: &[(&str, Part, &str, Reach)] = &[
    ("disk-outside", Disk("raw"), "CANARY", Canary),
    ("disk-by-backing", Disk("qcow2"), "POOL/overlay.qcow2", Canary),
    ("disk-by-link", Disk("raw"), "POOL/link", Canary),
    ("kernel", Os, "<kernel>CANARY</kernel>", Canary),
    ("initrd", Os, "<kernel>IMAGES/kernel</kernel><initrd>CANARY</initrd>", Canary),
    ("serial-file", Device, "<serial type='file'><source path='CELLAR/made'/></serial>", MakesFile),
    ("serial-log", Device, "<serial type='pty'><log file='CELLAR/made'/></serial>", MakesFile),
    ("parallel-file", Device, "<parallel type='file'><source path='CELLAR/made'/></parallel>", MakesFile),
    ("channel-file", Device, "<channel type='file'><source path='CELLAR/made'/><target type='virtio' name='x'/></channel>", MakesFile),
    ("channel-path", Device, "<channel type='unix'><source mode='bind' path='POOL/x'/><target type='virtio' name='x'/></channel>", CommandLine("chardev")),
    ("root-label", Domain, "<seclabel type='static' model='dac' relabel='no'><label>+0:+0</label></seclabel>", RunsAsRoot),
    ("folder", Device, "<filesystem type='mount'><source dir='/etc'/><target dir='x'/></filesystem>", CommandLine("fsdev")),
    ("command-line", Domain, "<q:commandline xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'><q:arg value='-name'/><q:arg value='smuggled'/></q:commandline>", CommandLine("smuggled")),
    ("screen", Device, "<graphics type='vnc' port='-1' autoport='yes' listen='0.0.0.0'/>", CommandLine("0.0.0.0")),
    ("no-filter", Device, "<interface type='network'><source network='default'/></interface>", CommandLine("netdev")),
    ("user-network", Device, "<interface type='user'/>", CommandLine("netdev")),
    ("random", Device, "<rng model='virtio'><backend model='random'>/dev/zero</backend></rng>", CommandLine("/dev/zero")),
    ("memory", Domain, "<memoryBacking><source type='file'/></memoryBacking>", CommandLine("memory-backend-file")),
    ("shared-memory", Device, "<shmem name='x'><model type='ivshmem-plain'/><size unit='M'>4</size></shmem>", CommandLine("ivshmem")),
    ("usb", Device, "<hostdev mode='subsystem' type='usb'><source><vendor id='0x1234'/><product id='0x5678'/></source></hostdev>", Absent),
    ("pci", Device, "<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0' bus='0x1f' slot='0' function='0'/></source></hostdev>", Absent),
];

/// Every way, on this host, with the files that it needs.
pub(super) fn ways(place: &Place) -> Vec<Way> {
    make_files(place);
    let pools = place.host.pools();
    let paths = [
        ("CANARY", place.canary()),
        ("CELLAR", place.cellar()),
        ("POOL", pools.join("hyper-disks")),
        ("IMAGES", pools.join("hyper-images")),
    ];
    let way = |&(name, part, text, reach): &(&'static str, Part, &str, Reach)| {
        let mut text = text.to_owned();
        for (word, path) in &paths {
            text = text.replace(word, &path.display().to_string());
        }
        let xml = match part {
            Disk(format) => super::place::disk(name, &text, format),
            Os => domain(name, &text, ""),
            Device => domain(name, "", &text),
            Domain => domain(name, "", "").replace("</domain>", &format!("{text}</domain>")),
        };
        Way { name, xml, reach }
    };
    WAYS.iter().map(way).collect()
}

fn make_files(place: &Place) {
    let (canary, overlay) = (place.canary(), place.disk("overlay.qcow2"));
    symlink(&canary, place.disk("link")).unwrap();
    let made = Command::new("qemu-img")
        .args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"])
        .args([&canary, &overlay])
        .status();
    assert!(made.expect("qemu-img is installed").success());
    // Enough of a kernel's header for QEMU to load an initrd beside it.
    let mut kernel = vec![b'k'; 1 << 16];
    kernel[0x1f1] = 4;
    kernel[0x202..0x208].copy_from_slice(b"HdrS\x0c\x02");
    fs::write(place.host.pools().join("hyper-images/kernel"), kernel).unwrap();
}
