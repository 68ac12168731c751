// SPDX-License-Identifier: GPL-3.0-or-later
//! What the store holds of VMs and the host, in memory, for readers.
//!
//! Every look at VMs, networks, pools and the host is answered from a [`Snapshot`], without a call
//! to the database or to libvirt.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use hv_model::{
    health::Freshness,
    host::Host,
    hypervisor::{AgentLink, Guest},
    id::{OperationId, VmId},
    inventory::{Management, VmSummary, VmView},
    network::Network,
    operation::OperationState,
    plan::{self, Change},
    rights::Finding,
    storage::{Pool, VolumeRef},
    vm::VmState,
};
use tokio::sync::watch;

use super::{Origin, ReadTransaction, Result, VmRow, transaction::Effects};
use crate::access::VmTraits;

/// What is known of VMs and the host. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Inventory(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    snapshot: RwLock<Arc<Snapshot>>,
    changed: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    /// In the order in which lists show them.
    vms: BTreeMap<(String, VmId), Arc<VmRecord>>,
    names: BTreeMap<VmId, String>,
    operations: BTreeMap<VmId, Vec<(OperationId, OperationState)>>,
    version: u64,
}

/// A VM in a snapshot.
#[derive(Debug, Clone)]
pub struct VmRecord {
    /// What the store keeps of it.
    pub row: Arc<VmRow>,
    /// What a list shows of it.
    pub summary: VmSummary,
    /// What policies look at.
    pub traits: Arc<VmTraits>,
    /// What of its spec waits for its next boot.
    pub pending: Vec<Change>,
    /// What its guest said of itself lately. Untrusted.
    pub guest: Option<Arc<Guest>>,
    /// How often its guest agent was seen to go away since the daemon started.
    pub agent_losses: u64,
    /// Which version of the inventory it last changed in.
    pub version: u64,
}

/// What is known at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The last event that it knows the effect of. What lists show changes only with it.
    pub seq: u64,
    /// Grows with every change, told or not.
    pub version: u64,
    /// Every VM, those in the trash included, by name.
    pub vms: Vec<Arc<VmRecord>>,
    /// Every virtual network.
    pub networks: Arc<Vec<Network>>,
    /// The managed pools.
    pub pools: Arc<Vec<Pool>>,
    /// The host; `None`, if it was never reached.
    pub host: Option<Arc<Host>>,
    /// How old this is.
    pub freshness: Freshness,
    /// Volumes in the managed pools that look like ours and belong to nothing that is known.
    pub strays: Arc<Vec<VolumeRef>>,
    /// The VMs that an operation works on, or is about to.
    pub worked_on: Arc<BTreeSet<VmId>>,
    /// How many differences periodic resyncs found since the daemon started.
    pub missed_facts: u64,
    /// What is wrong with the broker's rights, as it said when it was last found; `None`, if it
    /// was not yet.
    pub broker_rights: Option<Arc<[Finding]>>,
}

impl Inventory {
    /// What a store holds.
    pub(super) fn load(read: &ReadTransaction<'_>) -> Result<Self> {
        let mut state = State {
            vms: BTreeMap::new(),
            names: BTreeMap::new(),
            operations: BTreeMap::new(),
            version: 0,
        };
        for row in read.unfinished_operations()? {
            if let Ok(vm) = row.operation.target.id.parse() {
                let told = (row.operation.id, row.operation.state);
                state.operations.entry(vm).or_default().push(told);
            }
        }
        for row in read.vms()? {
            state.put(Arc::new(row));
        }
        let (_, seq) = read.event_range()?;
        let snapshot = Snapshot {
            seq,
            version: 0,
            vms: state.vms.values().cloned().collect(),
            networks: Arc::new(read.host_fact("networks")?.unwrap_or_default()),
            pools: Arc::new(read.host_fact("pools")?.unwrap_or_default()),
            host: read.host_fact("host")?.map(Arc::new),
            freshness: Freshness {
                live: false,
                seen: read.host_fact("seen")?,
                why: Some("The host was not reached yet.".to_owned()),
            },
            strays: Arc::default(),
            worked_on: Arc::new(state.operations.keys().copied().collect()),
            missed_facts: 0,
            broker_rights: None,
        };
        Ok(Self(Arc::new(Inner {
            state: Mutex::new(state),
            snapshot: RwLock::new(Arc::new(snapshot)),
            changed: watch::Sender::new(seq),
        })))
    }

