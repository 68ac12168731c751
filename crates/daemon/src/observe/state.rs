// SPDX-License-Identifier: GPL-3.0-or-later
//! Taking over what the host tells of a VM's state.

use std::{collections::BTreeSet, time::Duration};

use hv_model::{
    event::EventKind,
    hypervisor::{AgentLink, VmFacts},
    id::VmId,
    vm::{OnCrash, VmState},
};
use jiff::Timestamp;
use serde_json::json;

use super::look::is_worked_on;
use crate::{
    clock::later,
    store::{Managed, Result, Snapshot, VmRow, WriteTransaction},
};

/// Crashes older than this don't count.
const CRASHES_COUNT: Duration = Duration::from_secs(60 * 60);
/// After so many crashes that count, a VM is left as it is.
const CRASHES: usize = 10;
/// How long a crashed VM is left off at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Something that a fact told of a VM.
#[derive(Debug)]
pub(super) enum Told {
    State(VmFacts),
    Agent(VmId, AgentLink),
}

impl Told {
    /// The VM whose guest agent can be asked now.
    pub(super) fn connected(&self) -> Option<VmId> {
        match self {
            Self::Agent(id, AgentLink::Connected) => Some(*id),
            _ => None,
        }
    }
}

/// Takes over what a fact told. Adds the VM to those to be looked at, where the fact does not say
/// all that is needed.
pub(super) fn take(
    tx: &WriteTransaction<'_>,
    known: &Snapshot,
    told: &Told,
    look: &mut BTreeSet<VmId>,
) -> Result<()> {
    match told {
        Told::State(facts) => {
            let Some(row) = tx.vm(facts.id)?.filter(|row| !row.is_trashed()) else {
                look.insert(facts.id);
                return Ok(());
            };
            // A VM that is not defined is gone with its end.
            if !facts.state.is_active() {
                look.insert(facts.id);
            }
            take_state(tx, known, row, facts)
        }
        Told::Agent(id, link) => {
            let Some(mut row) = tx.vm(*id)?.filter(|row| row.agent != Some(*link)) else {
                return Ok(());
            };
            let before = row.agent.replace(*link);
            tell_of_agent(tx, &row, before)?;
            tx.put_vm(row)
        }
    }
}

/// Tells that a guest's agent came or went. That it is not there yet when a VM starts is no news.
pub(super) fn tell_of_agent(
    tx: &WriteTransaction<'_>,
    row: &VmRow,
    before: Option<AgentLink>,
) -> Result<()> {
    let was_there = before == Some(AgentLink::Connected);
    let Some(link) = row.agent else { return Ok(()) };
    if was_there == (link == AgentLink::Connected) {
        return Ok(());
    }
    let data = json!({ "agent": link });
    tx.append_event(EventKind::VmAgent, &row.subject(), &data)
        .map(drop)
}

/// Takes over a VM's name and state, with events for what differs. What a VM is called while an
/// operation works on it is that operation's matter.
pub(crate) fn take_state(
    tx: &WriteTransaction<'_>,
    known: &Snapshot,
    mut row: VmRow,
    facts: &VmFacts,
) -> Result<()> {
    let renamed = !is_worked_on(known, row.id) && take_name(tx, &mut row, &facts.name)?;
    let (before, after) = (row.state, facts.state);
    if before == after && row.reason == facts.reason {
        return if renamed { tx.put_vm(row) } else { Ok(()) };
    }
    row.reason.clone_from(&facts.reason);
    if before != after {
        row.state = after;
        row.since = tx.now();
        let data = json!({ "from": before, "to": after, "reason": facts.reason });
        tx.append_event(EventKind::VmState, &row.subject(), &data)?;
        let crashed = before.is_active() && is_crash(facts);
        if crashed {
            let data = json!({ "reason": facts.reason });
            tx.append_event(EventKind::VmCrashed, &row.subject(), &data)?;
        }
        if !after.is_active() {
            row.agent = None;
        }
        let subject = row.subject();
        if let Some(managed) = row.managed_mut() {
            if keeps_memory(before) != keeps_memory(after) {
                // It boots, or will boot, as it is defined now.
                managed.booted = None;
            }
            managed.restart_at = None;
            managed.restarting &= !after.is_active();
            if crashed && managed.spec.on_crash == OnCrash::Restart {
                plan_restart(managed, tx.now());
                if managed.restart_at.is_none() {
                    let data = json!({ "crashes": managed.crashes.len() });
                    tx.append_event(EventKind::VmRestartGivenUp, &subject, &data)?;
                }
            }
        }
    }
    tx.put_vm(row)
}

