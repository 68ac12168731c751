// SPDX-License-Identifier: GPL-3.0-or-later
//! What a job works with: steps, progress, cancellation, and undoing that is written down first.

use std::{sync::Arc, time::Duration};

use hv_model::{
    hypervisor::{Hypervisor, HypervisorError},
    id::VmId,
    operation::{Operation, OperationState, Progress, StepState},
    problem::{Problem, ProblemKind},
};
use tokio::sync::watch;

use super::{Engine, PendingUndo, Undo};
use crate::{
    clock::Clock,
    store::{
        OperationRow, Result as StoreResult, Snapshot, Store, StoreError, VmRow, WriteTransaction,
    },
};

/// What a job works with.
pub(crate) struct Context {
    pub(super) engine: Engine,
    pub(super) row: OperationRow,
    pub(super) cancelled: watch::Receiver<bool>,
}

/// A step of a job.
pub(crate) struct Step {
    name: String,
    command: Option<String>,
    undo: Option<Undo>,
}

/// Why a job stopped before it had done its work.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It failed.
    Failed(Box<Problem>),
    /// Somebody asked it to stop.
    Cancelled,
    /// The daemon ends; the next one takes it up.
    Ended,
}

/// What the store takes over in the transaction in which an operation succeeds.
pub(crate) type Record = Arc<dyn Fn(&WriteTransaction<'_>) -> StoreResult<()> + Send + Sync>;

/// What a job came to.
pub(crate) struct Outcome {
    pub(super) result: serde_json::Value,
    pub(super) record: Option<Record>,
}

impl Outcome {
    /// It is done.
    pub(crate) const fn done() -> Self {
        Self {
            result: serde_json::Value::Null,
            record: None,
        }
    }

    /// It is done once the store has taken this over.
    pub(crate) fn record(
        record: impl Fn(&WriteTransaction<'_>) -> StoreResult<()> + Send + Sync + 'static,
    ) -> Self {
        Self {
            result: serde_json::Value::Null,
            record: Some(Arc::new(record)),
        }
    }

    /// With something to tell whoever asked.
    pub(crate) fn with_result(mut self, result: serde_json::Value) -> Self {
        self.result = result;
        self
    }
}

impl Step {
    /// A step, in words.
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            command: None,
            undo: None,
        }
    }

    /// The plain command that does the same on any Linux with libvirt.
    pub(crate) fn command(mut self, command: impl Into<String>) -> Self {
        self.command = Some(command.into());
        self
    }

    /// What undoes it.
    pub(crate) fn undo(mut self, undo: Undo) -> Self {
        self.undo = Some(undo);
        self
    }
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Self::Failed(Box::new(problem))
    }
}

impl From<HypervisorError> for Stop {
    fn from(error: HypervisorError) -> Self {
        Problem::from(error).into()
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Ended => Self::Ended,
            error => Problem::from(error).into(),
        }
    }
}

impl Context {
    /// The operation.
    pub(crate) const fn operation(&self) -> &Operation {
        &self.row.operation
    }

    /// Its place in the order in which operations were asked for.
    pub(crate) const fn sequence(&self) -> u64 {
        self.row.sequence
    }

    /// Whether an earlier run of the daemon began it already.
    pub(crate) const fn is_repeated(&self) -> bool {
        self.row.attempts > 1
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.engine.0.clock
    }

    pub(crate) fn store(&self) -> &Store {
        &self.engine.0.store
    }

    /// How long a deleted VM is kept.
    pub(crate) fn keep_trash(&self) -> Duration {
        self.engine.0.config.trash.keep()
    }

