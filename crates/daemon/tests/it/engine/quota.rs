// SPDX-License-Identifier: GPL-3.0-or-later
//! Quotas: nobody comes to have more than they may, whatever is asked for at once.

use std::collections::BTreeMap;

use hv_model::{
    access::{Decision, Measure, Principal, QuotaLimits, Usage},
    audit::AuditEvent,
    hypervisor::HypervisorErrorKind,
    inventory::{ChangeVm, CreateVm, DeleteVm, IfRunning, ThenStart},
    name::UserName,
    operation::OperationState,
    problem::{Problem, ProblemKind},
    size::Size,
    vm::VmState,
};
use hvd::{
    config::QuotasConfig,
    engine::JobRequest,
    sim::Temper,
    store::{Snapshot, VmRecord},
};
use proptest::{prelude::*, test_runner::TestRunner};

use crate::world::{World, ada, create, image, spec};

fn limits(json: serde_json::Value) -> QuotaLimits {
    serde_json::from_value(json).unwrap()
}

/// Each user may have so much, and all together so much.
fn quotas(each_user: serde_json::Value, total: serde_json::Value) -> QuotasConfig {
    QuotasConfig {
        total: limits(total),
        each_user: limits(each_user),
        users: BTreeMap::new(),
    }
}

/// Each user may have so much, and all together far more.
async fn limited(each_user: serde_json::Value) -> World {
    let world = World::with_quotas(quotas(each_user, serde_json::json!({}))).await;
    world.done(image("demo")).await;
    world
}

/// All together may have so much, and each user all of it.
async fn limited_in_all(total: serde_json::Value) -> World {
    let world = World::with_quotas(quotas(serde_json::json!({}), total)).await;
    world.done(image("demo")).await;
    world
}

fn user(name: &str) -> Principal {
    Principal::Account {
        name: name.parse().unwrap(),
    }
}

fn root() -> Principal {
    Principal::User {
        name: "root".parse().unwrap(),
        uid: 0,
    }
}

async fn refused(world: &World, request: JobRequest) -> Problem {
    let problem = world.submit(request).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::QuotaExceeded, "{problem:?}");
    problem
}

fn change(world: &World, name: &str, json: serde_json::Value) -> JobRequest {
    let change: ChangeVm = serde_json::from_value(json).unwrap();
    JobRequest::VmChange(world.id(name), Box::new(change))
}

async fn usage_of(world: &World, user: &str) -> Usage {
    let view = world.app.engine.quotas(None).await.unwrap();
    let mut users = view.users.into_iter();
    let found = users.find(|quota| quota.user.as_str() == user);
    found.map(|found| found.quota.usage).unwrap_or_default()
}

#[tokio::test]
async fn what_is_still_being_made_counts() {
    let world = limited(serde_json::json!({ "vms": 2 })).await;
    let first = world.submit(create("a", ThenStart::Nothing)).await.unwrap();
    world.submit(create("b", ThenStart::Nothing)).await.unwrap();
    let problem = refused(&world, create("c", ThenStart::Nothing)).await;
    assert_eq!(
        problem.detail,
        "ada has 2 of 2 VMs; with this it would be 3."
    );
    world.ended(&first).await;
    refused(&world, create("c", ThenStart::Nothing)).await;
}

#[tokio::test]
async fn what_could_not_be_made_is_given_back() {
    let world = limited(serde_json::json!({ "vms": 1, "creations_per_hour": 1 })).await;
    world.host.set_faults(|faults| {
        faults.next_failure = Some(("define", HypervisorErrorKind::Internal));
    });
    world.failed(create("a", ThenStart::Nothing)).await;
    world.done(create("a", ThenStart::Nothing)).await;
    assert_eq!(usage_of(&world, "ada").await.vms, 1);
}

#[tokio::test]
async fn a_refusal_is_on_record_with_the_quota_that_made_it() {
    let world = limited(serde_json::json!({ "vms": 0 })).await;
    refused(&world, create("a", ThenStart::Nothing)).await;
    let entries = world.audit(1).await;
    let AuditEvent::Decided(entry) = &entries[0].event else {
        panic!("{entries:?}")
    };
    assert_eq!((entry.target.as_str(), entry.operation), ("vm/a", None));
    let policy = "quota:ada".to_owned();
    assert_eq!(entry.decision, Decision::Deny { policy });
    let operations = world.app.store.read(|tx| tx.unfinished_operations()).await;
    assert!(operations.unwrap().is_empty());
}

