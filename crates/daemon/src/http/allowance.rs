// SPDX-License-Identifier: GPL-3.0-or-later
//! How often something may happen, so that nobody can fill the disk by doing it on and on.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

/// Of how many it is kept how often they did it, before those who may do it again are forgotten.
const KEPT: usize = 1 << 10;

/// So many times within so long, for each who does it.
#[derive(Debug)]
pub(super) struct Allowance<W = ()> {
    times: u32,
    within: Duration,
    /// Since when is counted, and how often it happened since.
    used: Mutex<HashMap<W, (Timestamp, u32)>>,
}

impl<W: Eq + Hash> Allowance<W> {
    pub(super) fn new(times: u32, within: Duration) -> Self {
        Self {
            times,
            within,
            used: Mutex::default(),
        }
    }

    /// Whether they may do it once more now; if not, how long they must wait.
    pub(super) fn take(&self, who: W, now: Timestamp) -> Result<(), Duration> {
        let within = SignedDuration::try_from(self.within).unwrap_or(SignedDuration::MAX);
        // A clock that was set back would make them wait longer.
        let is_over = |began: Timestamp| {
            let since = now.duration_since(began);
            since.is_negative() || since >= within
        };
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.len() >= KEPT {
            used.retain(|_, (began, _)| !is_over(*began));
        }
        let (began, times) = used.entry(who).or_insert((now, 0));
        if is_over(*began) {
            (*began, *times) = (now, 0);
        }
        if *times < self.times {
            *times += 1;
            return Ok(());
        }
        let left = within.saturating_sub(now.duration_since(*began));
        Err(left.try_into().unwrap_or(self.within))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn it_is_used_up_and_comes_back_with_time() {
        let allowance = Allowance::new(2, Duration::from_secs(60));
        let take = |second| allowance.take((), at(second));
        let wait = |seconds| Err(Duration::from_secs(seconds));
        assert_eq!([0, 1, 2, 59].map(take), [Ok(()), Ok(()), wait(58), wait(1)]);
        assert_eq!(take(60), Ok(()));
        assert_eq!((take(61), take(62)), (Ok(()), wait(58)));
        assert_eq!(take(30), Ok(()), "the clock was set back");
    }

    #[test]
    fn each_has_their_own_and_who_has_theirs_back_is_forgotten() {
        let allowance = Allowance::new(1, Duration::from_secs(60));
        assert!(allowance.take(0, at(0)).is_ok());
        for who in 1..=KEPT {
            assert!(allowance.take(who, at(30)).is_ok());
        }
        assert!(allowance.take(1, at(60)).is_err());
        assert!(allowance.take(KEPT + 1, at(100)).is_ok());
        assert_eq!(allowance.used.lock().unwrap().len(), 1);
    }
}
