// SPDX-License-Identifier: GPL-3.0-or-later
//! The owner's own policies: whatever a file says, root stays in, nobody unknown gets in, and
//! files that only forbid give nobody a right.
#![no_main]

use std::sync::Arc;

use hv_model::access::{Action, Decision, Principal, Role};
use hvd::{
    access::{Access, Assurance, GivenGrant, Resource, Sources, Subject, VmTraits},
    clock::Clock,
};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let sources = Sources {
        grants: vec![grant()],
        files: vec![("house.cedar".to_owned(), text.to_owned())],
        ..Sources::default()
    };
    let access = match Access::new(sources, Clock::manual(Timestamp::UNIX_EPOCH)) {
        Ok(access) => access,
        Err(fault) => {
            return assert!(
                fault.to_string().starts_with("house.cedar: ")
                    || fault.to_string().starts_with("policies: "),
                "{fault}"
            );
        }
    };
    let traits = VmTraits::named("web");
    let vm = Resource::Vm {
        id: None,
        traits: &traits,
    };
    let gives = text.contains("permit");
    for action in [Action::VmView, Action::VmStart, Action::VmPurge] {
        let of = |principal: Principal| {
            let subject = Arc::new(Subject::new(principal));
            let decision = access.decide(&subject, Assurance::Proof, action, &vm);
            matches!(decision, Decision::Allow { .. })
        };
        let user = |name: &str, uid| Principal::User {
            name: name.parse().expect("a user's name"),
            uid,
        };
        assert!(of(user("root", 0)), "root is shut out");
        assert!(
            !of(Principal::Anonymous),
            "somebody unknown may do {}",
            action.as_str()
        );
        assert!(
            gives || !of(user("eve", 1001)),
            "{} by a prohibition",
            action.as_str()
        );
        if !text.contains("forbid") && action == Action::VmView {
            assert!(
                of(user("ada", 1000)),
                "a grant is taken away by a permission"
            );
        }
    }
});

fn grant() -> GivenGrant {
    GivenGrant {
        grant: hv_model::access::Grant {
            name: "everything".parse().expect("a grant's name"),
            to: "user:ada".parse().expect("a user"),
            role: Role::Operator,
            on: "everything".parse().expect("a scope"),
            until: None,
        },
        source: hv_model::access::GrantSource::Configuration,
    }
}
