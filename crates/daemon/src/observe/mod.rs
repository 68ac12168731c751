// SPDX-License-Identifier: GPL-3.0-or-later
//! Listening to the host: what happens there is in the store, and told, within moments.
//!
//! ```text
//!            ┌───────── facts ─────────┐
//!  subscribe ┤                         ├──▶ one transaction: rows and events ──▶ readers
//!            └─ resync: all VMs at once┘
//!      ▲            │ whenever the host is found, and once a minute
//!      └── lost ◀───┘ broker gone: try again, later each time
//! ```
//!
//! While libvirt is lost and the broker is there, the subscription stays: the broker tells the moment
//! in which libvirt is found, and everything is taken over then. It is tried now and then besides,
//! since a call may have failed without a word from the broker.
//!
//! Facts tell states. Whatever else may have changed about a VM (it is new, defined anew, gone) is
//! looked at: its details are asked for, of many VMs at once. A VM that an operation works on is
//! that operation's to describe: only its state is taken over meanwhile, and it is looked at once
//! the operation is over.
//!
//! A fact may be lost on its way. So each minute every VM's name and state are compared with what is
//! known, in one call; and each ten seconds the definitions of a few VMs are, in turn, which costs a
//! call for each: up to 120 VMs are through within a minute.

mod freshness;
mod guest;
mod look;
mod rebuild;
mod refused;
mod resync;
mod state;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc::Receiver},
    thread,
    time::Duration,
};

use hv_model::{
    hypervisor::{Fact, HypervisorError, VmFacts},
    id::VmId,
};
use jiff::Timestamp;
use tokio::sync::{Notify, mpsc};

pub(crate) use self::{
    rebuild::image_volume,
    state::{plan_restart, take_state},
};
use crate::{
    clock::Clock,
    engine::Port,
    store::{Store, StoreError},
};

/// How long is waited before the host is looked for again: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(1));
/// How many facts are taken over in one transaction.
const BATCH: usize = 512;
/// How many VMs are looked at at once.
const LOOK_AT: usize = 100;
/// How many VMs' definitions are compared whenever the host is asked whether it is there. libvirt
/// has no call that tells many definitions, nor which of them changed, so it costs a call a VM.
const COMPARE_AT_ONCE: usize = 20;
/// How often the host is asked whether it is there.
const PROBE_EVERY: Duration = Duration::from_secs(10);
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often everything is compared.
const RESYNC_EVERY: Duration = Duration::from_secs(60);
/// How long a fact may be on its way before it counts as missed.
const FACT_DELAY: Duration = Duration::from_secs(2);

/// What listens to the host. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Observer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    port: Port,
    clock: Clock,
    /// How long a VM that was removed elsewhere is kept in the trash.
    keep_trash: Duration,
    to_look_at: Mutex<BTreeSet<VmId>>,
    look: Notify,
    /// Held while the host itself is looked at.
    host_look: tokio::sync::Mutex<()>,
    /// When the host was heard last while it was not lost; `None`, where nothing was since.
    heard: Mutex<Option<Timestamp>>,
}

/// Why listening stopped.
#[derive(Debug)]
enum Stopped {
    /// The host can't be reached, or does not answer.
    Lost(String),
    /// The daemon ends.
    Ended,
}

impl From<HypervisorError> for Stopped {
    fn from(error: HypervisorError) -> Self {
        Self::Lost(error.message)
    }
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Ended => Self::Ended,
            error => Self::Lost(format!("What the host says can't be recorded: {error}.")),
        }
    }
}

type Result<T> = std::result::Result<T, Stopped>;

/// What is due when, while there is a subscription.
struct Schedule {
    /// When everything is taken over, if nobody says sooner that the host is found.
    catch_up: Timestamp,
    probe: Timestamp,
    resync: Timestamp,
    /// The VM whose definition was compared last.
    compared: Option<VmId>,
    /// Differences that count as missed facts, if they are still there at this time.
    suspects: Option<(Timestamp, resync::Suspects)>,
}

impl Schedule {
    fn new(clock: &Clock) -> Self {
        Self {
            catch_up: clock.now(),
            probe: clock.after(PROBE_EVERY),
            resync: clock.after(RESYNC_EVERY),
            compared: None,
            suspects: None,
        }
    }

