// SPDX-License-Identifier: GPL-3.0-or-later
//! Who asks.

use serde::{Deserialize, Serialize};

use crate::name::{TokenName, UserName};

/// Who asks.
///
/// A person has one name, whichever way they come: the user `ada` of the host and the account `ada`
/// are the same to grants, quotas and owners of VMs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Principal {
    /// A user of the host, known by the credentials of their socket.
    User {
        /// Their name.
        name: UserName,
        /// Their numeric id.
        uid: u32,
    },
    /// Somebody with an account of ours, known by their session.
    Account {
        /// Their name.
        name: UserName,
    },
    /// A program that carries an API token.
    Token {
        /// The token's name.
        token: TokenName,
        /// Whose it is: it may at most what they may.
        name: UserName,
    },
    /// The daemon itself: autostart, restarts, clean-up.
    System,
    /// Somebody who cannot be known: whoever reaches the loopback address and does not log in.
    Anonymous,
}

impl Principal {
    /// How the principal is named in lists and logs.
    pub fn label(&self) -> &str {
        match self {
            Self::User { name, .. } | Self::Account { name } | Self::Token { name, .. } => {
                name.as_str()
            }
            Self::System => "system",
            Self::Anonymous => "anonymous",
        }
    }

    /// The person that it is, or acts for.
    pub const fn person(&self) -> Option<&UserName> {
        match self {
            Self::User { name, .. } | Self::Account { name } | Self::Token { name, .. } => {
                Some(name)
            }
            Self::System | Self::Anonymous => None,
        }
    }

    /// Whether it is the host's root, to whom everything on the host belongs.
    pub const fn is_root(&self) -> bool {
        matches!(self, Self::User { uid: 0, .. })
    }
}
