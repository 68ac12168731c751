// SPDX-License-Identifier: GPL-3.0-or-later
//! Crashed VMs are started again, later each time.

use hv_model::{
    event::EventKind,
    hypervisor::HypervisorErrorKind,
    inventory::ChangeVm,
    vm::{OnCrash, VmState},
};
use hvd::engine::JobRequest;

use crate::world::World;

#[tokio::test]
async fn a_crashed_vm_runs_again_after_a_second() {
    let world = World::new().await.with_running_web().await;
    let id = world.id("web");
    world.host.crash(id).unwrap();
    world
        .until(|known| known.vm_by_id(id).unwrap().row.state == VmState::Crashed)
        .await;
    let due = world.vm("web").row.managed().unwrap().restart_at.unwrap();
    assert_eq!(due.as_second() - world.clock.now().as_second(), 1);
    world.pass(1);
    world
        .until(|known| known.vm_by_id(id).unwrap().row.state == VmState::Running)
        .await;
}

#[tokio::test]
async fn each_crash_is_followed_by_a_longer_pause_and_the_eleventh_by_none() {
    let world = World::new().await.with_running_web().await;
    let id = world.id("web");
    let mut pauses = Vec::new();
    loop {
        world.host.crash(id).unwrap();
        world
            .until(|known| known.vm_by_id(id).unwrap().row.state == VmState::Crashed)
            .await;
        let due = world.vm("web").row.managed().unwrap().restart_at;
        let Some(due) = due else { break };
        let pause = due.as_second() - world.clock.now().as_second();
        pauses.push(pause);
        world.pass(u64::try_from(pause).unwrap());
        world
            .until(|known| known.vm_by_id(id).unwrap().row.state == VmState::Running)
            .await;
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
    assert_eq!(world.events(&[EventKind::VmRestartGivenUp]).await.len(), 1);
    assert_eq!(world.events(&[EventKind::VmCrashed]).await.len(), 11);
}

#[tokio::test]
async fn a_vm_that_is_to_stay_down_stays_down() {
    let world = World::new().await.with_running_web().await;
    let id = world.id("web");
    let change = ChangeVm {
        on_crash: Some(OnCrash::Stop),
        ..ChangeVm::default()
    };
    world.done(JobRequest::VmChange(id, Box::new(change))).await;
    world.host.crash(id).unwrap();
    world
        .until(|known| known.vm_by_id(id).unwrap().row.state == VmState::Crashed)
        .await;
    assert_eq!(world.vm("web").row.managed().unwrap().restart_at, None);
}

#[tokio::test]
async fn a_start_that_fails_counts_as_a_crash_and_is_tried_again_later() {
    let world = World::new().await.with_running_web().await;
    let id = world.id("web");
    let failure = Some(("start", HypervisorErrorKind::Internal));
    world
        .host
        .set_faults(|faults| faults.next_failure = failure);
    world.host.crash(id).unwrap();
    world
        .until(|known| known.vm_by_id(id).unwrap().row.state == VmState::Crashed)
        .await;
    world.pass(1);
    world
        .until(|known| {
            known
                .vm_by_id(id)
                .unwrap()
                .row
                .managed()
                .unwrap()
                .restarting
        })
        .await;
    world.until(|known| known.worked_on.is_empty()).await;
    // The start has five minutes, and then counts as a crash.
    world.pass(300);
    world
        .until(|known| {
            let record = known.vm_by_id(id).unwrap();
            record.row.managed().unwrap().crashes.len() == 2
        })
        .await;
    // The second pause is of two seconds.
    world.pass(2);
    world
        .until(|known| known.vm_by_id(id).unwrap().row.state == VmState::Running)
        .await;
}
