// SPDX-License-Identifier: GPL-3.0-or-later
//! Asking a guest to reboot.
//!
//! libvirt tells when a guest agent goes away and comes back, and nothing else of a reboot. So
//! where the agent was connected, the job waits until it goes; where there was none, nobody can
//! see what the guest did, and the operation's result says so: `{"seen": false}`.

use hv_model::{
    hypervisor::AgentLink,
    id::VmId,
    inventory::AskGuest,
    operation::{OperationKind, Target},
    problem::{Problem, ProblemKind},
};
use serde_json::{Value, json};

use super::{
    Job, OnRestart,
    ask_guest::{Answer, Question, ask, patience},
};
use crate::{
    engine::{Context, Lock, Outcome, Step, Stop, state_check},
    store::VmRow,
};

pub(crate) struct RebootVm {
    vm: VmId,
    ask: AskGuest,
}

impl Job for RebootVm {
    // Nobody wants a second reboot of a guest that may be up again.
    const ON_RESTART: OnRestart = OnRestart::Undo;

    fn read(target: &Target, parameters: &Value) -> Result<Self, Problem> {
        Ok(Self {
            vm: super::vm(target)?,
            ask: super::parameters(parameters)?,
        })
    }

    fn locks(&self) -> Vec<Lock> {
        vec![Lock::vm(self.vm)]
    }

    async fn run(self, context: &mut Context) -> Result<Outcome, Stop> {
        let time = patience(&self.ask)?;
        let row = context.vm(self.vm).await?;
        state_check::may_be_asked(&row, OperationKind::VmReboot)?;
        state_check::state_fits(&row, OperationKind::VmReboot)?;
        if row.agent != Some(AgentLink::Connected) {
            return press(context, &row).await;
        }
        let vm = self.vm;
        let links = context
            .snapshot()
            .vm_by_id(vm)
            .map_or(0, |record| record.agent_losses);
        let question = Question {
            verb: "reboot",
            call: |host, vm, way| host.reboot(vm, way),
        };
        let answer = ask(context, &row, &question, time, move |known| {
            known
                .vm_by_id(vm)
                .is_none_or(|record| record.agent_losses != links)
        })
        .await?;
        match answer {
            Answer::Done => Ok(Outcome::done().with_result(json!({ "seen": true }))),
            Answer::Nothing => {
                let (name, seconds) = (&row.name, time.as_secs());
                let detail = format!(
                    "The guest agent of {name} is still there {seconds} seconds after the guest \
                     was asked to reboot."
                );
                Err(Problem::new(ProblemKind::GuestNotAnswering, detail)
                    .with_try(format!("hv vm console {name}"))
                    .with_try(format!("hv vm reset {name}"))
                    .into())
            }
        }
    }
}

async fn press(context: &mut Context, row: &VmRow) -> Result<Outcome, Stop> {
    let (vm, name) = (row.id, &row.name);
    let step = Step::new("Press the power button, to boot again")
        .command(format!("virsh reboot {name} --mode acpi"));
    let way = hv_model::hypervisor::GuestRequest::Acpi;
    context
        .call(step, "reboot", move |host| host.reboot(vm, way))
        .await?;
    Ok(Outcome::done().with_result(json!({ "seen": false })))
}
