// SPDX-License-Identifier: GPL-3.0-or-later
//! The broker behind the port, on a private host with real libvirt and QEMU.
//!
//! Without root, libvirt or QEMU these tests fail. `HV_SKIP_REAL=1` leaves them out where none of
//! that can be had.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail loudly, its helpers too"
)]

mod foreign;
mod host;
mod life;
mod process;
mod refusal;
mod trouble;
mod virtual_machine;
