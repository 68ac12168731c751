// SPDX-License-Identifier: GPL-3.0-or-later
//! Carrying out operations: each in a task of its own, undone when it does not succeed.

use std::time::Duration;

use hv_model::{
    hypervisor::{HypervisorError, HypervisorErrorKind},
    id::OperationId,
    operation::{OperationState, StepState},
    problem::{Problem, ProblemKind},
};
use tokio::sync::watch;

use super::{
    Context, Engine, Undo,
    context::{Outcome, Stop},
};
use crate::{
    job::{AnyJob, OnRestart},
    store::{OperationRow, Result as StoreResult, StoreError, WriteTransaction},
};

/// How often an operation is begun, if the daemon ends under it each time.
const ATTEMPTS: u32 = 3;
/// How often an undo is tried while something stands in its way.
const UNDO_ATTEMPTS: u32 = 10;
/// How long is waited between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// Gives operations their turn until the daemon ends.
pub(super) async fn run(engine: Engine) {
    if let Err(error) = take_up(&engine).await {
        tracing::error!(%error, "operations of an earlier run can't be read");
    }
    loop {
        let ready = {
            let mut queue = engine.queue();
            if queue.has_ended() {
                return;
            }
            queue.take_ready()
        };
        for (id, cancelled) in ready {
            tokio::spawn(carry_out(engine.clone(), id, cancelled));
        }
        engine.0.ready.notified().await;
    }
}

/// Queues what an earlier run of the daemon left.
async fn take_up(engine: &Engine) -> StoreResult<()> {
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method's path has one lifetime, and any is asked for"
    )]
    let left = engine.0.store.read(|tx| tx.unfinished_operations()).await?;
    for row in left {
        let locks = match AnyJob::of(&row.operation) {
            Ok(job) => job.locks(),
            // It has its turn, to fail.
            Err(_) => Vec::new(),
        };
        let mut queue = engine.queue();
        queue.push(row.sequence, row.operation.id, locks);
        if row.cancelling {
            queue.cancel(row.operation.id);
        }
    }
    Ok(())
}

async fn carry_out(engine: Engine, id: OperationId, cancelled: watch::Receiver<bool>) {
    match attempt(&engine, id, cancelled).await {
        Ok(target) => {
            engine.queue().remove(id);
            engine.0.observer.look(target);
            engine.0.ready.notify_one();
            engine.0.reconcile.notify_one();
        }
        // It stays in the queue and keeps its locks: the next run of the daemon takes it up.
        Err(error) => tracing::info!(%id, %error, "operation {id} is left to the next run"),
    }
}

/// Carries an operation out to its end. Only the end of the store prevents that.
async fn attempt(
    engine: &Engine,
    id: OperationId,
    cancelled: watch::Receiver<bool>,
) -> StoreResult<Option<hv_model::id::VmId>> {
    let row = engine.0.store.read(move |tx| tx.operation(id)).await?;
    let Some(row) = row.filter(|row| !row.operation.state.is_final()) else {
        return Ok(None);
    };
    let vm = row
        .operation
        .target
        .id
        .parse()
        .ok()
        .filter(|_| row.operation.target.kind == "vm");
    let mut context = Context {
        engine: engine.clone(),
        row,
        cancelled,
    };
    let stop = match run_job(&mut context).await {
        Ok(outcome) => match context.succeed(outcome).await {
            Ok(()) => return Ok(vm),
            Err(error) => Stop::from(error),
        },
        Err(stop) => stop,
    };
    match stop {
        Stop::Ended => return Err(StoreError::Ended),
        Stop::Cancelled => {
            let detail = "Somebody asked for the operation to be stopped.";
            let problem = Problem::new(ProblemKind::Cancelled, detail);
            context.give_up(OperationState::Cancelled, problem).await?;
        }
        Stop::Failed(problem) => {
            let state = match problem.kind {
                ProblemKind::Interrupted => OperationState::Interrupted,
                ProblemKind::Cancelled => OperationState::Cancelled,
                _ => OperationState::Failed,
            };
            context.give_up(state, *problem).await?;
        }
    }
    Ok(vm)
}

async fn run_job(context: &mut Context) -> Result<Outcome, Stop> {
    let job = AnyJob::of(context.operation())?;
    let was_running = context.row.operation.state == OperationState::Running;
    if was_running {
        // Whatever comes next begins from where the operation itself began.
        context.until_host_is_there(Wait::InAnyCase).await?;
        context.undo_all().await?;
        if *context.cancelled.borrow() {
            return Err(Stop::Cancelled);
        }
        if job.on_restart() == OnRestart::Undo || context.row.attempts >= ATTEMPTS {
            let detail = "hvd ended while the operation was under way.";
            return Err(Problem::new(ProblemKind::Interrupted, detail).into());
        }
    }
    context.until_host_is_there(Wait::OrCancelled).await?;
    if *context.cancelled.borrow() {
        return Err(Stop::Cancelled);
    }
    if !was_running {
        context.expect_still_allowed().await?;
    }
    context.start().await?;
    job.run(context).await
}

/// Whether a wait for the host ends when the operation is cancelled.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    OrCancelled,
    InAnyCase,
}

impl Context {
    async fn until_host_is_there(&self, wait: Wait) -> Result<(), Stop> {
        let mut changed = self.store().inventory().changed();
        loop {
            if self.snapshot().freshness.live {
                return Ok(());
            }
            if self.store().has_ended() {
                return Err(Stop::Ended);
            }
            tokio::select! {
                woken = changed.changed() => if woken.is_err() { return Err(Stop::Ended) },
                () = self.until_cancelled(), if wait == Wait::OrCancelled => {
                    return Err(Stop::Cancelled);
                }
            }
        }
    }

