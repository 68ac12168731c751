// SPDX-License-Identifier: GPL-3.0-or-later
//! The product as its users have it: shipped binaries, real libvirt, real QEMU.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

mod attack;
mod death;
mod guard;
mod hole;
mod host;
mod life;
mod others;
mod rights;
mod strict;
mod trouble;
