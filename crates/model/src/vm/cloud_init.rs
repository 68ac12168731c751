// SPDX-License-Identifier: GPL-3.0-or-later
//! What a guest is told at its first boot.

use serde::{Deserialize, Serialize};

use crate::name::UserName;

/// What the guest is told at its first boot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CloudInit {
    /// The guest's host name; the VM's name, if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// A user to make.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserName>,
    /// Public SSH keys that may log in as that user.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ssh_keys: Vec<String>,
    /// A whole `#cloud-config` document instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_data: Option<String>,
}
