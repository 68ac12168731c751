// SPDX-License-Identifier: GPL-3.0-or-later
//! Domains of libvirt's that reach for what is not theirs, as whoever may write XML would write
//! them.

use std::path::Path;

/// A small VM with this in its `<os>`, among its devices, and behind them.
pub(super) fn domain(name: &str, os: &str, devices: &str, rest: &str) -> String {
    format!(
        "<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\
         <name>{name}</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>\
         <os><type arch='x86_64' machine='q35'>hvm</type>{os}</os>\
         <devices>{devices}<serial type='pty'/></devices>{rest}</domain>"
    )
}

/// A disk in this file.
pub(super) fn disk(path: &Path, format: &str) -> String {
    format!(
        "<disk type='file' device='disk'><driver name='qemu' type='{format}'/>\
         <source file='{}'/><target dev='vda' bus='virtio'/></disk>",
        path.display()
    )
}
