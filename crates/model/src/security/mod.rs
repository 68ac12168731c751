// SPDX-License-Identifier: GPL-3.0-or-later
//! The security audit: what is looked at, what was found, and which controls that bears on.
//!
//! ```text
//!  check ──▶ Finding (result, severity, evidence, why, fix) ──▶ Report
//!                │ bears on                                       │
//!                ▼                                                ▼
//!            Objective ──is asked for by──▶ Control ──────▶ ControlsView (a status each, evidence)
//! ```
//!
//! What could not be looked at is [`FindingResult::Unknown`] with the reason, never a pass. No view
//! says that a host meets a framework: most of a framework is no question to a machine.

mod category;
mod controls;
mod finding;
mod objective;
mod report;

pub use self::{
    category::Category,
    controls::{ControlStatus, ControlView, ControlsView, FrameworkView},
    finding::{Finding, FindingResult, Severity},
    objective::{ControlRef, Coverage, Framework, Objective},
    report::{Counts, Report},
};
