// SPDX-License-Identifier: GPL-3.0-or-later
//! A simulated host: the port, served from memory.
//!
//! It is where the engine is tested and where lessons practise. It is deterministic: the same seed
//! and the same calls give the same host, its clock stands still until [`SimulatedHost::advance`]
//! moves it, and faults happen when they are told to ([`Faults`]). It never stands in where a real
//! host is asked for.
//!
//! ```text
//!  calls ──▶ Faults: dead? lost? full? ──▶ State ──▶ facts ──▶ subscribers
//!                                           ▲  │
//!                      advance(time) ───────┘  └─ guests act when it is their time
//! ```

mod calls;
mod death;
mod fault;
mod guest;
mod state;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hv_model::{
    hypervisor::{Behalf, Fact, ForeignVm, HypervisorError},
    id::VmId,
    refusal::GuardRefusal,
    rights::Finding,
    size::Size,
    storage::{Volume, VolumeRef},
    vm::VmState,
};

use self::state::State;
pub use self::{death::Death, fault::Faults, guest::Temper};

/// What a call to the simulated host comes to.
type Result<T> = std::result::Result<T, HypervisorError>;

/// A host that exists in memory only.
pub struct SimulatedHost {
    state: Arc<Mutex<State>>,
    death: Arc<Death>,
    behalf: Option<Behalf>,
}

impl SimulatedHost {
    /// A host with 64 GiB of memory, two pools of 1 TiB and the network `default`. The seed
    /// decides how long its guests take for what they do.
    pub fn new(seed: u64) -> Self {
        Self {
            state: Arc::new(Mutex::new(State::new(seed))),
            death: Arc::default(),
            behalf: None,
        }
    }

    /// What kills whoever uses this host, at a chosen point.
    pub fn death(&self) -> Arc<Death> {
        Arc::clone(&self.death)
    }

    /// Sets what goes wrong from now on.
    pub fn set_faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.state().faults);
    }

    /// Sets what is wrong with the rights of whoever works at it.
    pub fn set_rights(&self, findings: Vec<Finding>) {
        self.state().findings = findings;
    }

    /// Lets so much time pass: guests that are due boot, shut down or reboot.
    pub fn advance(&self, time: Duration) {
        self.state().advance(time);
    }

    /// The host's uptime on its own clock.
    pub fn uptime(&self) -> Duration {
        self.state().now
    }

    /// Decides how the guest of a VM takes what it is asked.
    pub fn set_temper(&self, vm: VmId, temper: Temper) -> Result<()> {
        self.state().vm(vm)?.temper = temper;
        Ok(())
    }

    /// Crashes a VM.
    pub fn crash(&self, vm: VmId) -> Result<()> {
        self.state().change_state(vm, VmState::Crashed, "panicked")
    }

    /// Makes a VM as another tool would.
    pub fn define_elsewhere(&self, vm: VmId, name: &str, foreign: ForeignVm) {
        self.state().define_elsewhere(vm, name, foreign);
    }

    /// Changes a VM's state as another tool would.
    pub fn change_elsewhere(&self, vm: VmId, state: VmState, reason: &str) -> Result<()> {
        self.state().change_state(vm, state, reason)
    }

    /// Renames a VM as another tool would.
    pub fn rename_elsewhere(&self, vm: VmId, name: &str) -> Result<()> {
        self.state().rename(vm, name)
    }

    /// Removes a VM as another tool would.
    pub fn remove_elsewhere(&self, vm: VmId) -> Result<()> {
        self.state().undefine(vm)
    }

    /// Loses the connection to the host, as when libvirt stops; VMs go on running.
    pub fn lose(&self, why: &str) {
        self.state().lose(why);
    }

    /// The host's guard refuses a VM that somebody else wants to run.
    pub fn refuse(&self, refusal: GuardRefusal) {
        self.state().tell(&Fact::Refused(refusal));
    }

    /// The host can be reached again.
    pub fn find(&self) {
        self.state().find();
    }

    /// Closes every subscription, as a broker does that ends.
    pub fn drop_subscribers(&self) {
        self.state().subscribers.clear();
    }

    /// Every volume, for a look from outside that no fault disturbs.
    pub fn all_volumes(&self) -> Vec<Volume> {
        self.state()
            .volumes
            .iter()
            .map(|(name, volume)| volume.seen(name))
            .collect()
    }

    /// Every VM's id, name and state, for a look from outside that no fault disturbs.
    pub fn all_vms(&self) -> Vec<(VmId, String, VmState)> {
        self.state()
            .vms
            .iter()
            .map(|(id, vm)| (*id, vm.name.clone(), vm.state))
            .collect()
    }

    /// Puts a volume into a pool as another tool would.
    pub fn add_volume_elsewhere(&self, volume: VolumeRef, capacity: Size) {
        self.state().add_volume_elsewhere(volume, capacity);
    }

    /// A panic in a test's other thread does not make the host unusable.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
