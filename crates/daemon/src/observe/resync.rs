// SPDX-License-Identifier: GPL-3.0-or-later
//! Comparing everything with the host, since a fact may have been missed.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

use hv_model::{
    event::{EventKind, Subject},
    hypervisor::VmFacts,
    id::VmId,
    network::Network,
    storage::Pool,
};
use serde_json::json;

use super::{
    COMPARE_AT_ONCE, Observer, Result, Stopped,
    look::{as_seen, is_worked_on},
    state,
};
use crate::store::{Result as StoreResult, Snapshot, VmRecord, WriteTransaction};

/// How often everything is taken over anew, since the store learnt something newer meanwhile.
const ATTEMPTS: u32 = 5;

/// VMs that differ from what is known, and the version of the inventory in which they did.
#[derive(Debug)]
pub(super) struct Suspects {
    /// Those with another name or state, new ones, and those that are gone.
    states: BTreeSet<VmId>,
    /// Those that are defined otherwise.
    definitions: BTreeSet<VmId>,
    version: u64,
}

impl Suspects {
    pub(super) fn is_empty(&self) -> bool {
        self.states.is_empty() && self.definitions.is_empty()
    }

    /// These, too. What the store learnt of any of them since the earlier look clears it.
    pub(super) fn join(&mut self, more: Self) {
        self.states.extend(more.states);
        self.definitions.extend(more.definitions);
        self.version = self.version.min(more.version);
    }
}

/// What is left to do once states were taken over.
#[derive(Debug, Default)]
struct Taken {
    /// VMs that must be looked at: new ones, and those that seem to be gone.
    look: BTreeSet<VmId>,
    /// Whether the store learnt something newer of a VM meanwhile.
    is_overtaken: bool,
}

impl Observer {
    /// Takes over everything as it is on the host.
    pub(super) async fn resync_all(&self) -> Result<()> {
        let rights = self.answer("rights", |host| host.rights()).await?;
        self.0
            .store
            .inventory()
            .note(|snapshot| snapshot.broker_rights = Some(rights.into()));
        self.refresh_pools().await?;
        self.refresh_networks().await?;
        let is_new = self
            .0
            .store
            .read(|tx| tx.host_fact::<bool>("rebuilt"))
            .await?
            .is_none();
        if is_new {
            self.rebuild_images().await?;
        }
        let (taken, states) = self.take_vms().await?;
        self.look_at(taken.look, &states).await?;
        // What was defined anew while nobody listened is found by looking at all, bit by bit.
        self.look(states.into_keys());
        Ok(())
    }

    /// Takes over the state of every VM, with what the host said.
    async fn take_vms(&self) -> Result<(Taken, BTreeMap<VmId, VmFacts>)> {
        let mut attempts = 0;
        loop {
            let before = self.0.store.inventory().snapshot();
            let all = self.answer("vms", |host| host.vms()).await?;
            let states: BTreeMap<VmId, VmFacts> =
                all.into_iter().map(|facts| (facts.id, facts)).collect();
            let taken = self.take_all(states.clone(), before.version).await?;
            attempts += 1;
            if !taken.is_overtaken || attempts == ATTEMPTS {
                return Ok((taken, states));
            }
        }
    }

