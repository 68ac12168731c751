// SPDX-License-Identifier: GPL-3.0-or-later
//! What end-to-end tests and benchmarks stand on: a private host, and the shipped binaries on it.
//!
//! A [`PrivateHost`] is libvirt in namespaces of its own, made by `scripts/host.sh`; it ends with
//! the process that holds it, however that ends. [`Daemons`] are `hv-broker` and `hvd` on it, which
//! can be killed and started again; they run as two users without rights, and libvirt's socket is
//! open to the broker's alone. Everything here panics when it fails: it serves tests only.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "for tests"
)]

mod daemons;
mod host;
mod users;
mod wait;

use std::path::{Path, PathBuf};

pub use self::{
    daemons::{Daemons, Outcome, guest_image, policy},
    host::PrivateHost,
    users::{ADA, BOB, BROKER, HVD, USERS_GROUP, User, is_root},
    wait::wait_for,
};

/// The folder of the repository.
pub fn repository() -> PathBuf {
    let parent = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    parent.expect("the crate lies in the repository").to_owned()
}

/// A binary of the product, built into the folder that this process was built into.
pub fn binary(name: &str) -> PathBuf {
    let me = std::env::current_exe().expect("a process knows its binary");
    let folders = me.ancestors().skip(1).take(3);
    let found = folders
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} is not built: cargo build --workspace --bins"))
}
