// SPDX-License-Identifier: GPL-3.0-or-later
//! A store that is full, damaged or lost.

use hv_model::{
    inventory::{ChangeVm, ThenStart},
    problem::ProblemKind,
    vm::VmState,
};
use hvd::{
    clock::{Clock, Ids},
    engine::JobRequest,
    store::{Store, StoreError, StoreOptions},
};

use crate::world::{World, create};

#[tokio::test]
async fn a_full_disk_is_told_as_what_it_is_and_what_was_under_way_ends_once_there_is_space() {
    let options = StoreOptions {
        max_pages: Some(64),
        ..StoreOptions::default()
    };
    let mut world = World::with(options).await.with_web().await;
    let id = world.id("web");
    // Each wish takes some space, whether or not its turn has come.
    let mut wishes = 0;
    let problem = loop {
        wishes += 1;
        let change = ChangeVm {
            description: Some(format!("{wishes} {}", "x".repeat(900))),
            ..ChangeVm::default()
        };
        let submitted = world
            .submit(JobRequest::VmChange(id, Box::new(change)))
            .await;
        if let Err(refusal) = submitted {
            break refusal;
        }
    };
    assert_eq!(problem.kind, ProblemKind::NoSpace, "{problem:?}");
    assert!(
        problem
            .detail
            .starts_with("The disk under hvd's database is full."),
        "{problem:?}"
    );
    assert!(
        world.known().vm("web").is_some(),
        "what is known can still be looked at"
    );
    world.restart("first boot").await;
    let left = world
        .app
        .store
        .read(|tx| tx.unfinished_operations())
        .await
        .unwrap();
    for row in left {
        world.ended(&row.operation).await;
    }
    world.until(|known| known.worked_on.is_empty()).await;
    assert_eq!(world.host.all_vms()[0].2, world.vm("web").row.state);
}

#[tokio::test]
async fn a_lost_database_is_rebuilt_from_the_host() {
    let mut world = World::new().await.with_running_web().await;
    let before = world.vm("web").row.definition();
    world.lose_database().await;
    let vm = world.vm("web");
    assert_eq!(vm.row.state, VmState::Running);
    assert_eq!(vm.row.definition(), before);
    let images = world.app.store.read(|tx| tx.images()).await.unwrap();
    assert_eq!(images[0].name.as_str(), "demo");
    world.done(create("db", ThenStart::Start)).await;
}

#[tokio::test]
async fn events_go_on_behind_those_of_the_lost_database() {
    let mut world = World::new().await.with_web().await;
    let before = world.known().seq;
    world.pass(24 * 60 * 60);
    world.lose_database().await;
    assert!(world.known().seq > before);
}

#[test]
fn a_damaged_database_is_refused_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("hvd.db"), [7; 8192]).unwrap();
    let error = Store::open(folder.path(), Clock::system(), Ids::random()).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("hvd.db"), "{error}");
}

#[test]
fn a_database_of_a_later_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hvd.db");
    let later = rusqlite::Connection::open(path).unwrap();
    later.pragma_update(None, "user_version", 1000).unwrap();
    drop(later);
    let error = Store::open(folder.path(), Clock::system(), Ids::random()).unwrap_err();
    assert!(
        matches!(error, StoreError::TooNew { found: 1000, .. }),
        "{error}"
    );
}
