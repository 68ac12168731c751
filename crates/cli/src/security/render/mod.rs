// SPDX-License-Identifier: GPL-3.0-or-later
//! What an audit found, as people read it. Text that others wrote is made safe for each form.

pub(crate) mod controls;
pub(crate) mod html;
pub(crate) mod markdown;
#[cfg(test)]
mod tests;
pub(crate) mod text;

use hv_model::security::{Counts, FindingResult, Report};

use crate::output::shown;

/// Where and when a report is of, in a line.
fn heading(report: &Report) -> String {
    let who = match report.looked_as {
        0 => "as root".to_owned(),
        user => format!("as user {user}, who cannot see all of it"),
    };
    let time = report.time.strftime("%Y-%m-%d %H:%M:%S UTC");
    format!(
        "{}, {}, {time}, looked at by hv {} {who}",
        shown(&report.host),
        shown(&report.system),
        shown(&report.version),
    )
}

/// How many checks came out how, in a line.
fn tally(counts: Counts) -> String {
    let words = FindingResult::ALL.iter().rev().filter_map(|result| {
        let count = counts.get(*result);
        let word = match result {
            FindingResult::Fail => "failed",
            FindingResult::Warn if count == 1 => "warning",
            FindingResult::Warn => "warnings",
            FindingResult::Unknown => "unknown",
            FindingResult::Pass => "passed",
            FindingResult::NotApplicable => "not applicable",
        };
        (count > 0).then(|| format!("{count} {word}"))
    });
    let words: Vec<String> = words.collect();
    if words.is_empty() {
        return "nothing was looked at".to_owned();
    }
    words.join(", ")
}
