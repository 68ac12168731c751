// SPDX-License-Identifier: GPL-3.0-or-later
//! Starting VMs with their host: once for each boot of the host, in order, with pauses.
//!
//! When the host is seen in a new boot, the VMs that are to start with it are written down, in
//! their order. Each group is taken off that list once its VMs were started, so a daemon that ends
//! half-way goes on where it was, and one that merely restarts starts nothing.

use std::{collections::BTreeMap, time::Duration};

use hv_model::{id::VmId, problem::ProblemKind, vm::Autostart};

use crate::{
    engine::{Engine, JobRequest},
    store::{Result, Snapshot, StoreError},
};

/// How long a group's starts are waited for before the next group's turn.
const START: Duration = Duration::from_secs(300);
/// How long is waited before a start that the host was not there for is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// Starts what is to start with this boot of the host.
pub(in crate::engine) async fn start_with_host(engine: &Engine) -> Result<()> {
    engine.until_live().await?;
    note_boot(engine).await?;
    loop {
        #[expect(
            clippy::redundant_closure_for_method_calls,
            reason = "the method's path has one lifetime, and any is asked for"
        )]
        let waiting = engine.0.store.read(|tx| tx.autostart()).await?;
        let Some((place, _)) = waiting.first().copied() else {
            return Ok(());
        };
        let group: Vec<VmId> = waiting
            .iter()
            .filter(|(other, _)| *other == place)
            .map(|(_, vm)| *vm)
            .collect();
        let delay = start_group(engine, &group).await?;
        engine
            .0
            .store
            .write("reconcile.autostart", move |tx| {
                group.iter().try_for_each(|vm| tx.remove_autostart(*vm))
            })
            .await?;
        engine.0.clock.sleep(delay).await;
    }
}

/// Writes down what is to be started, if this boot was not seen before.
async fn note_boot(engine: &Engine) -> Result<()> {
    let boot = engine.0.boot.clone();
    let list = order(&engine.0.store.inventory().snapshot());
    engine
        .0
        .store
        .write("reconcile.boot", move |tx| {
            let before: Option<String> = tx.host_fact("boot")?;
            if before.as_ref() == Some(&boot) {
                return Ok(());
            }
            // Nobody knows how long a host has been up that was never seen before.
            if before.is_some() {
                tx.put_autostart(&list)?;
            }
            tx.put_host_fact("boot", &boot)
        })
        .await
}

/// The VMs that start with the host, each with its group's place: higher priorities first. A
/// group goes by the highest priority in it.
fn order(known: &Snapshot) -> Vec<(u32, VmId)> {
    let wanted = known
        .vms
        .iter()
        .filter(|record| !record.row.is_trashed())
        .filter_map(|record| {
            let autostart = record.row.managed()?.spec.autostart.as_ref()?;
            Some((record.row.name.clone(), record.row.id, autostart))
        });
    places(wanted)
}

fn places<'a>(wanted: impl Iterator<Item = (String, VmId, &'a Autostart)>) -> Vec<(u32, VmId)> {
    let mut groups: BTreeMap<String, (u8, Vec<VmId>)> = BTreeMap::new();
    for (name, vm, autostart) in wanted {
        // A VM without a group is a group of its own.
        let key = match &autostart.group {
            Some(group) => format!("group {group}"),
            None => format!("vm {name} {vm}"),
        };
        let (priority, vms) = groups.entry(key).or_default();
        *priority = (*priority).max(autostart.priority);
        vms.push(vm);
    }
    let mut groups: Vec<(u8, Vec<VmId>)> = groups.into_values().collect();
    groups.sort_by_key(|(priority, _)| std::cmp::Reverse(*priority));
    let places = (0_u32..).zip(groups);
    places
        .flat_map(|(place, (_, vms))| vms.into_iter().map(move |vm| (place, vm)))
        .collect()
}

/// Starts the VMs of one group side by side, and waits until they run. Returns how long to wait
/// before the next group.
async fn start_group(engine: &Engine, group: &[VmId]) -> Result<Duration> {
    let mut starts = Vec::new();
    let mut delay = Duration::ZERO;
    for vm in group {
        let known = engine.0.store.inventory().snapshot();
        let record = known.vm_by_id(*vm);
        let autostart = record
            .filter(|record| !record.row.state.is_active() && !record.row.is_trashed())
            .and_then(|record| record.row.managed()?.spec.autostart.as_ref());
        let Some(autostart) = autostart else { continue };
        delay = delay.max(Duration::from_secs(autostart.delay_seconds.into()));
        loop {
            match engine.submit_own(JobRequest::VmStart(*vm)).await {
                Ok(operation) => starts.push(operation.id),
                Err(problem) if problem.kind == ProblemKind::HostUnavailable => {
                    engine.0.clock.sleep(PAUSE).await;
                    engine.until_live().await?;
                    continue;
                }
                Err(problem) if problem.kind == ProblemKind::DaemonUnreachable => {
                    return Err(StoreError::Ended);
                }
                Err(problem) => {
                    tracing::warn!(%vm, %problem, "VM {vm} does not start with the host");
                }
            }
            break;
        }
    }
    for start in starts {
        if let Err(problem) = engine.wait(start, START).await {
            tracing::warn!(%start, %problem, "the start {start} can't be followed");
        }
    }
    Ok(delay)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn higher_priorities_start_first_and_groups_together() {
        let vm = |number| VmId::new(Uuid::from_u128(number));
        let autostart = |priority, group: Option<&str>| Autostart {
            priority,
            delay_seconds: 0,
            group: group.map(|group| group.parse().unwrap()),
        };
        let (low, high) = (autostart(10, None), autostart(90, None));
        let (grouped, lifted) = (autostart(0, Some("db")), autostart(50, Some("db")));
        let wanted = [
            ("a", vm(1), &low),
            ("b", vm(2), &grouped),
            ("c", vm(3), &high),
            ("d", vm(4), &lifted),
        ];
        let wanted = wanted
            .into_iter()
            .map(|(name, vm, with)| (name.to_owned(), vm, with));
        assert_eq!(
            places(wanted),
            [(0, vm(3)), (1, vm(2)), (1, vm(4)), (2, vm(1))]
        );
    }
}