#[tokio::test]
async fn the_most_that_a_vm_can_be_given_counts_and_growth_by_what_it_adds() {
    let world = limited(serde_json::json!({ "vcpus": 6, "memory": "3 GiB" })).await;
    let mut large = spec("a");
    (large.cpus.count, large.cpus.max) = (1, Some(4));
    let then = ThenStart::Nothing;
    world
        .done(JobRequest::VmCreate(Box::new(CreateVm {
            spec: large,
            then,
        })))
        .await;
    world.done(create("b", ThenStart::Nothing)).await;
    let problem = refused(
        &world,
        change(&world, "b", serde_json::json!({ "cpus": 3 })),
    )
    .await;
    assert_eq!(
        problem.detail,
        "ada has 5 of 6 virtual CPUs; with this it would be 7."
    );
    let more = serde_json::json!({ "cpus": 2 });
    world.done(change(&world, "b", more)).await;
    let problem = refused(
        &world,
        change(&world, "b", serde_json::json!({ "max_memory": "3 GiB" })),
    )
    .await;
    assert_eq!(
        problem.detail,
        "ada has 2 GiB of 3 GiB of memory; with this it would be 4 GiB."
    );
    // What it gives up, somebody else's VM can have.
    world
        .done(change(&world, "a", serde_json::json!({ "max_cpus": 1 })))
        .await;
    world
        .done(change(&world, "b", serde_json::json!({ "cpus": 5 })))
        .await;
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_refused() {
    let world = limited(serde_json::json!({ "vms": 1, "vcpus": 1 })).await;
    world.done(create("a", ThenStart::Nothing)).await;
    let engine = &world.app.engine;
    let then = ThenStart::Nothing;
    let another = CreateVm {
        spec: spec("b"),
        then,
    };
    let problem = engine.plan_create(&ada(), &another).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::QuotaExceeded);
    let more = ChangeVm {
        cpus: Some(2),
        ..ChangeVm::default()
    };
    let planned = engine.plan_change(&ada(), world.id("a"), &more).await;
    assert_eq!(planned.unwrap_err().kind, ProblemKind::QuotaExceeded);
}

#[tokio::test]
async fn what_a_running_vm_has_counts_until_its_next_boot() {
    let world = limited(serde_json::json!({ "vcpus": 4 })).await;
    let mut large = spec("a");
    large.cpus.count = 3;
    let then = ThenStart::Start;
    world
        .done(JobRequest::VmCreate(Box::new(CreateVm {
            spec: large,
            then,
        })))
        .await;
    world
        .done(change(&world, "a", serde_json::json!({ "cpus": 1 })))
        .await;
    assert!(world.vm("a").row.managed().unwrap().booted.is_some());
    assert_eq!(usage_of(&world, "ada").await.vcpus, 3);
    world.done(JobRequest::VmForceOff(world.id("a"))).await;
    assert_eq!(usage_of(&world, "ada").await.vcpus, 1);
}

#[tokio::test]
async fn a_vm_in_the_trash_counts_with_its_disks_alone() {
    // Each has a disk of 1 GiB and one of 2 GiB.
    let world = limited(serde_json::json!({ "vms": 1, "disk": "5 GiB" })).await;
    world.done(create("a", ThenStart::Nothing)).await;
    let id = world.id("a");
    world
        .done(JobRequest::VmDelete(id, DeleteVm::default()))
        .await;
    let usage = usage_of(&world, "ada").await;
    assert_eq!((usage.vms, usage.vcpus), (0, 0));
    assert_eq!(usage.memory.bytes(), 0);
    assert_eq!(usage.disk, Size::from_gib(3));
    let problem = refused(&world, create("b", ThenStart::Nothing)).await;
    assert_eq!(
        problem.detail,
        "ada has 3 GiB of 5 GiB of disk; with this it would be 6 GiB."
    );
    world.done(JobRequest::VmPurge(id)).await;
    world.done(create("b", ThenStart::Nothing)).await;
}

#[tokio::test]
async fn a_vm_comes_out_of_the_trash_only_where_there_is_room() {
    let world = limited(serde_json::json!({ "vms": 1 })).await;
    world.done(create("a", ThenStart::Nothing)).await;
    let id = world.id("a");
    world
        .done(JobRequest::VmDelete(id, DeleteVm::default()))
        .await;
    world.done(create("b", ThenStart::Nothing)).await;
    refused(&world, JobRequest::VmUndelete(id)).await;
}

