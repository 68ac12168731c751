// SPDX-License-Identifier: GPL-3.0-or-later
//! Who asks, with everything about them that a decision depends on.

use std::collections::BTreeSet;

use hv_model::{
    access::{Principal, TokenScope},
    name::UserGroupName,
};

/// Who asks, with everything about them that a decision depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Subject {
    /// Who it is.
    pub principal: Principal,
    /// The groups of the host that they are in.
    pub groups: BTreeSet<UserGroupName>,
    /// What a token was narrowed to.
    pub narrowed: Option<TokenScope>,
}

impl Subject {
    /// Somebody in no group, whom nothing narrows.
    pub const fn new(principal: Principal) -> Self {
        Self {
            principal,
            groups: BTreeSet::new(),
            narrowed: None,
        }
    }
}

/// What somebody has shown besides who they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Assurance {
    /// Nothing.
    #[default]
    None,
    /// A fresh proof of their identity.
    Proof,
    /// The approval of a second person for just this.
    Approved,
}
