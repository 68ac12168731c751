// SPDX-License-Identifier: GPL-3.0-or-later
//! Images: added whole or not at all, kept while they are needed.

use std::io::Write;

use hv_model::{inventory::DeleteVm, operation::OperationState, problem::ProblemKind};
use hvd::engine::{BrokenOff, JobRequest};

use crate::world::{World, image, upload};

#[tokio::test]
async fn an_image_is_added_with_the_hash_of_its_bytes() {
    let world = World::new().await;
    let added = world.done(image("demo")).await;
    let images = world.app.store.read(|tx| tx.images()).await.unwrap();
    assert_eq!(images[0].name.as_str(), "demo");
    assert_eq!(images[0].blake3, "0".repeat(64));
    assert_eq!(added.result["image"], images[0].id.to_string());
}

/// An upload that breaks off in this way, as its operation is at its end.
async fn broken_off(world: &World, how: BrokenOff) -> (OperationState, String) {
    let (request, mut body, digest) = upload("demo", 4096);
    let operation = world.submit(request).await.unwrap();
    body.write_all(&[7; 100]).unwrap();
    drop(body);
    digest.send(Err(how)).unwrap();
    let ended = world.ended(&operation).await;
    (ended.state, ended.problem.unwrap().detail)
}

#[tokio::test]
async fn an_upload_whose_sender_left_is_cancelled_and_leaves_nothing() {
    let world = World::new().await;
    let left = BrokenOff::Left("the client went away".to_owned());
    let detail = "The upload of demo broke off: the client went away.".to_owned();
    let ended = broken_off(&world, left).await;
    assert_eq!(ended, (OperationState::Cancelled, detail));
    assert!(world.volumes().is_empty());
    world.done(image("demo")).await;
}

#[tokio::test]
async fn an_upload_that_stalls_fails_and_leaves_nothing() {
    let world = World::new().await;
    let stalled = BrokenOff::Wrong("nothing arrived for 60 seconds".to_owned());
    let detail = "The upload of demo broke off: nothing arrived for 60 seconds.".to_owned();
    let ended = broken_off(&world, stalled).await;
    assert_eq!(ended, (OperationState::Failed, detail));
    assert!(world.volumes().is_empty());
}

#[tokio::test]
async fn an_image_that_a_disk_needs_is_not_deleted_even_from_the_trash() {
    let world = World::new().await.with_web().await;
    let images = world.app.store.read(|tx| tx.images()).await.unwrap();
    let delete = || world.submit(JobRequest::ImageDelete(images[0].id));
    let problem = delete().await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::ImageInUse);
    assert_eq!(problem.detail, "The image demo is needed by web.");
    world
        .done(JobRequest::VmDelete(world.id("web"), DeleteVm::default()))
        .await;
    let problem = delete().await.unwrap_err();
    assert_eq!(
        problem.detail,
        "The image demo is needed by web (in the trash)."
    );
    world.done(JobRequest::VmPurge(world.id("web"))).await;
    let operation = delete().await.unwrap();
    assert_eq!(
        world.ended(&operation).await.state,
        OperationState::Succeeded
    );
    assert!(world.volumes().is_empty());
}
