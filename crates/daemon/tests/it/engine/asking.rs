// SPDX-License-Identifier: GPL-3.0-or-later
//! Asking: what is refused at once, what waits, what is done once though asked twice.

use hv_model::{
    access::Action,
    audit::{AuditEntry, AuditEvent},
    hypervisor::HypervisorErrorKind,
    id::VmId,
    inventory::{AskGuest, ChangeVm, CreateVm, DeleteVm, IfRunning, RenameVm, ThenStart},
    operation::OperationState,
    problem::ProblemKind,
    vm::VmState,
};
use hvd::{engine::JobRequest, sim::Temper};

use crate::world::{World, create, image, spec};

/// `web` runs, and an operation that shuts it down waits for its deaf guest.
async fn busy() -> (World, hv_model::operation::Operation) {
    let world = World::new().await.with_web().await;
    let id = world.id("web");
    world.host.set_temper(id, Temper::Deaf).unwrap();
    world.done(JobRequest::VmStart(id)).await;
    let ask = AskGuest {
        timeout_seconds: 20,
    };
    let operation = world.submit(JobRequest::VmShutDown(id, ask)).await.unwrap();
    (world, operation)
}

#[tokio::test]
async fn asking_for_what_is_going_on_already_is_refused_as_busy() {
    let (world, going_on) = busy().await;
    let ask = AskGuest {
        timeout_seconds: 20,
    };
    let problem = world
        .submit(JobRequest::VmShutDown(world.id("web"), ask))
        .await
        .unwrap_err();
    assert_eq!(problem.kind, ProblemKind::Busy);
    let id = going_on.id;
    assert_eq!(
        problem.detail,
        format!("Operation {id} is doing that already: shut down web.")
    );
}

#[tokio::test]
async fn anything_else_waits_for_its_turn() {
    let (world, first) = busy().await;
    let second = world
        .submit(JobRequest::VmPause(world.id("web")))
        .await
        .unwrap();
    assert_eq!(second.state, OperationState::Queued);
    assert_eq!(world.vm("web").summary.operation, Some(first.id));
    let first = world.ended_in_time(&first, 60).await;
    assert_eq!(first.state, OperationState::Failed);
    let second = world.ended(&second).await;
    assert_eq!(second.state, OperationState::Succeeded);
    assert_eq!(world.vm("web").row.state, VmState::Paused);
}

#[tokio::test]
async fn what_asks_no_guest_ends_the_asking() {
    let delete = DeleteVm {
        running: IfRunning::ForceOff,
    };
    let requests: [fn(VmId, DeleteVm) -> JobRequest; 3] = [
        |vm, _| JobRequest::VmForceOff(vm),
        |vm, _| JobRequest::VmReset(vm),
        JobRequest::VmDelete,
    ];
    for request in requests {
        let (world, asking) = busy().await;
        world.done(request(world.id("web"), delete.clone())).await;
        assert_eq!(world.ended(&asking).await.state, OperationState::Cancelled);
    }
}

#[tokio::test]
async fn who_ended_the_asking_is_in_the_record() {
    let (world, asking) = busy().await;
    world.done(JobRequest::VmForceOff(world.id("web"))).await;
    let entries = world.audit(10).await;
    let recorded: Vec<_> = entries
        .iter()
        .filter_map(|entry| match &entry.event {
            AuditEvent::Decided(decided) => Some((decided.action, decided.target.clone())),
            _ => None,
        })
        .take(2)
        .collect();
    let ended = format!("operation/{}", asking.id);
    assert_eq!(
        recorded,
        [
            (Action::OperationCancel, ended),
            (Action::VmForceOff, "vm/web".to_owned())
        ]
    );
}

#[tokio::test]
async fn a_button_that_is_refused_ends_no_asking() {
    let (world, asking) = busy().await;
    let press = JobRequest::VmForceOff(world.id("web"));
    let refused = world.submit_with(press, None, Some(99)).await.unwrap_err();
    assert_eq!(refused.kind, ProblemKind::PreconditionFailed);
    let asking = world.ended_in_time(&asking, 60).await;
    assert_eq!(asking.state, OperationState::Failed);
}

