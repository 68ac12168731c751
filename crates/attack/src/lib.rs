// SPDX-License-Identifier: GPL-3.0-or-later
//! The attack suite: what somebody without rights, or a daemon that was taken over, may try on a
//! live host, and whether it was stopped.
//!
//! ```text
//!   root: lays out a stage ──▶ a child for each actor, as that real user of the system
//!     │   (canary, VMs, grants)        │ carries out one attempt after the other
//!     │                                ▼
//!     └── looks what became of the host, and at all that the child got ──▶ report
//! ```
//!
//! Whether an attempt succeeded is never taken from an error code. Root looks for the canary's
//! bytes in everything that the child got, at the canary, at somebody else's VM, at the processes
//! and files of the host. What could not be carried out is no pass.
//!
//! To add an attempt, add a file to `attempts/` and a line to its list. What an attempt needs to be
//! shown to work once its layer is off is a part of it: see [`Off`].

#![expect(
    clippy::indexing_slicing,
    reason = "JSON answers with null where it has nothing under a name"
)]

mod actor;
mod arena;
mod attempt;
mod attempts;
mod frames;
mod http;
mod loot;
mod report;
mod run;
mod stage;
mod tls;
mod trouble;

pub use self::{
    actor::{Actor, act, raise_limit},
    arena::{Arena, Facts, Known},
    attempt::{Attempt, Layer, Off, Outcome},
    attempts::all,
    frames::Frames,
    http::{Answer, Door},
    loot::Loot,
    report::{Report, Tried},
    run::{Wish, run},
    stage::{ESCAPES, Places, Stage, talker},
    trouble::Trouble,
};
