// SPDX-License-Identifier: GPL-3.0-or-later
//! The past is kept for a while, and then forgotten by itself.

use hv_model::audit::AuditEvent;
use hvd::{engine::JobRequest, store::OperationFilter};

use crate::world::World;

const DAY: u64 = 24 * 60 * 60;

async fn operations(world: &World) -> usize {
    let filter = OperationFilter::default();
    let page = world
        .app
        .store
        .read(move |tx| tx.operations(&filter, None, 100))
        .await
        .unwrap();
    page.items.len()
}

#[tokio::test]
async fn operations_and_events_are_forgotten_after_ninety_days_even_if_the_daemon_was_down() {
    let mut world = World::new().await.with_web().await;
    world.pass(89 * DAY);
    world.done(JobRequest::VmStart(world.id("web"))).await;
    assert_eq!(operations(&world).await, 3);
    world.app.end();
    world.pass(2 * DAY);
    world.restart("first boot").await;
    while operations(&world).await != 1 {
        world.a_moment().await;
    }
    let audit = world.audit(100).await;
    let asked = audit
        .iter()
        .filter(|entry| matches!(entry.event, AuditEvent::Decided(_)));
    assert_eq!(asked.count(), 3, "who did what is kept");
}
