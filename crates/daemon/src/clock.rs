// SPDX-License-Identifier: GPL-3.0-or-later
//! Time and ids as parameters: the system's own, or a test's.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use uuid::{Builder, Uuid};

/// What tells the time, and lets one wait for it.
///
/// Times are whole milliseconds, so that what was stored reads back as the same time.
#[derive(Debug, Clone, Default)]
pub struct Clock(Source);

#[derive(Debug, Clone, Default)]
enum Source {
    #[default]
    System,
    Manual(Arc<watch::Sender<Timestamp>>),
}

impl Clock {
    /// The system's clock.
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until [`Clock::advance`] moves it.
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(watch::Sender::new(
            whole_milliseconds(start),
        ))))
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => whole_milliseconds(Timestamp::now()),
            Source::Manual(now) => *now.borrow(),
        }
    }

    /// Moves a manual clock forward, which wakes who waited for that time. The system's clock
    /// moves by itself.
    pub fn advance(&self, time: Duration) {
        if let Source::Manual(now) = &self.0 {
            now.send_modify(|now| *now = later(*now, time));
        }
    }

    /// Puts a manual clock to another time, an earlier one too, as whoever corrects a clock does.
    pub fn set(&self, time: Timestamp) {
        if let Source::Manual(now) = &self.0 {
            now.send_replace(whole_milliseconds(time));
        }
    }

    /// The time so much later than now.
    pub fn after(&self, time: Duration) -> Timestamp {
        later(self.now(), time)
    }

    /// Waits until it is that time.
    pub async fn sleep_until(&self, time: Timestamp) {
        match &self.0 {
            // The system's time may be set anew meanwhile, so it is asked again after each part.
            Source::System => loop {
                let left = time.duration_since(Timestamp::now());
                let Ok(left) = Duration::try_from(left) else {
                    return;
                };
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left.min(Duration::from_secs(30))).await;
            },
            Source::Manual(now) => {
                // The sender lives as long as this clock does.
                let _ = now.subscribe().wait_for(|now| *now >= time).await;
            }
        }
    }

    /// Waits for so long.
    pub async fn sleep(&self, time: Duration) {
        match &self.0 {
            Source::System => tokio::time::sleep(time).await,
            Source::Manual(_) => self.sleep_until(self.after(time)).await,
        }
    }

    /// What this comes to, unless it takes longer than that.
    pub async fn within<T>(&self, time: Duration, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            outcome = work => Some(outcome),
            () = self.sleep(time) => None,
        }
    }
}

/// The time so much later than `time`, as far as times go.
pub(crate) fn later(time: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    time.saturating_add(by).unwrap_or(Timestamp::MAX)
}

fn whole_milliseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}

/// What makes new ids, which sort by the time they were made.
#[derive(Debug, Clone, Default)]
pub struct Ids(Option<Arc<AtomicU64>>);

impl Ids {
    /// Ids that never repeat, on any host.
    pub const fn random() -> Self {
        Self(None)
    }

    /// Ids that are the same in each run of a test, counted from this number.
    pub fn counted_from(first: u64) -> Self {
        Self(Some(Arc::new(AtomicU64::new(first))))
    }

    /// A new `UUIDv7`.
    pub fn next(&self) -> Uuid {
        let Some(counter) = &self.0 else {
            return Uuid::now_v7();
        };
        let number = counter.fetch_add(1, Ordering::Relaxed);
        let mut random = [0; 10];
        if let Some(tail) = random.last_chunk_mut::<8>() {
            *tail = number.to_be_bytes();
        }
        Builder::from_unix_timestamp_millis(number, &random).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_wakes_sleepers_only_when_it_is_their_time() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep_until(Timestamp::from_second(10).unwrap()).await }
        });
        clock.advance(Duration::from_secs(9));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.advance(Duration::from_secs(1));
        sleeper.await.unwrap();
    }

    #[tokio::test]
    async fn work_that_takes_too_long_is_given_up() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        let waiting = clock.within(Duration::from_secs(1), std::future::pending::<()>());
        let (outcome, ()) = tokio::join!(waiting, async { clock.advance(Duration::from_secs(2)) });
        assert_eq!(outcome, None);
    }

    #[test]
    fn counted_ids_differ_and_sort() {
        let ids = Ids::counted_from(1);
        let (first, second) = (ids.next(), ids.next());
        assert!(first < second);
        assert_eq!(first.get_version_num(), 7);
    }
}
