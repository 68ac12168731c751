// SPDX-License-Identifier: GPL-3.0-or-later
//! The trash: deleting loses nothing until its time is over.

use hv_model::{
    hypervisor::HypervisorErrorKind,
    inventory::{DeleteVm, IfRunning, ThenStart},
    problem::ProblemKind,
    size::Size,
    storage::VolumeRef,
    vm::VmState,
};
use hvd::engine::JobRequest;

use crate::world::{World, create};

const DAY: u64 = 24 * 60 * 60;

#[tokio::test]
async fn a_deleted_vm_comes_back_whole() {
    let world = World::new().await.with_web().await;
    let before = world.vm("web").row.definition();
    let volumes = world.volumes();
    world
        .done(JobRequest::VmDelete(world.id("web"), DeleteVm::default()))
        .await;
    assert_eq!(world.vm("web").row.state, VmState::Trashed);
    assert!(world.host.all_vms().is_empty());
    assert_eq!(world.volumes(), volumes);
    world.done(JobRequest::VmUndelete(world.id("web"))).await;
    assert_eq!(world.vm("web").row.state, VmState::Off);
    assert_eq!(world.vm("web").row.definition(), before);
    world.done(JobRequest::VmStart(world.id("web"))).await;
}

#[tokio::test]
async fn its_name_stays_reserved() {
    let world = World::new().await.with_web().await;
    world
        .done(JobRequest::VmDelete(world.id("web"), DeleteVm::default()))
        .await;
    let problem = world
        .submit(create("web", ThenStart::Nothing))
        .await
        .unwrap_err();
    assert_eq!(problem.kind, ProblemKind::NameTaken);
    assert_eq!(problem.detail, "A VM in the trash has the name web.");
    assert_eq!(problem.commands[0], "hv vm undelete web");
}

#[tokio::test]
async fn a_running_vm_is_deleted_only_if_its_power_may_be_cut() {
    let world = World::new().await.with_running_web().await;
    let id = world.id("web");
    let problem = world
        .submit(JobRequest::VmDelete(id, DeleteVm::default()))
        .await
        .unwrap_err();
    assert_eq!(problem.detail, "web still runs.");
    let how = DeleteVm {
        running: IfRunning::ForceOff,
    };
    world.done(JobRequest::VmDelete(id, how)).await;
    assert_eq!(world.vm("web").row.state, VmState::Trashed);
}

#[tokio::test]
async fn purging_destroys_its_disks_and_frees_its_name_and_image() {
    let world = World::new().await.with_web().await;
    let id = world.id("web");
    let problem = world.submit(JobRequest::VmPurge(id)).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::WrongState);
    world
        .done(JobRequest::VmDelete(id, DeleteVm::default()))
        .await;
    world.done(JobRequest::VmPurge(id)).await;
    assert_eq!(world.volumes().len(), 1, "only the image is left");
    world.done(create("web", ThenStart::Nothing)).await;
}

#[tokio::test]
async fn after_seven_days_it_is_purged_by_itself() {
    let world = World::new().await.with_web().await;
    world
        .done(JobRequest::VmDelete(world.id("web"), DeleteVm::default()))
        .await;
    world.pass(7 * DAY - 60);
    world
        .until(|known| known.freshness.seen == Some(world.clock.now()))
        .await;
    assert!(world.known().vm("web").is_some());
    world.pass(60);
    world.until(|known| known.vm("web").is_none()).await;
    assert_eq!(world.volumes().len(), 1, "only the image is left");
}

#[tokio::test]
async fn a_volume_that_nothing_owns_is_told_of_and_kept() {
    let mut world = World::new().await.with_web().await;
    let stray = |name: &str| VolumeRef {
        pool: "hyper-disks".parse().unwrap(),
        name: name.parse().unwrap(),
    };
    let unknown = stray("hv-00000000-0000-0000-0000-00000000002a-vda.qcow2");
    world
        .host
        .add_volume_elsewhere(unknown.clone(), Size::from_gib(1));
    world
        .host
        .add_volume_elsewhere(stray("theirs.qcow2"), Size::from_gib(1));
    // This one is left over from a VM that is known to have been purged.
    world
        .done(JobRequest::VmDelete(world.id("web"), DeleteVm::default()))
        .await;
    let left = stray(&format!("hv-{}-vdc.qcow2", world.id("web")));
    world.done(JobRequest::VmPurge(world.id("web"))).await;
    world
        .host
        .add_volume_elsewhere(left.clone(), Size::from_gib(1));
    world.pass(3600);
    world
        .until(|known| *known.strays == [unknown.clone()])
        .await;
    let volumes = world.volumes();
    assert!(!volumes.contains(&left.name.to_string()));
    assert!(volumes.contains(&"theirs.qcow2".to_owned()));
    assert!(volumes.contains(&unknown.name.to_string()));
    world.restart("first boot").await;
}

#[tokio::test]
async fn a_vm_that_was_destroyed_in_part_does_not_come_back_and_is_destroyed_further() {
    let world = World::new().await.with_web().await;
    let id = world.id("web");
    world
        .done(JobRequest::VmDelete(id, DeleteVm::default()))
        .await;
    let failure = Some(("delete_volume", HypervisorErrorKind::Internal));
    world
        .host
        .set_faults(|faults| faults.next_failure = failure);
    world.failed(JobRequest::VmPurge(id)).await;
    let problem = world.submit(JobRequest::VmUndelete(id)).await.unwrap_err();
    assert_eq!(
        problem.detail,
        "web is being destroyed, and some of it is gone."
    );
    world
        .pass_until(601, |known| known.vm("web").is_none())
        .await;
    assert_eq!(world.volumes().len(), 1, "only the image is left");
}
