// SPDX-License-Identifier: GPL-3.0-or-later
//! Why an attempt could not be carried out.

use std::{fmt, io, path::Path};

/// Why an attempt, or what it needs, could not be carried out, as a sentence.
///
/// It is no pass: what was not tried was not stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Trouble(pub String);

impl Trouble {
    /// A trouble in these words.
    pub fn new(words: impl fmt::Display) -> Self {
        Self(words.to_string())
    }

    /// A trouble with a file.
    pub fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |error| Self(format!("{path}: {error}"))
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<serde_json::Error> for Trouble {
    fn from(error: serde_json::Error) -> Self {
        Self(format!("an answer is not what it should be: {error}"))
    }
}
