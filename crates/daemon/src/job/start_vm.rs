// SPDX-License-Identifier: GPL-3.0-or-later
//! Starting a VM, or restoring it where its memory was saved.

use hv_model::{
    hypervisor::VmFacts,
    id::VmId,
    operation::{OperationKind, Target},
    problem::{Problem, ProblemKind},
    size::Size,
    vm::{VmSpec, VmState},
};
use jiff::Timestamp;
use serde_json::Value;

use super::{Job, OnRestart, SETTLE};
use crate::{
    engine::{Context, Lock, Outcome, Step, Stop, state_check},
    observe::take_state,
    store::{VmRow, WriteTransaction},
};

pub(crate) struct StartVm {
    vm: VmId,
}

impl Job for StartVm {
    const ON_RESTART: OnRestart = OnRestart::Resume;

    fn read(target: &Target, _parameters: &Value) -> Result<Self, Problem> {
        Ok(Self {
            vm: super::vm(target)?,
        })
    }

    fn locks(&self) -> Vec<Lock> {
        vec![Lock::vm(self.vm)]
    }

    async fn run(self, context: &mut Context) -> Result<Outcome, Stop> {
        let row = context.vm(self.vm).await?;
        if context.is_repeated() && row.state == VmState::Running {
            return Ok(Outcome::done());
        }
        state_check::may_be_asked(&row, OperationKind::VmStart)?;
        state_check::state_fits(&row, OperationKind::VmStart)?;
        check_resources(context, &row.name, row.memory).await?;
        if let Some(managed) = row.managed() {
            check_networks(context, &managed.spec)?;
        }
        let outcome = define_anew(context, &row).await?;
        start(context, self.vm, &row.name, row.state).await?;
        Ok(outcome)
    }
}

/// Refuses to start what the host has no memory for.
pub(super) async fn check_resources(
    context: &Context,
    name: &str,
    memory: Size,
) -> Result<(), Stop> {
    let host = context.look("host", |host| host.host()).await?;
    if host.memory_available >= memory {
        return Ok(());
    }
    let detail = format!(
        "{name} is to get {}, and {} has {} available.",
        memory.rounded(),
        host.hostname,
        host.memory_available.rounded()
    );
    Err(Problem::new(ProblemKind::NotEnoughMemory, detail)
        .with_try("hv vm list")
        .into())
}

/// Refuses to start what would be plugged into a network that does not run.
pub(super) fn check_networks(context: &Context, spec: &VmSpec) -> Result<(), Stop> {
    let known = context.snapshot();
    for network in spec.nics.iter().filter_map(|nic| nic.network.as_ref()) {
        let is_active = known
            .networks
            .iter()
            .any(|known| known.name == *network && known.active);
        if !is_active {
            let detail = format!("The network {network} of {} does not run.", spec.name);
            return Err(Problem::new(ProblemKind::NetworkInactive, detail)
                .with_try(format!("virsh net-start {network}"))
                .into());
        }
    }
    Ok(())
}

/// Defines a VM anew where the host has another version of it than is intended.
async fn define_anew(context: &mut Context, row: &VmRow) -> Result<Outcome, Stop> {
    let (Some(managed), Some(definition)) = (row.managed(), row.definition()) else {
        return Ok(Outcome::done());
    };
    if managed.defined == managed.generation || row.state == VmState::Saved {
        return Ok(Outcome::done());
    }
    let name = &row.name;
    let step = Step::new(format!("Define {name} as it is intended"))
        .command(format!("virsh define {name}.xml"));
    let (vm, generation) = (row.id, managed.generation);
    context
        .call(step, "define", move |host| host.define(&definition))
        .await?;
    Ok(Outcome::record(move |tx| {
        if let Some(mut row) = tx.vm(vm)?
            && let Some(managed) = row.managed_mut()
        {
            managed.defined = generation;
            tx.put_vm(row)?;
        }
        Ok(())
    }))
}

/// Starts a VM, and waits until it is seen to run.
pub(super) async fn start(
    context: &mut Context,
    vm: VmId,
    name: &str,
    before: VmState,
) -> Result<(), Stop> {
    let step = match before {
        VmState::Saved => Step::new(format!("Restore {name} from its saved memory")),
        _ => Step::new(format!("Start {name}")),
    };
    start_step(context, step, vm, name).await
}

/// Takes over that a VM runs which the host says it started, before the fact comes that tells so:
/// once the operation is over, nothing else says that it may run.
async fn note_start(context: &Context, vm: VmId, before: Option<Timestamp>) -> Result<(), Stop> {
    let known = context.snapshot();
    let note = move |tx: &WriteTransaction<'_>| {
        let unseen = |row: &VmRow| !row.state.is_active() && Some(row.since) == before;
        let Some(row) = tx.vm(vm)?.filter(unseen) else {
            return Ok(());
        };
        let started = VmFacts {
            id: vm,
            name: row.name.clone(),
            state: VmState::Running,
            reason: "booted".to_owned(),
        };
        take_state(tx, &known, row, &started)
    };
    Ok(context.store().write("operation.note-start", note).await?)
}

/// The same, as this step.
pub(super) async fn start_step(
    context: &mut Context,
    step: Step,
    vm: VmId,
    name: &str,
) -> Result<(), Stop> {
    let since = context
        .snapshot()
        .vm_by_id(vm)
        .map(|record| record.row.since);
    let step = step.command(format!("virsh start {name}"));
    context
        .call(step, "start", move |host| host.start(vm))
        .await?;
    let seen = context
        .wait_until(SETTLE, |known| {
            known.vm_by_id(vm).is_none_or(|record| {
                record.row.state.is_active() || Some(record.row.since) != since
            })
        })
        .await;
    if !matches!(seen, Ok(true)) {
        note_start(context, vm, since).await?;
    }
    seen?;
    let known = context.snapshot();
    let ended = known
        .vm_by_id(vm)
        .filter(|record| !record.row.state.is_active() && Some(record.row.since) != since);
    match ended {
        None => Ok(()),
        Some(record) => {
            let detail = format!("{name} started and ended at once: {}.", record.row.reason);
            Err(Problem::new(ProblemKind::Internal, detail).into())
        }
    }
}
