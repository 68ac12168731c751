// SPDX-License-Identifier: GPL-3.0-or-later
//! Looking at VMs that are new, defined anew or gone.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use hv_model::{
    event::EventKind,
    hypervisor::{AgentLink, Definition, VmDetails, VmFacts},
    id::VmId,
    name::VmName,
    vm::VmState,
};
use serde_json::json;

use super::{LOOK_AT, Observer, Result, state};
use crate::store::{
    Foreign, Managed, Origin, Result as StoreResult, Snapshot, Trash, VmRow, WriteTransaction,
};

impl Observer {
    /// Looks at some of the VMs that wait for it, and at the rest when it is asked again.
    pub(super) async fn look_at_some(&self) -> Result<()> {
        let some = {
            let mut waiting = self.to_look_at();
            let rest = waiting.iter().nth(LOOK_AT).copied();
            let rest = rest
                .map(|rest| waiting.split_off(&rest))
                .unwrap_or_default();
            std::mem::replace(&mut *waiting, rest)
        };
        if !self.to_look_at().is_empty() {
            self.0.look.notify_one();
        }
        self.look_at(some, &BTreeMap::new()).await
    }

    /// Looks at VMs, of which some had their state told just now.
    pub(super) async fn look_at(
        &self,
        vms: BTreeSet<VmId>,
        told: &BTreeMap<VmId, VmFacts>,
    ) -> Result<()> {
        if vms.is_empty() {
            return Ok(());
        }
        let before = self.0.store.inventory().snapshot();
        let is_known = |vm: &VmId| {
            told.contains_key(vm) || before.vm_by_id(*vm).is_some_and(|vm| !vm.row.is_trashed())
        };
        let mut states = told.clone();
        if !vms.iter().all(is_known) {
            let all = self.answer("vms", |host| host.vms()).await?;
            let asked = all.into_iter().filter(|facts| vms.contains(&facts.id));
            states.extend(asked.map(|facts| (facts.id, facts)));
        }
        let vms: Vec<VmId> = vms.into_iter().collect();
        for some in vms.chunks(LOOK_AT) {
            self.look_at_chunk(some.to_vec(), &states, before.version)
                .await?;
        }
        Ok(())
    }

    async fn look_at_chunk(
        &self,
        vms: Vec<VmId>,
        states: &BTreeMap<VmId, VmFacts>,
        version: u64,
    ) -> Result<()> {
        let asked = vms.clone();
        let details = self
            .answer("details", move |host| host.details(&asked))
            .await?;
        let mut details: BTreeMap<VmId, VmDetails> = details
            .into_iter()
            .map(|details| (details.id, details))
            .collect();
        let states: BTreeMap<VmId, VmFacts> = vms
            .iter()
            .filter_map(|vm| Some((*vm, states.get(vm)?.clone())))
            .collect();
        let connected: Vec<VmId> = details
            .values()
            .filter(|details| details.agent == Some(AgentLink::Connected))
            .map(|details| details.id)
            .collect();
        let inventory = self.0.store.inventory().clone();
        let keep = self.0.keep_trash;
        let again = self
            .0
            .store
            .write("observe.look", move |tx| {
                let now = inventory.snapshot();
                let mut again = BTreeSet::new();
                for vm in vms {
                    if is_worked_on(&now, vm) {
                        continue;
                    }
                    if now
                        .vm_by_id(vm)
                        .is_some_and(|record| record.version > version)
                    {
                        again.insert(vm);
                        continue;
                    }
                    match details.remove(&vm) {
                        Some(details) => is_there(tx, details, states.get(&vm))?,
                        None => is_gone(tx, vm, keep)?,
                    }
                }
                Ok(again)
            })
            .await?;
        if !again.is_empty() {
            self.look(again);
        }
        self.ask_guests(connected);
        Ok(())
    }
}

/// Whether an operation works on a VM, or is about to, and will say itself what became of it.
pub(super) fn is_worked_on(snapshot: &Snapshot, vm: VmId) -> bool {
    snapshot.worked_on.contains(&vm)
}

/// A VM is on the host like this.
fn is_there(
    tx: &WriteTransaction<'_>,
    details: VmDetails,
    state: Option<&VmFacts>,
) -> StoreResult<()> {
    let Some(row) = tx.vm(details.id)? else {
        return appeared(tx, details, state);
    };
    if row.is_trashed() {
        return came_back(tx, row, details, state);
    }
    let mut renamed = row.clone();
    state::take_name(tx, &mut renamed, &details.name)?;
    let changed = as_seen(&renamed, details);
    if changed == row {
        return Ok(());
    }
    if is_defined_otherwise(&row, &changed) {
        tx.append_event(
            EventKind::VmChanged,
            &changed.subject(),
            &json!({ "by": "elsewhere" }),
        )?;
    }
    state::tell_of_agent(tx, &changed, row.agent)?;
    if row.managed().is_none() && changed.managed().is_some() {
        tx.append_event(
            EventKind::VmAdopted,
            &changed.subject(),
            &serde_json::Value::Null,
        )?;
    }
    tx.put_vm(changed)
}

