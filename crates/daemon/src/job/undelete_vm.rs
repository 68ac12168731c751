// SPDX-License-Identifier: GPL-3.0-or-later
//! Taking a VM out of the trash.

use hv_model::{
    event::EventKind,
    id::VmId,
    operation::{OperationKind, Target},
    problem::Problem,
    vm::VmState,
};
use serde_json::Value;

use super::{Job, OnRestart};
use crate::engine::{Context, Lock, Outcome, Step, Stop, Undo, state_check};

pub(crate) struct UndeleteVm {
    vm: VmId,
}

impl Job for UndeleteVm {
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
        let vm = self.vm;
        let row = context.vm(vm).await?;
        state_check::may_be_asked(&row, OperationKind::VmUndelete)?;
        let definition = row.definition().ok_or_else(|| context.gone())?;
        let generation = definition.generation;
        let name = &row.name;
        let step = Step::new(format!("Define {name} again"))
            .command(format!("virsh define {name}.xml"))
            .undo(Undo::Undefine(vm));
        context
            .call(step, "define", move |host| host.define(&definition))
            .await?;
        Ok(Outcome::record(move |tx| {
            let Some(mut row) = tx.vm(vm)? else {
                return Ok(());
            };
            row.state = VmState::Off;
            row.reason = String::new();
            row.since = tx.now();
            if let Some(managed) = row.managed_mut() {
                managed.trash = None;
                managed.defined = generation;
            }
            tx.append_event(EventKind::VmRestored, &row.subject(), &Value::Null)?;
            tx.put_vm(row)
        }))
    }
}
