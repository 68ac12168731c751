// SPDX-License-Identifier: GPL-3.0-or-later
//! What went wrong, in words for whoever wrote the document.

use super::{
    error::{Cause, Found, Known, Place},
    nearest::nearest,
    node::{Kind, Node},
};

/// How many characters of a value are shown.
const SHOWN: usize = 60;
/// How many characters of a type's own message are shown.
const MESSAGE: usize = 300;

/// The text, cut where it gets long.
pub(super) fn shortened(text: &str) -> String {
    cut(text, SHOWN)
}

/// The text in quotation marks, shortened, with whatever is not printable escaped.
pub(super) fn quoted(text: &str) -> String {
    format!("{:?}", shortened(text))
}

/// The text on one line, with whatever is not printable escaped.
pub(super) fn printable(text: &str) -> String {
    let mut printable = String::new();
    for character in cut(text, MESSAGE).chars() {
        match character {
            '\n' | '\r' | '\t' => printable.push(' '),
            '"' | '\'' | '\\' => printable.push(character),
            _ => printable.extend(character.escape_debug()),
        }
    }
    printable
}

fn cut(text: &str, length: usize) -> String {
    match text
        .char_indices()
        .nth(length)
        .and_then(|(end, _)| text.get(..end))
    {
        Some(beginning) => format!("{beginning}…"),
        None => text.to_owned(),
    }
}

/// A cause in words.
#[derive(Debug, Default)]
pub(super) struct Words {
    pub(super) what: String,
    pub(super) allowed: Option<String>,
    pub(super) nearest: Option<String>,
}

impl Words {
    /// Takes out a value that nobody else may see.
    pub(super) fn hide(&mut self, node: &Node) {
        let (Kind::String(secret)
        | Kind::Int { text: secret, .. }
        | Kind::Float { text: secret, .. }) = &node.kind
        else {
            return;
        };
        let without = |text: &mut String| {
            if !secret.is_empty() && text.contains(secret.as_str()) {
                *text = text.replace(secret.as_str(), "…");
            }
        };
        without(&mut self.what);
        self.allowed.as_mut().map(without);
        self.nearest = None;
    }

    fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            allowed: None,
            nearest: None,
        }
    }

    fn of_known(what: impl Into<String>, word: &str, known: Known) -> Self {
        Self {
            what: what.into(),
            allowed: listed(known),
            nearest: nearest(word, known.iter().copied()).map(ToOwned::to_owned),
        }
    }
}

fn listed(known: Known) -> Option<String> {
    (!known.is_empty()).then(|| known.join(", "))
}

/// What is wrong with a node, in words.
pub(super) fn describe(cause: &Cause, node: &Node, place: Place) -> Words {
    match cause {
        Cause::UnknownKey { key, known } => Words::of_known("is not a known key", key, known),
        Cause::UnknownVariant { variant, known } => match place {
            Place::Key => Words::of_known("is not a known key", variant, known),
            Place::Value => Words::of_known("is not one of the allowed words", variant, known),
        },
        Cause::MissingKey(_) => Words::new("is missing"),
        Cause::DoubleKey(key) => Words::new(format!("has the key {key} twice")),
        Cause::Mismatch {
            found,
            expected,
            known,
        } => mismatch(node, found, expected, known),
        Cause::Length { length, expected } => Words {
            what: format!("has {length} values"),
            allowed: Some(Expectation::of(expected).noun),
            nearest: None,
        },
        Cause::BareVariant(variant) => Words {
            what: "needs a value of its own".to_owned(),
            allowed: Some(format!("{variant} as a key, with its value")),
            nearest: None,
        },
        Cause::Variants { count: 0, known } => Words {
            allowed: listed(known),
            ..Words::new("is empty")
        },
        Cause::Variants { count, known } => Words {
            what: format!("has {count} keys instead of one"),
            allowed: listed(known).map(|known| format!("one of {known}")),
            nearest: None,
        },
        Cause::Other(message) => own(message, node),
    }
}

fn mismatch(node: &Node, found: &Found, expected: &str, known: Known) -> Words {
    let Expectation { noun, allowed } = Expectation::of(expected);
    let allowed = listed(known).or(allowed);
    if matches!(found, Found::Int(_)) && noun == WHOLE {
        return Words {
            allowed,
            ..Words::new("is out of range")
        };
    }
    if noun == EMPTY {
        return Words {
            allowed: Some("no value".to_owned()),
            ..Words::new("is not allowed here")
        };
    }
    let words = match &node.kind {
        Kind::Null => Words::new(format!("has no value, but needs {noun}")),
        Kind::Seq(_) => Words::new(format!("is a list, not {noun}")),
        Kind::Map(_) => Words::new(format!("is a group of keys, not {noun}")),
        Kind::Int { text, .. } | Kind::Float { text, .. } if noun == TEXT => Words {
            allowed: Some(format!("text, in quotation marks: {}", quoted(text))),
            ..Words::new("is a number, not text")
        },
        Kind::Bool(value) if noun == TEXT => Words {
            allowed: Some(format!("text, in quotation marks: \"{value}\"")),
            ..Words::new("is a truth value, not text")
        },
        Kind::String(text) if noun == TRUTH => Words {
            nearest: truth(text).map(ToOwned::to_owned),
            ..Words::new(format!("is not {noun}"))
        },
        Kind::Bool(value) if noun == WORD => Words {
            nearest: switch(*value, known).map(ToOwned::to_owned),
            ..Words::new(format!("is not {noun}"))
        },
        _ if noun.is_empty() => Words::new("is not allowed"),
        _ => Words::new(format!("is not {noun}")),
    };
    Words {
        allowed: words.allowed.or(allowed),
        ..words
    }
}

