// SPDX-License-Identifier: GPL-3.0-or-later
//! When reconcilers run: as soon as something changed, when something is due, and at regular times.
//!
//! When each regular task runs next is kept in the store, so a run that was missed while the
//! daemon was down is made up for at its next start.

use std::{collections::BTreeMap, time::Duration};

use hv_model::id::VmId;
use jiff::Timestamp;

use super::{Engine, reconcile};
use crate::{
    clock::later,
    store::{Result, StoreError},
};

/// How long is waited before a restart that could not be noted is tried again.
const RESTART_PAUSE: Duration = Duration::from_secs(10);
/// How long is waited before a VM is purged again, since that failed.
const PURGE_PAUSE: Duration = Duration::from_secs(600);

/// A regular task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    ForgetOld,
    FindStrays,
}

impl Task {
    const ALL: [Self; 2] = [Self::ForgetOld, Self::FindStrays];

    const fn name(self) -> &'static str {
        match self {
            Self::ForgetOld => "forget-old",
            Self::FindStrays => "find-strays",
        }
    }

    const fn every(self) -> Duration {
        match self {
            Self::ForgetOld => Duration::from_secs(24 * 60 * 60),
            Self::FindStrays => Duration::from_secs(60 * 60),
        }
    }

    async fn run(self, engine: &Engine) {
        let outcome = match self {
            Self::ForgetOld => reconcile::forget_old(engine).await.map_err(Into::into),
            Self::FindStrays => reconcile::find_strays(engine).await,
        };
        if let Err(problem) = outcome {
            tracing::warn!(task = self.name(), %problem, "a regular task failed");
        }
    }
}

/// When something was last asked for, so that what fails is not asked for without end.
#[derive(Debug)]
pub(super) struct Patience {
    tried: BTreeMap<VmId, Timestamp>,
    pause: Duration,
}

impl Patience {
    /// Asks for the same again only after this pause.
    const fn new(pause: Duration) -> Self {
        Self {
            tried: BTreeMap::new(),
            pause,
        }
    }

    /// When something about a VM can be asked for that is due at this time.
    pub(super) fn not_before(&self, vm: VmId, due: Timestamp) -> Timestamp {
        self.tried
            .get(&vm)
            .map_or(due, |tried| due.max(later(*tried, self.pause)))
    }

    /// Something about a VM is asked for now.
    pub(super) fn tried(&mut self, vm: VmId, now: Timestamp) {
        let pause = self.pause;
        self.tried.retain(|_, tried| later(*tried, pause) > now);
        self.tried.insert(vm, now);
    }
}

/// Runs reconcilers until the daemon ends.
pub(super) async fn run(engine: Engine) {
    tokio::spawn({
        let engine = engine.clone();
        async move {
            if let Err(error) = reconcile::start_with_host(&engine).await
                && !matches!(error, StoreError::Ended)
            {
                tracing::error!(%error, "VMs can't be started with the host");
            }
        }
    });
    match regular_times(&engine).await {
        Ok(()) | Err(StoreError::Ended) => {}
        Err(error) => tracing::error!(%error, "reconcilers can't run"),
    }
}

async fn regular_times(engine: &Engine) -> Result<()> {
    let clock = &engine.0.clock;
    let mut changed = engine.0.store.inventory().changed();
    let mut restarts = Patience::new(RESTART_PAUSE);
    let mut purges = Patience::new(PURGE_PAUSE);
    let mut regular = Vec::new();
    for task in Task::ALL {
        let next = engine
            .0
            .store
            .read(move |tx| tx.next_run(task.name()))
            .await?;
        regular.push((task, next.unwrap_or_else(|| clock.now())));
    }
    loop {
        engine.until_live().await?;
        let mut due = vec![
            reconcile::restart_crashed(engine, &mut restarts).await,
            reconcile::purge_old(engine, &mut purges).await,
        ];
        for (task, next) in &mut regular {
            if *next <= clock.now() {
                *next = clock.after(task.every());
                let (name, time) = (task.name(), *next);
                task.run(engine).await;
                engine
                    .0
                    .store
                    .write("scheduler.next-run", move |tx| tx.put_next_run(name, time))
                    .await?;
            }
            due.push(Some(*next));
        }
        let due = due
            .into_iter()
            .flatten()
            .min()
            .unwrap_or_else(|| clock.after(RESTART_PAUSE));
        tokio::select! {
            () = clock.sleep_until(due) => {}
            () = engine.0.reconcile.notified() => {}
            woken = changed.changed() => if woken.is_err() { return Ok(()) },
        }
        if engine.0.store.has_ended() {
            return Ok(());
        }
    }
}

impl Engine {
    /// Waits until the host is listened to.
    pub(super) async fn until_live(&self) -> Result<()> {
        let mut changed = self.0.store.inventory().changed();
        loop {
            if self.0.store.has_ended() {
                return Err(StoreError::Ended);
            }
            if self.0.store.inventory().snapshot().freshness.live {
                return Ok(());
            }
            changed.changed().await.map_err(|_| StoreError::Ended)?;
        }
    }
}
