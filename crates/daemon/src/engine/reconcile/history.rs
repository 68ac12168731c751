// SPDX-License-Identifier: GPL-3.0-or-later
//! Forgetting operations and events that are too old.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    engine::Engine,
    store::{Result, StoreError},
};

/// How many rows are forgotten in one transaction, so that others need not wait long.
const AT_ONCE: u32 = 1_000;

/// Forgets what is too old, bit by bit.
pub(in crate::engine) async fn forget_old(engine: &Engine) -> Result<()> {
    let (store, history) = (&engine.0.store, engine.0.config.history.clone());
    let now = engine.0.clock.now();
    let operations_before = earlier(now, history.keep_operations());
    let events_before = earlier(now, history.keep_events());
    loop {
        let removed = store
            .write("reconcile.history", move |tx| {
                let operations = tx.prune_operations(operations_before, AT_ONCE)?;
                let events = tx.prune_events(events_before, history.events, AT_ONCE)?;
                Ok::<_, StoreError>(operations + events)
            })
            .await?;
        if removed == 0 {
            return Ok(());
        }
        tracing::debug!(removed, "old operations and events are forgotten");
    }
}

fn earlier(time: Timestamp, by: Duration) -> Timestamp {
    let by = jiff::SignedDuration::try_from(by).unwrap_or(jiff::SignedDuration::MAX);
    time.saturating_sub(by).unwrap_or(Timestamp::MIN)
}
