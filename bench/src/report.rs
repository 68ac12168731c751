// SPDX-License-Identifier: GPL-3.0-or-later
//! What was measured, beside its reference and its target.

use std::fmt::{self, Write};

use serde::Serialize;

use crate::sample::Sample;

/// One thing that was measured.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    /// What it is.
    pub(crate) what: String,
    /// What it came to with the product.
    pub(crate) ours: Figure,
    /// The same without it, in the same run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reference: Option<Reference>,
    /// What it came to, divided by the reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ratio: Option<f64>,
    /// What it should come to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<Target>,
    /// Whether it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) verdict: Option<Verdict>,
}

/// What the product is compared with.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Reference {
    /// What it is.
    pub(crate) what: String,
    /// What it came to.
    pub(crate) figure: Figure,
}

/// A measured value.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Figure {
    /// The value; of several, the median.
    pub(crate) value: f64,
    /// What it is counted in.
    pub(crate) unit: Unit,
    /// What 99 of 100 stayed under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p99: Option<f64>,
    /// How often it was measured.
    pub(crate) count: usize,
}

/// What a value is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    /// Milliseconds.
    Milliseconds,
    /// So many each second.
    PerSecond,
    /// Millions of bytes.
    Megabytes,
    /// Percent of one CPU.
    PercentOfCpu,
}

/// What a value should come to.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    /// At most this, in the value's unit.
    AtMost(f64),
    /// At least this, in the value's unit.
    AtLeast(f64),
    /// 99 of 100 at most this, in the value's unit.
    P99AtMost(f64),
    /// At most so many times the reference.
    RatioAtMost(f64),
    /// At least so many times the reference.
    RatioAtLeast(f64),
}

/// Whether a value is what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// It is.
    Met,
    /// It is not.
    Missed,
}

impl Row {
    /// A value with nothing to compare it with yet.
    pub(crate) fn new(what: impl Into<String>, ours: impl Into<Figure>) -> Self {
        Self {
            what: what.into(),
            ours: ours.into(),
            reference: None,
            ratio: None,
            target: None,
            verdict: None,
        }
    }

    /// With what the same comes to without the product.
    pub(crate) fn against(mut self, what: impl Into<String>, figure: impl Into<Figure>) -> Self {
        let figure = figure.into();
        self.ratio = (figure.value > 0.0).then(|| self.ours.value / figure.value);
        self.reference = Some(Reference {
            what: what.into(),
            figure,
        });
        self
    }

    /// With what it should come to.
    pub(crate) fn target(mut self, target: Target) -> Self {
        self.verdict = target
            .is_met_by(self.ours, self.ratio)
            .map(|met| if met { Verdict::Met } else { Verdict::Missed });
        self.target = Some(target);
        self
    }

    fn cells(&self) -> [String; 6] {
        let (reference, ratio) = match (&self.reference, self.ratio) {
            (Some(reference), Some(ratio)) => (
                format!("{} {}", reference.what, reference.figure),
                ratio_in_words(ratio),
            ),
            (Some(reference), None) => (
                format!("{} {}", reference.what, reference.figure),
                String::new(),
            ),
            _ => Default::default(),
        };
        let target = self
            .target
            .map(|target| target.in_words(self.ours.unit))
            .unwrap_or_default();
        let verdict = match self.verdict {
            Some(Verdict::Met) => "met",
            Some(Verdict::Missed) => "missed",
            None => "",
        };
        [
            self.what.clone(),
            self.ours.to_string(),
            reference,
            ratio,
            target,
            verdict.to_owned(),
        ]
    }
}

impl Figure {
    /// A value that was measured once.
    pub(crate) fn once(value: f64, unit: Unit) -> Self {
        Self {
            value,
            unit,
            p99: None,
            count: 1,
        }
    }
}

