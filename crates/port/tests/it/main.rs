// SPDX-License-Identifier: GPL-3.0-or-later
//! Both halves of the port over a real socket, with a host that lives in memory.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unnecessary_wraps,
    clippy::unwrap_used,
    reason = "a test may fail loudly, its helpers too"
)]

mod boundary;
mod fake;
mod hostile;
