// SPDX-License-Identifier: GPL-3.0-or-later
//! The daemon on the simulated host.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail loudly, its helpers too"
)]
#![allow(
    clippy::redundant_closure_for_method_calls,
    reason = "a method's path has one lifetime, and the store asks for any"
)]

mod audit;
mod engine;
mod http;
mod kill;
mod world;
