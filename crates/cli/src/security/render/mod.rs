// SPDX-License-Identifier: GPL-3.0-or-later
//! What an audit found, as people read it. Text that others wrote is made safe for each form.

pub(crate) mod controls;
pub(crate) mod html;
pub(crate) mod markdown;
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
    let words = FindingResult::ALL.iter().rev().map(|result| {
        let count = counts.get(*result);
        match result {
            FindingResult::Fail => format!("{count} failed"),
            FindingResult::Warn => format!(
                "{count} {}",
                if count == 1 { "warning" } else { "warnings" }
            ),
            FindingResult::Unknown => format!("{count} unknown"),
            FindingResult::Pass => format!("{count} passed"),
            FindingResult::NotApplicable => format!("{count} not applicable"),
        }
    });
    words.collect::<Vec<_>>().join(", ")
}
