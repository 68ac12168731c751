// SPDX-License-Identifier: GPL-3.0-or-later
//! What an API token is narrowed to.

use serde::{Deserialize, Serialize};

use super::{Action, Role};
use crate::name::VmName;

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