#[tokio::test]
async fn one_that_waits_is_cancelled_at_once() {
    let (world, _first) = busy().await;
    let second = world
        .submit(JobRequest::VmPause(world.id("web")))
        .await
        .unwrap();
    let decision = hv_model::access::Decision::Allow {
        policy: "test".to_owned(),
    };
    let ada = crate::world::ada();
    world
        .app
        .engine
        .cancel(&ada, None, second.id, decision)
        .await
        .unwrap();
    assert_eq!(world.ended(&second).await.state, OperationState::Cancelled);
    assert_eq!(world.vm("web").row.state, VmState::Running);
}

#[tokio::test]
async fn vms_do_not_wait_for_each_other() {
    let (world, _first) = busy().await;
    world.done(create("db", ThenStart::Start)).await;
    assert_eq!(world.vm("db").row.state, VmState::Running);
}

#[tokio::test]
async fn a_vm_that_runs_is_not_started_again() {
    let world = World::new().await.with_running_web().await;
    let problem = world
        .submit(JobRequest::VmStart(world.id("web")))
        .await
        .unwrap_err();
    assert_eq!(problem.kind, ProblemKind::WrongState);
    assert_eq!(problem.detail, "web runs already.");
}

#[tokio::test]
async fn a_name_is_given_once_even_by_operations_that_are_under_way() {
    let world = World::new().await;
    world.done(image("demo")).await;
    let first = world
        .submit(create("web", ThenStart::Nothing))
        .await
        .unwrap();
    let problem = world
        .submit(create("web", ThenStart::Nothing))
        .await
        .unwrap_err();
    assert_eq!(problem.kind, ProblemKind::NameTaken);
    world.ended(&first).await;
    let problem = world
        .submit(create("web", ThenStart::Nothing))
        .await
        .unwrap_err();
    assert_eq!(problem.detail, "There is a VM web already.");
    world.done(create("db", ThenStart::Nothing)).await;
    let rename = RenameVm {
        name: "web".parse().unwrap(),
    };
    let problem = world
        .submit(JobRequest::VmRename(world.id("db"), rename))
        .await
        .unwrap_err();
    assert_eq!(problem.kind, ProblemKind::NameTaken);
}

#[tokio::test]
async fn every_fault_of_a_spec_is_told_before_anything_is_queued() {
    let world = World::new().await;
    let mut spec = spec("web");
    spec.cpus.count = 0;
    spec.disks[1].size = None;
    let request = CreateVm {
        spec,
        then: ThenStart::Nothing,
    };
    let problem = world
        .submit(JobRequest::VmCreate(Box::new(request)))
        .await
        .unwrap_err();
    assert_eq!(problem.kind, ProblemKind::InvalidSpec);
    let paths: Vec<&str> = problem
        .faults
        .iter()
        .map(|fault| fault.path.as_str())
        .collect();
    assert_eq!(paths.len(), 2, "{paths:?}");
}

#[tokio::test]
async fn a_missing_image_or_network_is_told_at_once() {
    let world = World::new().await;
    let problem = world
        .submit(create("web", ThenStart::Nothing))
        .await
        .unwrap_err();
    assert_eq!(problem.detail, "There is no image demo.");
    world.done(image("demo")).await;
    let mut spec = spec("web");
    spec.nics[0].network = Some("office".parse().unwrap());
    let request = CreateVm {
        spec,
        then: ThenStart::Nothing,
    };
    let problem = world
        .submit(JobRequest::VmCreate(Box::new(request)))
        .await
        .unwrap_err();
    assert_eq!(problem.detail, "There is no network office on this host.");
}

#[tokio::test]
async fn asking_twice_with_one_key_does_it_once() {
    let world = World::new().await.with_web().await;
    let id = world.id("web");
    let start = || world.submit_with(JobRequest::VmStart(id), Some("k"), None);
    let first = start().await.unwrap();
    world.ended(&first).await;
    let again = start().await.unwrap();
    assert_eq!(again.id, first.id);
    let problem = world
        .submit_with(JobRequest::VmForceOff(id), Some("k"), None)
        .await
        .unwrap_err();
    assert_eq!(problem.kind, ProblemKind::IdempotencyConflict);
}