    /// Differences that were found, if there are any.
    fn suspect(&mut self, clock: &Clock, suspects: resync::Suspects) {
        if !suspects.is_empty() {
            let due = clock.after(FACT_DELAY);
            match &mut self.suspects {
                Some((_, earlier)) => earlier.join(suspects),
                none => *none = Some((due, suspects)),
            }
        }
    }

    /// When there is something to do.
    fn next(&self, is_live: bool) -> Timestamp {
        if !is_live {
            return self.catch_up;
        }
        let suspects = self.suspects.as_ref().map(|(time, _)| *time);
        let next = self.probe.min(self.resync);
        suspects.map_or(next, |time| time.min(next))
    }
}

impl Observer {
    pub(crate) fn new(store: Store, port: Port, clock: Clock, keep_trash: Duration) -> Self {
        Self(Arc::new(Inner {
            store,
            port,
            clock,
            keep_trash,
            to_look_at: Mutex::default(),
            look: Notify::new(),
            host_look: tokio::sync::Mutex::default(),
            heard: Mutex::default(),
        }))
    }

    /// Looks at these VMs soon, whatever facts may say.
    pub(crate) fn look(&self, vms: impl IntoIterator<Item = VmId>) {
        self.to_look_at().extend(vms);
        self.0.look.notify_one();
    }

    fn to_look_at(&self) -> MutexGuard<'_, BTreeSet<VmId>> {
        self.0
            .to_look_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens until the daemon ends.
    pub(crate) fn run(&self) {
        let observer = self.clone();
        tokio::spawn(async move {
            let (first, longest) = PAUSES;
            let mut pause = first;
            loop {
                let stopped = match observer.subscribe().await {
                    Ok(facts) => {
                        pause = first;
                        observer.listen(facts).await
                    }
                    Err(stopped) => stopped,
                };
                let Stopped::Lost(why) = stopped else { return };
                if matches!(observer.lost(why).await, Err(Stopped::Ended)) {
                    return;
                }
                observer.0.clock.sleep(pause).await;
                pause = (pause * 2).min(longest);
            }
        });
    }

    async fn subscribe(&self) -> Result<mpsc::Receiver<Fact>> {
        relay(self.answer("subscribe", |host| host.subscribe()).await?)
    }

