// SPDX-License-Identifier: GPL-3.0-or-later
//! The boundary between `hvd` and the broker: the port's wire form and its two halves.
//!
//! [`Client`] is a [`Hypervisor`](hv_model::hypervisor::Hypervisor) that asks a broker over a unix
//! socket; [`Server`] answers such calls from any other `Hypervisor`. Both treat what comes over
//! the socket as hostile: it has limits in length, depth and time, and what breaks them ends that
//! one connection.
//!
//! ```text
//!   client                                   server
//!     ├── "HV-PORT\n" version ──────────────▶ │
//!     │ ◀────────────── "HV-PORT\n" version ──┤   unequal: both sides say so and close
//!     ├── length, call as JSON [descriptor] ▶ │
//!     │ ◀ length, answer as JSON [descriptor] ┤   and so on, one call at a time;
//!     ├── length, "subscribe" ──────────────▶ │   after this one, facts flow until either closes
//!     │ ◀──────────── length, fact as JSON ───┤
//! ```

mod call;
mod client;
mod deadline;
mod descriptors;
mod pool;
pub mod rights;
mod server;
pub mod service;
mod wire;

pub use client::{Client, Timeouts};
#[cfg(fuzzing)]
pub use server::serve_alone;
pub use server::{Server, ServerError, SocketOwner, Stop};
pub use wire::VERSION;

/// How often a subscriber hears of a host where nothing happens.
pub const ALIVE_EVERY: std::time::Duration = std::time::Duration::from_secs(1);
