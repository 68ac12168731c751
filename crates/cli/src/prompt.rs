// SPDX-License-Identifier: GPL-3.0-or-later
//! Asking for what nobody must see: on a terminal without echo, or from a pipe line by line.
//!
//! A password is never an argument and never in the environment, where others could see it.

use std::io::{self, BufRead, IsTerminal, Read};

use hv_model::secret::Secret;
use rustix::{
    fd::{AsFd, OwnedFd},
    termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr},
};
use zeroize::Zeroizing;

use crate::{failure::Failure, session::Session};

/// How much is read of one answer.
const LONGEST: u64 = 4_096;

/// From where secrets are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    /// A person at the terminal.
    Person,
    /// A line each of standard input.
    Pipe,
}

/// Asks for a secret.
pub(crate) fn secret(session: &Session, from: From, question: &str) -> Result<Secret, Failure> {
    match from {
        From::Pipe => line(),
        From::Person if session.has_person() => typed(session, question),
        From::Person => Err(Failure::usage(
            "a password is needed, and nobody is there to ask",
            "Give it on standard input: --password-stdin.",
        )),
    }
}

/// Asks for a new password, twice at a terminal.
pub(crate) fn new_password(session: &Session, from: From, of: &str) -> Result<Secret, Failure> {
    let password = secret(session, from, &format!("New password of {of}: "))?;
    if from == From::Pipe {
        return Ok(password);
    }
    let again = secret(session, from, "Once more: ")?;
    if again.expose() == password.expose() {
        return Ok(password);
    }
    let fix = "Begin again.";
    Err(Failure::usage("the two passwords are not the same", fix))
}

/// One line of standard input.
fn line() -> Result<Secret, Failure> {
    let mut text = Zeroizing::new(String::new());
    io::stdin()
        .lock()
        .take(LONGEST)
        .read_line(&mut text)
        .map_err(Failure::local("cannot read standard input"))?;
    Ok(Secret::from(text.trim_end_matches(['\n', '\r'])))
}

fn typed(session: &Session, question: &str) -> Result<Secret, Failure> {
    let failed = || Failure::local("cannot read the terminal");
    // Quiet before it asks, so that nothing is shown that is typed at once.
    let quiet = QuietTerminal::enter().map_err(failed())?;
    session.note(question);
    let answer = read_keys(&mut io::stdin().lock()).map_err(failed());
    drop(quiet);
    session.note("\n");
    answer?.ok_or(Failure::Declined)
}

/// What is typed until Enter; nothing, if it is broken off.
fn read_keys(keys: &mut impl Read) -> io::Result<Option<Secret>> {
    let mut text = Zeroizing::new(Vec::with_capacity(256));
    let mut key = [0];
    loop {
        let length = match keys.read(&mut key) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        match (length, key) {
            // Ctrl-C; Ctrl-D or the end of it all before anything was typed.
            (1, [3]) => return Ok(None),
            (0, _) | (1, [4]) if text.is_empty() => return Ok(None),
            (0, _) | (1, [4 | b'\r' | b'\n']) => break,
            // Backspace takes a whole character away, Ctrl-U all of them.
            (_, [8 | 127]) => while text.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
            (_, [21]) => text.clear(),
            (_, [byte]) if (text.len() as u64) < LONGEST => text.push(byte),
            _ => {}
        }
    }
    let text = std::str::from_utf8(&text).map_err(io::Error::other)?;
    Ok(Some(Secret::from(text)))
}

/// The terminal of standard input, which shows nothing of what is typed, until this is dropped.
struct QuietTerminal {
    terminal: OwnedFd,
    before: Termios,
}

impl QuietTerminal {
    fn enter() -> io::Result<Self> {
        let input = io::stdin();
        if !input.is_terminal() {
            return Err(io::Error::other("standard input is no terminal"));
        }
        let terminal = input.as_fd().try_clone_to_owned()?;
        let before = tcgetattr(&terminal)?;
        let mut quiet = before.clone();
        // Ctrl-C is read as a key, so that the terminal is always put back as it was.
        quiet
            .local_modes
            .remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(&terminal, OptionalActions::Now, &quiet)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for QuietTerminal {
    fn drop(&mut self) {
        // A terminal that is gone need not be put back.
        tcsetattr(&self.terminal, OptionalActions::Now, &self.before).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_until_enter_and_can_be_taken_back() {
        let read = |keys: &[u8]| {
            let answer = read_keys(&mut &*keys).unwrap();
            answer.map(|secret| secret.expose().to_owned())
        };
        assert_eq!(read(b"secret\rmore").as_deref(), Some("secret"));
        assert_eq!(read("süß\x7f\x7fa\n".as_bytes()).as_deref(), Some("sa"));
        assert_eq!(read(b"wrong\x15right\n").as_deref(), Some("right"));
        assert_eq!(read(b"ended").as_deref(), Some("ended"));
        assert_eq!(read(b"\r").as_deref(), Some(""));
        assert_eq!(read(b"half\x03"), None);
        assert_eq!(read(b"\x04"), None);
    }
}
