// SPDX-License-Identifier: GPL-3.0-or-later
//! Reading YAML, TOML and JSON so that a file with errors yields every fault at once.
//!
//! ```text
//!  text ──▶ yaml · toml · json ──▶ tree of located nodes ──▶ serde ──▶ value
//!                  │                        ▲                  │
//!                  │                        └── take out the ◀─┤ error
//!                  ▼                            faulty node    ▼
//!              syntax faults                                 fault
//! ```
//!
//! serde stops at the first error. So the error is noted with its place, the node that caused it
//! is taken out of the tree, and the reading starts again, until it succeeds or nothing is left to
//! take out (see `repair.rs`). What only goes wrong because something was taken out is not told.
//!
//! A type's own error text is shown behind the value that it refuses: text such as
//! `"2 XB" is not a size: write a number and a unit` or `is too long; allowed: 1 to 63 characters`
//! reads well. What follows `; allowed: ` or `: allowed are ` becomes [`Fault::allowed`].
//!
//! YAML is read by the core schema of YAML 1.2: only `true` and `false` are truth values, so the
//! country code `no` stays text, where YAML 1.1 made it false. Aliases, tags and several documents
//! in one file are refused. A TOML date is read as the text that it is written as.

mod access;
mod deserializer;
mod error;
mod fault;
mod json;
mod lines;
mod nearest;
mod node;
mod path;
mod repair;
mod toml;
mod wording;
mod yaml;

use std::path::Path;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use self::node::{Draft, Node};
pub use self::{
    fault::{Fault, Faults, Position},
    nearest::nearest,
};

/// How many bytes a document may have.
pub const MAX_BYTES: usize = 1 << 20;
/// How deep lists and groups may be nested.
pub const MAX_DEPTH: usize = 32;
/// How many values, lists and groups a document may have.
pub const MAX_NODES: usize = 100_000;
/// How many faults are told at once.
pub const MAX_FAULTS: usize = 100;

/// The language in which a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// YAML 1.2, core schema.
    Yaml,
    /// TOML 1.
    Toml,
    /// JSON as RFC 8259 has it.
    Json,
}

