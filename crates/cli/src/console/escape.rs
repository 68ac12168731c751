// SPDX-License-Identifier: GPL-3.0-or-later
//! The key that leaves the console.

use std::{fmt, str::FromStr};

/// A control key, such as Ctrl-].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EscapeKey(u8);

impl Default for EscapeKey {
    fn default() -> Self {
        Self(0x1d)
    }
}

impl FromStr for EscapeKey {
    type Err = String;

    /// Reads `^]`, `ctrl-]` or `Ctrl-]`.
    fn from_str(text: &str) -> Result<Self, String> {
        let lower = text.to_ascii_lowercase();
        let key = lower
            .strip_prefix('^')
            .or_else(|| lower.strip_prefix("ctrl-"));
        let mut characters = key.unwrap_or_default().chars();
        match (characters.next(), characters.next()) {
            (Some(key @ ('a'..='z' | '[' | '\\' | ']' | '^' | '_')), None) => {
                // A control key is its letter with the two upper bits taken away.
                u8::try_from(key.to_ascii_uppercase())
                    .map(|byte| Self(byte & 0x1f))
                    .map_err(|_| text.to_owned())
            }
            _ => Err(format!(
                "{text:?} is not a control key: write ^] or ctrl-], with a letter or one of [\\]^_"
            )),
        }
    }
}

impl fmt::Display for EscapeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = char::from(self.0 | 0x40).to_ascii_uppercase();
        write!(f, "Ctrl-{letter}")
    }
}

/// What was typed, and what it means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Keys<'a> {
    /// It is for the VM.
    ForVm(&'a [u8]),
    /// What comes before the escape key is for the VM; then the console is to be left.
    Leave(&'a [u8]),
}

impl EscapeKey {
    /// Looks for the escape key in what was typed.
    pub(crate) fn read(self, typed: &[u8]) -> Keys<'_> {
        match typed.iter().position(|byte| *byte == self.0) {
            Some(place) => Keys::Leave(typed.get(..place).unwrap_or_default()),
            None => Keys::ForVm(typed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_people_write_them() {
        for (text, shown) in [
            ("^]", "Ctrl-]"),
            ("ctrl-a", "Ctrl-A"),
            ("Ctrl-Q", "Ctrl-Q"),
            ("^^", "Ctrl-^"),
        ] {
            assert_eq!(text.parse::<EscapeKey>().unwrap().to_string(), shown);
        }
        for bad in ["", "a", "^", "^1", "^ab", "esc"] {
            assert!(bad.parse::<EscapeKey>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_comes_before_the_escape_key_still_goes_to_the_vm() {
        let key = EscapeKey::default();
        assert_eq!(key.read(b"ls\r"), Keys::ForVm(b"ls\r"));
        assert_eq!(key.read(b"exit\r\x1drm"), Keys::Leave(b"exit\r"));
    }
}
