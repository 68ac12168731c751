// SPDX-License-Identifier: GPL-3.0-or-later
//! Operations: asked for, queued, carried out step by step, undone where that is needed.
//!
//! ```text
//!  submit ──▶ one transaction: operation, event, audit ──▶ queue ──▶ a task of its own ──▶ job
//!                                                           ▲            │
//!             what an earlier run left (recovery) ──────────┘            ▼ each step
//!                                                             undo written ─▶ effect ─▶ done written
//! ```
//!
//! The database is the truth; the queue in memory mirrors what of it is not over. An operation
//! holds its locks from its turn until it is over and undone. A VM's operations go one after the
//! other in the order in which they were asked for; those of different VMs side by side.
//!
//! Asking for what is going on already is refused as busy. Asking for anything else that concerns
//! the same VM waits for its turn, and is judged again then. Only what cuts a VM's power or resets
//! it does not wait for a guest that is being asked to shut down or reboot: it ends the asking.

pub(crate) mod check;
mod claim;
mod context;
mod lock;
mod plan;
mod port;
mod queue;
mod quota;
mod recheck;
mod reconcile;
mod request;
mod runner;
mod scheduler;
pub(crate) mod state_check;
mod undo;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hv_model::{
    access::{Action, Decision, Origin, Principal},
    id::OperationId,
    operation::{Operation, OperationKind, OperationState},
    problem::{Problem, ProblemKind},
};
use tokio::sync::Notify;

pub use self::undo::PendingUndo;
pub(crate) use self::{
    context::{Context, Outcome, Step, Stop},
    lock::Lock,
    undo::Undo,
};
pub use self::{
    port::Port,
    request::{AddImage, BrokenOff, JobRequest, Upload},
};
use self::{
    queue::Queue,
    quota::{Asked, Quotas},
};
use crate::{
    access::Access,
    clock::{Clock, Ids},
    config::Config,
    job::AnyJob,
    observe::Observer,
    store::{OperationRow, Store, StoreError, WriteTransaction},
};

/// What carries out changes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Engine(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    port: Port,
    clock: Clock,
    ids: Ids,
    config: Arc<Config>,
    observer: Observer,
    access: Access,
    quotas: Quotas,
    boot: String,
    queue: Mutex<Queue>,
    /// The bytes of images that wait for their operation's turn.
    uploads: Mutex<HashMap<OperationId, Upload>>,
    /// Wakes the runner: something may have become ready.
    ready: Notify,
    /// Wakes the reconcilers: what is may differ from what is intended.
    reconcile: Notify,
}

/// What an engine works with.
pub(crate) struct Around {
    pub(crate) store: Store,
    pub(crate) port: Port,
    pub(crate) clock: Clock,
    pub(crate) ids: Ids,
    pub(crate) config: Arc<Config>,
    pub(crate) observer: Observer,
    pub(crate) access: Access,
    /// The kernel's id of this boot of the host.
    pub(crate) boot: String,
}

/// How something is asked for.
#[derive(Debug, Clone)]
pub struct SubmitOptions {
    /// A key of the caller's, so that asking twice does it once.
    pub idempotency_key: Option<String>,
    /// The version of the VM's spec that the caller has seen; another one is refused.
    pub expected_generation: Option<u64>,
    /// Why the caller may do it, for the record.
    pub decision: Decision,
    /// Where the caller asks from, for the record.
    pub from: Option<Origin>,
}

