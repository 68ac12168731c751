// SPDX-License-Identifier: GPL-3.0-or-later
//! Cutting off connections whose session or token is no longer good, streams and consoles included.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use hv_model::id::{SessionId, TokenId};
use tokio::sync::watch;

/// Cuts one connection off. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Cutter(Arc<watch::Sender<bool>>);

impl Default for Cutter {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Cutter {
    /// Waits until the connection is cut off.
    pub(crate) fn cut(&self) -> impl Future<Output = ()> + Send + 'static {
        // A connection that became a console outlives all else that knows its cutter.
        let cutter = Arc::clone(&self.0);
        async move {
            // The sender is there as long as this waits.
            let _ = cutter.subscribe().wait_for(|cut| *cut).await;
        }
    }
}

/// By what a connection is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Tie {
    Session(SessionId),
    Token(TokenId),
}

/// The connections that are tied to sessions and tokens.
#[derive(Debug, Default)]
pub(super) struct Cutters(Mutex<HashMap<Tie, Vec<Weak<watch::Sender<bool>>>>>);

impl Cutters {
    fn tied(&self) -> std::sync::MutexGuard<'_, HashMap<Tie, Vec<Weak<watch::Sender<bool>>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ties a connection. Doing it again does nothing.
    pub(super) fn tie(&self, tie: Tie, cutter: &Cutter) {
        let ours = Arc::downgrade(&cutter.0);
        let mut tied = self.tied();
        let connections = tied.entry(tie).or_default();
        if !connections.iter().any(|known| known.ptr_eq(&ours)) {
            connections.retain(|known| known.strong_count() > 0);
            connections.push(ours);
        }
    }

    /// Everything that a connection is tied to, that there still is.
    pub(super) fn ties(&self) -> Vec<Tie> {
        let mut tied = self.tied();
        tied.retain(|_, connections| connections.iter().any(|known| known.strong_count() > 0));
        tied.keys().copied().collect()
    }

    /// Cuts off every connection that is tied to this.
    pub(super) fn cut(&self, tie: Tie) {
        for connection in self.tied().remove(&tie).unwrap_or_default() {
            if let Some(connection) = connection.upgrade() {
                connection.send_replace(true);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn only_what_is_tied_is_cut_and_what_is_gone_is_forgotten() {
        let session = |number: u128| Tie::Session(SessionId::new(uuid::Uuid::from_u128(number)));
        let cutters = Cutters::default();
        let (one, other) = (Cutter::default(), Cutter::default());
        cutters.tie(session(1), &one);
        cutters.tie(session(1), &one);
        cutters.tie(session(2), &other);
        cutters.cut(session(1));
        assert!(one.cut().now_or_never().is_some());
        assert!(other.cut().now_or_never().is_none());
        drop(other);
        assert!(cutters.ties().is_empty());
    }
}
