// SPDX-License-Identifier: GPL-3.0-or-later
//! Starting crashed VMs again, later each time.

use std::time::Duration;

use hv_model::{event::EventKind, id::VmId, vm::OnCrash};
use jiff::Timestamp;
use serde_json::json;

use crate::{
    clock::later,
    engine::{Engine, JobRequest, scheduler::Patience},
    observe::plan_restart,
    store::{Result, WriteTransaction},
};

/// How long a start may take before it counts as failed.
const START: Duration = Duration::from_secs(300);

/// Asks for crashed VMs to be started whose pause is over. Returns when the next one's is.
pub(in crate::engine) async fn restart_crashed(
    engine: &Engine,
    patience: &mut Patience,
) -> Option<Timestamp> {
    let now = engine.0.clock.now();
    let known = engine.0.store.inventory().snapshot();
    let mut next: Option<Timestamp> = None;
    for record in &known.vms {
        let vm = record.row.id;
        let due = record.row.managed().and_then(|managed| managed.restart_at);
        let due = due.filter(|_| {
            !record.row.state.is_active()
                && !record.row.is_trashed()
                && !known.worked_on.contains(&vm)
        });
        let Some(due) = due else { continue };
        let due = patience.not_before(vm, due);
        if due > now {
            next = next.map_or(Some(due), |next| Some(next.min(due)));
            continue;
        }
        let begun = engine
            .0
            .store
            .write("reconcile.restart", move |tx| begin(tx, vm))
            .await;
        match begun {
            Ok(true) => {
                if let Err(problem) = engine.submit_own(JobRequest::VmStart(vm)).await {
                    tracing::warn!(%vm, %problem, "VM {vm} can't be started again");
                }
            }
            Ok(false) => {}
            Err(error) => {
                patience.tried(vm, now);
                tracing::warn!(%vm, %error, "VM {vm} can't be started again");
            }
        }
    }
    next
}

/// Notes that a VM is being started again. One that was tried already and did not even begin to
/// run has crashed once more. Returns whether it is to be started.
fn begin(tx: &WriteTransaction<'_>, vm: VmId) -> Result<bool> {
    let Some(mut row) = tx.vm(vm)? else {
        return Ok(false);
    };
    let now = tx.now();
    let subject = row.subject();
    let Some(managed) = row.managed_mut() else {
        return Ok(false);
    };
    if managed.spec.on_crash != OnCrash::Restart {
        managed.restart_at = None;
        tx.put_vm(row)?;
        return Ok(false);
    }
    if managed.restarting {
        plan_restart(managed, now);
        managed.restarting = false;
        if managed.restart_at.is_none() {
            let data = json!({ "crashes": managed.crashes.len() });
            tx.append_event(EventKind::VmRestartGivenUp, &subject, &data)?;
        }
        tx.put_vm(row)?;
        return Ok(false);
    }
    managed.restarting = true;
    managed.restart_at = Some(later(now, START));
    tx.put_vm(row)?;
    Ok(true)
}
