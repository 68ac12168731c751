// SPDX-License-Identifier: GPL-3.0-or-later
//! What a VM's console may do to a terminal: draw, and nothing else.
//!
//! Terminals obey more than most know: they set the clipboard (OSC 52), change their title and tell
//! it, answer questions as if somebody typed the answer, print, and swallow what follows. A guest
//! may be hostile, or may show somebody else's hostile text. So only sequences of a short list
//! pass: text, colours, moving and erasing, scrolling, and the modes that full-screen programs
//! switch. Everything else is dropped. Sources: ECMA-48, and the `XTerm` control sequences.
//!
//! ```text
//!            ESC                [                     final
//!   ground ───────▶ escape ───────────▶ sequence ───────────────▶ ground (passed or dropped)
//!      ▲               │ ] P X ^ _
//!      │               ▼                 BEL, ESC \, CAN or too long
//!      └───────────  string ───────────────────────────────────▶ ground (dropped)
//! ```

/// How long a sequence may be.
const MAX_SEQUENCE: usize = 64;
/// How long a string that is dropped may be, before what follows is shown again.
const MAX_STRING: usize = 64 * 1024;
/// Stands for what cannot be shown.
const UNKNOWN: &[u8] = "\u{fffd}".as_bytes();
/// What a full reset becomes: it would also clear what the user can scroll back to.
const SOFT_RESET: &[u8] = b"\x1b[!p\x1b[H\x1b[2J";

const ESC: u8 = 0x1b;
const BEL: u8 = 0x07;
const CAN: u8 = 0x18;
const SUB: u8 = 0x1a;

/// Filters a stream of bytes, which may come in pieces of any size.
#[derive(Debug, Default)]
pub struct Filter {
    state: State,
    /// Where `state` collects: a character's or a sequence's bytes so far.
    part: Vec<u8>,
    /// How many bytes of a string were dropped.
    dropped: usize,
    screen: Screen,
}

/// Which of a terminal's two screens is seen.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Screen {
    #[default]
    Usual,
    /// That of full-screen programs.
    Other,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    /// Within a UTF-8 character of so many bytes.
    Character(usize),
    Escape,
    Sequence,
    /// Within a string that is dropped.
    String,
    /// Within such a string, behind an ESC, which may begin its end.
    StringEscape,
}

impl Filter {
    /// Adds to `output` what of `input` may pass.
    pub fn push(&mut self, input: &[u8], output: &mut Vec<u8>) {
        for byte in input {
            self.take(*byte, output);
        }
    }

    /// What brings back the usual screen, with the cursor where it was, if the other one is seen.
    pub const fn leave(&self) -> &'static [u8] {
        match self.screen {
            Screen::Usual => b"",
            Screen::Other => b"\x1b[?1049l",
        }
    }

    fn take(&mut self, byte: u8, output: &mut Vec<u8>) {
        match self.state {
            State::Ground => self.ground(byte, output),
            State::Character(length) => self.character(byte, length, output),
            State::Escape => self.escape(byte, output),
            State::Sequence => self.sequence(byte, output),
            State::String => self.string(byte),
            State::StringEscape => self.string_escape(byte, output),
        }
    }

    fn start(&mut self, state: State, first: u8) {
        self.part.clear();
        self.part.push(first);
        self.state = state;
    }

    fn ground(&mut self, byte: u8, output: &mut Vec<u8>) {
        match byte {
            ESC => self.start(State::Escape, ESC),
            // Bell, backspace, tab, line feeds, return; the two that switch the set of characters.
            BEL..=0x0f | b' '..=b'~' => output.push(byte),
            0xc2..=0xdf => self.start(State::Character(2), byte),
            0xe0..=0xef => self.start(State::Character(3), byte),
            0xf0..=0xf4 => self.start(State::Character(4), byte),
            0x80.. => output.extend_from_slice(UNKNOWN),
            // Others ask the terminal to answer (ENQ), stop it (XOFF), or do nothing good.
            _ => {}
        }
    }

    fn character(&mut self, byte: u8, length: usize, output: &mut Vec<u8>) {
        if !(0x80..0xc0).contains(&byte) {
            self.state = State::Ground;
            output.extend_from_slice(UNKNOWN);
            return self.ground(byte, output);
        }
        self.part.push(byte);
        if self.part.len() < length {
            return;
        }
        self.state = State::Ground;
        match std::str::from_utf8(&self.part) {
            // Control characters beyond ASCII do what ESC sequences do.
            Ok(text) if text.chars().any(char::is_control) => {}
            Ok(_) => output.extend_from_slice(&self.part),
            Err(_) => output.extend_from_slice(UNKNOWN),
        }
    }

    fn escape(&mut self, byte: u8, output: &mut Vec<u8>) {
        self.part.push(byte);
        match (self.part.as_slice(), byte) {
            (_, ESC) => self.start(State::Escape, ESC),
            (_, CAN | SUB) => self.state = State::Ground,
            ([_, _], b'[') => self.state = State::Sequence,
            // OSC, DCS, SOS, PM and APC begin strings.
            ([_, _], b']' | b'P' | b'X' | b'^' | b'_') => {
                self.dropped = 0;
                self.state = State::String;
            }
            ([_, _], b'c') => {
                self.state = State::Ground;
                output.extend_from_slice(SOFT_RESET);
            }
            // Save and restore the cursor, index, next line, tab stop, reverse index, keypad; which
            // set of characters G0 to G3 is: ASCII, British, line drawing.
            ([_, _], b'7' | b'8' | b'D' | b'E' | b'H' | b'M' | b'=' | b'>')
            | ([_, b'(' | b')' | b'*' | b'+', _], b'B' | b'A' | b'0') => self.pass(output),
            // More is to come.
            ([..], b' '..=b'/') if self.part.len() < MAX_SEQUENCE => {}
            // Other control characters are obeyed within a sequence.
            ([..], ..=0x1f) => {
                self.part.pop();
                self.obey(byte, output);
            }
            _ => self.state = State::Ground,
        }
    }

    fn sequence(&mut self, byte: u8, output: &mut Vec<u8>) {
        match byte {
            ESC => self.start(State::Escape, ESC),
            CAN | SUB => self.state = State::Ground,
            b' '..=b'?' if self.part.len() < MAX_SEQUENCE => self.part.push(byte),
            b'@'..=b'~' => {
                self.part.push(byte);
                if is_harmless(&self.part) {
                    self.screen = screen_after(&self.part).unwrap_or(self.screen);
                    self.pass(output);
                } else {
                    self.state = State::Ground;
                }
            }
            ..=0x1f => self.obey(byte, output),
            _ => self.state = State::Ground,
        }
    }

    /// A control character in the midst of a sequence acts as if it came before it.
    fn obey(&self, byte: u8, output: &mut Vec<u8>) {
        if matches!(byte, BEL..=0x0f) {
            output.push(byte);
        }
        debug_assert!(matches!(self.state, State::Escape | State::Sequence));
    }

    fn pass(&mut self, output: &mut Vec<u8>) {
        output.extend_from_slice(&self.part);
        self.state = State::Ground;
    }

    fn string(&mut self, byte: u8) {
        self.dropped += 1;
        match byte {
            ESC => self.state = State::StringEscape,
            BEL | CAN | SUB => self.state = State::Ground,
            _ if self.dropped >= MAX_STRING => self.state = State::Ground,
            _ => {}
        }
    }

    fn string_escape(&mut self, byte: u8, output: &mut Vec<u8>) {
        if byte == b'\\' {
            self.state = State::Ground;
        } else {
            // It was the beginning of another sequence, which ends the string, too.
            self.start(State::Escape, ESC);
            self.escape(byte, output);
        }
    }
}