/// A VM as it is known, with what was seen of it. Its name is another matter.
pub(super) fn as_seen(row: &VmRow, details: VmDetails) -> VmRow {
    let mut seen = row.clone();
    seen.cpus = details.cpus;
    seen.memory = details.memory;
    if seen.state.is_active() {
        seen.agent = details.agent;
    }
    take_definition(&mut seen, details);
    seen
}

fn is_defined_otherwise(before: &VmRow, after: &VmRow) -> bool {
    let generation = |row: &VmRow| row.managed().map(|managed| managed.generation);
    before.cpus != after.cpus
        || before.memory != after.memory
        || generation(before) != generation(after)
}

/// Takes over what is intended for a VM, where the host knows more than the store: its database
/// may be older than the host.
fn take_definition(row: &mut VmRow, details: VmDetails) {
    match (&mut row.origin, details.definition) {
        (Origin::Managed(managed), Some(definition)) => {
            managed.defined = definition.generation;
            if definition.generation > managed.generation {
                managed.generation = definition.generation;
                managed.spec = definition.spec;
                managed.disks = definition.disks;
                if let Ok(name) = row.name.parse() {
                    managed.spec.name = name;
                }
            }
        }
        // Somebody defined it without our metadata. What is intended stays.
        (Origin::Managed(managed), None) => managed.defined = 0,
        (Origin::Foreign(_), Some(definition)) => {
            // It became ours, and the store does not know: it may be older than the host.
            row.origin = Origin::Managed(Box::new(Managed::new(*definition, row.since)));
        }
        (Origin::Foreign(foreign), None) => *foreign = Foreign::from(details.foreign),
    }
}

/// A VM is there that was not known.
fn appeared(
    tx: &WriteTransaction<'_>,
    details: VmDetails,
    state: Option<&VmFacts>,
) -> StoreResult<()> {
    let state_now = state.map_or(VmState::Off, |facts| facts.state);
    let origin = match details.definition {
        Some(definition) => Origin::Managed(Box::new(Managed::new(
            with_name(*definition, &details.name),
            tx.now(),
        ))),
        None => Origin::Foreign(Foreign::from(details.foreign)),
    };
    let row = VmRow {
        id: details.id,
        name: details.name,
        state: state_now,
        reason: state.map(|facts| facts.reason.clone()).unwrap_or_default(),
        since: tx.now(),
        cpus: details.cpus,
        memory: details.memory,
        agent: details.agent.filter(|_| state_now.is_active()),
        origin,
    };
    let data = json!({ "state": row.state, "managed": row.managed().is_some() });
    tx.append_event(EventKind::VmAdded, &row.subject(), &data)?;
    tx.put_vm(row)
}

/// The name on the host is right, if it can be a name of ours.
fn with_name(mut definition: Definition, name: &str) -> Definition {
    if let Ok(name) = name.parse::<VmName>() {
        definition.spec.name = name;
    }
    definition
}

/// Somebody defined a VM again that lay in the trash.
fn came_back(
    tx: &WriteTransaction<'_>,
    mut row: VmRow,
    details: VmDetails,
    state: Option<&VmFacts>,
) -> StoreResult<()> {
    row.state = state.map_or(VmState::Off, |facts| facts.state);
    row.reason = state.map(|facts| facts.reason.clone()).unwrap_or_default();
    row.since = tx.now();
    if let Some(managed) = row.managed_mut() {
        managed.trash = None;
    }
    state::take_name(tx, &mut row, &details.name)?;
    take_definition(&mut row, details);
    tx.append_event(
        EventKind::VmRestored,
        &row.subject(),
        &json!({ "by": "elsewhere" }),
    )?;
    tx.put_vm(row)
}

/// A VM is not on the host any more. What was intended for one of ours, and its disks, are kept.
fn is_gone(tx: &WriteTransaction<'_>, vm: VmId, keep: Duration) -> StoreResult<()> {
    let Some(mut row) = tx.vm(vm)?.filter(|row| !row.is_trashed()) else {
        return Ok(());
    };
    let now = tx.now();
    if row.managed().is_none() {
        tx.append_event(
            EventKind::VmRemoved,
            &row.subject(),
            &serde_json::Value::Null,
        )?;
        return tx.remove_vm(vm);
    }
    row.state = VmState::Trashed;
    "removed elsewhere".clone_into(&mut row.reason);
    row.since = now;
    row.agent = None;
    if let Some(managed) = row.managed_mut() {
        managed.trash = Some(Trash::new(now, keep));
        managed.booted = None;
        managed.restart_at = None;
        managed.defined = 0;
    }
    tx.append_event(
        EventKind::VmTrashed,
        &row.subject(),
        &json!({ "by": "elsewhere" }),
    )?;
    tx.put_vm(row)
}
