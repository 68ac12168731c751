// SPDX-License-Identifier: GPL-3.0-or-later
//! Listening to the host: what happens there is in the store, and told, within moments.
//!
//! ```text
//!            ┌───────── facts ─────────┐
//!  subscribe ┤                         ├──▶ one transaction: rows and events ──▶ readers
//!            └─ resync: all VMs at once┘
//!      ▲            │ whenever the host is found, and once a minute
//!      └── lost ◀───┘ try again, later each time
//! ```
//!
//! Facts tell states. Whatever else may have changed about a VM (it is new, defined anew, gone) is
//! looked at: its details are asked for, of many VMs at once. A VM that an operation works on is
//! that operation's to describe: only its state is taken over meanwhile, and it is looked at once
//! the operation is over.

mod freshness;
mod guest;
mod look;
mod rebuild;
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
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));
/// How many facts are taken over in one transaction.
const BATCH: usize = 512;
/// How many VMs are looked at at once.
const LOOK_AT: usize = 100;
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

/// What is due when, while the host is listened to.
struct Schedule {
    probe: Timestamp,
    resync: Timestamp,
    /// Differences that count as missed facts, if they are still there at this time.
    suspects: Option<(Timestamp, resync::Suspects)>,
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
                let mut seen = None;
                let stopped = observer.listen(&mut seen).await;
                let why = match stopped {
                    Ok(()) => "The broker closed the connection.".to_owned(),
                    Err(Stopped::Lost(why)) => why,
                    Err(Stopped::Ended) => return,
                };
                if seen.is_some() {
                    pause = first;
                }
                if matches!(observer.lost(why, seen).await, Err(Stopped::Ended)) {
                    return;
                }
                observer.0.clock.sleep(pause).await;
                pause = (pause * 2).min(longest);
            }
        });
    }

    /// Listens to the host until it is lost. `seen` tells when it was last heard.
    async fn listen(&self, seen: &mut Option<Timestamp>) -> Result<()> {
        let clock = &self.0.clock;
        let facts = self.answer("subscribe", |host| host.subscribe()).await?;
        let mut facts = relay(facts)?;
        self.resync_all().await?;
        *seen = Some(clock.now());
        self.found().await?;
        let mut schedule = Schedule {
            probe: clock.after(PROBE_EVERY),
            resync: clock.after(RESYNC_EVERY),
            suspects: None,
        };
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let due = [
                Some(schedule.probe),
                Some(schedule.resync),
                schedule.suspects.as_ref().map(|(time, _)| *time),
            ];
            let due = due.into_iter().flatten().min().unwrap_or(schedule.probe);
            tokio::select! {
                biased;
                count = facts.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        return Ok(());
                    }
                    *seen = Some(clock.now());
                    self.take(&mut batch, *seen).await?;
                }
                () = self.0.look.notified() => self.look_at_some().await?,
                () = clock.sleep_until(due) => {
                    self.on_time(&mut schedule).await?;
                    *seen = Some(clock.now());
                }
            }
        }
    }

    async fn on_time(&self, schedule: &mut Schedule) -> Result<()> {
        let clock = &self.0.clock;
        let now = clock.now();
        if now >= schedule.probe {
            self.probe().await?;
            schedule.probe = clock.after(PROBE_EVERY);
        }
        if let Some((_, suspects)) = schedule.suspects.take_if(|(time, _)| now >= *time) {
            self.resync_missed(suspects).await?;
        }
        if now >= schedule.resync {
            let suspects = self.compare().await?;
            if !suspects.is_empty() {
                schedule.suspects = Some((clock.after(FACT_DELAY), suspects));
            }
            self.refresh_guests();
            schedule.resync = clock.after(RESYNC_EVERY);
        }
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
    async fn take(&self, batch: &mut Vec<Fact>, seen: Option<Timestamp>) -> Result<()> {
        let mut states = Vec::new();
        let mut look = BTreeSet::new();
        let mut networks_changed = false;
        for fact in batch.drain(..) {
            match fact {
                Fact::State(facts) => states.push(state::Told::State(facts)),
                Fact::Agent { id, link } => states.push(state::Told::Agent(id, link)),
                Fact::Defined { id, .. } | Fact::Undefined { id } => {
                    look.insert(id);
                }
                Fact::Network { .. } => networks_changed = true,
                Fact::Alive => {}
                Fact::Lost { why } => {
                    self.take_states(std::mem::take(&mut states), &mut look)
                        .await?;
                    self.lost(why, seen).await?;
                }
                Fact::Found => {
                    self.resync_all().await?;
                    self.found().await?;
                }
            }
        }
        let told = self.take_states(states, &mut look).await?;
        if self.0.store.inventory().snapshot().freshness.live {
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