    /// Takes over what the host tells, for as long as the broker passes it on.
    async fn listen(&self, mut facts: mpsc::Receiver<Fact>) -> Stopped {
        let mut schedule = Schedule::new(&self.0.clock);
        let mut batch = Vec::with_capacity(BATCH);
        let (_, longest) = PAUSES;
        loop {
            let is_live = self.is_live();
            let turn = tokio::select! {
                biased;
                count = facts.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        return Stopped::Lost("The broker closed the connection.".to_owned());
                    }
                    self.take(&mut batch, &mut schedule).await
                }
                () = self.0.look.notified(), if is_live => self.look_at_some().await,
                () = self.0.clock.sleep_until(schedule.next(is_live)) => {
                    self.on_time(&mut schedule).await
                }
            };
            let kept = match turn {
                // What is left of the facts is found when everything is taken over.
                Err(Stopped::Lost(why)) => {
                    batch.clear();
                    schedule.catch_up = self.0.clock.after(longest);
                    self.lost(why).await
                }
                other => other,
            };
            if let Err(stopped) = kept {
                return stopped;
            }
        }
    }

    fn is_live(&self) -> bool {
        self.0.store.inventory().snapshot().freshness.live
    }

    /// Takes over everything as it is on the host, which makes what is known right again.
    async fn catch_up(&self, schedule: &mut Schedule) -> Result<()> {
        self.resync_all().await?;
        *schedule = Schedule::new(&self.0.clock);
        self.found().await?;
        self.look_at_host();
        Ok(())
    }

    async fn on_time(&self, schedule: &mut Schedule) -> Result<()> {
        if !self.is_live() {
            return self.catch_up(schedule).await;
        }
        let clock = &self.0.clock;
        let now = clock.now();
        if let Some((_, suspects)) = schedule.suspects.take_if(|(time, _)| now >= *time) {
            self.resync_missed(suspects).await?;
        }
        if now >= schedule.probe {
            self.probe().await?;
            let suspects = self.compare_definitions(&mut schedule.compared).await?;
            schedule.suspect(clock, suspects);
            schedule.probe = clock.after(PROBE_EVERY);
        }
        if now >= schedule.resync {
            let suspects = self.compare_states().await?;
            schedule.suspect(clock, suspects);
            self.refresh_guests();
            schedule.resync = clock.after(RESYNC_EVERY);
        }
        self.heard();
        Ok(())
    }

    /// A call that the host must answer soon.
    async fn answer<T, F>(&self, name: &'static str, call: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&dyn hv_model::hypervisor::Hypervisor) -> hv_model::hypervisor::Result<T>
            + Send
            + 'static,
    {
        // A call that hangs does so in the wall's time, whatever a clock says.
        match tokio::time::timeout(PATIENCE, self.0.port.call(name, call)).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Stopped::Lost(format!(
                "The host has not answered for {} seconds.",
                PATIENCE.as_secs()
            ))),
        }
    }

    /// Takes facts over, in their order.
    async fn take(&self, batch: &mut Vec<Fact>, schedule: &mut Schedule) -> Result<()> {
        self.heard();
        let mut states = Vec::new();
        let mut look = BTreeSet::new();
        let mut networks_changed = false;
        let mut refused = Vec::new();
        for fact in batch.drain(..) {
            match fact {
                Fact::State(facts) => states.push(state::Told::State(facts)),
                Fact::Agent { id, link } => states.push(state::Told::Agent(id, link)),
                Fact::Defined { id, .. } | Fact::Undefined { id } => {
                    look.insert(id);
                }
                Fact::Network { .. } => networks_changed = true,
                Fact::Refused(refusal) => refused.push(refusal),
                Fact::Alive => {}
                Fact::Lost { why } => {
                    self.take_refusals(std::mem::take(&mut refused)).await?;
                    self.take_states(std::mem::take(&mut states), &mut look)
                        .await?;
                    self.lost(why).await?;
                }
                Fact::Found => self.catch_up(schedule).await?,
            }
        }
        self.take_refusals(refused).await?;
        let told = self.take_states(states, &mut look).await?;
        if self.is_live() {
            if networks_changed {
                self.refresh_networks().await?;
            }
            self.look_at(look, &told).await?;
        }
        Ok(())
    }

    /// Takes over what facts told of states. Adds the VMs that must be looked at for it, and
    /// returns the last state told of each.
    async fn take_states(
        &self,
        told: Vec<state::Told>,
        look: &mut BTreeSet<VmId>,
    ) -> Result<BTreeMap<VmId, VmFacts>> {
        let mut last = BTreeMap::new();
        if told.is_empty() {
            return Ok(last);
        }
        for told in &told {
            if let state::Told::State(facts) = told {
                last.insert(facts.id, facts.clone());
            }
        }
        let connected: Vec<VmId> = told.iter().filter_map(state::Told::connected).collect();
        let inventory = self.0.store.inventory().clone();
        let more = self
            .0
            .store
            .write("observe.facts", move |tx| {
                let known = inventory.snapshot();
                let mut look = BTreeSet::new();
                for told in &told {
                    state::take(tx, &known, told, &mut look)?;
                }
                Ok(look)
            })
            .await?;
        look.extend(more);
        self.ask_guests(connected);
        Ok(last)
    }
}

/// Passes facts on from a thread that may block.
fn relay(facts: Receiver<Fact>) -> Result<mpsc::Receiver<Fact>> {
    let (sender, receiver) = mpsc::channel(BATCH);
    let work = move || {
        while let Ok(fact) = facts.recv() {
            if sender.blocking_send(fact).is_err() {
                return;
            }
        }
    };
    thread::Builder::new()
        .name("facts".to_owned())
        .spawn(work)
        .map(|_| receiver)
        .map_err(|error| Stopped::Lost(format!("A thread for facts can't start: {error}.")))
}
