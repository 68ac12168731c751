// SPDX-License-Identifier: GPL-3.0-or-later
//! Pausing a VM.

use hv_model::{
    id::VmId,
    operation::{OperationKind, Target},
    problem::Problem,
    vm::VmState,
};
use serde_json::Value;

use super::{Job, OnRestart, SETTLE};
use crate::engine::{Context, Lock, Outcome, Step, Stop, state_check};

pub(crate) struct PauseVm {
    vm: VmId,
}

impl Job for PauseVm {
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
        if context.is_repeated() && row.state == VmState::Paused {
            return Ok(Outcome::done());
        }
        state_check::may_be_asked(&row, OperationKind::VmPause)?;
        state_check::state_fits(&row, OperationKind::VmPause)?;
        let name = &row.name;
        let step = Step::new(format!("Pause {name}")).command(format!("virsh suspend {name}"));
        context
            .call(step, "pause", move |host| host.pause(vm))
            .await?;
        context
            .wait_until(SETTLE, |known| {
                known
                    .vm_by_id(vm)
                    .is_none_or(|record| record.row.state != VmState::Running)
            })
            .await?;
        Ok(Outcome::done())
    }
}