/// Whether a whole `ESC [ … final` only draws.
fn is_harmless(sequence: &[u8]) -> bool {
    let Some(([b'\x1b', b'['], rest)) = sequence.split_first_chunk::<2>() else {
        return false;
    };
    let Some((last, rest)) = rest.split_last() else {
        return false;
    };
    let (private, rest) = match rest.split_first() {
        Some((mark @ b'<'..=b'?', rest)) => (Some(*mark), rest),
        _ => (None, rest),
    };
    let digits = rest
        .iter()
        .take_while(|byte| (b'0'..=b';').contains(*byte))
        .count();
    let (parameters, between) = rest.split_at_checked(digits).unwrap_or_default();
    let Some(numbers) = numbers(parameters) else {
        return false;
    };
    match (private, between, last) {
        // Moving, erasing, inserting, deleting, scrolling, repeating, tabs, colours, margins; the
        // cursor's form, and a soft reset.
        (
            None,
            [],
            b'@'..=b'I'
            | b'K'..=b'M'
            | b'P'
            | b'S'
            | b'T'
            | b'X'
            | b'Z'
            | b'`'..=b'b'
            | b'd'..=b'g'
            | b'm'
            | b'r'
            | b's'
            | b'u',
        )
        | (Some(b'?'), [], b'K')
        | (None, [b' '], b'q')
        | (None, [b'!'], b'p') => true,
        // 3 would clear what the user can scroll back to.
        (None | Some(b'?'), [], b'J') => !numbers.contains(&3),
        // Inserting instead of replacing.
        (None, [], b'h' | b'l') => numbers == [4],
        (Some(b'?'), [], b'h' | b'l') => {
            !numbers.is_empty() && numbers.into_iter().all(is_harmless_mode)
        }
        _ => false,
    }
}

/// Which screen is seen after a sequence, if it switches it.
fn screen_after(sequence: &[u8]) -> Option<Screen> {
    let modes = sequence.strip_prefix(b"\x1b[?")?;
    let (last, modes) = modes.split_last()?;
    let switches = numbers(modes)?
        .into_iter()
        .any(|mode| matches!(mode, 47 | 1047 | 1049));
    match last {
        b'h' if switches => Some(Screen::Other),
        b'l' if switches => Some(Screen::Usual),
        _ => None,
    }
}

/// Cursor keys, the screen inverted, wrapping, the cursor, the other screen, the mouse, pasted text
/// marked as such, and drawing all at once. Each is undone when the console is left.
const fn is_harmless_mode(mode: u32) -> bool {
    matches!(
        mode,
        1 | 5 | 7 | 12 | 25 | 47 | 1000 | 1002 | 1006 | 1047 | 1048 | 1049 | 2004 | 2026
    )
}

/// The numbers of a sequence; nothing if there is anything else, or a number too large to be meant.
fn numbers(parameters: &[u8]) -> Option<Vec<u32>> {
    let text = std::str::from_utf8(parameters).ok()?;
    text.split([';', ':'])
        .filter(|number| !number.is_empty())
        .map(|number| number.parse().ok().filter(|number| *number < 10_000))
        .collect()
}

#[cfg(test)]
mod tests;