    /// Takes over the state of every VM, as it was when the inventory had this version.
    async fn take_all(&self, all: BTreeMap<VmId, VmFacts>, version: u64) -> Result<Taken> {
        let inventory = self.0.store.inventory().clone();
        let write = move |tx: &WriteTransaction<'_>| -> StoreResult<Taken> {
            let now = inventory.snapshot();
            let mut taken = Taken::default();
            let known: BTreeMap<VmId, &Arc<VmRecord>> = now
                .vms
                .iter()
                .map(|record| (record.row.id, record))
                .collect();
            for (vm, facts) in &all {
                match known.get(vm) {
                    Some(record) if record.version > version => taken.is_overtaken = true,
                    Some(record) if !record.row.is_trashed() => {
                        state::take_state(tx, &now, record.row.as_ref().clone(), facts)?;
                    }
                    Some(_) | None => {
                        taken.look.insert(*vm);
                    }
                }
            }
            let missing = known
                .iter()
                .filter(|(vm, record)| !record.row.is_trashed() && !all.contains_key(*vm));
            taken.look.extend(missing.map(|(vm, _)| *vm));
            taken.look.retain(|vm| !is_worked_on(&now, *vm));
            Ok(taken)
        };
        Ok(self.0.store.write("observe.resync", write).await?)
    }

    /// Compares every VM's name and state with what is known, without taking anything over.
    pub(super) async fn compare_states(&self) -> Result<Suspects> {
        self.refresh_pools().await?;
        self.refresh_networks().await?;
        let before = self.0.store.inventory().snapshot();
        let all = self.answer("vms", |host| host.vms()).await?;
        let all = all.into_iter().map(|facts| (facts.id, facts)).collect();
        Ok(Suspects {
            states: differing(&before, &all),
            definitions: BTreeSet::new(),
            version: before.version,
        })
    }

    /// Compares how the next few VMs are defined with what is known, without taking anything over.
    pub(super) async fn compare_definitions(&self, last: &mut Option<VmId>) -> Result<Suspects> {
        let before = self.0.store.inventory().snapshot();
        let known: BTreeSet<VmId> = before
            .vms
            .iter()
            .map(|record| &record.row)
            .filter(|row| !row.is_trashed())
            .map(|row| row.id)
            .collect();
        let after = last.map_or(Bound::Unbounded, Bound::Excluded);
        let next = known.range((after, Bound::Unbounded));
        let next: Vec<VmId> = next.take(COMPARE_AT_ONCE).copied().collect();
        *last = next.last().copied();
        Ok(Suspects {
            states: BTreeSet::new(),
            definitions: self.defined_otherwise(&before, next).await?,
            version: before.version,
        })
    }

    /// Those of these VMs that are defined otherwise than is known. What a running VM has otherwise
    /// than its definition says, such as its memory after ballooning, is looked at without further
    /// ado: nobody tells of it.
    async fn defined_otherwise(&self, known: &Snapshot, vms: Vec<VmId>) -> Result<BTreeSet<VmId>> {
        if vms.is_empty() {
            return Ok(BTreeSet::new());
        }
        let details = self
            .answer("details", move |host| host.details(&vms))
            .await?;
        let (mut otherwise, mut look) = (BTreeSet::new(), BTreeSet::new());
        for details in details {
            let id = details.id;
            let Some(record) = known.vm_by_id(id).filter(|_| !is_worked_on(known, id)) else {
                continue;
            };
            let (row, seen) = (&record.row, as_seen(&record.row, details));
            if seen == **row {
                continue;
            }
            if row.state.is_active() && seen.origin == row.origin {
                look.insert(id);
            } else {
                otherwise.insert(id);
            }
        }
        if !look.is_empty() {
            self.look(look);
        }
        Ok(otherwise)
    }

    /// Compares again, once every fact that was on its way must have come. What differs still was
    /// never told, and is taken over now.
    pub(super) async fn resync_missed(&self, suspects: Suspects) -> Result<()> {
        let before = self.0.store.inventory().snapshot();
        let (taken, states) = self.take_vms().await?;
        let untouched = |vm: &VmId| {
            before
                .vm_by_id(*vm)
                .is_none_or(|record| record.version <= suspects.version)
        };
        let suspected = suspects.definitions.into_iter().filter(untouched).collect();
        let redefined = self.defined_otherwise(&before, suspected).await?;
        let mut missed: BTreeSet<VmId> = differing(&before, &states)
            .intersection(&suspects.states)
            .copied()
            .filter(untouched)
            .collect();
        missed.extend(&redefined);
        let mut look = taken.look;
        look.extend(redefined);
        self.look_at(look, &states).await?;
        if missed.is_empty() {
            return Ok(());
        }
        tracing::warn!(count = missed.len(), "a resync found what no fact had told");
        let subjects: Vec<Subject> = missed
            .iter()
            .map(|vm| Subject {
                kind: "vm".to_owned(),
                id: vm.to_string(),
                name: states
                    .get(vm)
                    .map(|facts| facts.name.clone())
                    .or_else(|| before.vm_by_id(*vm).map(|record| record.row.name.clone()))
                    .unwrap_or_default(),
            })
            .collect();
        self.0
            .store
            .write("observe.missed", move |tx| {
                for subject in &subjects {
                    let nothing = serde_json::Value::Null;
                    tx.append_event(EventKind::ResyncDifference, subject, &nothing)?;
                }
                Ok(())
            })
            .await?;
        let count = u64::try_from(missed.len()).unwrap_or(u64::MAX);
        self.0
            .store
            .inventory()
            .note(|snapshot| snapshot.missed_facts += count);
        Ok(())
    }

    /// Asks whether the host is there, and what it has free.
    pub(super) async fn probe(&self) -> Result<()> {
        let host = self.answer("host", |host| host.host()).await?;
        let now = self.0.clock.now();
        self.0.store.inventory().note(|snapshot| {
            snapshot.host = Some(Arc::new(host));
            snapshot.freshness.seen = Some(now);
        });
        Ok(())
    }

    /// Looks at what the host is and can do, in the background: the broker may still be trying KVM,
    /// and libvirt asks every QEMU what it can do after its start.
    pub(super) fn look_at_host(&self) {
        let observer = self.clone();
        tokio::spawn(async move {
            let Ok(_turn) = observer.0.host_look.try_lock() else {
                return;
            };
            if let Err(Stopped::Lost(why)) = observer.refresh_host().await {
                tracing::info!(why, "the host can't be looked at");
            }
        });
    }

    async fn refresh_host(&self) -> Result<()> {
        let host = self.answer("host", |host| host.host()).await?;
        self.0
            .store
            .inventory()
            .note(|snapshot| snapshot.host = Some(Arc::new(host.clone())));
        self.0
            .store
            .write("observe.host", move |tx| tx.put_host_fact("host", &host))
            .await?;
        Ok(())
    }

    pub(super) async fn refresh_networks(&self) -> Result<()> {
        let networks = Arc::new(self.answer("networks", |host| host.networks()).await?);
        let inventory = self.0.store.inventory();
        let before = Arc::clone(&inventory.snapshot().networks);
        if before == networks {
            return Ok(());
        }
        inventory.note(|snapshot| snapshot.networks = Arc::clone(&networks));
        let changed: Vec<Subject> = different(&before, &networks, |network: &Network| {
            (network.name.to_string(), network.clone())
        })
        .into_iter()
        .map(|name| Subject {
            kind: "network".to_owned(),
            id: name.clone(),
            name,
        })
        .collect();
        self.0
            .store
            .write("observe.networks", move |tx| {
                tx.put_host_fact("networks", &*networks)?;
                append_all(tx, EventKind::NetworkChanged, &changed)
            })
            .await?;
        Ok(())
    }

    /// Asks for the pools. How full they are changes all the time and is no event.
    pub(super) async fn refresh_pools(&self) -> Result<()> {
        let pools = Arc::new(self.answer("pools", |host| host.pools()).await?);
        let inventory = self.0.store.inventory();
        let before = Arc::clone(&inventory.snapshot().pools);
        inventory.note(|snapshot| snapshot.pools = Arc::clone(&pools));
        let key = |pool: &Pool| (pool.name.to_string(), (pool.purpose, pool.active));
        let changed: Vec<Subject> = different(&before, &pools, key)
            .into_iter()
            .map(|name| Subject {
                kind: "pool".to_owned(),
                id: name.clone(),
                name,
            })
            .collect();
        if changed.is_empty() {
            return Ok(());
        }
        self.0
            .store
            .write("observe.pools", move |tx| {
                tx.put_host_fact("pools", &*pools)?;
                append_all(tx, EventKind::PoolChanged, &changed)
            })
            .await?;
        Ok(())
    }
}

