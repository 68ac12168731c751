// SPDX-License-Identifier: GPL-3.0-or-later
//! A moment after which waiting ends.

use std::time::{Duration, Instant};

/// A moment after which waiting ends, or none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    /// Waiting never ends.
    pub(crate) const NEVER: Self = Self(None);

    /// Waiting ends after this long; never, if that is beyond what a clock can say.
    pub(crate) fn after(duration: Duration) -> Self {
        Self(Instant::now().checked_add(duration))
    }

    /// How much time is left; `None` where waiting never ends.
    pub(crate) fn remaining(self) -> Option<Duration> {
        self.0
            .map(|moment| moment.saturating_duration_since(Instant::now()))
    }
}
