// SPDX-License-Identifier: GPL-3.0-or-later
//! What keeps a measurement from being made.

use std::fmt::Display;

/// What keeps a measurement from being made.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {why}")]
pub(crate) struct Failure {
    doing: String,
    why: String,
}

impl Failure {
    /// This was being done, and why it did not work.
    pub(crate) fn new(doing: impl Into<String>, why: impl Display) -> Self {
        Self {
            doing: doing.into(),
            why: why.to_string(),
        }
    }
}

/// What a step of a measurement comes to.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// Says what was being done when something went wrong.
pub(crate) trait During<T> {
    /// Turns a failure into one that says what was being done.
    fn during(self, doing: &str) -> Result<T>;
}

impl<T, E: Display> During<T> for std::result::Result<T, E> {
    fn during(self, doing: &str) -> Result<T> {
        self.map_err(|why| Failure::new(doing, why))
    }
}

impl<T> During<T> for Option<T> {
    fn during(self, doing: &str) -> Result<T> {
        self.ok_or_else(|| Failure::new(doing, "there is none"))
    }
}
