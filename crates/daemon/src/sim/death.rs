// SPDX-License-Identifier: GPL-3.0-or-later
//! Death at a chosen point: what `kill -9` of the daemon looks like from outside.
//!
//! Every point at which something lasting happens (a call to the host, a write to the store) is
//! passed through [`Death::passes`]. From the chosen point on nothing passes any more, as if the
//! process were gone, until [`Death::revive`].

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

/// Counts points, and lets nothing happen from the chosen one on.
#[derive(Debug, Default)]
pub struct Death {
    /// Points still to be passed, plus one; 0 means that death is not due.
    due: AtomicU64,
    dead: watch::Sender<bool>,
}

impl Death {
    /// Death comes once so many more points have been passed.
    pub fn schedule(&self, points: u64) {
        self.due.store(points.saturating_add(1), Ordering::SeqCst);
    }

    /// Whether something may still happen. Counts the point.
    pub fn passes(&self) -> bool {
        if self.is_dead() {
            return false;
        }
        let one_less = |due: u64| due.checked_sub(1);
        match self
            .due
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less)
        {
            Ok(1) => {
                self.dead.send_replace(true);
                false
            }
            Ok(_) | Err(_) => true,
        }
    }

    /// Whether nothing passes any more.
    pub fn is_dead(&self) -> bool {
        *self.dead.borrow()
    }

    /// Waits for death.
    pub async fn comes(&self) {
        // The sender is here, so that waiting cannot fail.
        let _ = self.dead.subscribe().wait_for(|dead| *dead).await;
    }

    /// Everything passes again, and death is not due.
    pub fn revive(&self) {
        self.due.store(0, Ordering::SeqCst);
        self.dead.send_replace(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_points_pass_and_then_none_until_revival() {
        let death = Death::default();
        death.schedule(2);
        assert_eq!(
            [
                death.passes(),
                death.passes(),
                death.passes(),
                death.passes()
            ],
            [true, true, false, false]
        );
        assert!(death.is_dead());
        death.revive();
        assert!((0..10).all(|_| death.passes()));
    }
}
