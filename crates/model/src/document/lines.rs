// SPDX-License-Identifier: GPL-3.0-or-later
//! From byte offsets to lines and columns.

use super::Position;

/// So many bytes lie between two counted characters: a document of one long line stays quick.
const STRIDE: usize = 512;

/// Where the lines of a text begin.
pub(super) struct Lines<'a> {
    text: &'a str,
    /// The offset of each line's first byte.
    starts: Vec<usize>,
    /// How many characters begin before each multiple of the stride.
    characters: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0)
            .chain(newlines.map(|(at, _)| at + 1))
            .collect();
        let mut characters = vec![0];
        let mut sum = 0;
        for chunk in text.as_bytes().chunks(STRIDE) {
            sum += count(chunk);
            characters.push(sum);
        }
        Self {
            text,
            starts,
            characters,
        }
    }

    /// The place of the byte at this offset.
    pub(super) fn position(&self, offset: usize) -> Position {
        let offset = offset.min(self.text.len());
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = line
            .checked_sub(1)
            .and_then(|at| self.starts.get(at))
            .copied()
            .unwrap_or(0);
        let column = self.before(offset).saturating_sub(self.before(start)) + 1;
        let short = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Position {
            line: short(line),
            column: short(column),
        }
    }

    /// The offset of a byte that is given by its line and its column in bytes, both from 1.
    pub(super) fn offset(&self, line: usize, column: usize) -> usize {
        let start = line
            .checked_sub(1)
            .and_then(|at| self.starts.get(at))
            .copied()
            .unwrap_or(0);
        (start + column.saturating_sub(1)).min(self.text.len())
    }

    fn before(&self, offset: usize) -> usize {
        let counted = self.characters.get(offset / STRIDE).copied().unwrap_or(0);
        let from = offset / STRIDE * STRIDE;
        counted + self.text.as_bytes().get(from..offset).map_or(0, count)
    }
}

/// How many characters begin in these bytes of UTF-8.
fn count(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xC0 != 0x80).count()
}
