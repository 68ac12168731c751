// SPDX-License-Identifier: GPL-3.0-or-later
//! A VM's serial console in this terminal.
//!
//! ```text
//!  keyboard ──▶ key (leave?) ──▶ hvd ──▶ VM
//!  screen ◀── filter ◀────────── hvd ◀── VM
//! ```
//!
//! What a VM sends is not to be trusted: the filter lets pass what draws and drops what steers the
//! terminal itself or makes it answer. The terminal is put back on every way out.

mod escape;
mod filter;
mod keyboard;
mod terminal;

pub use self::filter::Filter;
pub(crate) use self::{
    escape::{EscapeKey, Keys},
    keyboard::keyboard,
    terminal::RawTerminal,
};
