// SPDX-License-Identifier: GPL-3.0-or-later
//! VMs as the store keeps them: what is seen of each, and what is intended for ours.

use std::{sync::Arc, time::Duration};

use hv_model::{
    event::Subject,
    hypervisor::{AgentLink, Definition, ForeignVm, PlacedDisk},
    id::VmId,
    name::VmName,
    size::Size,
    vm::{VmSpec, VmState},
};
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::{
    ReadTransaction, Result, StoreError, WriteTransaction,
    transaction::{from_json, from_text, to_column, to_integer, to_json, to_time, to_unsigned},
};
use crate::clock::later;

/// A VM: what is seen of it on the host, and what is intended for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VmRow {
    /// Its id.
    pub id: VmId,
    /// Its name on the host; of a VM made elsewhere it may be any text.
    pub name: String,
    /// What it is doing.
    pub state: VmState,
    /// Why, in a word of libvirt's.
    pub reason: String,
    /// Since when it has been in that state, as far as was noticed.
    pub since: Timestamp,
    /// How many CPUs it has on the host.
    pub cpus: u32,
    /// How much memory it has on the host.
    pub memory: Size,
    /// Whether its guest agent is connected; `None` where it has none or is off.
    pub agent: Option<AgentLink>,
    /// Who made it.
    pub origin: Origin,
}

/// Who made a VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// We did, or we adopted it.
    Managed(Box<Managed>),
    /// Somebody did with another tool.
    Foreign(Foreign),
}

/// What is intended for a VM of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Managed {
    /// Which version of the spec this is.
    pub generation: u64,
    /// What is intended.
    pub spec: VmSpec,
    /// Where its disks are.
    pub disks: Vec<PlacedDisk>,
    /// Which version of the spec the host has.
    pub defined: u64,
    /// The spec that it runs with, if that is another one than is intended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub booted: Option<VmSpec>,
    /// When it was made here.
    pub created: Timestamp,
    /// Since when it has been in the trash, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trash: Option<Trash>,
    /// When it crashed, the latest last; those of the last hour matter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub crashes: Vec<Timestamp>,
    /// When it is to be started again after a crash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_at: Option<Timestamp>,
    /// Whether it was tried to start it again since it last ran.
    #[serde(default)]
    pub restarting: bool,
}

/// A VM's stay in the trash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trash {
    /// Since when.
    pub since: Timestamp,
    /// When it will be purged.
    pub purged_after: Timestamp,
    /// Whether its disks are being destroyed, so that it can't come back.
    #[serde(default)]
    pub is_final: bool,
}

impl Trash {
    /// A stay that begins now and may last for so long.
    pub fn new(now: Timestamp, keep: Duration) -> Self {
        Self {
            since: now,
            purged_after: later(now, keep),
            is_final: false,
        }
    }
}

/// A VM made elsewhere, as a spec of ours would see it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Foreign {
    /// The nearest definition of ours; `None` where it has something that we could not keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<Box<Definition>>,
    /// What stands in the way of adopting it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub obstacles: Vec<String>,
}

impl From<Option<ForeignVm>> for Foreign {
    fn from(seen: Option<ForeignVm>) -> Self {
        seen.map_or_else(Self::default, |seen| Self {
            definition: seen.definition,
            obstacles: seen.obstacles,
        })
    }
}

impl VmRow {
    /// What is intended for it, if it is ours.
    pub fn managed(&self) -> Option<&Managed> {
        match &self.origin {
            Origin::Managed(managed) => Some(managed),
            Origin::Foreign(_) => None,
        }
    }

    /// The same, to be changed.
    pub fn managed_mut(&mut self) -> Option<&mut Managed> {
        match &mut self.origin {
            Origin::Managed(managed) => Some(managed),
            Origin::Foreign(_) => None,
        }
    }

    /// Whether it lies in the trash.
    pub fn is_trashed(&self) -> bool {
        self.managed()
            .is_some_and(|managed| managed.trash.is_some())
    }

    /// What it is to be on the host, if it is ours.
    pub fn definition(&self) -> Option<Definition> {
        self.managed().map(|managed| Definition {
            id: self.id,
            generation: managed.generation,
            spec: managed.spec.clone(),
            disks: managed.disks.clone(),
        })
    }

    /// What events about it name.
    pub fn subject(&self) -> Subject {
        Subject {
            kind: "vm".to_owned(),
            id: self.id.to_string(),
            name: self.name.clone(),
        }
    }
}

impl Managed {
    /// A VM that was just defined like this.
    pub fn new(definition: Definition, created: Timestamp) -> Self {
        Self {
            generation: definition.generation,
            defined: definition.generation,
            spec: definition.spec,
            disks: definition.disks,
            booted: None,
            created,
            trash: None,
            crashes: Vec::new(),
            restart_at: None,
            restarting: false,
        }
    }
}

