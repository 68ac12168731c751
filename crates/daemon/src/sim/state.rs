// SPDX-License-Identifier: GPL-3.0-or-later
//! What a simulated host consists of, and how it changes.

use std::{
    collections::BTreeMap,
    sync::mpsc::{SyncSender, TrySendError},
    time::Duration,
};

use hv_model::{
    hypervisor::{
        AgentLink, Definition, Fact, ForeignVm, HypervisorError, HypervisorErrorKind, VmFacts,
    },
    id::VmId,
    network::Network,
    rights::Finding,
    size::Size,
    storage::{PoolPurpose, Volume, VolumeFormat, VolumeRef},
    vm::VmState,
};

use super::{Result, fault::Faults, guest::Temper};

/// How many facts a slow subscriber may be behind before it loses its subscription.
pub(super) const FACTS_BEHIND: usize = 4096;

pub(super) struct State {
    pub(super) now: Duration,
    chance: u64,
    pub(super) vms: BTreeMap<VmId, Vm>,
    pub(super) pools: Vec<(hv_model::name::PoolName, PoolPurpose)>,
    pub(super) volumes: BTreeMap<VolumeRef, StoredVolume>,
    pub(super) networks: Vec<Network>,
    pub(super) faults: Faults,
    /// What is wrong with the rights of whoever works at it.
    pub(super) findings: Vec<Finding>,
    pub(super) subscribers: Vec<SyncSender<Fact>>,
    /// What guests will do, in the order of time and, within it, of asking.
    agenda: BTreeMap<(Duration, u64), (VmId, GuestAct)>,
    asked: u64,
}

pub(super) struct Vm {
    pub(super) name: String,
    pub(super) state: VmState,
    pub(super) reason: String,
    pub(super) definition: Option<Definition>,
    pub(super) foreign: Option<ForeignVm>,
    pub(super) temper: Temper,
    pub(super) agent: Option<AgentLink>,
    pub(super) defined: bool,
}

pub(super) struct StoredVolume {
    pub(super) capacity: Size,
    pub(super) allocation: Size,
    pub(super) format: VolumeFormat,
    pub(super) backing: Option<VolumeRef>,
}

impl StoredVolume {
    pub(super) fn seen(&self, volume: &VolumeRef) -> Volume {
        Volume {
            volume: volume.clone(),
            capacity: self.capacity,
            allocation: self.allocation,
        }
    }
}

