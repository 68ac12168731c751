// SPDX-License-Identifier: GPL-3.0-or-later
//! API tokens, which programs carry, and what each is narrowed to.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Action, Role};
use crate::{
    id::TokenId,
    name::{TokenName, UserName, VmName},
    secret::Secret,
};

/// What an API token is narrowed to: at most what its person may, and of that only this.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TokenScope {
    /// What these roles may; everything, if empty.
    pub roles: Vec<Role>,
    /// On these VMs, and on nothing else that changes; everywhere, if empty.
    pub vms: Vec<VmName>,
}

impl TokenScope {
    /// Whether it lets an action pass on the VM of this name, or on what is no VM.
    pub fn allows(&self, action: Action, vm: Option<&str>) -> bool {
        let by_role = self.roles.is_empty() || self.roles.iter().any(|role| role.allows(action));
        let by_vm = self.vms.is_empty()
            || match vm {
                Some(vm) => self.vms.iter().any(|known| known.as_str() == vm),
                None => Role::Viewer.allows(action),
            };
        by_role && by_vm
    }
}

/// A token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ApiToken {
    /// Its id, which is a part of it but not its secret.
    pub id: TokenId,
    /// What its owner calls it.
    pub name: TokenName,
    /// Whose it is: it may at most what they may.
    pub owner: UserName,
    /// What it is narrowed to.
    pub scope: TokenScope,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// When it ends.
    #[schema(value_type = String, format = DateTime)]
    pub expires: Timestamp,
    /// When it was last used, to the minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_used: Option<Timestamp>,
    /// From which address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_from: Option<String>,
}

/// A token to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What to call it.
    pub name: TokenName,
    /// What it is narrowed to.
    pub scope: TokenScope,
    /// For how many days it is good: 1 to 365; 90, if not given.
    #[serde(default = "days")]
    #[schema(default = 90)]
    pub days: u32,
}

const fn days() -> u32 {
    90
}

/// A token that was made.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MadeToken {
    /// The token as lists show it.
    pub token: ApiToken,
    /// What the header `Authorization` must say after `Bearer`. It is shown this once.
    pub bearer: Secret,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_is_not_narrowed_lets_everything_pass() {
        let scope = TokenScope::default();
        assert!(scope.allows(Action::VmPurge, Some("web")));
        assert!(scope.allows(Action::ImageAdd, None));
    }

    #[test]
    fn a_token_for_some_vms_reaches_no_others_and_changes_nothing_else() {
        let scope = TokenScope {
            roles: vec![Role::Operator],
            vms: vec!["web".parse().unwrap()],
        };
        assert!(scope.allows(Action::VmStart, Some("web")));
        assert!(scope.allows(Action::HostView, None));
        assert!(!scope.allows(Action::VmStart, Some("db")));
        assert!(!scope.allows(Action::VmPurge, Some("web")));
        assert!(!scope.allows(Action::AuditView, None));
        assert!(!scope.allows(Action::OperationCancel, None));
    }
}
