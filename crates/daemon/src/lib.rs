// SPDX-License-Identifier: GPL-3.0-or-later
//! The daemon: store, engine, observer, HTTP API.
//!
//! ```text
//!  http ──▶ access ──▶ engine ──▶ job ──▶ port (the host)
//!    ▲                   │ ▲                 │ facts
//!    │                   ▼ │                 ▼
//!    └── inventory ◀──── store ◀───────── observe
//! ```
//!
//! A change is an operation: written to the store first, then carried out step by step. What the
//! host does comes back as facts through the observer into the store, and from there to readers.

pub mod access;
pub mod app;
pub mod audit;
pub mod clock;
pub mod config;
pub mod engine;
pub mod http;
mod job;
pub mod monitor;
pub mod observe;
pub mod sim;
pub mod store;

pub use app::{App, Parts, StartError};
