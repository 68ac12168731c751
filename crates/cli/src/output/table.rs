// SPDX-License-Identifier: GPL-3.0-or-later
//! Tables: aligned columns that shrink to the terminal.

use std::borrow::Cow;

use super::{
    look::{Look, Paint},
    text::{truncated, width},
};

/// How many spaces stand between two columns.
const GAP: usize = 2;
/// How narrow a column may be made.
const NARROW: usize = 12;

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    title: &'static str,
    side: Side,
    fit: Fit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fit {
    Rigid,
    Shrinks,
    Yields,
}

impl Column {
    /// A column of text, which is shown whole.
    pub(crate) const fn text(title: &'static str) -> Self {
        Self {
            title,
            side: Side::Left,
            fit: Fit::Rigid,
        }
    }

    /// A column of numbers.
    pub(crate) const fn number(title: &'static str) -> Self {
        Self {
            title,
            side: Side::Right,
            fit: Fit::Rigid,
        }
    }

    /// A column of text that may be cut where the terminal is narrow.
    pub(crate) const fn shrinking(title: &'static str) -> Self {
        Self {
            title,
            side: Side::Left,
            fit: Fit::Shrinks,
        }
    }

    /// A column of text that is cut or left out where the terminal is narrow.
    pub(crate) const fn yielding(title: &'static str) -> Self {
        Self {
            title,
            side: Side::Left,
            fit: Fit::Yields,
        }
    }
}

/// A cell: its text and how it looks.
#[derive(Debug, Clone)]
pub(crate) struct Cell<'a> {
    text: Cow<'a, str>,
    paint: Paint,
}

impl<'a> Cell<'a> {
    /// A cell with a look of its own.
    pub(crate) fn painted(paint: Paint, text: impl Into<Cow<'a, str>>) -> Self {
        Self {
            text: text.into(),
            paint,
        }
    }
}

impl<'a, T: Into<Cow<'a, str>>> From<T> for Cell<'a> {
    fn from(text: T) -> Self {
        Self::painted(Paint::Plain, text)
    }
}

/// A table. Its texts must be safe to show already (see [`super::shown`]).
#[derive(Debug)]
pub(crate) struct Table<'a, const N: usize> {
    columns: [Column; N],
    rows: Vec<[Cell<'a>; N]>,
}

impl<'a, const N: usize> Table<'a, N> {
    /// A table with these columns and no rows.
    pub(crate) const fn new(columns: [Column; N]) -> Self {
        Self {
            columns,
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: [Cell<'a>; N]) {
        self.rows.push(cells);
    }

    /// Whether it has no rows.
    pub(crate) const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as lines. Columns in which nothing stands are left out, but for the first.
    pub(crate) fn render(&self, look: Look) -> String {
        let widths = self.widths(look);
        let mut page = String::with_capacity((self.rows.len() + 1) * 80);
        let titles = self
            .columns
            .map(|column| Cell::painted(Paint::Faint, column.title));
        for cells in std::iter::once(&titles).chain(&self.rows) {
            let mut pending = 0;
            for ((cell, column), columns) in cells.iter().zip(&self.columns).zip(widths) {
                let Some(columns) = columns else { continue };
                let text = truncated(&cell.text, columns);
                let space = columns.saturating_sub(width(&text));
                let (before, after) = match column.side {
                    Side::Left => (pending, space),
                    Side::Right => (pending + space, 0),
                };
                if text.is_empty() {
                    pending += columns + GAP;
                    continue;
                }
                page.extend(std::iter::repeat_n(' ', before));
                page.push_str(&look.paint(cell.paint, &text));
                pending = after + GAP;
            }
            page.push('\n');
        }
        page
    }

    /// How wide each column is; nothing for those that are left out.
    fn widths(&self, look: Look) -> [Option<usize>; N] {
        let mut widths = [None; N];
        for (number, (column, slot)) in self.columns.iter().zip(&mut widths).enumerate() {
            let longest = self
                .rows
                .iter()
                .filter_map(|row| row.get(number))
                .map(|cell| width(&cell.text));
            let longest = longest.max().unwrap_or(0);
            if longest > 0 || number == 0 || self.rows.is_empty() {
                *slot = Some(longest.max(width(column.title)));
            }
        }
        if let Some(columns) = look.columns {
            self.shrink(&mut widths, columns);
        }
        widths
    }

    /// Leaves out columns that yield, the last first, until the narrowest table fits; then takes
    /// what is missing from the widest column that may shrink, one place after the other.
    fn shrink(&self, widths: &mut [Option<usize>; N], available: usize) {
        let narrowest = |(column, slot): (&Column, &Option<usize>)| {
            slot.map(|width| width.min(column.narrowest().unwrap_or(width)))
        };
        while total(self.columns.iter().zip(widths.iter()).filter_map(narrowest)) > available {
            let yielding = self.columns.iter().zip(widths.iter_mut()).rev();
            let mut yielding =
                yielding.filter(|(column, slot)| column.fit == Fit::Yields && slot.is_some());
            match yielding.next() {
                Some((_, slot)) => *slot = None,
                None => break,
            }
        }
        while total(widths.iter().flatten().copied()) > available {
            let shrinking = self.columns.iter().zip(widths.iter_mut());
            let widest = shrinking
                .filter_map(|(column, slot)| Some((column.narrowest()?, slot.as_mut()?)))
                .filter(|(narrowest, slot)| **slot > *narrowest)
                .max_by_key(|(_, slot)| **slot);
            match widest {
                Some((_, slot)) => *slot -= 1,
                None => return,
            }
        }
    }
}

impl Column {
    /// How narrow it may be made; nothing where it is always shown whole.
    fn narrowest(&self) -> Option<usize> {
        (self.fit != Fit::Rigid).then(|| NARROW.max(width(self.title)))
    }
}

/// How wide columns are together, with the gaps between them.
fn total(widths: impl Iterator<Item = usize>) -> usize {
    widths
        .map(|width| width + GAP)
        .sum::<usize>()
        .saturating_sub(GAP)
}

#[cfg(test)]
mod tests {
    use super::{super::look::Colour, *};

    fn table<'a>() -> Table<'a, 4> {
        let mut table = Table::new([
            Column::shrinking("NAME"),
            Column::text("STATE"),
            Column::number("CPUS"),
            Column::shrinking("TAGS"),
        ]);
        table.row([
            "web".into(),
            Cell::painted(Paint::Good, "running"),
            "2".into(),
            "".into(),
        ]);
        table.row([
            "a-rather-long-database-name".into(),
            "off".into(),
            "16".into(),
            "".into(),
        ]);
        table
    }

    #[test]
    fn columns_are_aligned_and_empty_ones_left_out() {
        insta::assert_snapshot!(table().render(Look::plain()), @r"
        NAME                         STATE    CPUS
        web                          running     2
        a-rather-long-database-name  off        16
        ");
    }

    #[test]
    fn a_narrow_terminal_cuts_what_may_be_cut() {
        let look = Look {
            columns: Some(30),
            colour: Colour::Off,
        };
        let page = table().render(look);
        assert!(page.lines().all(|line| width(line) <= 30), "{page}");
        insta::assert_snapshot!(page, @r"
        NAME             STATE    CPUS
        web              running     2
        a-rather-long-…  off        16
        ");
    }

    #[test]
    fn colours_do_not_move_columns() {
        let look = Look {
            columns: None,
            colour: Colour::On,
        };
        let plain = table()
            .render(look)
            .replace("\x1b[32m", "")
            .replace("\x1b[2m", "")
            .replace("\x1b[0m", "");
        assert_eq!(plain, table().render(Look::plain()));
    }
}
