// SPDX-License-Identifier: GPL-3.0-or-later
//! Plans: what a change of a spec does, and what it costs.
//!
//! ```text
//! ChangeVm ── apply ──▶ new spec ── plan (with the old spec and the state) ──▶ changes and impacts
//!                          │
//!                          └─ live_changes ──▶ what to do to the running VM now
//!                             pending      ──▶ what waits for its next boot
//! ```

mod apply;
mod compare;
mod impact;
mod live;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use self::{
    apply::apply,
    live::{after_live_change, live_changes},
};
use crate::vm::{VmSpec, VmState};

/// One difference between two specs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Change {
    /// Which field: `memory.size`.
    pub field: String,
    /// What it was; empty, if it was not there.
    pub from: String,
    /// What it is to be; empty, if it is to go.
    pub to: String,
    /// What it costs.
    pub impact: Impact,
}

/// What a change costs, from cheap to dear.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Impact {
    /// Nothing: the guest does not notice.
    None,
    /// It is done while the VM runs.
    Live,
    /// It waits for the next boot; nothing is restarted for it.
    NextBoot,
    /// It cannot be undone: data is lost.
    Data,
}

/// What a change of a VM would do, or did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Plan {
    /// Each difference; empty, if there is none.
    pub changes: Vec<Change>,
}

impl Plan {
    /// The dearest of all impacts; that of a plan without changes is [`Impact::None`].
    pub fn impact(&self) -> Impact {
        self.changes
            .iter()
            .map(|change| change.impact)
            .max()
            .unwrap_or(Impact::None)
    }
}

/// What it means to give a VM in this state another spec: every difference, by the name of its
/// field, with what it costs.
///
/// Disks and network interfaces are matched by their names, given or not.
pub fn plan(old: &VmSpec, new: &VmSpec, state: VmState) -> Plan {
    let changes = compare::differences(old, new)
        .into_iter()
        .map(|difference| {
            let impact = impact::of(&difference, old, new, state);
            Change {
                field: difference.field,
                from: difference.from,
                to: difference.to,
                impact,
            }
        });
    Plan {
        changes: changes.collect(),
    }
}

/// What of an intended spec a VM that is on gets only at its next boot.
///
/// `booted` is the spec that it runs with: the one that it was booted with, and after it
/// [`after_live_change`] for each change that was made to the running VM. Changes that are not
/// noticed by the guest are never pending.
pub fn pending(booted: &VmSpec, intended: &VmSpec) -> Vec<Change> {
    let changes = plan(booted, intended, VmState::Running).changes.into_iter();
    changes
        .filter(|change| change.impact != Impact::None)
        .map(|change| Change {
            impact: change.impact.max(Impact::NextBoot),
            ..change
        })
        .collect()
}
