// SPDX-License-Identifier: GPL-3.0-or-later
//! Facts: what libvirt tells, translated and handed to everyone who subscribed.

use std::{
    collections::HashSet,
    sync::{
        Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
};

use hv_libvirt::{AgentState, Connection, DomainEvent, ErrorKind, Event};
use hv_model::{
    hypervisor::{AgentLink, Fact, VmFacts},
    id::VmId,
    vm::VmState,
};
use uuid::Uuid;

use crate::state::{self, Memory, Step};

/// How many facts may wait for one subscriber, who must resync if there are more.
const WAITING: usize = 4096;

/// Everyone who wants facts.
#[derive(Debug, Default)]
pub(crate) struct Hub(Mutex<Subscribers>);

#[derive(Debug, Default)]
struct Subscribers {
    senders: Vec<SyncSender<Fact>>,
    lost: Option<String>,
    muted: HashSet<VmId>,
}

impl Hub {
    /// Facts from now on; the first says so, if libvirt is lost.
    pub(crate) fn subscribe(&self) -> Receiver<Fact> {
        let (sender, receiver) = sync_channel(WAITING);
        let mut hub = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(why) = hub.lost.clone() {
            // There is room for one in a new channel.
            let _ = sender.try_send(Fact::Lost { why });
        }
        hub.senders.push(sender);
        receiver
    }

    /// Whether anybody wants facts.
    pub(crate) fn is_heard(&self) -> bool {
        let hub = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        !hub.senders.is_empty()
    }

    /// Says nothing of this VM until it is undefined: it is only there for a moment.
    pub(crate) fn mute(&self, vm: VmId) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .muted
            .insert(vm);
    }

    /// Says everything of this VM again.
    pub(crate) fn unmute(&self, vm: VmId) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .muted
            .remove(&vm);
    }

    /// Hands a fact to everyone. Those who are too slow, or gone, hear no more.
    pub(crate) fn push(&self, fact: &Fact) {
        let mut hub = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match fact {
            // While it stays lost, once is enough.
            Fact::Lost { .. } if hub.lost.is_some() => return,
            Fact::Lost { why } => hub.lost = Some(why.clone()),
            Fact::Found => {
                hub.lost = None;
                // What they waited for may have been missed.
                hub.muted.clear();
            }
            Fact::Undefined { id } if hub.muted.remove(id) => return,
            Fact::Defined { id, .. } if hub.muted.contains(id) => return,
            _ => {}
        }
        hub.senders
            .retain(|sender| sender.try_send(fact.clone()).is_ok());
    }

    /// Ends every subscription, since facts were missed.
    pub(crate) fn close(&self) {
        tracing::warn!("events come faster than they are translated");
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .senders
            .clear();
    }
}

/// Translates events until their sender is gone.
pub(crate) fn translate(connection: &Connection, events: &Receiver<Event>, hub: &Hub) {
    for event in events {
        if let Some(fact) = fact(connection, event) {
            tracing::debug!(?fact, "libvirt told");
            hub.push(&fact);
        }
    }
}

fn fact(connection: &Connection, event: Event) -> Option<Fact> {
    match event {
        Event::Domain { uuid, name, event } => domain_fact(connection, uuid, name, &event),
        Event::Network { name, .. } => Some(Fact::Network {
            name: name.parse().ok()?,
        }),
        Event::Pool { .. } => None,
    }
}

fn domain_fact(
    connection: &Connection,
    uuid: Uuid,
    name: String,
    event: &DomainEvent,
) -> Option<Fact> {
    let id = VmId::new(uuid);
    match event {
        DomainEvent::Lifecycle(step) => match state::after(*step) {
            Step::State((state, reason)) => Some(Fact::State(VmFacts {
                id,
                name,
                state,
                reason,
            })),
            Step::Ask => Some(ask(connection, id, name)),
            Step::Defined => Some(Fact::Defined { id, name }),
            Step::Undefined => Some(Fact::Undefined { id }),
            Step::Nothing => None,
        },
        DomainEvent::Agent(AgentState::Connected) => Some(Fact::Agent {
            id,
            link: AgentLink::Connected,
        }),
        DomainEvent::Agent(_) => Some(Fact::Agent {
            id,
            link: AgentLink::Disconnected,
        }),
        DomainEvent::MetadataChanged { .. } => Some(Fact::Defined { id, name }),
        _ => None,
    }
}

/// A domain's state where the event does not tell it.
fn ask(connection: &Connection, id: VmId, name: String) -> Fact {
    let asked = connection.domain_by_uuid(id.uuid()).and_then(|domain| {
        let memory = if domain.has_managed_save()? {
            Memory::Saved
        } else {
            Memory::Gone
        };
        Ok(state::of(domain.state()?, memory))
    });
    match asked {
        Ok((state, reason)) => Fact::State(VmFacts {
            id,
            name,
            state,
            reason,
        }),
        Err(error) if error.kind == ErrorKind::NotFound => Fact::Undefined { id },
        Err(error) => {
            tracing::warn!(vm = %id, %error, "a VM's state can't be asked for");
            Fact::State(VmFacts {
                id,
                name,
                state: VmState::Unknown,
                reason: "unknown".into(),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_subscribes_while_libvirt_is_lost_is_told_so_first() {
        let hub = Hub::default();
        hub.push(&Fact::Lost {
            why: "stopped".into(),
        });
        hub.push(&Fact::Lost {
            why: "still".into(),
        });
        let facts = hub.subscribe();
        assert_eq!(
            facts.try_recv(),
            Ok(Fact::Lost {
                why: "stopped".into()
            })
        );
        hub.push(&Fact::Found);
        assert_eq!(facts.try_recv(), Ok(Fact::Found));
        assert!(hub.subscribe().try_recv().is_err());
    }

    #[test]
    fn a_vm_that_is_there_for_a_moment_is_not_told_of() {
        let hub = Hub::default();
        let facts = hub.subscribe();
        let id = VmId::new(Uuid::from_u128(1));
        hub.mute(id);
        hub.push(&Fact::Defined {
            id,
            name: "x".into(),
        });
        hub.push(&Fact::Undefined { id });
        assert!(facts.try_recv().is_err());
        hub.push(&Fact::Undefined { id });
        assert_eq!(facts.try_recv(), Ok(Fact::Undefined { id }));
    }

    #[test]
    fn a_subscriber_who_does_not_read_is_cut_off_and_others_are_not() {
        let hub = Hub::default();
        let slow = hub.subscribe();
        for _ in 0..=WAITING {
            hub.push(&Fact::Alive);
        }
        let quick = hub.subscribe();
        hub.push(&Fact::Found);
        assert_eq!(quick.try_recv(), Ok(Fact::Found));
        assert_eq!(slow.iter().count(), WAITING);
    }
}
