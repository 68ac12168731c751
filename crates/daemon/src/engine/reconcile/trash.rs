// SPDX-License-Identifier: GPL-3.0-or-later
//! Destroying VMs whose time in the trash is over.

use jiff::Timestamp;

use crate::engine::{Engine, JobRequest, scheduler::Patience};

/// Asks for the VMs to be purged whose time is over. Returns when the next one's is.
pub(in crate::engine) async fn purge_old(
    engine: &Engine,
    patience: &mut Patience,
) -> Option<Timestamp> {
    let now = engine.0.clock.now();
    let known = engine.0.store.inventory().snapshot();
    let mut next: Option<Timestamp> = None;
    for record in &known.vms {
        let vm = record.row.id;
        let trash = record
            .row
            .managed()
            .and_then(|managed| managed.trash.as_ref());
        let Some(trash) = trash.filter(|_| !known.worked_on.contains(&vm)) else {
            continue;
        };
        let due = patience.not_before(vm, trash.purged_after);
        if due > now {
            next = next.map_or(Some(due), |next| Some(next.min(due)));
            continue;
        }
        patience.tried(vm, now);
        if let Err(problem) = engine.submit_own(JobRequest::VmPurge(vm)).await {
            tracing::warn!(%vm, %problem, "VM {vm} can't be purged");
        }
    }
    next
}
