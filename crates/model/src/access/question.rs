// SPDX-License-Identifier: GPL-3.0-or-later
//! Why somebody may do something, or may not.

use serde::{Deserialize, Serialize};

use super::{Action, Decision, Grant, GrantSource, Profile};
use crate::name::{UserName, VmName};

/// Whether somebody may do something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessQuestion {
    /// Who.
    pub user: UserName,
    /// What.
    pub action: Action,
    /// On which VM; for actions on other things, none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vm: Option<VmName>,
}

/// The decision on a question, and how it came about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AccessAnswer {
    /// The decision.
    pub decision: Decision,
    /// In words, why.
    pub why: String,
    /// Each grant that they have, and whether it reaches this.
    pub grants: Vec<GrantReach>,
    /// Commands that would allow it, the least powerful first; none, where a policy forbids it.
    #[serde(default, rename = "try", skip_serializing_if = "Vec::is_empty")]
    pub remedies: Vec<String>,
}

/// A grant that somebody has, and whether it reaches what they want.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct GrantReach {
    /// The grant.
    pub grant: Grant,
    /// Whether it allows this.
    pub reaches: bool,
    /// Why it does or does not.
    pub why: String,
}

/// A grant, with where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct GrantView {
    /// The grant.
    pub grant: Grant,
    /// Where it comes from: what the configuration says, only root changes.
    pub source: GrantSource,
}

/// Who may do what, as far as one may see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AccessView {
    /// Which acts need more than a grant.
    pub profile: Profile,
    /// Every grant, by name.
    pub grants: Vec<GrantView>,
    /// The files of the owner's own policies.
    pub files: Vec<String>,
    /// What is wrong with the policies that should be in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}
