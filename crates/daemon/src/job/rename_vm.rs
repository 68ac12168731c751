// SPDX-License-Identifier: GPL-3.0-or-later
//! Giving a VM that is off another name.

use hv_model::{
    event::EventKind,
    id::VmId,
    inventory::RenameVm as Request,
    operation::{OperationKind, Target},
    problem::Problem,
};
use serde_json::{Value, json};

use super::{Job, OnRestart};
use crate::engine::{Context, Lock, Outcome, Step, Stop, Undo, check, state_check};

pub(crate) struct RenameVm {
    vm: VmId,
    request: Request,
}

impl Job for RenameVm {
    const ON_RESTART: OnRestart = OnRestart::Resume;

    fn read(target: &Target, parameters: &Value) -> Result<Self, Problem> {
        Ok(Self {
            vm: super::vm(target)?,
            request: super::parameters(parameters)?,
        })
    }

    fn locks(&self) -> Vec<Lock> {
        vec![Lock::vm(self.vm), Lock::name(self.request.name.clone())]
    }

    async fn run(self, context: &mut Context) -> Result<Outcome, Stop> {
        let (vm, name) = (self.vm, self.request.name);
        let row = context.vm(vm).await?;
        state_check::may_be_asked(&row, OperationKind::VmRename)?;
        state_check::state_fits(&row, OperationKind::VmRename)?;
        let (wanted, own) = (name.clone(), context.sequence());
        context
            .store()
            .read(move |tx| {
                let mut others = tx.unfinished_operations()?;
                others.retain(|row| row.sequence < own);
                let others: Vec<_> = others.into_iter().map(|row| row.operation).collect();
                Ok(check::name_is_free(tx, &others, &wanted, Some(vm))?)
            })
            .await?;
        let (Some(managed), Some(mut definition)) = (row.managed(), row.definition()) else {
            return Err(context.gone().into());
        };
        let before = managed.spec.name.clone();
        let step = Step::new(format!("Rename {before} to {name}"))
            .command(format!("virsh domrename {before} {name}"))
            .undo(Undo::Rename(vm, before.clone()));
        let new_name = name.clone();
        context
            .call(step, "rename", move |host| host.rename(vm, &new_name))
            .await?;
        definition.spec.name = name.clone();
        let undo = Undo::Define(Box::new(definition.clone()));
        definition.generation += 1;
        let generation = definition.generation;
        let step = Step::new("Write the name into its description")
            .command(format!("virsh define {name}.xml"))
            .undo(undo);
        context
            .call(step, "define", move |host| host.define(&definition))
            .await?;
        Ok(Outcome::record(move |tx| {
            let Some(mut row) = tx.vm(vm)? else {
                return Ok(());
            };
            row.name = name.to_string();
            if let Some(managed) = row.managed_mut() {
                managed.spec.name = name.clone();
                managed.generation = generation;
                managed.defined = generation;
            }
            let data = json!({ "from": before, "to": name });
            tx.append_event(EventKind::VmRenamed, &row.subject(), &data)?;
            tx.put_vm(row)
        }))
    }
}
