// SPDX-License-Identifier: GPL-3.0-or-later
//! Plans: what a change of a spec does, and what it costs.

use serde::{Deserialize, Serialize};

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