/// Takes over the name that a VM has on the host. The host is right: whoever renamed it there
/// meant it.
pub(super) fn take_name(tx: &WriteTransaction<'_>, row: &mut VmRow, name: &str) -> Result<bool> {
    if row.name == name {
        return Ok(false);
    }
    let before = std::mem::replace(&mut row.name, name.to_owned());
    if let (Some(managed), Ok(name)) = (row.managed_mut(), name.parse()) {
        managed.spec.name = name;
    }
    tx.append_event(
        EventKind::VmRenamed,
        &row.subject(),
        &json!({ "from": before, "to": name }),
    )?;
    Ok(true)
}

/// Whether a guest in this state goes on with what it was booted with.
fn keeps_memory(state: VmState) -> bool {
    state.is_active() || state == VmState::Saved
}

fn is_crash(facts: &VmFacts) -> bool {
    match facts.state {
        VmState::Crashed => true,
        VmState::Off => matches!(facts.reason.as_str(), "crashed" | "failed"),
        _ => false,
    }
}

/// Notes a crash, and when the VM is to be started again: after 1, 2, 4 … seconds, at most five
/// minutes; never, after too many crashes.
pub(crate) fn plan_restart(managed: &mut Managed, now: Timestamp) {
    managed.crashes.push(now);
    managed
        .crashes
        .retain(|crash| later(*crash, CRASHES_COUNT) > now);
    let count = managed.crashes.len();
    let doublings = u32::try_from(count.saturating_sub(1)).unwrap_or(u32::MAX);
    let pause = Duration::from_secs(2_u64.saturating_pow(doublings)).min(LONGEST_PAUSE);
    managed.restart_at = (count <= CRASHES).then(|| later(now, pause));
}

#[cfg(test)]
mod tests {
    use hv_model::{hypervisor::Definition, vm::VmSpec};
    use uuid::Uuid;

    use super::*;

    fn managed() -> Managed {
        let spec = VmSpec::new("web".parse().unwrap());
        let id = VmId::new(Uuid::from_u128(1));
        let definition = Definition {
            id,
            generation: 1,
            spec,
            disks: Vec::new(),
        };
        Managed::new(definition, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn each_crash_is_followed_by_a_longer_pause_until_it_is_given_up() {
        let mut managed = managed();
        let mut now = Timestamp::UNIX_EPOCH;
        let mut pauses = Vec::new();
        while {
            plan_restart(&mut managed, now);
            managed.restart_at.is_some()
        } {
            let at = managed.restart_at.unwrap();
            pauses.push(at.as_second() - now.as_second());
            now = at;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
    }

    #[test]
    fn crashes_of_more_than_an_hour_ago_are_forgiven() {
        let mut managed = managed();
        for _ in 0..=CRASHES {
            plan_restart(&mut managed, Timestamp::UNIX_EPOCH);
        }
        assert_eq!(managed.restart_at, None);
        let much_later = later(Timestamp::UNIX_EPOCH, CRASHES_COUNT);
        plan_restart(&mut managed, much_later);
        assert_eq!(
            managed.restart_at,
            Some(later(much_later, Duration::from_secs(1)))
        );
    }
}
