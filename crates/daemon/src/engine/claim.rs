// SPDX-License-Identifier: GPL-3.0-or-later
//! What VMs take, and may come to take once everything that was asked for is done.
//!
//! An operation that is not over may still succeed or fail, whatever happens before its turn. So a
//! VM counts with the most that it can come to have: what it has now, and what each operation on it
//! would give it. What an operation takes away counts until it is over. That way nothing that ends,
//! however it ends, makes anybody have more than was judged when it was asked for.

use std::collections::{BTreeMap, BTreeSet};

use hv_model::{
    access::{Principal, Usage},
    device::ImageSource,
    id::VmId,
    inventory::{ChangeVm, CreateVm, ThenStart},
    name::UserName,
    operation::{Operation, OperationKind},
    size::Size,
    vm::VmSpec,
};
use serde::Deserialize;
use serde_json::Value;

use crate::store::{Origin, ReadTransaction, Result as StoreResult, Snapshot, VmRow};

/// What a VM takes at most.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Claim {
    /// Who owns it, or is to.
    pub(super) owners: BTreeSet<UserName>,
    /// Whether it is outside the trash.
    in_use: Answer,
    /// Whether it runs.
    running: Answer,
    vcpus: u32,
    memory: Size,
    disk: Size,
}

/// Whether something is so, or may come to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Answer {
    #[default]
    No,
    Yes,
}

impl From<bool> for Answer {
    fn from(is_so: bool) -> Self {
        if is_so { Self::Yes } else { Self::No }
    }
}

impl Claim {
    /// What a VM takes as it is.
    fn of(row: &VmRow) -> Self {
        let in_use = !row.is_trashed();
        let mut claim = Self {
            in_use: in_use.into(),
            running: (in_use && row.state.is_active()).into(),
            ..Self::default()
        };
        match &row.origin {
            Origin::Managed(managed) => {
                claim.owners.extend(managed.spec.owner.clone());
                claim.add_spec(&managed.spec);
                if let Some(booted) = &managed.booted {
                    claim.add_spec(booted);
                }
                // It crashed, and its place is kept for it until it runs again.
                if in_use && managed.restart_at.is_some() {
                    claim.running = Answer::Yes;
                }
            }
            Origin::Foreign(foreign) => {
                claim.vcpus = row.cpus;
                claim.memory = row.memory;
                if let Some(definition) = &foreign.definition {
                    claim.add_spec(&definition.spec);
                }
            }
        }
        claim
    }

    fn add_spec(&mut self, spec: &VmSpec) {
        let disks = spec.disks.iter();
        let disk = disks
            .filter(|disk| disk.source != ImageSource::Cdrom)
            .filter_map(|disk| disk.size)
            .fold(0_u64, |sum, size| sum.saturating_add(size.bytes()));
        self.vcpus = self.vcpus.max(spec.cpus.most());
        self.memory = self.memory.max(spec.memory.most());
        self.disk = self.disk.max(Size::from_bytes(disk));
    }

    /// Adds what an operation of this kind would give it. What can't be read will not be done.
    pub(super) fn add(
        &mut self,
        tx: &ReadTransaction<'_>,
        actor: &Principal,
        kind: OperationKind,
        parameters: &Value,
    ) -> StoreResult<()> {
        match kind {
            OperationKind::VmCreate => {
                if let Ok(create) = CreateVm::deserialize(parameters) {
                    self.add_creation(tx, actor, create)?;
                }
            }
            OperationKind::VmChange => {
                if let Ok(change) = ChangeVm::deserialize(parameters) {
                    self.add_change(change);
                }
            }
            OperationKind::VmStart => self.running = Answer::Yes,
            OperationKind::VmUndelete => self.in_use = Answer::Yes,
            _ => {}
        }
        Ok(())
    }

    fn add_creation(
        &mut self,
        tx: &ReadTransaction<'_>,
        actor: &Principal,
        create: CreateVm,
    ) -> StoreResult<()> {
        let mut spec = create.spec;
        for disk in &mut spec.disks {
            // It will be as large as its image.
            if let (None, Some(image)) = (disk.size, &disk.image) {
                disk.size = tx.image_named(image)?.map(|image| image.virtual_size);
            }
        }
        self.in_use = Answer::Yes;
        self.running = self.running.max((create.then == ThenStart::Start).into());
        self.owners
            .extend(spec.owner.clone().or_else(|| actor.person().cloned()));
        self.add_spec(&spec);
        Ok(())
    }

    fn add_change(&mut self, change: ChangeVm) {
        let most = change.cpus.max(change.max_cpus);
        self.vcpus = self.vcpus.max(most.unwrap_or_default());
        let most = change.memory.max(change.max_memory);
        self.memory = self.memory.max(most.unwrap_or_default());
        self.owners.extend(change.owner);
    }

    /// It as usage. No job takes snapshots yet, so there are none.
    pub(super) fn usage(&self) -> Usage {
        let mut usage = Usage {
            disk: self.disk,
            disk_per_vm: self.disk,
            ..Usage::default()
        };
        if self.in_use == Answer::Yes {
            usage.vms = 1;
            usage.running = u64::from(self.running == Answer::Yes);
            usage.vcpus = self.vcpus.into();
            usage.memory = self.memory;
        }
        usage
    }
}

/// What every VM takes at most, those included that are still to be made.
#[derive(Debug, Default)]
pub(super) struct Claims(BTreeMap<VmId, Claim>);

impl Claims {
    /// What these VMs take, with what these operations would give them.
    pub(super) fn new(
        tx: &ReadTransaction<'_>,
        snapshot: &Snapshot,
        unfinished: &[Operation],
    ) -> StoreResult<Self> {
        let rows = snapshot.vms.iter().map(|record| &record.row);
        let mut claims: BTreeMap<_, _> = rows.map(|row| (row.id, Claim::of(row))).collect();
        for operation in unfinished {
            if operation.target.kind == "vm"
                && let Ok(vm) = operation.target.id.parse()
            {
                let claim: &mut Claim = claims.entry(vm).or_default();
                claim.add(tx, &operation.actor, operation.kind, &operation.parameters)?;
            }
        }
        Ok(Self(claims))
    }

    /// What a VM takes; nothing, if it is still to be asked for.
    pub(super) fn of(&self, vm: Option<VmId>) -> Claim {
        vm.and_then(|vm| self.0.get(&vm).cloned())
            .unwrap_or_default()
    }

    /// What everybody has together.
    pub(super) fn total(&self) -> Usage {
        self.0.values().map(Claim::usage).sum()
    }

    /// What a user has.
    pub(super) fn total_of(&self, user: &UserName) -> Usage {
        let theirs = self.0.values().filter(|claim| claim.owners.contains(user));
        theirs.map(Claim::usage).sum()
    }

    /// What each user has who has something.
    pub(super) fn by_user(&self) -> BTreeMap<UserName, Usage> {
        let mut users: BTreeMap<UserName, Usage> = BTreeMap::new();
        for claim in self.0.values() {
            for owner in &claim.owners {
                let usage = users.entry(owner.clone()).or_default();
                *usage = *usage + claim.usage();
            }
        }
        users
    }
}
