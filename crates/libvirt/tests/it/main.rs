// SPDX-License-Identifier: GPL-3.0-or-later
//! The API against libvirt's own test driver, and against a libvirtd with QEMU of the test's own.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail at once, in its helping functions too"
)]

mod connection;
mod daemon;
mod domain;
mod event;
mod identity;
mod leak;
mod network;
mod qemu;
mod storage;

use hv_libvirt::{Connection, OpenOptions};

/// A libvirt that is the caller's alone: every connection to the default host is one.
fn host() -> Connection {
    Connection::open("test:///default", OpenOptions::default()).unwrap()
}
