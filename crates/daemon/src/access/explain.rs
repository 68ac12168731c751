// SPDX-License-Identifier: GPL-3.0-or-later
//! Why somebody may do something, or may not, and what would change that.

use std::sync::Arc;

use hv_model::{
    access::{AccessAnswer, Action, Decision, Grant, GrantReach, Need, Principal, Scope},
    name::{PoolName, VmName},
};
use jiff::Timestamp;

use super::{
    Access, Assurance, Resource, Subject, VmTraits,
    granted::{holds_on_vm, is_for},
    policies::roles_for,
};

impl Access {
    /// The decision that somebody would get without a proof or an approval, and how it comes about.
    pub fn explain(
        &self,
        subject: &Arc<Subject>,
        action: Action,
        resource: &Resource<'_>,
    ) -> AccessAnswer {
        let decision = self.decide(subject, Assurance::None, action, resource);
        let (policies, now) = (self.policies(), self.now());
        let theirs = policies
            .sources
            .grants
            .iter()
            .filter(|given| is_for(&given.grant.to, subject));
        let grants: Vec<_> = theirs
            .map(|given| reach(&given.grant, subject, action, resource, now))
            .collect();
        let why = reason(subject, &decision, action, resource);
        let remedies = match &decision {
            Decision::Deny { policy } if policy == "default" => {
                remedies(&subject.principal, action, resource)
            }
            _ => Vec::new(),
        };
        AccessAnswer {
            decision,
            why,
            grants,
            remedies,
        }
    }
}

fn reason(
    subject: &Subject,
    decision: &Decision,
    action: Action,
    resource: &Resource<'_>,
) -> String {
    let (who, what) = (subject.principal.label(), action.as_str());
    match decision {
        Decision::Allow { policy } => {
            format!("The policy {policy} permits {who} to do {what} to {resource}.")
        }
        Decision::Ask { policy, needs } => {
            let needs = match needs {
                Need::Proof => "a fresh proof of identity",
                Need::SecondPerson => "the approval of a second person",
            };
            format!(
                "{who} may do {what} to {resource} with {needs}: the policy {policy} asks for it."
            )
        }
        Decision::Deny { policy } if policy == "default" => {
            format!("No policy permits {who} to do {what} to {resource}.")
        }
        Decision::Deny { policy } => {
            format!("The policy {policy} forbids {who} to do {what} to {resource}.")
        }
    }
}

/// Whether a grant that somebody has allows this.
fn reach(
    grant: &Grant,
    subject: &Subject,
    action: Action,
    resource: &Resource<'_>,
    now: Timestamp,
) -> GrantReach {
    let role = grant.role;
    let (reaches, why) = match resource {
        _ if grant.has_ended(now) => (false, "it has ended".to_owned()),
        _ if !role.allows(action) => {
            let why = format!("the role {role} does not allow {}", action.as_str());
            (false, why)
        }
        Resource::Vm { traits, .. } => {
            let holds = holds_on_vm(&grant.on, subject, traits);
            (holds, in_scope(&grant.on, holds, traits))
        }
        _ if grant.on == Scope::Everything => (true, "it holds everywhere".to_owned()),
        _ => (false, format!("it holds on VMs only: {}", grant.on)),
    };
    GrantReach {
        grant: grant.clone(),
        reaches,
        why,
    }
}

/// What decides whether a scope holds on a VM.
fn in_scope(scope: &Scope, holds: bool, vm: &VmTraits) -> String {
    let name = &vm.name;
    match scope {
        Scope::Everything => "it holds everywhere".to_owned(),
        Scope::Vm(granted) => format!("it holds on the VM {granted}"),
        Scope::Tag(tag) if holds => format!("{name} has the tag {tag}"),
        Scope::Tag(tag) => format!("{name} does not have the tag {tag}"),
        Scope::Own | Scope::Owner(_) => {
            let owner = vm.owner.as_ref().map_or("nobody", |owner| owner.as_str());
            format!("{name} is owned by {owner}")
        }
        Scope::Pool(_) if vm.pools.is_empty() => {
            format!("the disks of {name} are in no pool that is known")
        }
        Scope::Pool(_) => {
            let pools: Vec<_> = vm.pools.iter().map(PoolName::as_str).collect();
            format!("the disks of {name} are in {}", pools.join(", "))
        }
    }
}

/// Commands that would allow it, the least powerful first.
fn remedies(principal: &Principal, action: Action, resource: &Resource<'_>) -> Vec<String> {
    let Some(person) = principal.person() else {
        return Vec::new();
    };
    let on = match resource {
        // A name that our rule does not allow is in no grant.
        Resource::Vm { traits, .. } if traits.name.parse::<VmName>().is_ok() => {
            format!(" --on vm:{}", traits.name)
        }
        _ => String::new(),
    };
    let mut roles: Vec<_> = roles_for(action).collect();
    // Who may everything is the last resort.
    roles.truncate(roles.len().saturating_sub(1).clamp(1, 2));
    roles
        .into_iter()
        .map(|role| format!("hv access grant {role} user:{person}{on}"))
        .collect()
}
