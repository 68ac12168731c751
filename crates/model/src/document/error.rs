// SPDX-License-Identifier: GPL-3.0-or-later
//! The first thing that serde finds wrong, kept in parts, with the way to its place.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

/// Words that are allowed in a place.
pub(super) type Known = &'static [&'static str];

/// What stopped the reading.
#[derive(Debug)]
pub(super) struct Error {
    pub(super) cause: Cause,
    /// Child indices from the innermost node that is known to be at fault out to the root.
    trail: Vec<usize>,
    place: Option<Place>,
}

/// Which side of an entry is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Key,
    Value,
}

/// What is wrong.
#[derive(Debug)]
pub(super) enum Cause {
    UnknownKey {
        key: String,
        known: Known,
    },
    UnknownVariant {
        variant: String,
        known: Known,
    },
    MissingKey(String),
    DoubleKey(String),
    /// A value of another kind or out of range; the allowed words, where a group or one of several
    /// words is expected.
    Mismatch {
        found: Found,
        expected: String,
        known: Known,
    },
    Length {
        length: usize,
        expected: String,
    },
    /// Only the name of a variant that holds something.
    BareVariant(String),
    /// A group that should name one variant and names another number of them.
    Variants {
        count: usize,
        known: Known,
    },
    /// A type's own words.
    Other(String),
}

/// The value that serde met.
#[derive(Debug, Clone)]
pub(super) enum Found {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    String(String),
    Seq,
    Other,
}

impl From<Unexpected<'_>> for Found {
    fn from(unexpected: Unexpected<'_>) -> Self {
        match unexpected {
            Unexpected::Unit | Unexpected::Option => Self::Null,
            Unexpected::Bool(value) => Self::Bool(value),
            Unexpected::Unsigned(value) => Self::Int(value.into()),
            Unexpected::Signed(value) => Self::Int(value.into()),
            Unexpected::Float(value) => Self::Float(value),
            Unexpected::Char(value) => Self::String(value.into()),
            Unexpected::Str(value) => Self::String(value.to_owned()),
            Unexpected::Seq => Self::Seq,
            _ => Self::Other,
        }
    }
}

impl Error {
    pub(super) fn new(cause: Cause) -> Self {
        Self {
            cause,
            trail: Vec::new(),
            place: None,
        }
    }

    pub(super) fn mismatch(found: Found, expected: impl Into<String>, known: Known) -> Self {
        Self::new(Cause::Mismatch {
            found,
            expected: expected.into(),
            known,
        })
    }

    /// The same error seen from the group or list around it.
    pub(super) fn inside(mut self, index: usize, place: Place) -> Self {
        self.place.get_or_insert(place);
        self.trail.push(index);
        self
    }

    /// Adds the words that are allowed here, unless the error comes from further inside.
    pub(super) fn hint(mut self, hint: Known) -> Self {
        if let (None, Cause::Mismatch { known, .. }) = (self.place, &mut self.cause) {
            *known = hint;
        }
        self
    }

    /// Its parts: the cause, the child indices from the root, and the side of the entry.
    pub(super) fn into_parts(mut self) -> (Cause, Vec<usize>, Place) {
        self.trail.reverse();
        (self.cause, self.trail, self.place.unwrap_or(Place::Value))
    }
}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(Cause::Other(message.to_string()))
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::mismatch(unexpected.into(), expected.to_string(), &[])
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::mismatch(unexpected.into(), expected.to_string(), &[])
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::new(Cause::Length {
            length,
            expected: expected.to_string(),
        })
    }

    fn unknown_variant(variant: &str, known: Known) -> Self {
        Self::new(Cause::UnknownVariant {
            variant: variant.to_owned(),
            known,
        })
    }

    fn unknown_field(key: &str, known: Known) -> Self {
        Self::new(Cause::UnknownKey {
            key: key.to_owned(),
            known,
        })
    }

    fn missing_field(key: &'static str) -> Self {
        Self::new(Cause::MissingKey(key.to_owned()))
    }

    fn duplicate_field(key: &'static str) -> Self {
        Self::new(Cause::DoubleKey(key.to_owned()))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            // An untagged enum or a visitor of its own may pass the text on.
            Cause::Other(message) => f.write_str(message),
            cause => write!(f, "{cause:?}"),
        }
    }
}

impl std::error::Error for Error {}
