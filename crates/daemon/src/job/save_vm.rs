// SPDX-License-Identifier: GPL-3.0-or-later
//! Saving a VM's memory to disk and stopping it.

use hv_model::{
    id::VmId,
    operation::{OperationKind, Target},
    problem::Problem,
    vm::VmState,
};
use serde_json::Value;

use super::{Job, OnRestart, SETTLE};
use crate::engine::{Context, Lock, Outcome, Step, Stop, state_check};

pub(crate) struct SaveVm {
    vm: VmId,
}

impl Job for SaveVm {
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
        if context.is_repeated() && row.state == VmState::Saved {
            return Ok(Outcome::done());
        }
        state_check::may_be_asked(&row, OperationKind::VmSave)?;
        state_check::state_fits(&row, OperationKind::VmSave)?;
        let name = &row.name;
        let step = Step::new(format!("Save the memory of {name} to disk"))
            .command(format!("virsh managedsave {name}"));
        context
            .call(step, "save", move |host| host.save(vm))
            .await?;
        context
            .wait_until(SETTLE, |known| {
                known
                    .vm_by_id(vm)
                    .is_none_or(|record| !record.row.state.is_active())
            })
            .await?;
        Ok(Outcome::done())
    }
}