#[tokio::test]
async fn a_disk_that_is_as_large_as_its_image_counts_so() {
    let world = limited(serde_json::json!({ "disk_per_vm": "1 MiB" })).await;
    let as_its_image = |name: &str, count: usize| {
        let mut spec = spec(name);
        let disk = spec.disks.remove(0);
        spec.disks = vec![disk; count];
        for disk in &mut spec.disks {
            disk.size = None;
        }
        let then = ThenStart::Nothing;
        JobRequest::VmCreate(Box::new(CreateVm { spec, then }))
    };
    let image = world.app.store.read(|tx| tx.images()).await.unwrap();
    let size = image[0].virtual_size.bytes();
    let fits = usize::try_from((1 << 20) / size).unwrap().min(60);
    world.done(as_its_image("a", fits)).await;
    let made = usage_of(&world, "ada").await.disk.bytes();
    assert_eq!(made, size * fits as u64);
    let disks = world.vm("a").row.managed().unwrap().spec.disks.clone();
    assert!(disks.iter().all(|disk| disk.size.is_some()), "{disks:?}");
}

#[tokio::test]
async fn the_disks_of_one_vm_have_a_limit_of_their_own() {
    let world = limited(serde_json::json!({ "disk_per_vm": "2 GiB" })).await;
    let problem = refused(&world, create("a", ThenStart::Nothing)).await;
    assert_eq!(
        problem.detail,
        "A VM of ada may have 2 GiB of disk; with this it would be 3 GiB."
    );
}

#[tokio::test]
async fn what_runs_is_to_be_started_or_is_paused_counts_as_running() {
    let world = limited(serde_json::json!({ "running": 2 })).await;
    world.done(create("a", ThenStart::Start)).await;
    world.done(JobRequest::VmPause(world.id("a"))).await;
    for name in ["b", "c"] {
        world.done(create(name, ThenStart::Nothing)).await;
    }
    world
        .submit(JobRequest::VmStart(world.id("b")))
        .await
        .unwrap();
    let problem = refused(&world, JobRequest::VmStart(world.id("c"))).await;
    assert_eq!(
        problem.detail,
        "ada runs 2 of 2 VMs; with this it would be 3."
    );
    refused(&world, create("d", ThenStart::Start)).await;
    world.done(create("d", ThenStart::Nothing)).await;
    world.done(JobRequest::VmForceOff(world.id("a"))).await;
    world.done(JobRequest::VmStart(world.id("c"))).await;
}

#[tokio::test]
async fn a_vm_whose_start_nobody_told_of_counts_as_running_all_the_same() {
    let world = limited(serde_json::json!({ "running": 1 })).await;
    for name in ["a", "b"] {
        world.done(create(name, ThenStart::Nothing)).await;
    }
    world.host.set_faults(|faults| faults.facts_to_lose = 1);
    let start = world
        .submit(JobRequest::VmStart(world.id("a")))
        .await
        .unwrap();
    let start = world.ended_in_time(&start, 30).await;
    assert_eq!(start.state, OperationState::Succeeded);
    refused(&world, JobRequest::VmStart(world.id("b"))).await;
}

#[tokio::test]
async fn a_crashed_vm_keeps_its_place_and_is_started_again() {
    let world = limited(serde_json::json!({ "running": 1 })).await;
    world.done(create("a", ThenStart::Start)).await;
    world.done(create("b", ThenStart::Nothing)).await;
    let id = world.id("a");
    world.host.crash(id).unwrap();
    world
        .until(|known| known.vm_by_id(id).unwrap().row.state == VmState::Crashed)
        .await;
    refused(&world, JobRequest::VmStart(world.id("b"))).await;
    world.pass(1);
    world
        .until(|known| known.vm_by_id(id).unwrap().row.state == VmState::Running)
        .await;
}

#[tokio::test]
async fn a_crashed_vm_is_started_again_though_limits_were_lowered_below_what_runs() {
    let world = limited_in_all(serde_json::json!({ "running": 1 })).await;
    // Root may do more than all together may.
    for name in ["a", "b"] {
        let operation = world
            .submit_as(&root(), create(name, ThenStart::Start), None, None)
            .await
            .unwrap();
        world.ended(&operation).await;
    }
    let id = world.id("a");
    world.host.crash(id).unwrap();
    world
        .until(|known| known.vm_by_id(id).unwrap().row.state == VmState::Crashed)
        .await;
    world.pass(1);
    world
        .until(|known| known.vm_by_id(id).unwrap().row.state == VmState::Running)
        .await;
}

