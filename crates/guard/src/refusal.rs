// SPDX-License-Identifier: GPL-3.0-or-later
//! Why something is refused: every reason at once.

use std::fmt;

/// One thing that the policy does not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What it is about: `disks.vda`, or an element of XML.
    pub what: String,
    /// The value that was found, and what is allowed.
    pub why: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

/// Everything that the policy does not allow; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the host's policy does not allow it: {}", list(.0))]
pub struct Refusals(Vec<Refusal>);

impl Refusals {
    /// One refusal.
    pub fn one(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self(vec![Refusal {
            what: what.into(),
            why: why.into(),
        }])
    }

    /// Each refusal.
    pub fn iter(&self) -> impl Iterator<Item = &Refusal> {
        self.0.iter()
    }
}

fn list(refusals: &[Refusal]) -> String {
    refusals
        .iter()
        .map(Refusal::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

/// Gathers refusals.
#[derive(Debug, Default)]
pub(crate) struct Gathered(Vec<Refusal>);

impl Gathered {
    pub(crate) fn refuse(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.0.push(Refusal {
            what: what.into(),
            why: why.into(),
        });
    }

    pub(crate) fn verdict(self) -> Result<(), Refusals> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Refusals(self.0))
        }
    }
}

/// Names in a sentence: `a, b`, or that there are none.
pub(crate) fn names<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    if items.is_empty() {
        "none".to_owned()
    } else {
        items.join(", ")
    }
}

/// Why XML from elsewhere can't be read, short and on one line: such words quote it.
pub(crate) fn unreadable(error: &roxmltree::Error) -> Refusals {
    let why: String = error.to_string().chars().take(200).collect();
    Refusals::one("XML", why.replace(char::is_control, "?"))
}

/// A value from elsewhere, short and on one line.
pub(crate) fn quote(value: &str) -> String {
    let short: String = value.trim().chars().take(80).collect();
    format!("{short:?}")
}