fn append_all(tx: &WriteTransaction<'_>, kind: EventKind, subjects: &[Subject]) -> StoreResult<()> {
    for subject in subjects {
        tx.append_event(kind, subject, &json!(null))?;
    }
    Ok(())
}

/// The VMs whose name or state is not what is known.
fn differing(known: &Snapshot, all: &BTreeMap<VmId, VmFacts>) -> BTreeSet<VmId> {
    let mut new: BTreeSet<VmId> = all.keys().copied().collect();
    let mut differing = BTreeSet::new();
    for row in known
        .vms
        .iter()
        .map(|record| &record.row)
        .filter(|row| !row.is_trashed())
    {
        new.remove(&row.id);
        let same = all
            .get(&row.id)
            .is_some_and(|facts| row.state == facts.state && row.name == facts.name);
        if !same {
            differing.insert(row.id);
        }
    }
    differing.extend(new);
    differing.retain(|vm| !is_worked_on(known, *vm));
    differing
}

/// The names of what is only in one of two lists, or differs between them.
fn different<T, K: PartialEq>(
    before: &[T],
    after: &[T],
    key: impl Fn(&T) -> (String, K),
) -> BTreeSet<String> {
    let before: BTreeMap<String, K> = before.iter().map(&key).collect();
    let after: BTreeMap<String, K> = after.iter().map(&key).collect();
    let names = before.keys().chain(after.keys());
    names
        .filter(|name| before.get(*name) != after.get(*name))
        .cloned()
        .collect()
}
