// SPDX-License-Identifier: GPL-3.0-or-later
//! The grants in force, found by whom they are to and by what they reach.
//!
//! Cedar weighs every policy that it is given, a microsecond or two for each. So of the grants it is
//! given only those that can reach what is asked about. That is no second judge: what is left out
//! here could only have permitted, and what is not left out is judged by Cedar all the same. So a
//! fault here can take a right from somebody, and give none.

use std::collections::HashMap;

use cedar_policy::{Policy, PolicyId, PolicySet};
use hv_model::access::{Action, Grant, Grantee, Scope};
use jiff::Timestamp;

use super::{Resource, Subject, VmTraits};

/// The grants in force.
#[derive(Debug, Default)]
pub(super) struct Granted(HashMap<Grantee, Vec<Given>>);

/// A grant, and the policy that it makes.
#[derive(Debug, Clone)]
struct Given {
    grant: Grant,
    policy: Policy,
}

impl Granted {
    /// Takes the policies of these grants out of a set.
    pub(super) fn take<'a>(
        set: &mut PolicySet,
        grants: impl Iterator<Item = &'a Grant>,
    ) -> Result<Self, String> {
        let mut granted = Self::default();
        for grant in grants {
            let policy = set.remove_static(policy_id(grant));
            let policy = policy.map_err(|error| error.to_string())?;
            let to = granted.0.entry(grant.to.clone()).or_default();
            to.push(Given {
                grant: grant.clone(),
                policy,
            });
        }
        Ok(granted)
    }

    /// Those of them that have not ended by then.
    pub(super) fn at(&self, now: Timestamp) -> Self {
        let mut left = Self::default();
        for (to, given) in &self.0 {
            let mut given = given.clone();
            given.retain(|given| !given.grant.has_ended(now));
            if !given.is_empty() {
                left.0.insert(to.clone(), given);
            }
        }
        left
    }

    /// When the next of them ends.
    pub(super) fn until(&self) -> Option<Timestamp> {
        let all = self.0.values().flatten();
        all.filter_map(|given| given.grant.until).min()
    }

    /// Whether somebody has a role anywhere.
    pub(super) fn is_anybody(&self, subject: &Subject) -> bool {
        grantees(subject).any(|to| self.0.contains_key(&to))
    }

    /// The policies of the grants that can allow this, by their names.
    pub(super) fn that_reach(
        &self,
        subject: &Subject,
        action: Action,
        resource: &Resource<'_>,
    ) -> Vec<&Policy> {
        let theirs = grantees(subject).filter_map(|to| self.0.get(&to));
        let mut reaching: Vec<_> = theirs
            .flatten()
            .filter(|given| {
                given.grant.role.allows(action) && holds_on(&given.grant.on, subject, resource)
            })
            .collect();
        reaching.sort_unstable_by(|one, other| one.grant.name.cmp(&other.grant.name));
        reaching.into_iter().map(|given| &given.policy).collect()
    }
}

/// The name of the policy that a grant makes.
pub(super) fn policy_id(grant: &Grant) -> PolicyId {
    PolicyId::new(format!("grant:{}", grant.name))
}

/// As what somebody can be granted something.
fn grantees(subject: &Subject) -> impl Iterator<Item = Grantee> {
    let person = subject.principal.person().cloned().map(Grantee::User);
    let groups = subject.groups.iter().cloned().map(Grantee::Group);
    person.into_iter().chain(groups)
}

/// Whether a grant to this is one to them.
pub(super) fn is_for(to: &Grantee, subject: &Subject) -> bool {
    grantees(subject).any(|theirs| theirs == *to)
}

/// Whether a grant of theirs that holds there holds on this.
fn holds_on(scope: &Scope, subject: &Subject, resource: &Resource<'_>) -> bool {
    match resource {
        Resource::Vm { traits, .. } => holds_on_vm(scope, subject, traits),
        _ => *scope == Scope::Everything,
    }
}

/// Whether a grant of theirs that holds there holds on this VM.
pub(super) fn holds_on_vm(scope: &Scope, subject: &Subject, vm: &VmTraits) -> bool {
    match scope {
        Scope::Everything => true,
        Scope::Own => vm.owner.is_some() && vm.owner.as_ref() == subject.principal.person(),
        Scope::Vm(name) => name.as_str() == vm.name,
        Scope::Tag(tag) => vm.tags.contains(tag),
        Scope::Owner(name) => vm.owner.as_ref() == Some(name),
        Scope::Pool(pool) => !vm.pools.is_empty() && vm.pools.iter().all(|other| other == pool),
    }
}
