// SPDX-License-Identifier: GPL-3.0-or-later
//! What happens on the host without us is seen.

use hv_model::{
    event::EventKind,
    health::CheckStatus,
    hypervisor::{AgentLink, Definition, ForeignVm},
    id::VmId,
    inventory::{ChangeVm, Management},
    problem::ProblemKind,
    refusal::{GuardEffect, GuardRefusal},
    vm::{VmSpec, VmState},
};
use hvd::{engine::JobRequest, store::Snapshot};
use uuid::Uuid;

use crate::world::World;

const THEIRS: VmId = VmId::new(Uuid::from_u128(7));

fn foreign(obstacles: &[&str]) -> ForeignVm {
    let spec = VmSpec::new("theirs".parse().unwrap());
    let definition = Definition {
        id: THEIRS,
        generation: 0,
        spec,
        disks: Vec::new(),
    };
    ForeignVm {
        definition: Some(Box::new(definition)),
        obstacles: obstacles
            .iter()
            .map(|&obstacle| obstacle.to_owned())
            .collect(),
    }
}

async fn with_theirs(obstacles: &[&str]) -> World {
    let world = World::new().await;
    world
        .host
        .define_elsewhere(THEIRS, "theirs", foreign(obstacles));
    world.until(|known| known.vm("theirs").is_some()).await;
    world
}

#[tokio::test]
async fn a_vm_made_elsewhere_is_shown_started_and_not_changed() {
    let world = with_theirs(&[]).await;
    assert_eq!(world.vm("theirs").summary.managed, Management::Foreign);
    world.done(JobRequest::VmStart(THEIRS)).await;
    assert_eq!(world.vm("theirs").row.state, VmState::Running);
    let change = Box::new(ChangeVm {
        cpus: Some(2),
        ..ChangeVm::default()
    });
    let problem = world
        .submit(JobRequest::VmChange(THEIRS, change))
        .await
        .unwrap_err();
    assert_eq!(problem.kind, ProblemKind::ForeignVm);
    assert_eq!(problem.commands, ["hv vm adopt theirs"]);
}

#[tokio::test]
async fn it_is_ours_once_it_was_adopted() {
    let world = with_theirs(&[]).await;
    world.done(JobRequest::VmAdopt(THEIRS)).await;
    let vm = world.vm("theirs");
    assert_eq!(vm.summary.managed, Management::Managed);
    assert_eq!(vm.summary.generation, 1);
    let change = Box::new(ChangeVm {
        cpus: Some(2),
        ..ChangeVm::default()
    });
    world.done(JobRequest::VmChange(THEIRS, change)).await;
}

#[tokio::test]
async fn what_stands_in_the_way_of_adopting_it_is_named() {
    let world = with_theirs(&["disk vda is /srv/theirs.img, outside the managed pools"]).await;
    let problem = world.submit(JobRequest::VmAdopt(THEIRS)).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::CannotAdopt);
    assert!(
        problem.detail.contains("/srv/theirs.img"),
        "{}",
        problem.detail
    );
}

#[tokio::test]
async fn what_another_tool_does_to_our_vm_is_seen() {
    let world = World::new().await.with_web().await;
    let id = world.id("web");
    world
        .host
        .change_elsewhere(id, VmState::Running, "booted")
        .unwrap();
    world
        .until(|known| known.vm_by_id(id).unwrap().row.state == VmState::Running)
        .await;
    world
        .host
        .change_elsewhere(id, VmState::Off, "destroyed")
        .unwrap();
    world
        .until(|known| known.vm_by_id(id).unwrap().row.state == VmState::Off)
        .await;
    world.host.rename_elsewhere(id, "www").unwrap();
    world.until(|known| known.vm("www").is_some()).await;
    assert_eq!(world.id("www"), id);
}

#[tokio::test]
async fn an_agent_that_is_not_there_yet_is_no_news() {
    let world = World::new().await.with_running_web().await;
    let id = world.id("web");
    let is_connected =
        |known: &Snapshot| known.vm_by_id(id).unwrap().row.agent == Some(AgentLink::Connected);
    world.pass_until(60, is_connected).await;
    let told = world.events(&[EventKind::VmAgent]).await;
    let told: Vec<_> = told.iter().map(|event| &event.data["agent"]).collect();
    assert_eq!(told, ["connected"]);
}