#[tokio::test]
async fn a_change_made_for_another_version_is_refused() {
    let world = World::new().await.with_web().await;
    let id = world.id("web");
    let change = || {
        let change = ChangeVm {
            description: Some("front".to_owned()),
            ..ChangeVm::default()
        };
        JobRequest::VmChange(id, Box::new(change))
    };
    let first = world.submit_with(change(), None, Some(1)).await.unwrap();
    world.ended(&first).await;
    let problem = world
        .submit_with(change(), None, Some(1))
        .await
        .unwrap_err();
    assert_eq!(problem.kind, ProblemKind::PreconditionFailed);
}

#[tokio::test]
async fn every_change_is_in_the_record_with_who_asked_and_why_they_might() {
    let world = World::new().await.with_running_web().await;
    let entries = world.audit(10).await;
    let entries: Vec<String> = entries.iter().filter_map(told).collect();
    assert_eq!(
        entries,
        [
            "ada vm.create vm/web succeeded",
            "ada vm.create vm/web Allow { policy: \"test\" }",
            "ada image.add image/demo succeeded",
            "ada image.add image/demo Allow { policy: \"test\" }",
        ]
    );
}

#[tokio::test]
async fn an_operation_that_failed_is_in_the_record_with_its_problem() {
    let world = World::new().await.with_web().await;
    world.host.set_faults(|faults| {
        faults.next_failure = Some(("start", HypervisorErrorKind::NoSpace));
    });
    world.failed(JobRequest::VmStart(world.id("web"))).await;
    let entries = world.audit(10).await;
    let ends = entries.iter().find_map(|entry| match &entry.event {
        AuditEvent::Ended(ended) => Some((ended.outcome, ended.problem)),
        _ => None,
    });
    assert_eq!(
        ends,
        Some((OperationState::Failed, Some(ProblemKind::NoSpace)))
    );
}

/// What an entry tells of changes.
fn told(entry: &AuditEntry) -> Option<String> {
    match &entry.event {
        AuditEvent::Decided(decided) => {
            assert!(decided.operation.is_some());
            let who = decided.principal.label();
            let (what, on) = (decided.action.as_str(), &decided.target);
            Some(format!("{who} {what} {on} {:?}", decided.decision))
        }
        AuditEvent::Ended(ended) => {
            let who = ended.principal.label();
            let (what, on) = (ended.action.as_str(), &ended.target);
            Some(format!("{who} {what} {on} {}", ended.outcome.as_str()))
        }
        _ => None,
    }
}

#[tokio::test]
async fn operations_are_listed_the_latest_first_page_by_page() {
    let world = World::new().await.with_running_web().await;
    let filter = hvd::store::OperationFilter::default();
    let first = {
        let filter = filter.clone();
        world
            .app
            .store
            .read(move |tx| tx.operations(&filter, None, 1))
            .await
            .unwrap()
    };
    assert_eq!(first.items[0].target.name, "web");
    let page = first.next_page.unwrap().parse().unwrap();
    let second = world
        .app
        .store
        .read(move |tx| tx.operations(&filter, Some(page), 5))
        .await
        .unwrap();
    assert_eq!(second.items[0].target.name, "demo");
    assert_eq!(second.next_page, None);
}

#[tokio::test]
async fn what_the_host_does_not_let_a_person_do_is_denied_and_the_daemon_goes_on_by_itself() {
    let world = World::new().await.with_running_web().await;
    let id = world.id("web");
    let ada = "ada".parse().unwrap();
    world.host.set_faults(|faults| faults.denied.push(ada));

    // At once, and not after waiting for a guest that was never asked.
    let ask = AskGuest {
        timeout_seconds: 20,
    };
    for request in [JobRequest::VmShutDown(id, ask), JobRequest::VmReset(id)] {
        let problem = world.failed(request).await;
        assert_eq!(problem.kind, ProblemKind::Denied, "{problem:?}");
        assert!(problem.detail.contains("does not let ada"), "{problem:?}");
    }
    let clone = world.failed(create("db", ThenStart::Nothing)).await;
    assert_eq!(clone.kind, ProblemKind::Denied);

    // A restart after a crash is the daemon's own act.
    world.host.crash(id).unwrap();
    let state =
        |state| move |known: &hvd::store::Snapshot| known.vm_by_id(id).unwrap().row.state == state;
    world.until(state(VmState::Crashed)).await;
    world.pass(1);
    world.until(state(VmState::Running)).await;
}