#[tokio::test]
async fn an_owner_gets_no_more_than_they_may_have_and_the_giver_learns_no_number() {
    let world = limited(serde_json::json!({ "vms": 1 })).await;
    world.done(create("a", ThenStart::Nothing)).await;
    let bobs = world
        .submit_as(&user("bob"), create("b", ThenStart::Nothing), None, None)
        .await
        .unwrap();
    world.ended(&bobs).await;
    let give = serde_json::json!({ "owner": "bob" });
    let problem = refused(&world, change(&world, "a", give.clone())).await;
    assert_eq!(
        problem.detail,
        "The quota of bob, who is to have this, does not suffice: VMs."
    );
    world
        .done(JobRequest::VmDelete(world.id("b"), DeleteVm::default()))
        .await;
    world.done(change(&world, "a", give)).await;
    // It was given away, so there is room again.
    world.done(create("c", ThenStart::Nothing)).await;
    let mut for_bob = spec("d");
    for_bob.owner = Some("bob".parse().unwrap());
    let then = ThenStart::Nothing;
    refused(
        &world,
        JobRequest::VmCreate(Box::new(CreateVm {
            spec: for_bob,
            then,
        })),
    )
    .await;
}

#[tokio::test]
async fn while_an_owner_changes_both_have_it() {
    let world = limited(serde_json::json!({ "vms": 1 })).await;
    let id = {
        world.done(create("a", ThenStart::Nothing)).await;
        world.id("a")
    };
    world.host.set_temper(id, Temper::Deaf).unwrap();
    world.done(JobRequest::VmStart(id)).await;
    let ask = hv_model::inventory::AskGuest {
        timeout_seconds: 20,
    };
    let waits = world.submit(JobRequest::VmShutDown(id, ask)).await.unwrap();
    let give = change(&world, "a", serde_json::json!({ "owner": "bob" }));
    let given = world.submit(give).await.unwrap();
    for name in ["ada", "bob"] {
        assert_eq!(usage_of(&world, name).await.vms, 1, "{name}");
    }
    world.ended_in_time(&waits, 60).await;
    world.ended(&given).await;
    assert_eq!(usage_of(&world, "ada").await.vms, 0);
}

#[tokio::test]
async fn what_all_together_may_have_is_refused_without_numbers() {
    let world = limited_in_all(serde_json::json!({ "vms": 1 })).await;
    world.done(create("a", ThenStart::Nothing)).await;
    let problem = world
        .submit_as(&user("bob"), create("b", ThenStart::Nothing), None, None)
        .await
        .unwrap_err();
    assert_eq!(problem.kind, ProblemKind::QuotaExceeded);
    assert_eq!(
        problem.detail,
        "The quota of all users together does not suffice: VMs."
    );
    for allowed in [root(), ada()] {
        let answer = world
            .submit_as(&allowed, create("c", ThenStart::Nothing), None, None)
            .await;
        assert_eq!(answer.is_ok(), allowed == root());
    }
}

#[tokio::test]
async fn the_daemon_itself_is_measured_by_the_total_alone() {
    let world = limited(serde_json::json!({ "running": 0 })).await;
    world.done(create("a", ThenStart::Nothing)).await;
    let start = || JobRequest::VmStart(world.id("a"));
    refused(&world, start()).await;
    let started = world
        .submit_as(&Principal::System, start(), None, None)
        .await;
    world.ended(&started.unwrap()).await;
    let world = limited_in_all(serde_json::json!({ "running": 0 })).await;
    world.done(create("a", ThenStart::Nothing)).await;
    let start = JobRequest::VmStart(world.id("a"));
    let answer = world.submit_as(&Principal::System, start, None, None).await;
    assert_eq!(answer.unwrap_err().kind, ProblemKind::QuotaExceeded);
}

#[tokio::test]
async fn a_vm_of_another_tool_counts_in_all_and_is_adopted_even_beyond_that() {
    let world = limited_in_all(serde_json::json!({ "vms": 0 })).await;
    let id = hv_model::id::VmId::new(uuid::Uuid::from_u128(77));
    let foreign = hv_model::hypervisor::ForeignVm {
        definition: Some(Box::new(hv_model::hypervisor::Definition {
            id,
            generation: 0,
            spec: hv_model::vm::VmSpec::new("theirs".parse().unwrap()),
            disks: Vec::new(),
        })),
        obstacles: Vec::new(),
    };
    world.host.define_elsewhere(id, "theirs", foreign);
    world.until(|known| known.vm("theirs").is_some()).await;
    let total = world.app.engine.quotas(None).await.unwrap().total.unwrap();
    assert_eq!(total.usage.vms, 1);
    world.done(JobRequest::VmAdopt(id)).await;
}

