// SPDX-License-Identifier: GPL-3.0-or-later
//! What an attempt got hold of.

use serde::{Deserialize, Serialize};

/// How much of one thing is kept.
const LONGEST: usize = 8 << 20;

/// What an attempt got hold of, and how it was told that it may not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loot {
    /// What was got in answer to questions that named the VM of somebody else.
    pub asked: Vec<String>,
    /// What was got in answer to questions that named nobody: there, even a name is loot.
    pub unasked: Vec<String>,
    /// In which words the attempt was refused, the first of them.
    pub told: Option<String>,
}

impl Loot {
    /// Keeps what came in answer to a question that named somebody's VM.
    pub fn take(&mut self, bytes: impl AsRef<[u8]>) {
        keep(&mut self.asked, bytes.as_ref());
    }

    /// Keeps what came in answer to a question that named nobody.
    pub fn take_unasked(&mut self, bytes: impl AsRef<[u8]>) {
        keep(&mut self.unasked, bytes.as_ref());
    }

    /// Notes how it was refused; the first words count.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "most words are made for this"
    )]
    pub fn told(&mut self, words: impl ToString) {
        if self.told.is_none() {
            let words = words.to_string();
            let line = words.lines().find(|line| !line.trim().is_empty());
            self.told = line.map(|line| line.trim().chars().take(300).collect());
        }
    }

    /// Whether something that was got holds this text.
    pub fn holds(&self, text: &str) -> bool {
        let mut all = self.asked.iter().chain(&self.unasked);
        all.any(|piece| piece.contains(text))
    }

    /// Whether something that was got without naming anybody holds this text.
    pub fn holds_unasked(&self, text: &str) -> bool {
        self.unasked.iter().any(|piece| piece.contains(text))
    }
}

fn keep(pieces: &mut Vec<String>, bytes: &[u8]) {
    let bytes = bytes.get(..LONGEST).unwrap_or(bytes);
    pieces.push(String::from_utf8_lossy(bytes).into_owned());
}
