// SPDX-License-Identifier: GPL-3.0-or-later
//! Where a request comes from.

use std::{fmt, net::SocketAddr};

use serde::{Deserialize, Serialize};

/// Where a request comes from: what the kernel says of the other side of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "way", rename_all = "kebab-case")]
pub enum Origin {
    /// Through the unix socket.
    Unix {
        /// The user who opened the connection.
        uid: u32,
        /// The process that did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pid: Option<u32>,
    },
    /// Over TCP.
    Tcp {
        /// The other side's address.
        #[schema(value_type = String)]
        address: SocketAddr,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix {
                uid,
                pid: Some(pid),
            } => write!(f, "uid {uid}, pid {pid}"),
            Self::Unix { uid, pid: None } => write!(f, "uid {uid}"),
            Self::Tcp { address } => address.fmt(f),
        }
    }
}
