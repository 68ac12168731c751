// SPDX-License-Identifier: GPL-3.0-or-later
//! A VM's life: made, started, asked, changed, ended.

use hv_model::{
    event::EventKind,
    hypervisor::HypervisorErrorKind,
    inventory::{AskGuest, ChangeVm, RenameVm, ThenStart},
    operation::{OperationState, StepState},
    problem::ProblemKind,
    size::Size,
    vm::VmState,
};
use hvd::{engine::JobRequest, sim::Temper};

use crate::world::{World, create, image};

#[tokio::test]
async fn a_vm_is_made_from_an_image_and_started() {
    let world = World::new().await;
    world.done(image("demo")).await;
    let made = world.done(create("web", ThenStart::Start)).await;
    let vm = world.vm("web");
    assert_eq!(vm.row.state, VmState::Running);
    assert_eq!(vm.summary.owner.as_ref().unwrap().as_str(), "ada");
    assert_eq!(made.result["vm"], vm.row.id.to_string());
    let steps: Vec<String> = made
        .steps
        .iter()
        .map(|step| format!("{} ({:?})", step.name, step.state))
        .collect();
    assert_eq!(
        steps,
        [
            "Check names, images, pools and networks (Done)",
            "Make disk vda (Done)",
            "Make disk vdb (Done)",
            "Define web (Done)",
            "Record web (Done)",
            "Start web (Done)",
        ]
    );
    let id = vm.row.id;
    let command = made.steps[1].command.as_ref().unwrap();
    let expected = format!("virsh vol-create-as hyper-disks hv-{id}-vda.qcow2 1073741824");
    assert!(command.starts_with(&expected), "{command}");
    assert_eq!(made.steps[5].command.as_ref().unwrap(), "virsh start web");
}

#[tokio::test]
async fn the_story_of_a_vm_can_be_read_in_the_event_log() {
    let world = World::new().await.with_running_web().await;
    world.done(JobRequest::VmForceOff(world.id("web"))).await;
    let kinds = [EventKind::VmAdded, EventKind::VmState];
    let told: Vec<String> = world
        .events(&kinds)
        .await
        .iter()
        .map(|event| format!("{} {}", event.kind.as_str(), event.data))
        .collect();
    assert_eq!(
        told,
        [
            r#"vm.added {"state":"off","managed":true}"#,
            r#"vm.state {"from":"off","to":"running","reason":"booted"}"#,
            r#"vm.state {"from":"running","to":"off","reason":"destroyed"}"#,
        ]
    );
}

#[tokio::test]
async fn whatever_was_made_is_undone_when_a_step_fails() {
    let world = World::new().await;
    world.done(image("demo")).await;
    let before = world.volumes();
    let failure = Some(("define", HypervisorErrorKind::Refused));
    world
        .host
        .set_faults(|faults| faults.next_failure = failure);
    let operation = world
        .submit(create("web", ThenStart::Nothing))
        .await
        .unwrap();
    let ended = world.ended(&operation).await;
    assert_eq!(ended.state, OperationState::Failed);
    assert_eq!(ended.problem.unwrap().kind, ProblemKind::RefusedByPolicy);
    let states: Vec<StepState> = ended.steps.iter().map(|step| step.state).collect();
    assert_eq!(states[1..], [StepState::Undone; 3]);
    assert_eq!(world.volumes(), before);
    assert!(world.known().vms.is_empty());
}

#[tokio::test]
async fn a_prompt_guest_shuts_down_through_its_agent() {
    let world = World::new().await.with_running_web().await;
    let id = world.id("web");
    world
        .until(|known| known.vm_by_id(id).unwrap().row.agent.is_some())
        .await;
    let ended = world
        .done(JobRequest::VmShutDown(id, AskGuest::default()))
        .await;
    assert_eq!(ended.steps.len(), 1, "{:#?}", ended.steps);
    assert_eq!(world.vm("web").row.state, VmState::Off);
}

#[tokio::test]
async fn a_guest_without_an_agent_gets_the_power_button() {
    let world = World::new().await.with_web().await;
    let id = world.id("web");
    world.host.set_temper(id, Temper::ButtonOnly).unwrap();
    world.done(JobRequest::VmStart(id)).await;
    let ended = world
        .done(JobRequest::VmShutDown(id, AskGuest::default()))
        .await;
    assert_eq!(ended.steps[0].name, "Press the power button");
    assert_eq!(world.vm("web").row.state, VmState::Off);
}

#[tokio::test]
async fn a_deaf_guest_is_said_not_to_answer_and_runs_on() {
    let world = World::new().await.with_web().await;
    let id = world.id("web");
    world.host.set_temper(id, Temper::Deaf).unwrap();
    world.done(JobRequest::VmStart(id)).await;
    let ask = AskGuest {
        timeout_seconds: 30,
    };
    let operation = world.submit(JobRequest::VmShutDown(id, ask)).await.unwrap();
    let ended = world.ended_in_time(&operation, 100).await;
    let problem = ended.problem.unwrap();
    assert_eq!(problem.kind, ProblemKind::GuestNotAnswering);
    assert_eq!(
        problem.detail,
        "web still runs 30 seconds after it was asked."
    );
    assert!(problem.commands.contains(&"hv vm kill web".to_owned()));
    assert_eq!(world.vm("web").row.state, VmState::Running);
}

