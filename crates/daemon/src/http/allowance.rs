// SPDX-License-Identifier: GPL-3.0-or-later
//! How often something may happen, so that nobody can fill the disk by doing it on and on.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

/// So many times within so long.
#[derive(Debug)]
pub(super) struct Allowance {
    times: u32,
    within: Duration,
    /// Since when is counted, and how often it happened since.
    used: Mutex<Option<(Timestamp, u32)>>,
}

impl Allowance {
    pub(super) const fn new(times: u32, within: Duration) -> Self {
        Self {
            times,
            within,
            used: Mutex::new(None),
        }
    }

    /// Whether it may happen once more now.
    pub(super) fn take(&self, now: Timestamp) -> bool {
        let within = SignedDuration::try_from(self.within).unwrap_or(SignedDuration::MAX);
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let is_current = |since: &Timestamp| now.duration_since(*since) < within;
        let (since, times) = used
            .filter(|(since, _)| is_current(since))
            .unwrap_or((now, 0));
        *used = Some((since, times.saturating_add(1)));
        times < self.times
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_used_up_and_comes_back_with_time() {
        let allowance = Allowance::new(2, Duration::from_secs(60));
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(
            [0, 1, 2, 59].map(|second| allowance.take(at(second))),
            [true, true, false, false]
        );
        assert!(allowance.take(at(60)));
    }
}
