// SPDX-License-Identifier: GPL-3.0-or-later
//! Saying whether the host is listened to, and how old what is known is.

use std::sync::{MutexGuard, PoisonError};

use hv_model::event::{EventKind, Subject};
use jiff::Timestamp;
use serde_json::json;

use super::{Observer, Result};

impl Observer {
    /// The host said something. What the broker says while libvirt is lost does not count.
    pub(super) fn heard(&self) {
        if self.is_live() {
            *self.heard_last() = Some(self.0.clock.now());
        }
    }

    fn heard_last(&self) -> MutexGuard<'_, Option<Timestamp>> {
        self.0.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The host is not listened to any more.
    pub(super) async fn lost(&self, why: String) -> Result<()> {
        let why = sentence(&why);
        let seen = self.heard_last().take();
        let inventory = self.0.store.inventory();
        let before = inventory.snapshot();
        if before.freshness.why.as_ref() != Some(&why) {
            tracing::warn!(why, "the host is lost");
        }
        let was_live = before.freshness.live;
        inventory.note(|snapshot| {
            snapshot.freshness.live = false;
            snapshot.freshness.seen = seen.or(snapshot.freshness.seen);
            snapshot.freshness.why = Some(why.clone());
        });
        if !was_live {
            return Ok(());
        }
        let subject = self.host_subject();
        let seen = inventory.snapshot().freshness.seen;
        self.0
            .store
            .write("observe.lost", move |tx| {
                tx.put_host_fact("seen", &seen)?;
                tx.append_event(EventKind::HostLost, &subject, &json!({ "why": why }))?;
                Ok(())
            })
            .await?;
        Ok(())
    }

    /// The host is listened to, and what is known is right.
    pub(super) async fn found(&self) -> Result<()> {
        let inventory = self.0.store.inventory();
        let now = self.0.clock.now();
        let was_live = inventory.snapshot().freshness.live;
        let subject = self.host_subject();
        if !was_live {
            tracing::info!("the host is listened to");
            self.0
                .store
                .write("observe.found", move |tx| {
                    tx.put_host_fact("seen", &Some(now))?;
                    let nothing = serde_json::Value::Null;
                    tx.append_event(EventKind::HostFound, &subject, &nothing)?;
                    Ok(())
                })
                .await?;
        }
        inventory.note(|snapshot| {
            snapshot.freshness.live = true;
            snapshot.freshness.seen = Some(now);
            snapshot.freshness.why = None;
        });
        self.heard();
        Ok(())
    }

    pub(super) fn host_subject(&self) -> Subject {
        let snapshot = self.0.store.inventory().snapshot();
        Subject {
            kind: "host".to_owned(),
            id: self.0.store.host().to_string(),
            name: snapshot
                .host
                .as_ref()
                .map_or_else(|| "this one".to_owned(), |host| host.hostname.clone()),
        }
    }
}

/// A reason as a sentence that stands by itself. libvirt is never written with a capital letter.
fn sentence(why: &str) -> String {
    let why = why.trim_end_matches('.');
    let mut characters = why.chars();
    match characters.next() {
        Some(first) if !why.starts_with("libvirt") => {
            format!("{}{}.", first.to_uppercase(), characters.as_str())
        }
        _ => format!("{why}."),
    }
}

#[cfg(test)]
mod tests {
    use super::sentence;

    #[test]
    fn a_reason_stands_by_itself() {
        assert_eq!(sentence("the broker is gone"), "The broker is gone.");
        assert_eq!(sentence("libvirtd stopped."), "libvirtd stopped.");
    }
}
