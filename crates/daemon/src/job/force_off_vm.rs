// SPDX-License-Identifier: GPL-3.0-or-later
//! Forcing a VM off.

use hv_model::{
    id::VmId,
    operation::{OperationKind, Target},
    problem::Problem,
    vm::VmState,
};
use serde_json::Value;

use super::{Job, OnRestart, SETTLE};
use crate::engine::{Context, Lock, Outcome, Step, Stop, state_check};

pub(crate) struct ForceOffVm {
    vm: VmId,
}

impl Job for ForceOffVm {
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
        if context.is_repeated() && !row.state.is_active() && row.state != VmState::Crashed {
            return Ok(Outcome::done());
        }
        state_check::may_be_asked(&row, OperationKind::VmForceOff)?;
        state_check::state_fits(&row, OperationKind::VmForceOff)?;
        let name = &row.name;
        let step =
            Step::new(format!("Cut the power of {name}")).command(format!("virsh destroy {name}"));
        context
            .call(step, "force_off", move |host| host.force_off(vm))
            .await?;
        context
            .wait_until(SETTLE, |known| {
                known.vm_by_id(vm).is_none_or(|record| {
                    !record.row.state.is_active() && record.row.state != VmState::Crashed
                })
            })
            .await?;
        Ok(Outcome::done())
    }
}