#[tokio::test]
async fn a_vm_of_ours_that_was_removed_elsewhere_lies_in_the_trash() {
    let world = World::new().await.with_web().await;
    let id = world.id("web");
    world.host.remove_elsewhere(id).unwrap();
    world
        .until(|known| known.vm_by_id(id).unwrap().row.is_trashed())
        .await;
    world.done(JobRequest::VmUndelete(id)).await;
    assert_eq!(world.vm("web").row.state, VmState::Off);
}

#[tokio::test]
async fn a_foreign_vm_that_was_removed_is_gone() {
    let world = with_theirs(&[]).await;
    world.host.remove_elsewhere(THEIRS).unwrap();
    world.until(|known| known.vms.is_empty()).await;
    let events = world.events(&[EventKind::VmRemoved]).await;
    assert_eq!(events[0].subject.name, "theirs");
}

#[tokio::test]
async fn a_missed_fact_is_found_within_a_minute_and_counted() {
    let world = World::new().await.with_running_web().await;
    let id = world.id("web");
    world
        .until(|known| known.vm_by_id(id).unwrap().row.agent.is_some())
        .await;
    world.host.set_faults(|faults| faults.facts_to_lose = 1);
    world
        .host
        .change_elsewhere(id, VmState::Paused, "user")
        .unwrap();
    assert_eq!(world.vm("web").row.state, VmState::Running);
    world
        .pass_until(70, |known| {
            known.vm_by_id(id).unwrap().row.state == VmState::Paused
        })
        .await;
    world.until(|known| known.missed_facts == 1).await;
    assert_eq!(
        world.events(&[EventKind::ResyncDifference]).await[0]
            .subject
            .name,
        "web"
    );
}

#[tokio::test]
async fn a_definition_that_changed_without_a_fact_is_found_within_a_minute_and_counted() {
    let world = with_theirs(&[]).await;
    world.host.set_faults(|faults| faults.facts_to_lose = 1);
    let odd = foreign(&["disk vda is /srv/theirs.img, outside the managed pools"]);
    world.host.define_elsewhere(THEIRS, "theirs", odd);
    world.pass_until(60, |known| known.missed_facts == 1).await;
    let known = world.known();
    let view = known.view(&world.vm("theirs"));
    assert_eq!(view.obstacles.len(), 1, "{view:?}");
}

#[tokio::test]
async fn every_definition_is_compared_in_its_turn() {
    let world = World::new().await;
    let vms: Vec<VmId> = (100..160)
        .map(|number| VmId::new(Uuid::from_u128(number)))
        .collect();
    for vm in &vms {
        world
            .host
            .define_elsewhere(*vm, &format!("vm-{vm}"), foreign(&[]));
    }
    world.until(|known| known.vms.len() == vms.len()).await;
    for vm in &vms {
        world.host.set_faults(|faults| faults.facts_to_lose = 1);
        world
            .host
            .define_elsewhere(*vm, &format!("vm-{vm}"), foreign(&["a USB stick"]));
    }
    world
        .pass_until(60, |known| known.missed_facts == vms.len() as u64)
        .await;
}

#[tokio::test]
async fn a_lost_host_is_told_of_and_found_again_with_what_was_missed() {
    let world = World::new().await.with_running_web().await;
    let id = world.id("web");
    let seen = world.clock.now();
    world.host.lose("libvirt stopped");
    world.until(|known| !known.freshness.live).await;
    let freshness = world.known().freshness.clone();
    assert_eq!(freshness.why.unwrap(), "libvirt stopped.");
    assert_eq!(freshness.seen, Some(seen));
    let problem = world.submit(JobRequest::VmForceOff(id)).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::HostUnavailable);
    assert_eq!(world.vm("web").row.state, VmState::Running);
    world.host.set_faults(|faults| faults.facts_to_lose = 1);
    world
        .host
        .change_elsewhere(id, VmState::Paused, "user")
        .unwrap();
    world.host.find();
    world.until(|known| known.freshness.live).await;
    assert_eq!(world.vm("web").row.state, VmState::Paused);
    let told = world
        .events(&[EventKind::HostLost, EventKind::HostFound])
        .await;
    assert_eq!(told.len(), 3, "found, lost, found");
}