    /// Records success, together with what the store is to take over.
    async fn succeed(&mut self, outcome: Outcome) -> StoreResult<()> {
        let mut row = self.row.clone();
        row.operation.state = OperationState::Succeeded;
        row.operation.progress = None;
        row.operation.result = outcome.result;
        row.operation.ended = Some(self.clock().now());
        row.undo.clear();
        let record = outcome.record;
        self.store()
            .write("operation.succeed", move |tx| {
                if let Some(record) = &record {
                    record(tx)?;
                }
                tx.put_operation(&row)
            })
            .await
    }

    /// Undoes what was done, and records why.
    async fn give_up(&mut self, state: OperationState, mut problem: Problem) -> StoreResult<()> {
        self.mark(StepState::Failed);
        let left = match self.undo_all().await {
            Ok(left) => left,
            Err(Stop::Ended) => return Err(StoreError::Ended),
            Err(Stop::Failed(problem)) => vec![problem.detail],
            Err(Stop::Cancelled) => Vec::new(),
        };
        if !left.is_empty() {
            problem.detail = format!("{} Not undone: {}.", problem.detail, left.join("; "));
        }
        let operation = &mut self.row.operation;
        operation.state = state;
        operation.progress = None;
        operation.problem = Some(problem);
        operation.ended = Some(self.engine.0.clock.now());
        self.row.undo.clear();
        self.keep_in_any_case("operation.give-up", None).await
    }

    /// Undoes what was done, the latest first. Returns what could not be undone.
    async fn undo_all(&mut self) -> Result<Vec<String>, Stop> {
        let mut left = Vec::new();
        while let Some(pending) = self.row.undo.pop() {
            let mut attempts = 0;
            let outcome = loop {
                attempts += 1;
                if self.store().has_ended() {
                    return Err(Stop::Ended);
                }
                match self.undo_on_host(&pending.undo).await {
                    Err(error) if may_pass(&error, attempts) => {
                        tracing::warn!(%error, "an undo waits");
                        self.until_host_is_there(Wait::InAnyCase).await?;
                        self.clock().sleep(PAUSE).await;
                    }
                    outcome => break outcome,
                }
            };
            if let Err(error) = outcome {
                tracing::error!(%error, "an undo failed");
                left.push(error.message);
            }
            if let Some(step) = self.row.operation.steps.get_mut(pending.step) {
                step.state = StepState::Undone;
            }
            self.keep_in_any_case("operation.undo", Some(pending.undo))
                .await?;
        }
        Ok(left)
    }

    /// Undoing is the daemon's own act: it must not fail because a person may do one thing and not
    /// its opposite.
    async fn undo_on_host(&self, undo: &Undo) -> Result<(), HypervisorError> {
        let port = &self.engine.0.port;
        let outcome = match undo.clone() {
            Undo::DeleteVolume(volume) => {
                port.call("delete_volume", move |host| host.delete_volume(&volume))
                    .await
            }
            Undo::Undefine(vm) => port.call("undefine", move |host| host.undefine(vm)).await,
            Undo::Define(definition) => {
                port.call("define", move |host| host.define(&definition))
                    .await
            }
            Undo::Rename(vm, name) => {
                port.call("rename", move |host| host.rename(vm, &name))
                    .await
            }
            Undo::ForceOff(vm) => port.call("force_off", move |host| host.force_off(vm)).await,
            Undo::ChangeLive(vm, change) => {
                port.call("change_live", move |host| host.change_live(vm, &change))
                    .await
            }
            Undo::ForgetVm(_) | Undo::ForgetImage(_) => Ok(()),
        };
        match outcome {
            // What is not there, or is off already, needs no undoing.
            Err(error)
                if matches!(
                    error.kind,
                    HypervisorErrorKind::NotFound | HypervisorErrorKind::WrongState
                ) =>
            {
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Keeps the operation as it is now, be it that the disk has to get some space first.
    async fn keep_in_any_case(&self, name: &'static str, undo: Option<Undo>) -> StoreResult<()> {
        loop {
            let (row, undo) = (self.row.clone(), undo.clone());
            let kept = self
                .store()
                .write(name, move |tx| {
                    if let Some(undo) = &undo {
                        undo_in_store(tx, undo)?;
                    }
                    keep_cancelling(tx, row)
                })
                .await;
            match kept {
                Ok(()) => return Ok(()),
                Err(StoreError::Ended) => return Err(StoreError::Ended),
                Err(error) => {
                    tracing::warn!(%error, "an operation's end waits to be recorded");
                    self.clock().sleep(PAUSE).await;
                }
            }
        }
    }
}

/// Keeps an operation. A wish to stop that came meanwhile is not overwritten.
pub(super) fn keep_cancelling(tx: &WriteTransaction<'_>, row: OperationRow) -> StoreResult<()> {
    let stored = tx.operation(row.operation.id)?;
    let cancelling = stored.is_some_and(|stored| stored.cancelling);
    tx.put_operation(&OperationRow { cancelling, ..row })
}

fn undo_in_store(tx: &WriteTransaction<'_>, undo: &Undo) -> StoreResult<()> {
    match undo {
        Undo::ForgetVm(vm) => tx.remove_vm(*vm),
        Undo::ForgetImage(image) => tx.remove_image(*image),
        _ => Ok(()),
    }
}

/// Whether what stands in the way of an undo may pass.
fn may_pass(error: &HypervisorError, attempts: u32) -> bool {
    match error.kind {
        HypervisorErrorKind::Unavailable => true,
        HypervisorErrorKind::TimedOut
        | HypervisorErrorKind::Busy
        | HypervisorErrorKind::NoSpace
        | HypervisorErrorKind::Internal => attempts < UNDO_ATTEMPTS,
        _ => false,
    }
}
