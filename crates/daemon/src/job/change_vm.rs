// SPDX-License-Identifier: GPL-3.0-or-later
//! Changing a VM's spec: at once what can be, at the next boot the rest.

use hv_model::{
    event::EventKind,
    hypervisor::LiveChange,
    id::VmId,
    inventory::ChangeVm as Request,
    operation::{OperationKind, Target},
    plan::{self, Plan},
    problem::{Problem, ProblemKind},
    vm::{VmSpec, VmState},
};
use serde_json::{Value, json};

use super::{Job, OnRestart};
use crate::{
    engine::{Context, Lock, Outcome, Step, Stop, Undo, check, state_check},
    store::{Managed, VmRow},
};

pub(crate) struct ChangeVm {
    vm: VmId,
    request: Box<Request>,
}

/// What a change of a VM would lead to, and what it costs now.
pub(crate) fn plan_change(row: &VmRow, change: &Request) -> Result<(VmSpec, Plan), Problem> {
    state_check::may_be_asked(row, OperationKind::VmChange)?;
    let managed = row.managed().ok_or_else(|| check::no_vm(row.id))?;
    let spec = plan::apply(&managed.spec, change).map_err(|faults| {
        let detail = format!("{} can't be changed like that.", row.name);
        Problem::new(ProblemKind::InvalidSpec, detail).with_faults(faults)
    })?;
    let plan = plan::plan(&managed.spec, &spec, row.state);
    Ok((spec, plan))
}

/// The spec that a VM runs with.
fn running_spec(managed: &Managed) -> &VmSpec {
    managed.booted.as_ref().unwrap_or(&managed.spec)
}

impl Job for ChangeVm {
    const ON_RESTART: OnRestart = OnRestart::Resume;

    fn read(target: &Target, parameters: &Value) -> Result<Self, Problem> {
        Ok(Self {
            vm: super::vm(target)?,
            request: super::parameters(parameters)?,
        })
    }

    fn locks(&self) -> Vec<Lock> {
        vec![Lock::vm(self.vm)]
    }

    async fn run(self, context: &mut Context) -> Result<Outcome, Stop> {
        let vm = self.vm;
        let row = context.vm(vm).await?;
        let (spec, plan) = plan_change(&row, &self.request)?;
        let result = json!(plan);
        let (Some(managed), Some(before)) = (row.managed(), row.definition()) else {
            return Err(context.gone().into());
        };
        if plan.changes.is_empty() {
            return Ok(Outcome::done().with_result(result));
        }
        let name = &row.name;
        let mut running = running_spec(managed).clone();
        for change in plan::live_changes(vm, &running, &spec, row.state) {
            let mut step = Step::new(live_words(&change)).command(live_command(name, &change));
            if let Some(back) = undo_of(vm, &running, &change, row.state) {
                step = step.undo(Undo::ChangeLive(vm, back));
            }
            running = plan::after_live_change(vm, &running, &change);
            context
                .call(step, "change_live", move |host| {
                    host.change_live(vm, &change)
                })
                .await?;
        }
        let mut definition = before.clone();
        definition.spec = spec.clone();
        definition.generation += 1;
        let generation = definition.generation;
        let step = Step::new(format!("Define {name} as it is to be"))
            .command(format!("virsh define {name}.xml"))
            .undo(Undo::Define(Box::new(before)));
        context
            .call(step, "define", move |host| host.define(&definition))
            .await?;
        let data = result.clone();
        Ok(Outcome::record(move |tx| {
            let Some(mut row) = tx.vm(vm)? else {
                return Ok(());
            };
            let keeps_memory = row.state.is_active() || row.state == VmState::Saved;
            if !keeps_memory {
                row.cpus = spec.cpus.count;
                row.memory = spec.memory.size;
            }
            if let Some(managed) = row.managed_mut() {
                managed.booted = (keeps_memory && running != spec).then(|| running.clone());
                managed.spec = spec.clone();
                managed.generation = generation;
                managed.defined = generation;
            }
            tx.append_event(EventKind::VmChanged, &row.subject(), &data)?;
            tx.put_vm(row)
        })
        .with_result(result))
    }
}

/// What takes a change of a running VM back.
fn undo_of(vm: VmId, before: &VmSpec, change: &LiveChange, state: VmState) -> Option<LiveChange> {
    let after = plan::after_live_change(vm, before, change);
    match change {
        LiveChange::Cpus(_) => Some(LiveChange::Cpus(before.cpus.count)),
        _ => plan::live_changes(vm, &after, before, state)
            .into_iter()
            .next(),
    }
}

fn live_words(change: &LiveChange) -> String {
    match change {
        LiveChange::Cpus(count) => format!("Give the running VM {count} CPUs"),
        LiveChange::Memory(size) => format!("Give the running VM {size} of memory"),
        LiveChange::Limits(_) => "Set the limits of the running VM".to_owned(),
        LiveChange::DiskLimits { disk, .. } => format!("Set the limits of the running disk {disk}"),
        LiveChange::NicLimits { mac, .. } => {
            format!("Set the limits of the running interface {mac}")
        }
    }
}

fn live_command(name: &str, change: &LiveChange) -> String {
    match change {
        LiveChange::Cpus(count) => format!("virsh setvcpus {name} {count} --live"),
        LiveChange::Memory(size) => format!("virsh setmem {name} {} --live", size.kib()),
        LiveChange::Limits(_) => format!("virsh schedinfo {name} --live"),
        LiveChange::DiskLimits { disk, .. } => format!("virsh blkdeviotune {name} {disk} --live"),
        LiveChange::NicLimits { mac, .. } => format!("virsh domiftune {name} {mac} --live"),
    }
}
