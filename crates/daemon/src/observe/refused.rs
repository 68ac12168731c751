// SPDX-License-Identifier: GPL-3.0-or-later
//! Saying what the host's guard refused.

use hv_model::{
    event::{EventKind, Subject},
    refusal::GuardRefusal,
};
use serde_json::json;

use super::{Observer, Result};
use crate::store::{REFUSALS, WriteTransaction};

/// How many refusals are kept for the health of the host.
const KEPT: usize = 20;

impl Observer {
    /// Takes over what the guard refused.
    pub(super) async fn take_refusals(&self, refusals: Vec<GuardRefusal>) -> Result<()> {
        if refusals.is_empty() {
            return Ok(());
        }
        let (host, now) = (self.host_subject(), self.0.clock.now());
        let take = move |tx: &WriteTransaction<'_>| {
            let mut kept: Vec<GuardRefusal> = tx.host_fact(REFUSALS)?.unwrap_or_default();
            for refusal in refusals {
                // What comes from elsewhere is not trusted to be short.
                let refusal = refusal.shortened();
                let (subject, data) = (subject(&refusal, &host), data(&refusal));
                tx.append_event(EventKind::GuardRefused, &subject, &data)?;
                kept.push(GuardRefusal {
                    time: now,
                    ..refusal
                });
            }
            let surplus = kept.len().saturating_sub(KEPT);
            tx.put_host_fact(REFUSALS, &kept.get(surplus..).unwrap_or_default())
        };
        Ok(self.0.store.write("observe.refused", take).await?)
    }
}

/// The VM; the host, where the VM did not even say which it is.
fn subject(refusal: &GuardRefusal, host: &Subject) -> Subject {
    match refusal.id {
        Some(id) => Subject {
            kind: "vm".to_owned(),
            id: id.to_string(),
            name: refusal.name.clone(),
        },
        None => host.clone(),
    }
}

fn data(refusal: &GuardRefusal) -> serde_json::Value {
    json!({
        "vm": refusal.name,
        "operation": refusal.operation,
        "effect": refusal.effect,
        "why": refusal.reasons.join("; "),
    })
}
