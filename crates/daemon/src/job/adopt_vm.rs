// SPDX-License-Identifier: GPL-3.0-or-later
//! Taking over a VM that was made with another tool.

use hv_model::{
    event::EventKind,
    id::VmId,
    operation::{OperationKind, Target},
    problem::{Problem, ProblemKind},
};
use serde_json::Value;

use super::{Job, OnRestart};
use crate::{
    engine::{Context, Lock, Outcome, Step, Stop, state_check},
    store::{Managed, Origin},
};

pub(crate) struct AdoptVm {
    vm: VmId,
}

impl Job for AdoptVm {
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
        state_check::may_be_asked(&row, OperationKind::VmAdopt)?;
        // Its maker may have changed it since it was last looked at.
        let details = context
            .look("details", move |host| host.details(&[vm]))
            .await?;
        let details = details.into_iter().next().ok_or_else(|| context.gone())?;
        let name = &row.name;
        let definition = match (details.definition, details.foreign) {
            // An earlier run of the daemon defined it, and ended before it could record that.
            (Some(definition), _) => *definition,
            (None, Some(foreign)) if foreign.obstacles.is_empty() => {
                let definition = foreign.definition.ok_or_else(|| {
                    let detail = format!("{name} has something that a spec can't say.");
                    Problem::new(ProblemKind::CannotAdopt, detail)
                })?;
                let mut definition = *definition;
                definition.generation = 1;
                definition.spec = definition.spec.settled(vm);
                definition
            }
            (None, foreign) => {
                let obstacles = foreign.map(|foreign| foreign.obstacles).unwrap_or_default();
                let detail = format!("{name} can't be adopted: {}.", obstacles.join("; "));
                return Err(Problem::new(ProblemKind::CannotAdopt, detail).into());
            }
        };
        let step = Step::new(format!("Write the spec of {name} into its definition"))
            .command(format!("virsh define {name}.xml"));
        let defined = definition.clone();
        context
            .call(step, "define", move |host| host.adopt(&defined))
            .await?;
        Ok(Outcome::record(move |tx| {
            let Some(mut row) = tx.vm(vm)? else {
                return Ok(());
            };
            let managed = Managed::new(definition.clone(), tx.now());
            row.origin = Origin::Managed(Box::new(managed));
            tx.append_event(EventKind::VmAdopted, &row.subject(), &Value::Null)?;
            tx.put_vm(row)
        }))
    }
}
