// SPDX-License-Identifier: GPL-3.0-or-later
//! VMs start with their host: in order, with pauses, once a boot.

use hv_model::{
    event::EventKind,
    inventory::{ChangeAutostart, ChangeVm, ThenStart},
    vm::{Autostart, VmState},
};
use hvd::engine::JobRequest;

use crate::world::{World, create, image};

async fn with_autostart(names: &[(&str, u8, u32)]) -> World {
    let world = World::new().await;
    world.done(image("demo")).await;
    for (name, priority, delay_seconds) in names {
        world.done(create(name, ThenStart::Nothing)).await;
        let autostart = Autostart {
            priority: *priority,
            delay_seconds: *delay_seconds,
            group: None,
        };
        let change = ChangeVm {
            autostart: Some(ChangeAutostart::On(autostart)),
            ..ChangeVm::default()
        };
        world
            .done(JobRequest::VmChange(world.id(name), Box::new(change)))
            .await;
    }
    world
}

fn is_running(known: &hvd::store::Snapshot, name: &str) -> bool {
    known.vm(name).unwrap().row.state == VmState::Running
}

#[tokio::test]
async fn after_a_boot_of_the_host_vms_start_in_their_order_with_their_pauses() {
    let mut world = with_autostart(&[("web", 10, 0), ("db", 90, 30)]).await;
    world.restart("second boot").await;
    world.until(|known| is_running(known, "db")).await;
    assert!(!is_running(&world.known(), "web"));
    world
        .pass_until(300, |known| is_running(known, "web"))
        .await;
    let started = world.events(&[EventKind::VmState]).await;
    let gap = started[1].time.as_second() - started[0].time.as_second();
    assert!(gap >= 30, "{gap}");
}

#[tokio::test]
async fn after_a_mere_restart_of_the_daemon_nothing_starts() {
    let mut world = with_autostart(&[("web", 10, 0)]).await;
    world.restart("first boot").await;
    world.done(create("db", ThenStart::Start)).await;
    assert!(!is_running(&world.known(), "web"));
}

#[tokio::test]
async fn a_vm_that_was_stopped_after_it_started_stays_off_at_the_next_restart() {
    let mut world = with_autostart(&[("web", 10, 0)]).await;
    world.restart("second boot").await;
    world.until(|known| is_running(known, "web")).await;
    world
        .until(|known| known.vm("web").unwrap().summary.operation.is_none())
        .await;
    world.done(JobRequest::VmForceOff(world.id("web"))).await;
    let mut noted = world.app.store.read(|tx| tx.autostart()).await.unwrap();
    while !noted.is_empty() {
        tokio::task::yield_now().await;
        noted = world.app.store.read(|tx| tx.autostart()).await.unwrap();
    }
    world.restart("second boot").await;
    world.done(create("db", ThenStart::Start)).await;
    assert!(!is_running(&world.known(), "web"));
}