#[tokio::test]
async fn no_more_are_made_within_an_hour_purged_ones_included() {
    let world = limited(serde_json::json!({ "creations_per_hour": 2 })).await;
    world.done(create("a", ThenStart::Nothing)).await;
    world.pass(600);
    world.done(create("b", ThenStart::Nothing)).await;
    for name in ["a", "b"] {
        let id = world.id(name);
        world
            .done(JobRequest::VmDelete(id, DeleteVm::default()))
            .await;
        world.done(JobRequest::VmPurge(id)).await;
    }
    world.pass(2999);
    let problem = refused(&world, create("c", ThenStart::Nothing)).await;
    assert_eq!(
        problem.detail,
        "ada made 2 of 2 VMs within the last hour; with this it would be 3. \
         The next one can be made in 1 min."
    );
    world.pass(1);
    world.done(create("c", ThenStart::Nothing)).await;
    refused(&world, create("d", ThenStart::Nothing)).await;
}

#[tokio::test]
async fn a_restart_of_the_daemon_forgets_nothing_that_was_asked_for() {
    let mut world = limited(serde_json::json!({ "running": 1, "creations_per_hour": 1 })).await;
    world.done(create("a", ThenStart::Start)).await;
    world.restart("first boot").await;
    let usage = usage_of(&world, "ada").await;
    assert_eq!((usage.running, usage.creations_per_hour), (1, 1));
    refused(&world, create("b", ThenStart::Nothing)).await;
}

const NAMES: [&str; 5] = ["ant", "bee", "cat", "dog", "eel"];
const USERS: [&str; 2] = ["ada", "bob"];

/// Something that somebody asks for.
#[derive(Debug, Clone)]
enum Wish {
    Create(ThenStart, u32),
    Start,
    ForceOff,
    Change(u32),
    Give(usize),
    Delete,
    Undelete,
    Purge,
}

fn wish() -> impl Strategy<Value = Wish> {
    prop_oneof![
        4 => (prop::bool::ANY, 1..4_u32).prop_map(|(start, cpus)| {
            let then = if start { ThenStart::Start } else { ThenStart::Nothing };
            Wish::Create(then, cpus)
        }),
        3 => Just(Wish::Start),
        1 => Just(Wish::ForceOff),
        3 => (1..6_u32).prop_map(Wish::Change),
        2 => (0..USERS.len()).prop_map(Wish::Give),
        2 => Just(Wish::Delete),
        2 => Just(Wish::Undelete),
        1 => Just(Wish::Purge),
    ]
}

fn request(known: &Snapshot, name: &str, wish: &Wish) -> Option<JobRequest> {
    if let Wish::Create(then, cpus) = wish {
        let mut spec = spec(name);
        spec.cpus.count = *cpus;
        return Some(JobRequest::VmCreate(Box::new(CreateVm {
            spec,
            then: *then,
        })));
    }
    let vm = known.vm(name)?.row.id;
    let change = |change| JobRequest::VmChange(vm, Box::new(change));
    Some(match wish {
        Wish::Start | Wish::Create(..) => JobRequest::VmStart(vm),
        Wish::ForceOff => JobRequest::VmForceOff(vm),
        Wish::Change(cpus) => change(ChangeVm {
            cpus: Some(*cpus),
            ..ChangeVm::default()
        }),
        Wish::Give(to) => change(ChangeVm {
            owner: Some(USERS[*to].parse().unwrap()),
            ..ChangeVm::default()
        }),
        Wish::Delete => JobRequest::VmDelete(
            vm,
            DeleteVm {
                running: IfRunning::ForceOff,
            },
        ),
        Wish::Undelete => JobRequest::VmUndelete(vm),
        Wish::Purge => JobRequest::VmPurge(vm),
    })
}

