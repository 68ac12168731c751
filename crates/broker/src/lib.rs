// SPDX-License-Identifier: GPL-3.0-or-later
//! The one process that reaches libvirt.
//!
//! It trusts nobody who calls it: what changes or starts something is judged by the host's policy,
//! read anew each time, and refused where that can't be read. Reading and stopping always work. It
//! renders XML itself, takes no path from anybody, and keeps nothing that its end could lose.
//!
//! ```text
//!   port ──▶ Broker ──▶ policy (hv-guard) ──▶ XML (hv-model) ──▶ libvirt (hv-libvirt)
//!     ◀── facts ── hub ◀── translated events ◀────────────────────┘
//!                   ▲ Lost, Found
//!                  link: connects, notices the end, connects again
//! ```

mod account;
mod broker;
pub mod config;
mod define;
mod details;
mod domain;
mod facts;
mod failure;
pub mod foreign;
pub mod guest;
mod header;
mod host;
mod judging;
mod link;
mod live;
mod network;
mod person;
pub mod polkit;
mod pool;
mod refusals;
pub mod rights;
mod state;
mod volume;

pub use account::{Access, AccountError};
pub use broker::Broker;
pub use config::Config;
pub use judging::Judging;
