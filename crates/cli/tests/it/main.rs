// SPDX-License-Identifier: GPL-3.0-or-later
//! The program itself, against a daemon on a simulated host.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail at once, in its helping functions too"
)]

mod audit;
mod completion;
mod console;
mod help;
mod image;
mod life;
mod login;
mod quota;
mod refusal;
mod security;
mod stage;
mod stale;
mod terminal;
