// SPDX-License-Identifier: GPL-3.0-or-later
//! The one place that decides.

use hv_model::access::{Action, Decision, Principal, Role};

use super::Resource;

/// Whether a principal may do this to that.
///
/// In this version the daemon's socket is the gate: whoever its group lets in may do everything.
/// Whoever comes over loopback TCP cannot be known, and may look at everything but the audit log.
pub fn authorize(principal: &Principal, action: Action, _resource: &Resource<'_>) -> Decision {
    match principal {
        Principal::System => Decision::Allow {
            policy: "system".to_owned(),
        },
        Principal::User { .. } | Principal::Account { .. } | Principal::Token { .. } => {
            Decision::Allow {
                policy: "socket-group".to_owned(),
            }
        }
        Principal::Anonymous if looks(action) => Decision::Allow {
            policy: "anonymous-looks".to_owned(),
        },
        Principal::Anonymous => Decision::Deny {
            policy: "anonymous-only-looks".to_owned(),
        },
    }
}

/// Whether an action changes nothing and shows nothing that only some may see.
fn looks(action: Action) -> bool {
    Role::Viewer.allows(action)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may(principal: &Principal, action: Action) -> bool {
        matches!(
            authorize(principal, action, &Resource::EveryVm),
            Decision::Allow { .. }
        )
    }

    #[test]
    fn whoever_can_open_the_socket_may_do_everything() {
        let user = Principal::User {
            name: "ada".parse().unwrap(),
            uid: 1000,
        };
        assert!(Action::ALL.iter().all(|action| may(&user, *action)));
    }

    #[test]
    fn who_cannot_be_known_may_only_look_and_not_at_the_audit_log() {
        for action in Action::ALL {
            let of_people = [Action::AuditView, Action::AccessView, Action::ApprovalView];
            let looks = action.as_str().ends_with(".view") && !of_people.contains(action);
            assert_eq!(
                may(&Principal::Anonymous, *action),
                looks,
                "{}",
                action.as_str()
            );
        }
    }
}
