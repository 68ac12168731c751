// SPDX-License-Identifier: GPL-3.0-or-later
//! The terminal in raw mode, put back as it was on every way out.

use std::io::{self, IsTerminal, Write};

use rustix::{
    fd::{AsFd, OwnedFd},
    termios::{OptionalActions, Termios, tcgetattr, tcsetattr},
};

/// What undoes everything that a console may have left on the screen: colours, the set of
/// characters, the other screen, margins, inserting, modes of keys, the mouse and pasting, a hidden
/// cursor. Taking margins away would move the cursor, so its place is kept around that.
const RESET: &[u8] = b"\x1b[0m\x1b(B\x0f\x1b[?1047l\x1b7\x1b[r\x1b8\x1b[4l\x1b[?1l\x1b[?5l\x1b[?7h\
    \x1b[?1000l\x1b[?1002l\x1b[?1006l\x1b[?2004l\x1b[?2026l\x1b[?25h\x1b>\r\n";

/// The terminal of standard input in raw mode, until this is dropped.
#[derive(Debug)]
pub(crate) struct RawTerminal {
    terminal: OwnedFd,
    before: Termios,
}

impl RawTerminal {
    /// Puts the terminal of standard input into raw mode; nothing where it is none.
    pub(crate) fn enter() -> io::Result<Option<Self>> {
        let input = io::stdin();
        if !input.is_terminal() {
            return Ok(None);
        }
        let terminal = input.as_fd().try_clone_to_owned()?;
        let before = tcgetattr(&terminal)?;
        let mut raw = before.clone();
        raw.make_raw();
        // What was typed ahead is kept.
        tcsetattr(&terminal, OptionalActions::Now, &raw)?;
        Ok(Some(Self { terminal, before }))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        let mut output = io::stdout().lock();
        if output.is_terminal() {
            // There is nobody to tell that the terminal is gone.
            output
                .write_all(RESET)
                .and_then(|()| output.flush())
                .unwrap_or_default();
        }
        // Typed answers that nobody waits for any more must not reach the shell: flush.
        tcsetattr(&self.terminal, OptionalActions::Flush, &self.before).unwrap_or_default();
    }
}