    /// What is known now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(
            &self
                .0
                .snapshot
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Tells the place of the last event, once its effect can be seen. Also wakes when something
    /// changed that no event tells, such as the freshness.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what a transaction changed.
    pub(super) fn apply(&self, effects: Effects) {
        if effects.vms.is_empty() && effects.operations.is_empty() && effects.seq.is_none() {
            return;
        }
        let mut state = self.state();
        state.version += 1;
        let mut touched = Vec::new();
        let operations_changed = !effects.operations.is_empty();
        for (vm, operation, reached) in effects.operations {
            let on_vm = state.operations.entry(vm).or_default();
            on_vm.retain(|(id, _)| *id != operation);
            if !reached.is_final() {
                on_vm.push((operation, reached));
                on_vm.sort_unstable_by_key(|(id, _)| *id);
            }
            if on_vm.is_empty() {
                state.operations.remove(&vm);
            }
            touched.push(vm);
        }
        for (id, row) in effects.vms {
            match row {
                Some(row) => state.put(row),
                None => drop(state.remove(id)),
            }
        }
        for id in touched {
            state.note_operation(id);
        }
        self.publish(&state, |snapshot| {
            snapshot.seq = effects.seq.unwrap_or(snapshot.seq);
            if operations_changed {
                snapshot.worked_on = Arc::new(state.operations.keys().copied().collect());
            }
        });
    }

    /// Takes over something that is known besides the store's rows.
    pub(crate) fn note(&self, change: impl FnOnce(&mut Snapshot)) {
        let mut state = self.state();
        state.version += 1;
        self.publish(&state, change);
    }

    /// Takes over what guests said of themselves.
    pub(crate) fn note_guest(&self, id: VmId, guest: Option<Guest>) {
        let mut state = self.state();
        state.version += 1;
        let key = state.names.get(&id).map(|name| (name.clone(), id));
        let Some(record) = key.and_then(|key| state.vms.get_mut(&key)) else {
            return;
        };
        Arc::make_mut(record).guest = guest.map(Arc::new);
        self.publish(&state, |_| {});
    }

    fn publish(&self, state: &State, change: impl FnOnce(&mut Snapshot)) {
        let mut snapshot = Snapshot::clone(&self.snapshot());
        snapshot.version = state.version;
        snapshot.vms.clear();
        snapshot.vms.extend(state.vms.values().cloned());
        change(&mut snapshot);
        let seq = snapshot.seq;
        *self
            .0
            .snapshot
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
        self.0.changed.send_replace(seq);
    }
}

impl State {
    /// Shows which operation changes a VM now.
    fn note_operation(&mut self, id: VmId) {
        let operation = self.operation_on(id);
        let Some(name) = self.names.get(&id) else {
            return;
        };
        if let Some(record) = self.vms.get_mut(&(name.clone(), id)) {
            Arc::make_mut(record).summary.operation = operation;
        }
    }

    fn operation_on(&self, id: VmId) -> Option<OperationId> {
        self.operations
            .get(&id)?
            .first()
            .map(|(operation, _)| *operation)
    }

    fn remove(&mut self, id: VmId) -> Option<Arc<VmRecord>> {
        let name = self.names.remove(&id)?;
        self.vms.remove(&(name, id))
    }