/// What somebody means who writes YAML 1.1 or puts a truth value into quotation marks.
fn truth(text: &str) -> Option<&'static str> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "y" | "1" => Some("true"),
        "false" | "no" | "off" | "n" | "0" => Some("false"),
        _ => None,
    }
}

/// The word that stands for a truth value.
fn switch(value: bool, known: Known) -> Option<&'static str> {
    let words = if value {
        ["on", "yes", "enabled"]
    } else {
        ["off", "no", "none"]
    };
    words.into_iter().find(|word| known.contains(word))
}

const WHOLE: &str = "a whole number";
const TEXT: &str = "text";
const TRUTH: &str = "true or false";
const WORD: &str = "one of the allowed words";
const EMPTY: &str = "nothing";
const LIST: &str = "a list";
const GROUP: &str = "a group of keys";

/// What a type says that it takes, in words of the document and not of Rust.
struct Expectation {
    /// What it is, such as `a whole number`; empty if only what is allowed is known.
    noun: String,
    allowed: Option<String>,
}

impl Expectation {
    fn of(expected: &str) -> Self {
        let (nonzero, number) = match expected.strip_prefix("a nonzero ") {
            Some(number) => (true, number),
            None => (false, expected),
        };
        if let Some((least, most)) = range(number) {
            let least = if nonzero && least == "0" { "1" } else { least };
            let but = if nonzero && least != "1" {
                ", but not 0"
            } else {
                ""
            };
            let allowed = Some(format!("{least} to {most}{but}"));
            return Self {
                noun: WHOLE.to_owned(),
                allowed,
            };
        }
        let noun = match expected {
            "i128" | "u128" => WHOLE,
            "f32" | "f64" => "a number",
            "a boolean" => TRUTH,
            "a string" | "a borrowed string" | "string" | "str" | "path string" => TEXT,
            "a character" => "one character",
            "a sequence" => LIST,
            "a map" => GROUP,
            "string or map" | "string only" | "variant identifier" => WORD,
            "unit" => EMPTY,
            _ => "",
        };
        if !noun.is_empty() {
            return Self {
                noun: noun.to_owned(),
                allowed: None,
            };
        }
        let first = expected.split(' ').next().unwrap_or_default();
        match first {
            "struct" | "internally" | "adjacently" => Self {
                noun: GROUP.to_owned(),
                allowed: None,
            },
            "enum" | "variant" => Self {
                noun: WORD.to_owned(),
                allowed: None,
            },
            "tuple" => Self {
                noun: LIST.to_owned(),
                allowed: None,
            },
            _ => Self::of_own_words(expected, first),
        }
    }

    fn of_own_words(expected: &str, first: &str) -> Self {
        let expected = printable(expected);
        if let Some((noun, allowed)) = split_allowed(&expected) {
            return Self {
                noun,
                allowed: Some(allowed),
            };
        }
        match first {
            "a" | "an" | "one" | "the" | "true" => Self {
                noun: expected,
                allowed: None,
            },
            _ => Self {
                noun: String::new(),
                allowed: Some(expected),
            },
        }
    }
}

/// The least and the most of one of Rust's whole numbers.
fn range(name: &str) -> Option<(&'static str, &'static str)> {
    Some(match name {
        "u8" => ("0", "255"),
        "u16" => ("0", "65535"),
        "u32" => ("0", "4294967295"),
        "u64" | "usize" => ("0", "18446744073709551615"),
        "i8" => ("-128", "127"),
        "i16" => ("-32768", "32767"),
        "i32" => ("-2147483648", "2147483647"),
        "i64" | "isize" => ("-9223372036854775808", "9223372036854775807"),
        _ => return None,
    })
}

/// A type's own message, without the value in front, which is shown anyway.
fn own(message: &str, node: &Node) -> Words {
    if message.starts_with("data did not match any variant of untagged enum") {
        return Words::new("fits none of the allowed forms");
    }
    if message.starts_with("no variant of enum") {
        return Words::new("has none of the keys of which one is needed");
    }
    let message = printable(leading_value(message).map_or(message, |(_, rest)| rest));
    match split_allowed(&message) {
        Some((what, allowed)) => Words {
            allowed: Some(allowed),
            ..Words::new(what)
        },
        None if message.is_empty() => Words::new(match &node.kind {
            Kind::Null => "is missing",
            _ => "is not allowed",
        }),
        None => Words::new(message),
    }
}

fn split_allowed(message: &str) -> Option<(String, String)> {
    [
        "; allowed: ",
        ": allowed: ",
        ": allowed are ",
        "; allowed are ",
    ]
    .iter()
    .find_map(|mark| message.split_once(mark))
    .map(|(what, allowed)| (what.to_owned(), allowed.to_owned()))
}

/// A value in quotation marks with which a message begins, and the rest of the message.
pub(super) fn leading_value(message: &str) -> Option<(String, &str)> {
    let quoted = message.strip_prefix('"')?;
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            '"' => {
                let rest = quoted.get(at + 1..)?;
                return Some((value, rest.trim_start_matches([' ', ':'])));
            }
            _ => value.push(character),
        }
    }
    None
}
