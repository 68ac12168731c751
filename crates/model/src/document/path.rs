// SPDX-License-Identifier: GPL-3.0-or-later
//! The path of a part of a document as text: `disks[1].labels."a b"`.

use std::fmt::Write;

use super::wording::quoted;

/// One step from a group or list to a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Into a group, by its key.
    Key(String),
    /// Into a list, from 0.
    Index(usize),
}

/// The steps as text.
pub(super) fn render(steps: &[Step]) -> String {
    let mut path = String::new();
    for step in steps {
        match step {
            Step::Index(index) => drop(write!(path, "[{index}]")),
            Step::Key(key) => {
                if !path.is_empty() {
                    path.push('.');
                }
                let plain =
                    |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '/' | '@' | '+');
                if !key.is_empty() && key.len() <= 64 && key.chars().all(plain) {
                    path.push_str(key);
                } else {
                    path.push_str(&quoted(key));
                }
            }
        }
    }
    path
}

/// The steps that a text names; whatever it is, it names some.
pub(super) fn parse(path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = path;
    while let Some(first) = rest.chars().next() {
        let after = rest.get(first.len_utf8()..).unwrap_or_default();
        match first {
            '.' => rest = after,
            '[' => {
                let (index, behind) = after.split_once(']').unwrap_or((after, ""));
                steps.push(
                    index
                        .parse()
                        .map_or_else(|_| Step::Key(index.to_owned()), Step::Index),
                );
                rest = behind;
            }
            '"' => {
                let (key, behind) = unquote(after);
                steps.push(Step::Key(key));
                rest = behind;
            }
            _ => {
                let (key, behind) = rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len()));
                steps.push(Step::Key(key.to_owned()));
                rest = behind;
            }
        }
    }
    steps
}

fn unquote(text: &str) -> (String, &str) {
    let mut key = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (key, text.get(at + 1..).unwrap_or_default()),
            '\\' => key.extend(characters.next().map(|(_, escaped)| escaped)),
            _ => key.push(character),
        }
    }
    (key, "")
}

/// Whether the part may be something that must not be shown.
pub(super) fn is_secret(steps: &[Step]) -> bool {
    steps.iter().any(|step| match step {
        Step::Index(_) => false,
        Step::Key(key) => {
            let key = key.to_ascii_lowercase();
            [
                "password",
                "passphrase",
                "passwd",
                "secret",
                "token",
                "private_key",
            ]
            .iter()
            .any(|word| key.contains(word))
        }
    })
}
