// SPDX-License-Identifier: GPL-3.0-or-later
//! How long something took, many times.

use std::time::{Duration, Instant};

/// How long something took, many times.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample(Vec<Duration>);

impl Sample {
    /// Does something and notes how long it took.
    pub(crate) fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let done = work();
        self.push(begun.elapsed());
        done
    }

    /// Notes one more time.
    pub(crate) fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// Takes over what another sample holds.
    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// How often it was done.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The time that half of them took at most.
    pub(crate) fn median(&self) -> Duration {
        self.percentile(50)
    }

    /// The time that 99 of 100 took at most; of fewer than 100, the longest.
    pub(crate) fn p99(&self) -> Duration {
        self.percentile(99)
    }

    /// By nearest rank, so that it is a time that was really measured.
    fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(count: u64) -> Sample {
        let mut sample = Sample::default();
        for number in (1..=count).rev() {
            sample.push(Duration::from_millis(number));
        }
        sample
    }

    #[test]
    fn percentiles_are_times_that_were_measured() {
        assert_eq!(sample(100).median(), Duration::from_millis(50));
        assert_eq!(sample(100).p99(), Duration::from_millis(99));
        assert_eq!(sample(3).median(), Duration::from_millis(2));
    }

    #[test]
    fn the_p99_of_few_is_the_longest() {
        assert_eq!(sample(20).p99(), Duration::from_millis(20));
        assert_eq!(Sample::default().p99(), Duration::ZERO);
    }
}
