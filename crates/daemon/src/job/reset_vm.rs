// SPDX-License-Identifier: GPL-3.0-or-later
//! Resetting a VM as if its reset button were pressed.

use hv_model::{
    id::VmId,
    operation::{OperationKind, Target},
    problem::Problem,
};
use serde_json::Value;

use super::{Job, OnRestart};
use crate::engine::{Context, Lock, Outcome, Step, Stop, state_check};

pub(crate) struct ResetVm {
    vm: VmId,
}

impl Job for ResetVm {
    // Nobody wants a second reset of a guest that may be booting by now.
    const ON_RESTART: OnRestart = OnRestart::Undo;

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
        state_check::may_be_asked(&row, OperationKind::VmReset)?;
        state_check::state_fits(&row, OperationKind::VmReset)?;
        let name = &row.name;
        let step = Step::new(format!("Reset {name}")).command(format!("virsh reset {name}"));
        context
            .call(step, "reset", move |host| host.reset(vm))
            .await?;
        Ok(Outcome::done())
    }
}
