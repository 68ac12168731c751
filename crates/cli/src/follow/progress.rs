// SPDX-License-Identifier: GPL-3.0-or-later
//! The one line that shows how something goes: what is done now, how much, how fast, how long yet.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use hv_model::{
    operation::{Operation, OperationState, Progress, ProgressUnit, StepState},
    size::Size,
};

use super::title;
use crate::{
    output::{moment, shown, text::truncated},
    session::Session,
};

/// What is over sooner needs no line.
const SOON: Duration = Duration::from_millis(300);
/// Over how long a time a rate is measured.
const WINDOW: Duration = Duration::from_secs(5);
/// How many characters a bar has.
const BAR: usize = 20;

/// The progress line on standard error; where nobody watches, it does nothing.
#[derive(Debug)]
pub(crate) struct Line {
    columns: Option<usize>,
    since: Instant,
    is_drawn: bool,
    rate: Rate,
}

impl Line {
    /// A line that is not drawn yet.
    pub(crate) fn new(session: &Session) -> Self {
        let columns = session
            .error_look
            .columns
            .filter(|_| session.shows_progress());
        Self {
            columns,
            since: Instant::now(),
            is_drawn: false,
            rate: Rate::default(),
        }
    }

    /// Whether somebody watches.
    pub(crate) const fn is_shown(&self) -> bool {
        self.columns.is_some()
    }

    /// Draws it anew, once it is worth it.
    pub(crate) fn draw(&mut self, text: &str) {
        let Some(columns) = self.columns.filter(|_| self.since.elapsed() >= SOON) else {
            return;
        };
        // A line as wide as the terminal would wrap on some.
        write_error(&format!(
            "\r\x1b[2K{}",
            truncated(text, columns.saturating_sub(1))
        ));
        self.is_drawn = true;
    }

    /// Takes it away, so that something else can be printed in its place.
    pub(crate) fn clear(&mut self) {
        if std::mem::take(&mut self.is_drawn) {
            write_error("\r\x1b[2K");
        }
    }

    /// What an operation does now.
    pub(crate) fn of_operation(&mut self, operation: &Operation) -> String {
        let step = operation
            .steps
            .iter()
            .rfind(|step| step.state == StepState::Running);
        let what = match (operation.state, step) {
            (OperationState::Queued, _) => "waits for its turn".into(),
            (_, Some(step)) => shown(&step.name).into_owned(),
            (_, None) => "under way".into(),
        };
        let how_far = match operation.progress {
            Some(progress) => self.of_progress(progress),
            None => moment::rough(self.since.elapsed()),
        };
        format!("{}: {what} · {how_far}", title(operation))
    }

    /// How much of something is done.
    pub(crate) fn of_progress(&mut self, progress: Progress) -> String {
        let Progress { done, total, unit } = progress;
        match unit {
            ProgressUnit::Seconds => format!("{done} s of {total} s"),
            ProgressUnit::Bytes => {
                self.rate.note(Instant::now(), done);
                describe_bytes(done, total, self.rate.per_second())
            }
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.clear();
    }
}

fn write_error(text: &str) {
    use std::io::Write;
    let mut errors = std::io::stderr().lock();
    // Progress that nobody can see harms nobody.
    errors
        .write_all(text.as_bytes())
        .and_then(|()| errors.flush())
        .unwrap_or_default();
}

/// A bar, how much, how fast, and how long yet.
fn describe_bytes(done: u64, total: u64, rate: Option<u64>) -> String {
    let done = done.min(total);
    let filled = share(done, total, BAR as u64);
    let filled = usize::try_from(filled).unwrap_or(BAR);
    let bar: String = (0..BAR)
        .map(|place| if place < filled { '=' } else { ' ' })
        .collect();
    let percent = share(done, total, 100);
    let sizes = format!(
        "{} of {}",
        Size::from_bytes(done).rounded(),
        Size::from_bytes(total).rounded()
    );
    let mut text = format!("[{bar}] {percent:>3} %  {sizes}");
    if let Some(rate) = rate.filter(|rate| *rate > 0) {
        let speed = Size::from_bytes(rate).rounded();
        let left = moment::precise(Duration::from_secs((total - done).div_ceil(rate)));
        text.extend(["  ", &speed, "/s  ", &left, " left"]);
    }
    text
}

/// `done` of `total` as a number of `parts`.
fn share(done: u64, total: u64, parts: u64) -> u64 {
    if total == 0 {
        return parts;
    }
    u64::try_from(u128::from(done) * u128::from(parts) / u128::from(total)).unwrap_or(parts)
}

/// How fast something grows, by its last seconds.
#[derive(Debug, Default)]
struct Rate(VecDeque<(Instant, u64)>);

impl Rate {
    fn note(&mut self, now: Instant, done: u64) {
        self.0.push_back((now, done));
        while self.0.len() > 2
            && self
                .0
                .front()
                .is_some_and(|(then, _)| now.duration_since(*then) > WINDOW)
        {
            self.0.pop_front();
        }
    }

    fn per_second(&self) -> Option<u64> {
        let ((first, before), (last, after)) = (self.0.front()?, self.0.back()?);
        let millis = last.duration_since(*first).as_millis();
        if millis < 250 {
            return None;
        }
        u64::try_from(u128::from(after.saturating_sub(*before)) * 1000 / millis).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_a_bar_a_rate_and_the_time_left() {
        let mib = |count: u64| count << 20;
        insta::assert_snapshot!(
            describe_bytes(mib(150), mib(600), Some(mib(100))),
            @"[=====               ]  25 %  150 MiB of 600 MiB  100 MiB/s  5 s left"
        );
        insta::assert_snapshot!(describe_bytes(0, 0, None), @"[====================] 100 %  0 B of 0 B");
    }

    #[test]
    fn a_rate_is_that_of_the_last_seconds() {
        let start = Instant::now();
        let mut rate = Rate::default();
        for second in 0..20 {
            let speed = if second < 10 { 0 } else { (second - 10) * 1000 };
            rate.note(start + Duration::from_secs(second), speed);
        }
        assert_eq!(rate.per_second(), Some(1000));
        assert_eq!(Rate::default().per_second(), None);
    }
}
