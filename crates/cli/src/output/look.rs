// SPDX-License-Identifier: GPL-3.0-or-later
//! How wide a page is, and whether it has colours.

use std::io::{self, IsTerminal};

use rustix::{fd::AsFd, termios::tcgetwinsize};

/// How wide a line of prose is at most, however wide the terminal.
const PROSE: usize = 92;

/// How a page looks: the terminal that it is for, or that it is for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    /// How many columns there are; nothing where lines may have any length.
    pub columns: Option<usize>,
    /// Whether there are colours.
    pub colour: Colour,
}

/// Whether a page has colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    /// It has.
    On,
    /// It has none.
    Off,
}

/// What a piece of text is, which says how it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    /// As any other.
    Plain,
    /// A heading.
    Heading,
    /// Less important than the rest.
    Faint,
    /// All is well.
    Good,
    /// Something needs attention.
    Warning,
    /// Something is broken.
    Bad,
    /// A command to type.
    Command,
}

impl Look {
    /// The look of a stream of this process; `wanted` is what the user asked for.
    pub(crate) fn of(stream: &(impl IsTerminal + AsFd), wanted: Colour) -> Self {
        if !stream.is_terminal() {
            return Self::plain();
        }
        let columns = tcgetwinsize(stream)
            .ok()
            .map(|size| usize::from(size.ws_col));
        Self {
            columns: columns.filter(|columns| *columns > 0),
            colour: wanted,
        }
    }

    /// The look of this process's standard error.
    pub(crate) fn of_errors(wanted: Colour) -> Self {
        Self::of(&io::stderr(), wanted)
    }

    /// No colours, and lines of any length.
    pub(crate) const fn plain() -> Self {
        Self {
            columns: None,
            colour: Colour::Off,
        }
    }

    /// How wide prose is to be set.
    pub(crate) fn prose(self) -> usize {
        self.columns
            .map_or(PROSE, |columns| columns.clamp(20, PROSE))
    }

    /// Text in its colour, if there are colours.
    pub(crate) fn paint(self, paint: Paint, text: &str) -> String {
        let code = match paint {
            Paint::Plain => "",
            Paint::Heading => "1",
            Paint::Faint => "2",
            Paint::Good => "32",
            Paint::Warning => "33",
            Paint::Bad => "1;31",
            Paint::Command => "36",
        };
        if self.colour == Colour::Off || code.is_empty() || text.is_empty() {
            return text.to_owned();
        }
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_appear_only_where_they_are_wanted() {
        let colourful = Look {
            columns: None,
            colour: Colour::On,
        };
        assert_eq!(
            colourful.paint(Paint::Good, "running"),
            "\x1b[32mrunning\x1b[0m"
        );
        assert_eq!(colourful.paint(Paint::Plain, "web"), "web");
        assert_eq!(Look::plain().paint(Paint::Bad, "crashed"), "crashed");
    }
}