impl From<&Sample> for Figure {
    fn from(sample: &Sample) -> Self {
        Self {
            value: sample.median().as_secs_f64() * 1e3,
            unit: Unit::Milliseconds,
            p99: Some(sample.p99().as_secs_f64() * 1e3),
            count: sample.count(),
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", rounded(self.value), self.unit.symbol())?;
        match self.p99 {
            Some(p99) => write!(f, " (p99 {})", rounded(p99)),
            None => Ok(()),
        }
    }
}

impl Unit {
    const fn symbol(self) -> &'static str {
        match self {
            Self::Milliseconds => "ms",
            Self::PerSecond => "/s",
            Self::Megabytes => "MB",
            Self::PercentOfCpu => "%",
        }
    }
}

impl Target {
    /// Nothing, if there is no reference to judge by.
    fn is_met_by(self, ours: Figure, ratio: Option<f64>) -> Option<bool> {
        match self {
            Self::AtMost(most) => Some(ours.value <= most),
            Self::AtLeast(least) => Some(ours.value >= least),
            Self::P99AtMost(most) => ours.p99.map(|p99| p99 <= most),
            Self::RatioAtMost(most) => ratio.map(|ratio| ratio <= most),
            Self::RatioAtLeast(least) => ratio.map(|ratio| ratio >= least),
        }
    }

    fn in_words(self, unit: Unit) -> String {
        let symbol = unit.symbol();
        match self {
            Self::AtMost(most) => format!("≤ {} {symbol}", rounded(most)),
            Self::AtLeast(least) => format!("≥ {} {symbol}", rounded(least)),
            Self::P99AtMost(most) => format!("p99 ≤ {} {symbol}", rounded(most)),
            Self::RatioAtMost(most) => format!("≤ {}", ratio_in_words(most)),
            Self::RatioAtLeast(least) => format!("≥ {}", ratio_in_words(least)),
        }
    }
}

/// With as many digits as mean something.
fn rounded(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn ratio_in_words(ratio: f64) -> String {
    if ratio >= 0.9 {
        format!("{ratio:.2} ×")
    } else {
        format!("1/{:.1}", 1.0 / ratio)
    }
}

/// The rows as a table for people.
pub(crate) fn table(rows: &[Row]) -> String {
    let head = ["what", "Hyper-NixOS", "reference", "ratio", "target", ""];
    let mut lines = vec![head.map(str::to_owned)];
    lines.extend(rows.iter().map(Row::cells));
    let mut widths = [0; 6];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for line in lines {
        let mut row = String::new();
        for (cell, width) in line.iter().zip(widths) {
            // Writing into a string never fails.
            let _ = write!(row, "{cell:width$}  ");
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn milliseconds(value: f64) -> Figure {
        Figure::once(value, Unit::Milliseconds)
    }

    #[test]
    fn a_ratio_is_judged_against_the_reference() {
        let row = Row::new("list", milliseconds(20.0)).against("virsh", milliseconds(120.0));
        let met = row.clone().target(Target::RatioAtMost(0.2));
        assert_eq!(met.verdict, Some(Verdict::Met));
        let missed = row.target(Target::RatioAtMost(0.1));
        assert_eq!(missed.verdict, Some(Verdict::Missed));
    }

    #[test]
    fn a_ratio_without_a_reference_is_not_judged() {
        let row = Row::new("list", milliseconds(20.0)).target(Target::RatioAtMost(0.2));
        assert_eq!(row.verdict, None);
    }

    #[test]
    fn the_table_shows_each_value_with_its_reference_target_and_verdict() {
        let mut sample = Sample::default();
        sample.push(Duration::from_micros(9_840));
        let rows = [
            Row::new("hv vm list", &sample)
                .against("virsh list --all", milliseconds(240.0))
                .target(Target::RatioAtMost(0.2)),
            Row::new("memory", Figure::once(61.5, Unit::Megabytes)).target(Target::AtMost(60.0)),
        ];
        let table = table(&rows);
        let lines: Vec<_> = table
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(
            lines,
            [
                "what Hyper-NixOS reference ratio target",
                "hv vm list 9.84 ms (p99 9.84) virsh list --all 240 ms 1/24.4 ≤ 1/5.0 met",
                "memory 61.5 MB ≤ 60.0 MB missed",
            ]
        );
    }
}
