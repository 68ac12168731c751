// SPDX-License-Identifier: GPL-3.0-or-later
//! What somebody may see of what is about VMs, images and the host: operations and events.
//!
//! It is judged by what it is about. About a VM that is gone only its name is left to judge by.

use hv_model::{
    access::{Action, Decision, Principal},
    event::Event,
    name::UserName,
    operation::{Operation, Target},
};
use serde::Deserialize;

use super::{caller::Caller, refusal::Answer};
use crate::{
    access::{Resource, VmTraits},
    monitor::Sight,
    store::{Snapshot, VmRecord},
};

impl Sight for Caller {
    fn sees_vm(&self, vm: &VmRecord) -> bool {
        self.may_see(Action::VmView, &Resource::vm(vm))
    }

    fn sees_vm_named(&self, name: &str) -> bool {
        let traits = VmTraits::named(name);
        self.may_see(Action::VmView, &Resource::no_vm(&traits))
    }

    /// Their own, and those on what they may see.
    fn sees_operation(&self, snapshot: &Snapshot, operation: &Operation) -> bool {
        self.may_see(Action::OperationView, &own(operation))
            || self.sees_target(snapshot, Action::OperationView, &operation.target)
    }

    /// Their own, and everybody's if they may see who may do what.
    fn sees_quota(&self, user: Option<&UserName>) -> bool {
        (user.is_some() && user == self.principal().person())
            || self.may_see(Action::AccessView, &Resource::Access)
    }
}

impl Caller {
    /// The decision that lets them cancel an operation: their own, or one on a VM on which they
    /// may.
    pub(super) async fn must_may_cancel(&self, operation: &Operation) -> Answer<Decision> {
        let action = Action::OperationCancel;
        let own = own(operation);
        if self.may_see(action, &own) || operation.target.kind != "vm" {
            return self.must_may(action, &own).await;
        }
        let snapshot = self.api.app().inventory.snapshot();
        let id = operation.target.id.parse().ok();
        match id.and_then(|id| snapshot.vm_by_id(id)) {
            Some(vm) => self.must_may(action, &Resource::vm(vm)).await,
            None => self.must_may(action, &own).await,
        }
    }

    /// Judges by what an operation works on.
    fn sees_target(&self, snapshot: &Snapshot, action: Action, target: &Target) -> bool {
        match target.kind.as_str() {
            "vm" => on_vm(snapshot, &target.id, &target.name, |vm| {
                self.may_see(action, vm)
            }),
            "image" if action == Action::OperationView => {
                let name = target.name.parse();
                name.is_ok_and(|name| self.may_see(Action::ImageView, &Resource::Image(&name)))
            }
            _ => false,
        }
    }

    /// Whether they may see an event.
    pub(super) fn sees_event(&self, snapshot: &Snapshot, event: &Event) -> bool {
        let subject = &event.subject;
        if self.may_see(Action::EventView, &Resource::Events) {
            return true;
        }
        match subject.kind.as_str() {
            "vm" => on_vm(snapshot, &subject.id, &subject.name, |vm| {
                self.may_see(Action::EventView, vm)
            }),
            "operation" => self.sees_operation_event(snapshot, event),
            "image" => {
                let name = subject.name.parse();
                name.is_ok_and(|name| self.may_see(Action::ImageView, &Resource::Image(&name)))
            }
            "network" => {
                let name = subject.name.parse();
                name.is_ok_and(|name| self.may_see(Action::NetworkView, &Resource::Network(&name)))
            }
            "pool" => {
                let name = subject.name.parse();
                name.is_ok_and(|name| self.may_see(Action::PoolView, &Resource::Pool(&name)))
            }
            "host" => self.may_see(Action::HostView, &Resource::Host),
            _ => false,
        }
    }

    fn sees_operation_event(&self, snapshot: &Snapshot, event: &Event) -> bool {
        /// What an operation's event says of it.
        #[derive(Deserialize)]
        struct Said {
            target: Target,
            actor: String,
        }
        let Ok(said) = Said::deserialize(&event.data) else {
            return false;
        };
        let own = match (&self.peer.subject.principal, said.actor.parse::<UserName>()) {
            (Principal::Anonymous | Principal::System, _) | (_, Err(_)) => false,
            (known, Ok(actor)) => known.person() == Some(&actor),
        };
        own || self.sees_target(snapshot, Action::OperationView, &said.target)
    }
}

fn own(operation: &Operation) -> Resource<'_> {
    Resource::Operation {
        id: operation.id,
        actor: &operation.actor,
    }
}

/// Judges a VM by its id, be it gone.
fn on_vm(
    snapshot: &Snapshot,
    id: &str,
    name: &str,
    judge: impl FnOnce(&Resource<'_>) -> bool,
) -> bool {
    let found = id.parse().ok().and_then(|id| snapshot.vm_by_id(id));
    match found {
        Some(vm) => judge(&Resource::vm(vm)),
        None => judge(&Resource::no_vm(&VmTraits::named(name))),
    }
}