    /// What is known now.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.engine.0.store.inventory().snapshot()
    }

    /// The VM as the store has it.
    pub(crate) async fn vm(&self, id: VmId) -> Result<VmRow, Stop> {
        let row = self.store().read(move |tx| tx.vm(id)).await?;
        Ok(row.ok_or_else(|| self.gone())?)
    }

    /// What the operation works on is not there any more.
    pub(crate) fn gone(&self) -> Problem {
        let name = &self.row.operation.target.name;
        Problem::new(ProblemKind::Gone, format!("{name} is not there any more."))
    }

    /// The bytes that came with the operation.
    pub(crate) fn take_upload(&self) -> Option<super::Upload> {
        let uploads = &self.engine.0.uploads;
        uploads
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .remove(&self.row.operation.id)
    }

    /// Looks something up on the host.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        name: &'static str,
        call: impl FnOnce(&dyn Hypervisor) -> Result<T, HypervisorError> + Send + 'static,
    ) -> Result<T, Stop> {
        Ok(self.engine.0.port.call(name, call).await?)
    }

    /// A step that is one call to the host.
    pub(crate) async fn call<T: Send + 'static>(
        &mut self,
        step: Step,
        name: &'static str,
        call: impl FnOnce(&dyn Hypervisor) -> Result<T, HypervisorError> + Send + 'static,
    ) -> Result<T, Stop> {
        self.begin(step).await?;
        let value = self.change(name, call).await?;
        self.end_step().await?;
        Ok(value)
    }

    /// A step that is one call to the host, whose failure does not end the job.
    pub(crate) async fn try_call<T: Send + 'static>(
        &mut self,
        step: Step,
        name: &'static str,
        call: impl FnOnce(&dyn Hypervisor) -> Result<T, HypervisorError> + Send + 'static,
    ) -> Result<Result<T, HypervisorError>, Stop> {
        self.begin(step).await?;
        let outcome = self.change(name, call).await;
        self.mark(if outcome.is_ok() {
            StepState::Done
        } else {
            StepState::Failed
        });
        self.keep("operation.step-done").await?;
        Ok(outcome)
    }

    /// A call to the host for whoever asked for the operation.
    async fn change<T: Send + 'static>(
        &self,
        name: &'static str,
        call: impl FnOnce(&dyn Hypervisor) -> Result<T, HypervisorError> + Send + 'static,
    ) -> Result<T, HypervisorError> {
        let port = self.engine.0.port.acting_for(&self.operation().actor)?;
        port.call(name, call).await
    }

    /// A step that is a change of the store.
    pub(crate) async fn record(
        &mut self,
        step: Step,
        change: impl FnOnce(&WriteTransaction<'_>) -> StoreResult<()> + Send + 'static,
    ) -> Result<(), Stop> {
        self.begin(step).await?;
        self.store().write("operation.record", change).await?;
        self.end_step().await
    }

    /// Writes a step down, with what undoes it, before it is done.
    pub(crate) async fn begin(&mut self, step: Step) -> Result<(), Stop> {
        if *self.cancelled.borrow() {
            return Err(Stop::Cancelled);
        }
        if let Some(undo) = step.undo {
            let place = self.row.operation.steps.len();
            self.row.undo.push(PendingUndo { step: place, undo });
        }
        self.row.operation.steps.push(hv_model::operation::Step {
            name: step.name,
            command: step.command,
            state: StepState::Running,
        });
        self.row.operation.progress = None;
        Ok(self.keep("operation.step").await?)
    }

    /// Writes down that the current step is done.
    pub(crate) async fn end_step(&mut self) -> Result<(), Stop> {
        self.mark(StepState::Done);
        self.row.operation.progress = None;
        Ok(self.keep("operation.step-done").await?)
    }

    /// Tells how much of the current step is done.
    pub(crate) async fn progress(&mut self, progress: Progress) -> Result<(), Stop> {
        self.row.operation.progress = Some(progress);
        Ok(self.keep("operation.progress").await?)
    }

    /// From now on the operation can't be stopped half-way.
    pub(crate) fn finish_in_any_case(&mut self) {
        let (never, receiver) = watch::channel(false);
        self.cancelled = receiver;
        drop(never);
    }

    /// A new id.
    pub(crate) fn next_id(&self) -> uuid::Uuid {
        self.engine.0.ids.next()
    }

    /// Waits until somebody asks the operation to stop.
    pub(crate) async fn until_cancelled(&self) {
        let mut cancelled = self.cancelled.clone();
        if cancelled.wait_for(|cancelled| *cancelled).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until what is known of the host fits, at most so long. Returns whether it does.
    pub(crate) async fn wait_until(
        &self,
        at_most: Duration,
        fits: impl Fn(&Snapshot) -> bool,
    ) -> Result<bool, Stop> {
        let mut changed = self.engine.0.store.inventory().changed();
        let waiting = async {
            loop {
                if fits(&self.snapshot()) || changed.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            biased;
            () = self.until_cancelled() => Err(Stop::Cancelled),
            fitted = self.clock().within(at_most, waiting) => Ok(fitted.is_some()),
        }
    }

    /// Marks the step that is under way.
    pub(super) fn mark(&mut self, state: StepState) {
        let mut steps = self.row.operation.steps.iter_mut();
        if let Some(step) = steps.rfind(|step| step.state == StepState::Running) {
            step.state = state;
        }
    }

    /// Keeps the operation as it is now.
    pub(super) async fn keep(&self, name: &'static str) -> StoreResult<()> {
        let row = self.row.clone();
        self.store()
            .write(name, move |tx| super::runner::keep_cancelling(tx, row))
            .await
    }

    /// Begins the operation, or begins it again.
    pub(super) async fn start(&mut self) -> StoreResult<()> {
        self.row.attempts += 1;
        self.row.operation.state = OperationState::Running;
        self.row.operation.started = Some(self.clock().now());
        self.row.operation.steps.clear();
        self.keep("operation.start").await
    }
}
