// SPDX-License-Identifier: GPL-3.0-or-later
//! Text that others wrote, made safe to show, and text set to a width.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Text with everything escaped that could steer a terminal or turn the direction of reading.
///
/// Names of VMs made elsewhere and what guests say of themselves pass through here before they
/// are printed.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_dangerous) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_dangerous(character) {
            safe.extend(character.escape_default());
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

/// Control characters, and those that turn, join or hide text.
fn is_dangerous(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// How many columns of a terminal a text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// The text if it fits, else its beginning and `…`.
pub(crate) fn truncated(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let mut left = columns.saturating_sub(1);
    let mut short = String::new();
    for character in text.chars() {
        let wide = character.width().unwrap_or(0);
        if wide > left {
            break;
        }
        left -= wide;
        short.push(character);
    }
    short.push('…');
    Cow::Owned(short)
}

/// The text in lines of at most so many columns; a longer word has a line of its own.
pub(crate) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            if !line.is_empty() && width(&line) + 1 + width(word) > columns {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines
}

/// A number and its noun: `1 VM`, `3 VMs`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}

/// Words joined as people do: `a`, `a and b`, `a, b and c`.
pub(crate) fn joined(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// An argument as it must be typed to a shell.
pub(crate) fn quoted(argument: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        return Cow::Borrowed(argument);
    }
    Cow::Owned(format!("'{}'", argument.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_could_steer_a_terminal_is_escaped() {
        assert_eq!(shown("web"), "web");
        assert_eq!(shown("naïve 日本"), "naïve 日本");
        assert_eq!(shown("a\x1b]52;c;x\x07"), "a\\u{1b}]52;c;x\\u{7}");
        assert_eq!(shown("a\u{202e}b\nc\u{9b}d"), "a\\u{202e}b\\nc\\u{9b}d");
    }

    #[test]
    fn what_does_not_fit_is_cut_with_an_ellipsis() {
        assert_eq!(truncated("database", 8), "database");
        assert_eq!(truncated("database", 5), "data…");
        assert_eq!(truncated("日本語", 4), "日…");
    }

    #[test]
    fn prose_is_broken_between_words() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("unbreakable", 3), ["unbreakable"]);
    }

    #[test]
    fn words_are_joined_as_people_do() {
        let words: Vec<String> = ["a", "b", "c"].map(String::from).into();
        assert_eq!(joined(&words), "a, b and c");
        assert_eq!(counted(1, "VM"), "1 VM");
        assert_eq!(counted(0, "VM"), "0 VMs");
    }

    #[test]
    fn arguments_that_a_shell_would_read_are_quoted() {
        assert_eq!(quoted("web-1"), "web-1");
        assert_eq!(quoted("it's; rm"), r"'it'\''s; rm'");
        assert_eq!(quoted(""), "''");
    }

    proptest! {
        #[test]
        fn shown_text_never_has_a_control_character(text in "\\PC*|[\\x00-\\x9f]*") {
            prop_assert!(!shown(&text).chars().any(is_dangerous));
        }

        #[test]
        fn cut_text_fits(text in "\\PC{0,40}", columns in 1_usize..30) {
            prop_assert!(width(&truncated(&text, columns)) <= columns);
        }
    }
}
