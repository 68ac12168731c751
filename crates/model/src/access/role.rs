// SPDX-License-Identifier: GPL-3.0-or-later
//! Roles: what somebody may do where they have one.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::Action;

/// What somebody may do where they have it.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Look at everything but what is recorded of people.
    Viewer,
    /// Run VMs: start them, stop them, use their consoles.
    Operator,
    /// What an operator may; and make, change and delete VMs, within a quota.
    Creator,
    /// Look at what is to be backed up.
    BackupOperator,
    /// Look at everything, the audit log and who may do what included.
    Auditor,
    /// Everything.
    Admin,
}

impl Role {
    /// Every role, from the least to the most.
    pub const ALL: &[Self] = &[
        Self::Viewer,
        Self::BackupOperator,
        Self::Auditor,
        Self::Operator,
        Self::Creator,
        Self::Admin,
    ];

    /// The role's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Creator => "creator",
            Self::BackupOperator => "backup-operator",
            Self::Auditor => "auditor",
            Self::Admin => "admin",
        }
    }

    /// Whether the role allows an action.
    pub const fn allows(self, action: Action) -> bool {
        match self {
            Self::Viewer | Self::BackupOperator => looks(action),
            Self::Auditor => looks(action) || inspects(action),
            Self::Operator => looks(action) || runs(action),
            Self::Creator => looks(action) || runs(action) || makes(action),
            Self::Admin => true,
        }
    }
}

/// What shows VMs and the host, and changes nothing.
const fn looks(action: Action) -> bool {
    matches!(
        action,
        Action::VmView
            | Action::ImageView
            | Action::NetworkView
            | Action::PoolView
            | Action::HostView
            | Action::OperationView
            | Action::EventView
    )
}

/// What shows people and what they did.
const fn inspects(action: Action) -> bool {
    matches!(
        action,
        Action::AuditView | Action::AccessView | Action::ApprovalView
    )
}

const fn runs(action: Action) -> bool {
    matches!(
        action,
        Action::VmStart
            | Action::VmShutDown
            | Action::VmForceOff
            | Action::VmReboot
            | Action::VmReset
            | Action::VmPause
            | Action::VmResume
            | Action::VmSave
            | Action::VmConsole
            | Action::OperationCancel
    )
}

const fn makes(action: Action) -> bool {
    matches!(
        action,
        Action::VmCreate
            | Action::VmChange
            | Action::VmRename
            | Action::VmDelete
            | Action::VmUndelete
            | Action::VmPurge
    )
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no role: allowed are viewer, backup-operator, auditor, operator, creator and admin"
)]
pub struct RoleError(String);

impl FromStr for Role {
    type Err = RoleError;
    fn from_str(text: &str) -> Result<Self, RoleError> {
        let found = Self::ALL.iter().find(|role| role.as_str() == text);
        found
            .copied()
            .ok_or_else(|| RoleError(text.chars().take(64).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_named_as_it_is_written() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(*role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
        }
        assert!("root".parse::<Role>().is_err());
    }

    #[test]
    fn only_an_admin_may_change_who_may_what() {
        for role in Role::ALL.iter().filter(|role| **role != Role::Admin) {
            for action in [
                Action::AccessChange,
                Action::AccountChange,
                Action::ApprovalGive,
                Action::VmAssign,
                Action::VmAdopt,
                Action::ImageAdd,
                Action::ImageDelete,
            ] {
                assert!(!role.allows(action), "{role}: {}", action.as_str());
            }
        }
        assert!(Action::ALL.iter().all(|action| Role::Admin.allows(*action)));
    }

    #[test]
    fn who_only_looks_changes_nothing() {
        for role in [Role::Viewer, Role::Auditor, Role::BackupOperator] {
            for action in Action::ALL.iter().filter(|action| role.allows(**action)) {
                assert_eq!(action.verb(), "view", "{role}: {action:?}");
            }
        }
    }
}