#[tokio::test]
async fn waiting_for_a_guest_can_be_cancelled() {
    let world = World::new().await.with_web().await;
    let id = world.id("web");
    world.host.set_temper(id, Temper::Deaf).unwrap();
    world.done(JobRequest::VmStart(id)).await;
    let request = JobRequest::VmShutDown(id, AskGuest::default());
    let operation = world.submit(request).await.unwrap();
    let decision = hv_model::access::Decision::Allow {
        policy: "test".to_owned(),
    };
    let ada = crate::world::ada();
    world
        .app
        .engine
        .cancel(&ada, None, operation.id, decision)
        .await
        .unwrap();
    let ended = world.ended(&operation).await;
    assert_eq!(ended.state, OperationState::Cancelled);
    assert_eq!(ended.problem.unwrap().kind, ProblemKind::Cancelled);
}

#[tokio::test]
async fn a_reboot_is_seen_by_the_agent_going_away() {
    let world = World::new().await.with_running_web().await;
    let id = world.id("web");
    world
        .until(|known| known.vm_by_id(id).unwrap().row.agent.is_some())
        .await;
    let ended = world
        .done(JobRequest::VmReboot(id, AskGuest::default()))
        .await;
    assert_eq!(ended.result["seen"], true);
}

#[tokio::test]
async fn a_vm_is_paused_resumed_saved_and_restored() {
    let world = World::new().await.with_running_web().await;
    let id = world.id("web");
    let state = || world.vm("web").row.state;
    world.done(JobRequest::VmPause(id)).await;
    assert_eq!(state(), VmState::Paused);
    world.done(JobRequest::VmResume(id)).await;
    assert_eq!(state(), VmState::Running);
    world.done(JobRequest::VmSave(id)).await;
    assert_eq!(state(), VmState::Saved);
    let restored = world.done(JobRequest::VmStart(id)).await;
    assert_eq!(restored.steps[0].name, "Restore web from its saved memory");
    assert_eq!(state(), VmState::Running);
}

#[tokio::test]
async fn what_a_running_vm_cannot_be_given_at_once_waits_for_its_next_boot() {
    let world = World::new().await.with_running_web().await;
    let id = world.id("web");
    let change = ChangeVm {
        cpus: Some(2),
        memory: Some(Size::from_mib(512)),
        ..ChangeVm::default()
    };
    let plan = world
        .app
        .engine
        .plan_change(&crate::world::ada(), id, &change)
        .await
        .unwrap();
    let changed = world.done(JobRequest::VmChange(id, Box::new(change))).await;
    assert_eq!(changed.result, serde_json::to_value(&plan).unwrap());
    assert_eq!(
        changed.steps[0].command.as_ref().unwrap(),
        "virsh setmem web 524288 --live"
    );
    let pending = || -> Vec<String> {
        world
            .vm("web")
            .pending
            .iter()
            .map(|change| change.field.clone())
            .collect()
    };
    assert_eq!(pending(), ["cpus.count", "memory.max"]);
    assert_eq!(world.vm("web").summary.generation, 2);
    world.done(JobRequest::VmForceOff(id)).await;
    assert!(pending().is_empty());
}

#[tokio::test]
async fn a_change_that_changes_nothing_is_no_new_version() {
    let world = World::new().await.with_web().await;
    let id = world.id("web");
    let change = ChangeVm {
        cpus: Some(1),
        ..ChangeVm::default()
    };
    world.done(JobRequest::VmChange(id, Box::new(change))).await;
    assert_eq!(world.vm("web").summary.generation, 1);
}

#[tokio::test]
async fn a_vm_that_is_off_gets_another_name() {
    let world = World::new().await.with_web().await;
    let id = world.id("web");
    let rename = |name: &str| {
        JobRequest::VmRename(
            id,
            RenameVm {
                name: name.parse().unwrap(),
            },
        )
    };
    world.done(rename("www")).await;
    assert_eq!(world.id("www"), id);
    assert!(world.known().vm("web").is_none());
    assert_eq!(world.host.all_vms()[0].1, "www");
    world.done(JobRequest::VmStart(id)).await;
    let problem = world.submit(rename("web")).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::WrongState);
    assert_eq!(
        problem.detail,
        "www is running, and libvirt renames only VMs that are off."
    );
}

#[tokio::test]
async fn a_vm_that_needs_more_memory_than_there_is_is_not_started() {
    let world = World::new().await.with_web().await;
    let id = world.id("web");
    let change = ChangeVm {
        memory: Some(Size::from_gib(100)),
        ..ChangeVm::default()
    };
    world.done(JobRequest::VmChange(id, Box::new(change))).await;
    let problem = world.failed(JobRequest::VmStart(id)).await;
    assert_eq!(problem.kind, ProblemKind::NotEnoughMemory);
    assert_eq!(
        problem.detail,
        "web is to get 100 GiB, and simulated has 64 GiB available."
    );
}

#[tokio::test]
async fn a_full_pool_fails_the_making_of_a_vm_and_leaves_nothing() {
    let world = World::new().await;
    world.done(image("demo")).await;
    let before = world.volumes();
    world
        .host
        .set_faults(|faults| faults.space = Some(Size::from_mib(1)));
    let problem = world.failed(create("web", ThenStart::Nothing)).await;
    assert_eq!(problem.kind, ProblemKind::NoSpace);
    assert_eq!(world.volumes(), before);
}
