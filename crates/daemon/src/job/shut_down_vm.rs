// SPDX-License-Identifier: GPL-3.0-or-later
//! Asking a guest to shut down, and waiting until it has.

use hv_model::{
    id::VmId,
    inventory::AskGuest,
    operation::{OperationKind, Target},
    problem::{Problem, ProblemKind},
};
use serde_json::Value;

use super::{
    Job, OnRestart,
    ask_guest::{Answer, Question, ask, patience},
};
use crate::engine::{Context, Lock, Outcome, Stop, state_check};

pub(crate) struct ShutDownVm {
    vm: VmId,
    ask: AskGuest,
}

impl Job for ShutDownVm {
    const ON_RESTART: OnRestart = OnRestart::Resume;

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
        let vm = self.vm;
        let time = patience(&self.ask)?;
        let row = context.vm(vm).await?;
        if context.is_repeated() && !row.state.is_active() {
            return Ok(Outcome::done());
        }
        state_check::may_be_asked(&row, OperationKind::VmShutDown)?;
        state_check::state_fits(&row, OperationKind::VmShutDown)?;
        let question = Question {
            verb: "shutdown",
            call: |host, vm, way| host.shut_down(vm, way),
        };
        let answer = ask(context, &row, &question, time, move |known| {
            known
                .vm_by_id(vm)
                .is_none_or(|record| !record.row.state.is_active())
        })
        .await?;
        match answer {
            Answer::Done => Ok(Outcome::done()),
            Answer::Nothing => {
                let (name, seconds) = (&row.name, time.as_secs());
                let detail = format!("{name} still runs {seconds} seconds after it was asked.");
                Err(Problem::new(ProblemKind::GuestNotAnswering, detail)
                    .with_try(format!("hv vm console {name}"))
                    .with_try(format!("hv vm kill {name}"))
                    .into())
            }
        }
    }
}
