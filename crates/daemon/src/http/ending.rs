// SPDX-License-Identifier: GPL-3.0-or-later
//! The daemon's end, as those who would wait for ever are told of it.

use tokio::sync::watch;

/// Tells that the daemon ends. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ending(watch::Receiver<bool>);

impl Ending {
    /// The end that this says. If its sender is gone, the daemon ends, too.
    pub const fn new(ending: watch::Receiver<bool>) -> Self {
        Self(ending)
    }

    /// Waits until the daemon ends.
    pub(super) async fn comes(&mut self) {
        // What is told besides holds a lock that must not be kept.
        let _ = self.0.wait_for(|ending| *ending).await;
    }
}