impl Format {
    /// The format that a file's ending tells: `.yaml`, `.yml`, `.toml` or `.json`.
    pub fn from_path(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "yaml" | "yml" => Some(Self::Yaml),
            "toml" => Some(Self::Toml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// A value that was read, and where each part of it stands in its document.
#[derive(Debug, Clone)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    tree: Node,
}

impl<T> Located<T> {
    /// Where the part with this path stands, such as `disks[1].size`.
    ///
    /// A part that is not written in the document, because it has a default, stands where the
    /// innermost group around it does. A value that came without text has no positions.
    pub fn position(&self, path: &str) -> Option<Position> {
        self.tree.nearest_to(&path::parse(path)).0.position
    }

    /// Gives a fault, found by looking at the value, its position and the value that it blames.
    pub fn place(&self, mut fault: Fault) -> Fault {
        let steps = path::parse(&fault.path);
        let (node, depth) = self.tree.nearest_to(&steps);
        if let Some(position) = node.position {
            fault.line = Some(position.line);
            fault.column = Some(position.column);
        }
        if fault.value.is_none() && depth == steps.len() && !path::is_secret(&steps) {
            fault.value = node.shown();
        }
        fault
    }

    /// The faults with their positions, in the order of the document; nothing if there are none.
    pub fn refuse(&self, faults: impl IntoIterator<Item = Fault>) -> Result<(), Faults> {
        let placed: Vec<Fault> = faults.into_iter().map(|fault| self.place(fault)).collect();
        if placed.is_empty() {
            Ok(())
        } else {
            Err(Faults::from(placed))
        }
    }
}

/// Reads a document into a value, or tells everything that is wrong with it.
pub fn read<T: DeserializeOwned>(text: &str, format: Format) -> Result<Located<T>, Faults> {
    let (tree, draft) = draft(text, format)?;
    finish(tree, draft)
}

fn draft(text: &str, format: Format) -> Result<(Option<Node>, Draft), Faults> {
    if text.len() > MAX_BYTES {
        let what = format!("this document has {} bytes", text.len());
        return Err(Faults::from(vec![
            Fault::new("", what).allowed(format!("at most {MAX_BYTES} bytes")),
        ]));
    }
    let mut draft = Draft::default();
    let tree = match format {
        Format::Yaml => yaml::parse(text, &mut draft),
        Format::Toml => toml::parse(text, &mut draft),
        Format::Json => json::parse(text, &mut draft),
    };
    Ok((tree, draft))
}

/// Reads a document and judges what it says: faults of form and of meaning are told together.
///
/// Where something was at fault in its form, what `judge` says of it, or of what stands in the same
/// group, is left out: it may be wrong only since that part is missing.
pub fn read_and_judge<T, I>(
    text: &str,
    format: Format,
    judge: impl FnOnce(&T) -> I,
) -> Result<Located<T>, Faults>
where
    T: DeserializeOwned,
    I: IntoIterator<Item = Fault>,
{
    let (located, mut faults) = match draft(text, format) {
        Ok((Some(tree), draft)) => repaired::<T>(tree, draft),
        Ok((None, draft)) => return Err(first(draft.into_faults())),
        Err(faults) => return Err(faults),
    };
    let Some(located) = located else {
        return Err(first(faults));
    };
    let told = faults.len();
    for fault in judge(&located.value) {
        if !faults
            .iter()
            .take(told)
            .any(|of_form| touches(of_form, &fault))
        {
            faults.push(located.place(fault));
        }
    }
    if faults.is_empty() {
        Ok(located)
    } else {
        Err(first(faults))
    }
}

/// Whether a fault of form may be why something else seems to be wrong.
fn touches(of_form: &Fault, other: &Fault) -> bool {
    let group = other
        .path
        .rfind(['.', '['])
        .and_then(|end| other.path.get(..end));
    let around = group.unwrap_or(&other.path);
    of_form
        .path
        .strip_prefix(around)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        || other
            .path
            .strip_prefix(of_form.path.as_str())
            .is_some_and(|rest| !of_form.path.is_empty() && rest.starts_with(['.', '[']))
}

/// Reads a JSON value, as an HTTP request brings it; its faults have paths and no lines.
pub fn read_value<T: DeserializeOwned>(value: &serde_json::Value) -> Result<Located<T>, Faults> {
    let mut draft = Draft::default();
    let tree = json::from_value(value, &mut draft);
    finish(tree, draft)
}

fn finish<T: DeserializeOwned>(tree: Option<Node>, draft: Draft) -> Result<Located<T>, Faults> {
    let Some(tree) = tree else {
        return Err(first(draft.into_faults()));
    };
    match repaired(tree, draft) {
        (Some(located), faults) if faults.is_empty() => Ok(located),
        (_, faults) => Err(first(faults)),
    }
}

/// What can be read once everything that is at fault is taken out, and what is at fault.
fn repaired<T: DeserializeOwned>(mut tree: Node, draft: Draft) -> (Option<Located<T>>, Vec<Fault>) {
    let mut faults = draft.into_faults();
    let value = repair::read::<T>(&mut tree, &mut faults);
    (value.map(|value| Located { value, tree }), faults)
}

/// As many faults as are told at once, and a note if there are more.
fn first(faults: Vec<Fault>) -> Faults {
    let more = faults.len() > MAX_FAULTS;
    let mut faults: Vec<Fault> = Faults::from(faults).into_iter().take(MAX_FAULTS).collect();
    if more {
        faults.push(Fault::new(
            "",
            format!("there are more than these {MAX_FAULTS} faults"),
        ));
    }
    Faults::from(faults)
}

#[cfg(test)]
mod tests;
