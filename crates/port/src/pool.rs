// SPDX-License-Identifier: GPL-3.0-or-later
//! A client's connections: at most so many at once, kept between calls.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::{deadline::Deadline, wire::Wire};

/// How many calls can be under way at once; more wait their turn.
pub(crate) const MOST: usize = 16;

/// A client's connections.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Wire>,
    taken: usize,
}

/// The right to one connection; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    pool: &'a Pool,
    /// A connection of an earlier call, still good as far as is known.
    pub(crate) idle: Option<Wire>,
}

impl Pool {
    /// Waits for a free place; `None`, if there is none until the deadline.
    pub(crate) fn take(&self, deadline: Deadline) -> Option<Place<'_>> {
        let mut state = self.lock();
        while state.taken >= MOST {
            state = match deadline.remaining() {
                Some(left) if left.is_zero() => return None,
                Some(left) => {
                    let waited = self.freed.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self
                    .freed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
        state.taken += 1;
        // Those that the broker closed, such as by restarting, are found out here and not by a call
        // that would then fail.
        let idle = std::iter::from_fn(|| state.idle.pop()).find(Wire::is_quiet);
        Some(Place { pool: self, idle })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place<'_> {
    /// Gives a good connection back for the next call.
    pub(crate) fn keep(self, wire: Wire) {
        self.pool.lock().idle.push(wire);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.pool.lock().taken -= 1;
        self.pool.freed.notify_one();
    }
}
