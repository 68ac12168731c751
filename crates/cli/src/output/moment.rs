// SPDX-License-Identifier: GPL-3.0-or-later
//! Times and durations in words.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// How long it is from one time to a later one; nothing if it is earlier.
pub(crate) fn between(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::try_from(later.duration_since(earlier)).unwrap_or_default()
}

/// A duration in its largest unit: `40 s`, `12 min`, `3 h`, `5 days`.
pub(crate) fn rough(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds < MINUTE => format!("{seconds} s"),
        seconds if seconds < HOUR => format!("{} min", seconds / MINUTE),
        seconds if seconds < 2 * DAY => format!("{} h", seconds / HOUR),
        seconds => format!("{} days", seconds / DAY),
    }
}

/// What is left of a time, in its largest unit: a week that has just begun is `7 days`.
pub(crate) fn left(duration: Duration) -> String {
    let unit = match duration.as_secs() {
        seconds if seconds < MINUTE => 1,
        seconds if seconds < HOUR => MINUTE,
        seconds if seconds < 2 * DAY => HOUR,
        _ => DAY,
    };
    let whole = duration.as_secs().saturating_add(unit / 2) / unit * unit;
    rough(Duration::from_secs(whole))
}

/// A duration as precise as it is interesting: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`.
pub(crate) fn precise(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let parts = |large: u64, large_unit: &str, small: u64, small_unit: &str| {
        if small == 0 {
            format!("{large} {large_unit}")
        } else {
            format!("{large} {large_unit} {small} {small_unit}")
        }
    };
    match seconds {
        0..10 => {
            let tenths = duration.as_millis().div_ceil(100);
            if tenths.is_multiple_of(10) {
                format!("{} s", tenths / 10)
            } else {
                format!("{}.{} s", tenths / 10, tenths % 10)
            }
        }
        10..MINUTE => format!("{seconds} s"),
        MINUTE..HOUR => parts(seconds / MINUTE, "min", seconds % MINUTE, "s"),
        HOUR..DAY => parts(seconds / HOUR, "h", seconds % HOUR / MINUTE, "min"),
        _ => parts(seconds / DAY, "d", seconds % DAY / HOUR, "h"),
    }
}

/// A time in the past in words: `just now`, `5 min ago`.
pub(crate) fn ago(then: Timestamp, now: Timestamp) -> String {
    match between(then, now) {
        short if short < Duration::from_secs(3) => "just now".into(),
        long => format!("{} ago", rough(long)),
    }
}

/// A time on the clock of a zone: `2026-05-04 13:02:11`.
pub(crate) fn on_clock(time: Timestamp, zone: &TimeZone) -> String {
    time.to_zoned_datetime(zone.clone())
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string()
}

/// A duration as people type it: `90`, `90s`, `5m`, `2h`, `3d`; a bare number is seconds.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let fault =
        || format!("{text:?} is not a time: write a number and s, m, h or d, such as 90s or 5m");
    let split = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(split).ok_or_else(fault)?;
    let factor = match unit.trim() {
        "" | "s" => 1,
        "m" | "min" => MINUTE,
        "h" => HOUR,
        "d" => DAY,
        _ => return Err(fault()),
    };
    let number: u64 = number.parse().map_err(|_| fault())?;
    number
        .checked_mul(factor)
        .map(Duration::from_secs)
        .ok_or_else(fault)
}

/// A moment as people type it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// So long ago: `2h`.
    Ago(Duration),
    /// On a clock in the zone that times are told in: `2026-05-04`, `2026-05-04T13:00`.
    Clock(DateTime),
    /// Anywhere: `2026-05-04T13:00:00Z`.
    At(Timestamp),
}

impl When {
    /// Reads it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Ok(at) = text.parse() {
            return Ok(Self::At(at));
        }
        if let Ok(clock) = text.parse() {
            return Ok(Self::Clock(clock));
        }
        parse(text).map(Self::Ago).map_err(|_| {
            format!(
                "{text:?} is no moment: write how long ago, such as 30m, 2h or 7d, or a date and \
                 time, such as 2026-05-04 or 2026-05-04T13:00"
            )
        })
    }

    /// Which moment it is.
    pub(crate) fn moment(self, now: Timestamp, zone: &TimeZone) -> Timestamp {
        match self {
            Self::At(at) => at,
            // An hour that the clock skips or shows twice is the one that its rules say.
            Self::Clock(clock) => zone.to_timestamp(clock).unwrap_or(Timestamp::MAX),
            Self::Ago(ago) => SignedDuration::try_from(ago)
                .ok()
                .and_then(|ago| now.checked_sub(ago).ok())
                .unwrap_or(Timestamp::MIN),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_told_as_people_do() {
        let seconds = Duration::from_secs;
        for (duration, short, long) in [
            (Duration::from_millis(340), "0 s", "0.4 s"),
            (seconds(12), "12 s", "12 s"),
            (seconds(200), "3 min", "3 min 20 s"),
            (seconds(2 * HOUR), "2 h", "2 h"),
            (seconds(5 * DAY + HOUR), "5 days", "5 d 1 h"),
        ] {
            assert_eq!(
                (rough(duration).as_str(), precise(duration).as_str()),
                (short, long)
            );
        }
    }

    #[test]
    fn what_is_left_is_rounded() {
        let week = Duration::from_secs(7 * DAY);
        assert_eq!(
            left(week.saturating_sub(Duration::from_millis(5))),
            "7 days"
        );
        assert_eq!(left(Duration::from_secs(5 * DAY + HOUR)), "5 days");
        assert_eq!(left(Duration::from_secs(HOUR - 10)), "1 h");
        assert_eq!(left(Duration::from_secs(7)), "7 s");
    }

    #[test]
    fn typed_durations_are_understood_or_refused() {
        for (text, seconds) in [
            ("90", 90),
            ("90s", 90),
            ("5m", 300),
            ("2h", 7200),
            ("1d", 86400),
            ("5 min", 300),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in ["", "s", "-1", "5 weeks", "1.5h", "99999999999999999999"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_clock_in_the_future_is_just_now() {
        let now = Timestamp::from_second(1000).unwrap();
        assert_eq!(ago(Timestamp::from_second(2000).unwrap(), now), "just now");
        assert_eq!(ago(Timestamp::from_second(400).unwrap(), now), "10 min ago");
    }

    #[test]
    fn a_moment_is_how_long_ago_or_what_a_clock_shows() {
        let now: Timestamp = "2026-05-04T13:00:00Z".parse().unwrap();
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        for (text, moment) in [
            ("2h", "2026-05-04T11:00:00Z"),
            ("2026-05-03", "2026-05-02T22:00:00Z"),
            ("2026-05-03T12:30", "2026-05-03T10:30:00Z"),
            ("2026-05-03T12:30:00Z", "2026-05-03T12:30:00Z"),
        ] {
            let read = When::parse(text).unwrap().moment(now, &zone);
            assert_eq!(read.to_string(), moment, "{text}");
        }
        for text in ["", "yesterday", "2026-13-01", "2h ago"] {
            assert!(When::parse(text).is_err(), "{text}");
        }
    }
}