impl Engine {
    pub(crate) fn new(around: Around) -> Self {
        let Around {
            store,
            port,
            clock,
            ids,
            config,
            observer,
            access,
            boot,
        } = around;
        let at_once = usize::try_from(config.operations.at_once).unwrap_or(1);
        let quotas = Quotas {
            config: Arc::clone(&config),
            inventory: store.inventory().clone(),
        };
        Self(Arc::new(Inner {
            store,
            port,
            clock,
            ids,
            config,
            observer,
            access,
            quotas,
            boot,
            queue: Mutex::new(Queue::new(at_once)),
            uploads: Mutex::default(),
            ready: Notify::new(),
            reconcile: Notify::new(),
        }))
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for something to be done. What can't be done is refused here where that is known
    /// already; else the operation is queued, and whoever asked can follow it.
    pub async fn submit(
        &self,
        principal: &Principal,
        request: JobRequest,
        options: SubmitOptions,
    ) -> Result<Operation, Problem> {
        let snapshot = self.0.store.inventory().snapshot();
        let refusal = check::without_store(&request, &snapshot).err();
        let parameters = request.parameters()?;
        let actor = principal.clone();
        let quotas = self.0.quotas.clone();
        let submitted = self
            .0
            .store
            .write("operation.submit", move |tx| {
                submit(tx, &quotas, actor, request, parameters, options, refusal)
            })
            .await?;
        let (row, upload, overtaken) = match submitted {
            Submitted::Before(row) => return Ok(row.operation),
            Submitted::Refused(problem) => return Err(*problem),
            Submitted::New(row, upload, overtaken) => (row, upload, overtaken),
        };
        let job = AnyJob::of(&row.operation)?;
        if let Some(upload) = upload {
            let mut uploads = self
                .0
                .uploads
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            uploads.insert(row.operation.id, upload);
        }
        {
            let mut queue = self.queue();
            queue.push(row.sequence, row.operation.id, job.locks());
            for id in overtaken {
                queue.cancel(id);
            }
        }
        self.0.ready.notify_one();
        Ok(row.operation)
    }

    /// Asks for an operation to be stopped and undone. One that waits ends at once; one that runs
    /// ends after its current step, or sooner where it only waits.
    pub async fn cancel(
        &self,
        principal: &Principal,
        from: Option<Origin>,
        id: OperationId,
        decision: Decision,
    ) -> Result<Operation, Problem> {
        let actor = principal.clone();
        let row = self
            .0
            .store
            .write("operation.cancel", move |tx| {
                cancel(tx, &actor, from, id, &decision)
            })
            .await?;
        self.queue().cancel(id);
        self.0.ready.notify_one();
        Ok(row.operation)
    }

    /// Waits until an operation is over, at most so long, and returns it as it is then.
    pub async fn wait(&self, id: OperationId, at_most: Duration) -> Result<Operation, Problem> {
        // Its end is an event, so whoever looks after each event sees it; also after a restart,
        // when an operation is known for a moment before it is queued again.
        let mut changed = self.0.store.inventory().changed();
        let ended = async {
            loop {
                changed.mark_unchanged();
                let over = self.queue().over(id);
                let row = self.0.store.read(move |tx| tx.operation(id)).await?;
                let operation = row
                    .map(|row| row.operation)
                    .ok_or_else(|| check::no_operation(id))?;
                if operation.state.is_final() {
                    return Ok(operation);
                }
                // The senders live as long as this engine does.
                if let Some(mut over) = over {
                    let _ = over.wait_for(|over| *over).await;
                } else {
                    let _ = changed.changed().await;
                }
            }
        };
        if let Some(outcome) = self.0.clock.within(at_most, ended).await {
            return outcome;
        }
        let row = self.0.store.read(move |tx| tx.operation(id)).await?;
        row.map(|row| row.operation)
            .ok_or_else(|| check::no_operation(id))
    }

    /// Waits until somebody asks an operation to stop, or it is over.
    pub async fn until_stopped(&self, id: OperationId) {
        let told = self.queue().told(id);
        if let Some((mut cancelled, mut over)) = told {
            // If nobody can tell any more, it is over, too.
            tokio::select! {
                _ = cancelled.wait_for(|cancelled| *cancelled) => {}
                _ = over.wait_for(|over| *over) => {}
            }
        }
    }

    /// Asks for something on the daemon's own behalf.
    async fn submit_own(&self, request: JobRequest) -> Result<Operation, Problem> {
        let decision = Decision::Allow {
            policy: "system".to_owned(),
        };
        let options = SubmitOptions {
            idempotency_key: None,
            expected_generation: None,
            decision,
            from: None,
        };
        self.submit(&Principal::System, request, options).await
    }

    /// Begins to work: takes up what an earlier run left, then carries out what is asked for, and
    /// runs the reconcilers.
    pub(crate) fn run(&self) {
        tokio::spawn(runner::run(self.clone()));
        tokio::spawn(scheduler::run(self.clone()));
    }

    /// Starts nothing any more.
    pub(crate) fn end(&self) {
        self.queue().end();
        self.0.ready.notify_one();
        self.0.reconcile.notify_one();
    }
}

enum Submitted {
    /// It was asked for before, with the same key.
    Before(Box<OperationRow>),
    /// It is more than a quota allows, which is on record.
    Refused(Box<Problem>),
    /// It is queued. The operations that it overtakes are to stop.
    New(Box<OperationRow>, Option<Upload>, Vec<OperationId>),
}

fn submit(
    tx: &WriteTransaction<'_>,
    quotas: &Quotas,
    actor: Principal,
    request: JobRequest,
    parameters: serde_json::Value,
    options: SubmitOptions,
    refusal: Option<Problem>,
) -> Result<Submitted, StoreError> {
    let kind = request.kind();
    if let Some(key) = &options.idempotency_key
        && let Some(before) = tx.operation_with_key(&actor, key)?
    {
        let same_target = check::same_target(&request, &before.operation.target);
        if before.operation.kind == kind && same_target && before.operation.parameters == parameters
        {
            return Ok(Submitted::Before(Box::new(before)));
        }
        let detail = format!(
            "The key {key:?} was used for the operation {}, which is another request.",
            before.operation.id
        );
        return Err(Problem::new(ProblemKind::IdempotencyConflict, detail).into());
    }
    if let Some(refusal) = refusal {
        return Err(refusal.into());
    }
    let unfinished = check::unfinished(tx)?;
    let generation = options.expected_generation;
    check::with_store(tx, &unfinished, &request, &parameters, generation)?;
    let target = check::target(tx, &request)?;
    let on = format!("{}/{}", target.kind, target.name);
    let asked = Asked {
        actor: &actor,
        request: &request,
        parameters: &parameters,
    };
    if let Some(breach) = quotas.breach(tx, &unfinished, &asked)? {
        let policy = breach.policy;
        let decision = Decision::Deny { policy };
        tx.append_audit(&actor, options.from, request.action(), &on, &decision, None)?;
        return Ok(Submitted::Refused(Box::new(breach.problem)));
    }
    let operation = Operation {
        id: OperationId::new(tx.next_id()),
        kind,
        target,
        parameters,
        actor,
        idempotency_key: options.idempotency_key,
        state: OperationState::Queued,
        steps: Vec::new(),
        progress: None,
        result: serde_json::Value::Null,
        problem: None,
        created: tx.now(),
        started: None,
        ended: None,
    };
    tx.append_audit(
        &operation.actor,
        options.from,
        request.action(),
        &on,
        &options.decision,
        Some(operation.id),
    )?;
    let overtaken = overtake(tx, &request, &operation, options.from, &options.decision)?;
    let row = tx.insert_operation(operation)?;
    let upload = match request {
        JobRequest::ImageAdd(_, upload) => Some(upload),
        _ => None,
    };
    Ok(Submitted::New(Box::new(row), upload, overtaken))
}

/// Stops what asks a VM's guest to shut down or reboot, where the guest is not to be asked any
/// more: it may never answer, and cutting its power would wait behind that.
fn overtake(
    tx: &WriteTransaction<'_>,
    request: &JobRequest,
    operation: &Operation,
    from: Option<Origin>,
    decision: &Decision,
) -> Result<Vec<OperationId>, StoreError> {
    if !request.asks_no_guest() {
        return Ok(Vec::new());
    }
    let mut overtaken = Vec::new();
    for row in tx.unfinished_operations()? {
        let other = &row.operation;
        let asks = matches!(
            other.kind,
            OperationKind::VmShutDown | OperationKind::VmReboot
        );
        if asks && other.target.id == operation.target.id && !row.cancelling {
            overtaken.push(other.id);
            stop(tx, &operation.actor, from, row, decision)?;
        }
    }
    Ok(overtaken)
}

fn cancel(
    tx: &WriteTransaction<'_>,
    actor: &Principal,
    from: Option<Origin>,
    id: OperationId,
    decision: &Decision,
) -> Result<OperationRow, StoreError> {
    let row = tx.operation(id)?.ok_or_else(|| check::no_operation(id))?;
    let operation = &row.operation;
    if operation.state.is_final() {
        let detail = format!("The operation {id} is over ({}).", operation.state.as_str());
        return Err(Problem::new(ProblemKind::NotCancellable, detail).into());
    }
    stop(tx, actor, from, row, decision)
}

/// Writes down that an operation is to stop, and who wants that.
fn stop(
    tx: &WriteTransaction<'_>,
    actor: &Principal,
    from: Option<Origin>,
    mut row: OperationRow,
    decision: &Decision,
) -> Result<OperationRow, StoreError> {
    let id = row.operation.id;
    let on = format!("operation/{id}");
    let action = Action::OperationCancel;
    tx.append_audit(actor, from, action, &on, decision, Some(id))?;
    row.cancelling = true;
    tx.put_operation(&row)?;
    Ok(row)
}
