// SPDX-License-Identifier: GPL-3.0-or-later
//! What is wrong with a document, and where.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

/// One thing that is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Fault {
    /// What is meant, such as `disks[1].size`; empty for the document as a whole.
    pub path: String,
    /// The line, from 1, if the document was a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The column in characters, from 1, if the document was a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// The value that is refused as it would be written, shortened and printable; nothing for
    /// lists, groups and what looks like a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What is wrong with it, such as `is not a whole number`.
    pub what: String,
    /// What is allowed instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed: Option<String>,
    /// The nearest word that is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nearest: Option<String>,
}

impl Fault {
    /// A fault of the part with this path.
    pub fn new(path: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            line: None,
            column: None,
            value: None,
            what: what.into(),
            allowed: None,
            nearest: None,
        }
    }

    /// Says what is allowed instead.
    #[must_use]
    pub fn allowed(mut self, allowed: impl Into<String>) -> Self {
        self.allowed = Some(allowed.into());
        self
    }

    /// Says which allowed word is the nearest.
    #[must_use]
    pub fn nearest(mut self, nearest: impl Into<String>) -> Self {
        self.nearest = Some(nearest.into());
        self
    }

    /// The fault as a line of text behind the name of its file: `vm.yaml:12:5: …`.
    pub fn in_file(&self, file: impl fmt::Display) -> impl fmt::Display {
        match (self.line, self.column) {
            (Some(_), Some(_)) => format!("{file}:{self}"),
            _ => format!("{file}: {self}"),
        }
    }

    pub(super) fn at(mut self, position: Option<Position>) -> Self {
        self.line = position.map(|position| position.line);
        self.column = position.map(|position| position.column);
        self
    }
}

/// Words with which a text begins that speaks about the value before it.
const VERBS: [&str; 14] = [
    "is", "are", "has", "have", "must", "needs", "does", "cannot", "takes", "names", "fits",
    "lacks", "comes", "uses",
];

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, "{line}:{column}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        if let Some(value) = &self.value {
            let speaks_of_it = self
                .what
                .split(' ')
                .next()
                .is_some_and(|first| VERBS.contains(&first));
            write!(f, "{value}{}", if speaks_of_it { " " } else { ": " })?;
        }
        f.write_str(&self.what)?;
        if let Some(nearest) = &self.nearest {
            write!(f, " (nearest: {nearest})")?;
        }
        if let Some(allowed) = &self.allowed {
            write!(f, "; allowed: {allowed}")?;
        }
        Ok(())
    }
}

/// Everything that is wrong with a document, in the order of its lines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(transparent)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// The faults as a slice.
    pub fn as_slice(&self) -> &[Fault] {
        &self.0
    }

    /// The faults, one a line, behind the name of their file.
    pub fn in_file(&self, file: impl fmt::Display) -> String {
        let lines: Vec<String> = self
            .0
            .iter()
            .map(|fault| fault.in_file(&file).to_string())
            .collect();
        lines.join("\n")
    }
}

impl From<Vec<Fault>> for Faults {
    fn from(mut faults: Vec<Fault>) -> Self {
        faults.sort_by_key(|fault| (fault.line.is_none(), fault.line, fault.column));
        Self(faults)
    }
}

impl<'de> Deserialize<'de> for Faults {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::from)
    }
}

impl From<Faults> for Vec<Fault> {
    fn from(faults: Faults) -> Self {
        faults.0
    }
}

impl IntoIterator for Faults {
    type Item = Fault;
    type IntoIter = std::vec::IntoIter<Fault>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, fault) in self.0.iter().enumerate() {
            write!(f, "{}{fault}", if number == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
