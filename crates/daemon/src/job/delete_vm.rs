// SPDX-License-Identifier: GPL-3.0-or-later
//! Moving a VM to the trash: its definition goes, its disks and its name stay reserved.

use hv_model::{
    event::EventKind,
    id::VmId,
    inventory::DeleteVm as Request,
    operation::{OperationKind, Target},
    problem::Problem,
    vm::VmState,
};
use serde_json::{Value, json};

use super::{Job, OnRestart, SETTLE};
use crate::{
    clock::later,
    engine::{Context, Lock, Outcome, Step, Stop, Undo, state_check},
    store::Trash,
};

pub(crate) struct DeleteVm {
    vm: VmId,
    request: Request,
}

impl Job for DeleteVm {
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
        state_check::may_be_asked(&row, OperationKind::VmDelete)?;
        state_check::may_be_deleted(&row, &self.request)?;
        let name = &row.name;
        if row.state.is_active() {
            let step = Step::new(format!("Cut the power of {name}"))
                .command(format!("virsh destroy {name}"));
            context
                .call(step, "force_off", move |host| host.force_off(vm))
                .await?;
            context
                .wait_until(SETTLE, |known| {
                    known
                        .vm_by_id(vm)
                        .is_none_or(|record| !record.row.state.is_active())
                })
                .await?;
        }
        let definition = row.definition().ok_or_else(|| context.gone())?;
        let step = Step::new(format!("Undefine {name}, and keep its disks"))
            .command(format!(
                "virsh undefine {name} --managed-save --keep-nvram --keep-tpm"
            ))
            .undo(Undo::Define(Box::new(definition)));
        context
            .call(step, "undefine", move |host| host.undefine(vm))
            .await?;
        let keep = context.keep_trash();
        Ok(Outcome::record(move |tx| {
            let Some(mut row) = tx.vm(vm)? else {
                return Ok(());
            };
            let now = tx.now();
            let purged_after = later(now, keep);
            row.state = VmState::Trashed;
            "deleted".clone_into(&mut row.reason);
            row.since = now;
            row.agent = None;
            if let Some(managed) = row.managed_mut() {
                managed.trash = Some(Trash::new(now, keep));
                managed.defined = 0;
                managed.booted = None;
                managed.restart_at = None;
            }
            let data = json!({ "purged_after": purged_after });
            tx.append_event(EventKind::VmTrashed, &row.subject(), &data)?;
            tx.put_vm(row)
        }))
    }
}