async fn lose_for(world: &World, seconds: u64) {
    world.host.lose("libvirt stopped");
    world.until(|known| !known.freshness.live).await;
    for _ in 0..seconds {
        world.pass(1);
        world.a_moment().await;
    }
}

#[tokio::test]
async fn a_host_that_was_long_lost_is_known_at_once_when_it_is_found() {
    let world = World::new().await.with_running_web().await;
    let id = world.id("web");
    lose_for(&world, 60).await;
    world.host.set_faults(|faults| faults.facts_to_lose = 1);
    world
        .host
        .change_elsewhere(id, VmState::Paused, "user")
        .unwrap();
    world.host.find();
    world.until(|known| known.freshness.live).await;
    assert_eq!(world.vm("web").row.state, VmState::Paused);
}

#[tokio::test]
async fn a_host_whose_being_found_nobody_told_is_tried_again() {
    let world = World::new().await.with_web().await;
    world.host.lose("libvirt stopped");
    world.until(|known| !known.freshness.live).await;
    world.host.set_faults(|faults| faults.facts_to_lose = 1);
    world.host.find();
    world.pass_until(10, |known| known.freshness.live).await;
}

#[tokio::test]
async fn how_old_what_is_known_is_counts_from_when_the_host_was_heard_last() {
    let world = World::new().await.with_web().await;
    let seen = world.clock.now();
    lose_for(&world, 30).await;
    assert_eq!(world.known().freshness.seen, Some(seen));
}

#[tokio::test]
async fn what_the_guard_refuses_is_an_event_and_a_warning() {
    let world = World::new().await;
    let refusal = GuardRefusal {
        time: jiff::Timestamp::UNIX_EPOCH,
        name: "hole".to_owned(),
        id: Some(THEIRS),
        operation: "prepare".to_owned(),
        effect: GuardEffect::Refused,
        reasons: vec!["one".to_owned(), "two".to_owned()],
    };
    for _ in 0..30 {
        world.host.refuse(refusal.clone());
    }
    world.host.lose("so that all before is taken");
    world.until(|known| !known.freshness.live).await;

    let told = world.events(&[EventKind::GuardRefused]).await;
    assert_eq!(told.len(), 30);
    assert_eq!(told[0].subject.id, THEIRS.to_string());
    assert_eq!(told[0].data["why"], "one; two");
    let health = hvd::monitor::health(&world.app, &hvd::monitor::Everything)
        .await
        .unwrap();
    let check = health
        .checks
        .iter()
        .find(|check| check.id == "guard.refused")
        .unwrap();
    assert_eq!(check.status, CheckStatus::Warn);
    assert!(
        check.observed.contains("hole was stopped 0 s ago: one"),
        "{}",
        check.observed
    );
}

#[tokio::test]
async fn a_broker_that_restarts_is_connected_to_again() {
    let world = World::new().await.with_web().await;
    let id = world.id("web");
    world.host.drop_subscribers();
    world.until(|known| !known.freshness.live).await;
    world.pass_until(10, |known| known.freshness.live).await;
    world.done(JobRequest::VmStart(id)).await;
}

#[tokio::test]
async fn the_list_does_not_wait_for_what_the_host_is() {
    let world = World::new().await.with_web().await;
    let failure = Some(("host", hv_model::hypervisor::HypervisorErrorKind::TimedOut));
    world
        .host
        .set_faults(|faults| faults.next_failure = failure);
    world.host.drop_subscribers();
    world.until(|known| !known.freshness.live).await;
    world.pass_until(10, |known| known.freshness.live).await;
    assert!(world.known().host.is_some(), "what was known of it is kept");
}

#[tokio::test]
async fn a_vm_that_vanishes_under_a_job_fails_it_clearly() {
    let world = World::new().await.with_web().await;
    let id = world.id("web");
    let failure = Some(("start", hv_model::hypervisor::HypervisorErrorKind::NotFound));
    world
        .host
        .set_faults(|faults| faults.next_failure = failure);
    let problem = world.failed(JobRequest::VmStart(id)).await;
    assert_eq!(problem.kind, ProblemKind::Gone);
}
