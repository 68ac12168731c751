// SPDX-License-Identifier: GPL-3.0-or-later
//! Faults as they are found, each with its place, its value and what is allowed.

use std::{fmt::Display, ops::RangeInclusive};

use crate::document::Fault;

/// How many characters of a refused text are shown.
const SHOWN: usize = 60;

/// What was found wrong so far.
#[derive(Default)]
pub(super) struct Findings(Vec<Fault>);

impl Findings {
    pub(super) fn into_faults(self) -> Vec<Fault> {
        self.0
    }

    /// Notes a fault of a text that somebody wrote, which is shown in quotation marks.
    pub(super) fn add(
        &mut self,
        path: impl Into<String>,
        text: &str,
        what: impl Into<String>,
        allowed: impl Into<String>,
    ) {
        let shortened = match text.char_indices().nth(SHOWN) {
            Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
            None => text.to_owned(),
        };
        self.add_plain(path, format!("{shortened:?}"), what, allowed);
    }

    /// Notes a fault of a value that is shown as it is.
    pub(super) fn add_plain(
        &mut self,
        path: impl Into<String>,
        value: impl Display,
        what: impl Into<String>,
        allowed: impl Into<String>,
    ) {
        let mut fault = Fault::new(path, what).allowed(allowed);
        fault.value = Some(value.to_string());
        self.0.push(fault);
    }

    /// Notes a fault and is false if there are more than allowed; then the single ones are not
    /// worth the time that looking at them takes.
    pub(super) fn at_most(&mut self, path: &str, count: usize, most: usize) -> bool {
        let fits = count <= most;
        if !fits {
            self.add_plain(path, count, "are too many", format!("at most {most}"));
        }
        fits
    }

    /// Notes that something is not there.
    pub(super) fn missing(&mut self, path: impl Into<String>, allowed: impl Into<String>) {
        self.0.push(Fault::new(path, "is missing").allowed(allowed));
    }

    /// Notes a fault if the value lies outside the range.
    pub(super) fn within<T: PartialOrd + Display>(
        &mut self,
        path: impl Into<String>,
        value: T,
        range: RangeInclusive<T>,
    ) {
        if !range.contains(&value) {
            let allowed = format!("{} to {}", range.start(), range.end());
            self.add_plain(path, value, "is out of range", allowed);
        }
    }

    /// Notes a fault for each value that was there before.
    pub(super) fn unique<T: PartialEq + Display>(
        &mut self,
        noun: &str,
        values: impl IntoIterator<Item = (String, T)>,
    ) {
        let mut seen: Vec<(String, T)> = Vec::new();
        for (path, value) in values {
            match seen.iter().find(|(_, earlier)| *earlier == value) {
                Some((first, _)) => {
                    let what = format!("is given in {first}, too");
                    self.add_plain(path, value, what, format!("a {noun} of its own"));
                }
                None => seen.push((path, value)),
            }
        }
    }
}

/// Whether a text has only characters that a person can see, tabs and line breaks: those that XML
/// and a terminal take, too.
pub(super) fn is_printable(text: &str) -> bool {
    text.chars().all(|c| match c {
        '\n' | '\t' => true,
        // These turn the direction of the text around them, or are no characters at all.
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}' => false,
        other => !other.is_control(),
    })
}