/// What some VMs have by what is known of them, counted without regard to what is asked for.
fn counted<'a>(vms: &(impl Iterator<Item = &'a VmRecord> + Clone)) -> [(Measure, u64); 4] {
    let in_use = || vms.clone().filter(|vm| !vm.row.is_trashed());
    let specs = |vm: &'a VmRecord| &vm.row.managed().unwrap().spec;
    let count = |vms: usize| u64::try_from(vms).unwrap();
    let disks = vms.clone().flat_map(|vm| &specs(vm).disks);
    [
        (Measure::Vms, count(in_use().count())),
        (
            Measure::Running,
            count(in_use().filter(|vm| vm.row.state.is_active()).count()),
        ),
        (
            Measure::Vcpus,
            in_use().map(|vm| u64::from(specs(vm).cpus.count)).sum(),
        ),
        (
            Measure::Disk,
            disks.map(|disk| disk.size.unwrap().bytes()).sum(),
        ),
    ]
}

fn check(world: &World, quotas: &QuotasConfig) -> Result<(), TestCaseError> {
    let known = world.known();
    let vms = || known.vms.iter().map(|vm| &**vm);
    let within = |have: [(Measure, u64); 4], limits: &QuotaLimits, whose: &str| {
        for (measure, have) in have {
            let most = limits.most(measure).unwrap_or(u64::MAX);
            prop_assert!(have <= most, "{whose}: {have} of {most} {measure:?}");
        }
        Ok(())
    };
    within(counted(&vms()), &quotas.total(), "all together")?;
    for name in USERS {
        let user: UserName = name.parse().unwrap();
        let theirs = vms().filter(|vm| vm.summary.owner.as_ref() == Some(&user));
        within(counted(&theirs), &quotas.each_user(), name)?;
    }
    let run = world.host.all_vms().into_iter();
    let run = run.filter(|(_, _, state)| state.is_active()).count();
    let most = quotas.total().most(Measure::Running).unwrap();
    prop_assert!(run as u64 <= most, "{run} of {most} run on the host");
    Ok(())
}

/// Lets everybody ask for everything at once, and looks after each change of the world.
async fn race(
    wishes: Vec<(usize, usize, Wish)>,
    quotas: QuotasConfig,
) -> Result<(), TestCaseError> {
    let world = World::with_quotas(quotas.clone()).await;
    world.done(image("demo")).await;
    let mut refused = 0;
    for together in wishes.chunks(6) {
        let known = world.known();
        let asked = together.iter().filter_map(|(who, name, wish)| {
            let request = request(&known, NAMES[*name], wish)?;
            let (engine, who) = (world.app.engine.clone(), user(USERS[*who]));
            Some(tokio::spawn(async move {
                let options = hvd::engine::SubmitOptions {
                    idempotency_key: None,
                    expected_generation: None,
                    decision: Decision::Allow {
                        policy: "test".to_owned(),
                    },
                    from: None,
                };
                engine.submit(&who, request, options).await
            }))
        });
        for answer in asked.collect::<Vec<_>>() {
            let answer = answer.await.unwrap();
            let quota = |problem: &Problem| problem.kind == ProblemKind::QuotaExceeded;
            refused += usize::from(answer.as_ref().err().is_some_and(quota));
            check(&world, &quotas)?;
        }
        world.a_moment().await;
        check(&world, &quotas)?;
    }
    let unfinished = world.app.store.read(|tx| tx.unfinished_operations()).await;
    for row in unfinished.unwrap() {
        world.ended_in_time(&row.operation, 60).await;
        check(&world, &quotas)?;
    }
    // Nothing is left claimed once all is over.
    let view = world.app.engine.quotas(None).await.unwrap();
    let known = world.known();
    let have = counted(&known.vms.iter().map(|vm| &**vm));
    for (measure, have) in have {
        let usage = view.total.as_ref().unwrap().usage.of(measure);
        prop_assert!(usage >= have, "{measure:?}: {usage} for {have}");
        if measure != Measure::Vcpus {
            prop_assert_eq!(usage, have, "{:?} after {} refusals", measure, refused);
        }
    }
    Ok(())
}

#[test]
fn whatever_is_asked_for_at_once_no_limit_is_ever_exceeded() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        max_shrink_iters: 64,
        ..ProptestConfig::default()
    });
    let wishes = (0..USERS.len(), 0..NAMES.len(), wish());
    let wishes = prop::collection::vec(wishes, 20..60);
    let each = serde_json::json!({
        "vms": 2, "running": 1, "vcpus": 5, "disk": "9 GiB", "creations_per_hour": "none"
    });
    let total = serde_json::json!({ "vms": 3, "running": 2, "vcpus": 8, "disk": "12 GiB" });
    let outcome = runner.run(&wishes, |wishes| {
        let quotas = quotas(each.clone(), total.clone());
        runtime.block_on(race(wishes, quotas))
    });
    outcome.unwrap();
}