/// What a guest does when it is its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GuestAct {
    AnswerAgent,
    ShutDown,
    Reboot,
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            now: Duration::ZERO,
            chance: seed,
            vms: BTreeMap::new(),
            pools: ["hyper-disks", "hyper-images"]
                .into_iter()
                .zip([PoolPurpose::Disks, PoolPurpose::Images])
                .filter_map(|(name, purpose)| Some((name.parse().ok()?, purpose)))
                .collect(),
            volumes: BTreeMap::new(),
            networks: "default"
                .parse()
                .map(|name| Network {
                    name,
                    mode: hv_model::network::NetworkMode::Nat,
                    active: true,
                    autostart: true,
                    bridge: "virbr0".parse().ok(),
                    subnets: vec!["192.168.122.0/24".to_owned()],
                    allowed: true,
                })
                .into_iter()
                .collect(),
            faults: Faults::default(),
            findings: Vec::new(),
            subscribers: Vec::new(),
            agenda: BTreeMap::new(),
            asked: 0,
        }
    }

    pub(super) fn vm(&mut self, id: VmId) -> Result<&mut Vm> {
        self.vms.get_mut(&id).ok_or_else(|| {
            HypervisorError::new(
                HypervisorErrorKind::NotFound,
                format!("there is no VM {id}"),
            )
        })
    }

    /// Refuses unless the VM is in one of these states.
    pub(super) fn vm_in(&mut self, id: VmId, states: &[VmState]) -> Result<&mut Vm> {
        let vm = self.vm(id)?;
        if states.contains(&vm.state) {
            return Ok(vm);
        }
        let (name, state) = (&vm.name, vm.state.as_str());
        let message = format!("the VM {name} is {state}");
        Err(HypervisorError::new(
            HypervisorErrorKind::WrongState,
            message,
        ))
    }

    /// Tells a fact to everybody who listens and keeps up.
    pub(super) fn tell(&mut self, fact: &Fact) {
        if self.faults.facts_to_lose > 0 {
            self.faults.facts_to_lose -= 1;
            return;
        }
        self.subscribers
            .retain(|subscriber| match subscriber.try_send(fact.clone()) {
                Ok(()) => true,
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
            });
    }

    pub(super) fn change_state(&mut self, id: VmId, state: VmState, reason: &str) -> Result<()> {
        let vm = self.vm(id)?;
        vm.state = state;
        reason.clone_into(&mut vm.reason);
        let fact = Fact::State(VmFacts {
            id,
            name: vm.name.clone(),
            state,
            reason: reason.into(),
        });
        let vanishes = !vm.defined && !state.is_active();
        if !state.is_active() {
            vm.agent = None;
            self.agenda.retain(|_, (whose, _)| *whose != id);
        }
        self.tell(&fact);
        if vanishes {
            self.vms.remove(&id);
            self.tell(&Fact::Undefined { id });
        }
        Ok(())
    }

    pub(super) fn define(&mut self, definition: &Definition) {
        let id = definition.id;
        let name = definition.spec.name.to_string();
        let vm = self.vms.entry(id).or_insert_with(|| Vm {
            name: String::new(),
            state: VmState::Off,
            reason: "unknown".to_owned(),
            definition: None,
            foreign: None,
            temper: Temper::default(),
            agent: None,
            defined: true,
        });
        vm.name.clone_from(&name);
        vm.definition = Some(definition.clone());
        vm.foreign = None;
        vm.defined = true;
        self.tell(&Fact::Defined { id, name });
    }

    pub(super) fn define_elsewhere(&mut self, id: VmId, name: &str, foreign: ForeignVm) {
        let vm = Vm {
            name: name.to_owned(),
            state: VmState::Off,
            reason: "unknown".to_owned(),
            definition: None,
            foreign: Some(foreign),
            temper: Temper::default(),
            agent: None,
            defined: true,
        };
        self.vms.insert(id, vm);
        self.tell(&Fact::Defined {
            id,
            name: name.to_owned(),
        });
    }

    /// A VM that still runs is forgotten when it ends.
    pub(super) fn undefine(&mut self, id: VmId) -> Result<()> {
        let vm = self.vm(id)?;
        if vm.state.is_active() {
            vm.defined = false;
        } else {
            self.vms.remove(&id);
        }
        self.tell(&Fact::Undefined { id });
        Ok(())
    }

    pub(super) fn rename(&mut self, id: VmId, name: &str) -> Result<()> {
        if self
            .vms
            .iter()
            .any(|(other, vm)| *other != id && vm.name == name)
        {
            let message = format!("the name {name} is taken");
            return Err(HypervisorError::new(
                HypervisorErrorKind::AlreadyExists,
                message,
            ));
        }
        let vm = self.vm(id)?;
        name.clone_into(&mut vm.name);
        if let (Some(definition), Ok(name)) = (&mut vm.definition, name.parse()) {
            definition.spec.name = name;
        }
        self.tell(&Fact::Defined {
            id,
            name: name.to_owned(),
        });
        Ok(())
    }

    /// A guest begins to run: its agent answers after a while.
    pub(super) fn boot(&mut self, id: VmId) -> Result<()> {
        self.change_state(id, VmState::Running, "booted")?;
        let vm = self.vm(id)?;
        vm.agent = Some(AgentLink::Disconnected);
        let has_agent = vm.temper.has_agent();
        // libvirt says so, too, of a channel that nobody has opened yet.
        self.tell(&Fact::Agent {
            id,
            link: AgentLink::Disconnected,
        });
        if has_agent {
            self.later(id, GuestAct::AnswerAgent)?;
        }
        Ok(())
    }

    /// A guest does something once it got round to it, which may be now.
    pub(super) fn later(&mut self, id: VmId, act: GuestAct) -> Result<()> {
        let chance = self.next_chance() % 1000;
        let delay = self.vm(id)?.temper.delay(chance);
        if delay.is_zero() {
            return self.act(id, act);
        }
        self.asked += 1;
        self.agenda
            .insert((self.now + delay, self.asked), (id, act));
        Ok(())
    }

    fn act(&mut self, id: VmId, act: GuestAct) -> Result<()> {
        match act {
            GuestAct::AnswerAgent => {
                self.vm(id)?.agent = Some(AgentLink::Connected);
                self.tell(&Fact::Agent {
                    id,
                    link: AgentLink::Connected,
                });
            }
            GuestAct::ShutDown => self.change_state(id, VmState::Off, "shutdown")?,
            GuestAct::Reboot => {
                self.vm(id)?.agent = Some(AgentLink::Disconnected);
                self.tell(&Fact::Agent {
                    id,
                    link: AgentLink::Disconnected,
                });
                if self.vm(id)?.temper.has_agent() {
                    self.later(id, GuestAct::AnswerAgent)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn advance(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(entry) = self.agenda.first_entry() {
            if entry.key().0 > until {
                break;
            }
            self.now = entry.key().0;
            let (id, act) = entry.remove();
            // A VM that is gone by now does nothing.
            let _ = self.act(id, act);
        }
        self.now = until;
    }

    pub(super) fn lose(&mut self, why: &str) {
        self.faults.lost = Some(why.to_owned());
        self.tell(&Fact::Lost {
            why: why.to_owned(),
        });
    }

    pub(super) fn find(&mut self) {
        self.faults.lost = None;
        self.tell(&Fact::Found);
    }

    pub(super) fn add_volume_elsewhere(&mut self, volume: VolumeRef, capacity: Size) {
        let stored = StoredVolume {
            capacity,
            allocation: Size::from_bytes(0),
            format: VolumeFormat::Qcow2,
            backing: None,
        };
        self.volumes.insert(volume, stored);
    }

    /// How much of a pool's space is left.
    pub(super) fn available(&self, pool: &hv_model::name::PoolName) -> Size {
        let space = self.faults.space.unwrap_or(Size::from_gib(1024)).bytes();
        let used: u64 = self
            .volumes
            .iter()
            .filter(|(volume, _)| volume.pool == *pool)
            .map(|(_, stored)| stored.allocation.bytes())
            .sum();
        Size::from_bytes(space.saturating_sub(used))
    }

    /// The next number of the seeded sequence (`SplitMix64`, Steele, Lea and Flood, 2014).
    fn next_chance(&mut self) -> u64 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.chance;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