const COLUMNS: &str =
    "id, name, state, reason, since, cpus, memory, agent, managed_json, foreign_json";

struct Raw {
    id: String,
    name: String,
    state: String,
    reason: String,
    since: i64,
    cpus: u32,
    memory: i64,
    agent: Option<String>,
    managed: Option<String>,
    foreign: Option<String>,
}

impl Raw {
    fn new(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            name: row.get(1)?,
            state: row.get(2)?,
            reason: row.get(3)?,
            since: row.get(4)?,
            cpus: row.get(5)?,
            memory: row.get(6)?,
            agent: row.get(7)?,
            managed: row.get(8)?,
            foreign: row.get(9)?,
        })
    }

    fn read(self) -> Result<VmRow> {
        let origin = match (&self.managed, &self.foreign) {
            (Some(managed), _) => Origin::Managed(from_json("VM", managed)?),
            (None, Some(foreign)) => Origin::Foreign(from_json("VM", foreign)?),
            (None, None) => Origin::Foreign(Foreign::default()),
        };
        let unreadable = |error: uuid::Error| StoreError::Unreadable {
            what: "VM id",
            why: error.to_string(),
        };
        Ok(VmRow {
            id: self.id.parse().map_err(unreadable)?,
            name: self.name,
            state: from_text("VM state", self.state)?,
            reason: self.reason,
            since: to_time(self.since)?,
            cpus: self.cpus,
            memory: Size::from_bytes(to_unsigned(self.memory)),
            agent: self
                .agent
                .map(|agent| from_text("agent link", agent))
                .transpose()?,
            origin,
        })
    }
}

impl ReadTransaction<'_> {
    /// Every VM of this host, those in the trash included.
    pub fn vms(&self) -> Result<Vec<VmRow>> {
        let sql = format!("SELECT {COLUMNS} FROM vm WHERE host = ?1");
        let mut statement = self.sql.prepare_cached(&sql)?;
        let rows = statement.query_map([self.host_text()], Raw::new)?;
        rows.map(|row| row?.read()).collect()
    }

    /// A VM.
    pub fn vm(&self, id: VmId) -> Result<Option<VmRow>> {
        let sql = format!("SELECT {COLUMNS} FROM vm WHERE host = ?1 AND id = ?2");
        let mut statement = self.sql.prepare_cached(&sql)?;
        let found = statement
            .query_row([self.host_text(), id.to_string()], Raw::new)
            .optional()?;
        found.map(Raw::read).transpose()
    }

    /// The VM that has this name, wherever it was made, and be it in the trash.
    pub fn vm_named(&self, name: &VmName) -> Result<Option<VmRow>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM vm WHERE host = ?1 AND name = ?2
             ORDER BY state = 'trashed' LIMIT 1"
        );
        let mut statement = self.sql.prepare_cached(&sql)?;
        let found = statement
            .query_row([&self.host_text(), name.as_str()], Raw::new)
            .optional()?;
        found.map(Raw::read).transpose()
    }
}

impl WriteTransaction<'_> {
    /// Keeps a VM as it is now.
    pub fn put_vm(&self, vm: VmRow) -> Result<()> {
        let (managed, foreign) = match &vm.origin {
            Origin::Managed(managed) => (Some(to_json("VM", managed)?), None),
            Origin::Foreign(foreign) => (None, Some(to_json("VM", foreign)?)),
        };
        let agent = vm.agent.map(|agent| match agent {
            AgentLink::Connected => "connected",
            AgentLink::Disconnected => "disconnected",
        });
        self.sql
            .prepare_cached(
                "INSERT OR REPLACE INTO vm (host, id, name, state, reason, since, cpus, memory,
                 agent, managed_json, foreign_json)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?
            .execute(params![
                self.host_text(),
                vm.id.to_string(),
                vm.name,
                vm.state.as_str(),
                vm.reason,
                to_column(vm.since),
                vm.cpus,
                to_integer(vm.memory.bytes()),
                agent,
                managed,
                foreign,
            ])?;
        self.effect(|effects| effects.vms.push((vm.id, Some(Arc::new(vm)))));
        Ok(())
    }

    /// Forgets a VM, if it is known.
    pub fn remove_vm(&self, id: VmId) -> Result<()> {
        self.sql
            .prepare_cached("DELETE FROM vm WHERE host = ?1 AND id = ?2")?
            .execute([self.host_text(), id.to_string()])?;
        self.effect(|effects| effects.vms.push((id, None)));
        Ok(())
    }
}
