// SPDX-License-Identifier: GPL-3.0-or-later
//! The answer to whether a principal may do something.

use serde::{Deserialize, Serialize};

/// The answer to whether a principal may do something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "decision", rename_all = "kebab-case")]
pub enum Decision {
    /// They may.
    Allow {
        /// The policy that says so.
        policy: String,
    },
    /// They may not.
    Deny {
        /// The policy that says so.
        policy: String,
    },
    /// They may once something more is there.
    Ask {
        /// The policy that asks for it.
        policy: String,
        /// What it asks for.
        needs: Need,
    },
}

/// What a principal needs besides a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// A fresh proof of who they are.
    Proof,
    /// A second person who approves.
    SecondPerson,
}

impl Decision {
    /// Whether they may.
    pub const fn is_allowed(&self) -> bool {
        matches!(self, Self::Allow { .. })
    }

    /// The policy that decided.
    pub fn policy(&self) -> &str {
        match self {
            Self::Allow { policy } | Self::Deny { policy } | Self::Ask { policy, .. } => policy,
        }
    }
}