    fn put(&mut self, row: Arc<VmRow>) {
        let id = row.id;
        let operation = self.operation_on(id);
        let before = self.remove(id);
        let guest = before.as_ref().and_then(|before| before.guest.clone());
        let guest = guest.filter(|_| row.state == VmState::Running);
        let agent_losses = before.map_or(0, |before| {
            let connected = Some(AgentLink::Connected);
            let lost = before.row.agent == connected && row.agent != connected;
            before.agent_losses + u64::from(lost)
        });
        let summary = summary(&row, operation);
        let traits = Arc::new(traits(&row));
        let pending = pending(&row);
        self.names.insert(id, row.name.clone());
        let key = (row.name.clone(), id);
        let record = VmRecord {
            row,
            summary,
            traits,
            pending,
            guest,
            agent_losses,
            version: self.version,
        };
        self.vms.insert(key, Arc::new(record));
    }
}

impl Snapshot {
    /// The VM with this id or name; of several with the name, the one that is not in the trash.
    pub fn vm(&self, key: &str) -> Option<&Arc<VmRecord>> {
        if let Ok(id) = key.parse::<VmId>()
            && let Some(found) = self.vm_by_id(id)
        {
            return Some(found);
        }
        let first = self.vms.partition_point(|vm| vm.row.name.as_str() < key);
        let named = || {
            self.vms
                .iter()
                .skip(first)
                .take_while(|vm| vm.row.name == key)
        };
        named()
            .find(|vm| !vm.row.is_trashed())
            .or_else(|| named().next())
    }

    /// The VM with this id.
    pub fn vm_by_id(&self, id: VmId) -> Option<&Arc<VmRecord>> {
        self.vms.iter().find(|vm| vm.row.id == id)
    }

    /// Everything about a VM.
    pub fn view(&self, vm: &VmRecord) -> VmView {
        let managed = vm.row.managed();
        let obstacles = match &vm.row.origin {
            Origin::Managed(_) => Vec::new(),
            Origin::Foreign(foreign) => foreign.obstacles.clone(),
        };
        let acceleration = self.host.as_ref().map(|host| host.acceleration.clone());
        VmView {
            summary: vm.summary.clone(),
            spec: managed.map(|managed| managed.spec.clone()),
            disks: managed
                .map(|managed| managed.disks.clone())
                .unwrap_or_default(),
            pending: vm.pending.clone(),
            obstacles,
            acceleration,
            guest: vm.guest.as_ref().map(|guest| Guest::clone(guest)),
            created: managed.map(|managed| managed.created),
        }
    }
}

fn summary(row: &VmRow, operation: Option<OperationId>) -> VmSummary {
    let managed = row.managed();
    let spec = managed.map(|managed| &managed.spec);
    VmSummary {
        id: row.id,
        name: row.name.clone(),
        managed: if managed.is_some() {
            Management::Managed
        } else {
            Management::Foreign
        },
        state: row.state,
        reason: row.reason.clone(),
        since: row.since,
        cpus: row.cpus,
        memory: row.memory,
        owner: spec.and_then(|spec| spec.owner.clone()),
        tags: spec.map(|spec| spec.tags.clone()).unwrap_or_default(),
        agent: row.agent,
        autostart: spec.is_some_and(|spec| spec.autostart.is_some()),
        generation: managed.map_or(0, |managed| managed.generation),
        operation,
        purged_after: managed
            .and_then(|managed| managed.trash.as_ref())
            .map(|trash| trash.purged_after),
    }
}

fn traits(row: &VmRow) -> VmTraits {
    let Some(managed) = row.managed() else {
        return VmTraits::named(&row.name);
    };
    VmTraits {
        name: row.name.clone(),
        owner: managed.spec.owner.clone(),
        tags: managed.spec.tags.clone(),
        pools: managed
            .disks
            .iter()
            .map(|disk| disk.volume.pool.clone())
            .collect(),
    }
}

/// What of a VM's spec waits for its next boot, where it goes on with another one.
fn pending(row: &VmRow) -> Vec<Change> {
    let managed = row.managed();
    let booted = managed.and_then(|managed| Some((managed.booted.as_ref()?, &managed.spec)));
    booted
        .map(|(booted, intended)| plan::pending(booted, intended))
        .unwrap_or_default()
}
