// SPDX-License-Identifier: GPL-3.0-or-later
//! JSON as a located tree.
//!
//! `serde_json` reads each list and group as slices of the text, so that what JSON is stays its
//! business, and an offset in the text is a subtraction.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{
    Fault, Position,
    lines::Lines,
    node::{Draft, Group, Kind, Node},
    path::Step,
};

/// The document as a tree, or nothing where a fault ends the reading.
pub(super) fn parse(text: &str, draft: &mut Draft) -> Option<Node> {
    let reader = Reader {
        text,
        lines: Lines::new(text),
    };
    match serde_json::from_str::<&RawValue>(text) {
        Ok(raw) => reader.node(raw.get(), draft),
        Err(error) => {
            let at = reader
                .lines
                .position(reader.lines.offset(error.line(), error.column()));
            draft.fault(Some(at), |path| not_json(path, &error));
            None
        }
    }
}

fn not_json(path: String, error: &serde_json::Error) -> Fault {
    let text = error.to_string();
    let message = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(message, _)| message);
    Fault::new(path, format!("this is not valid JSON: {message}"))
}

struct Reader<'a> {
    text: &'a str,
    lines: Lines<'a>,
}

impl<'a> Reader<'a> {
    fn node(&self, raw: &'a str, draft: &mut Draft) -> Option<Node> {
        let position = Some(self.position(raw));
        let kind = match raw.as_bytes().first() {
            Some(b'{') => return self.group(raw, draft),
            Some(b'[') => {
                let mut nodes = Vec::new();
                for (index, item) in self.part::<Vec<&RawValue>>(raw, draft)?.iter().enumerate() {
                    let at = Some(self.position(item.get()));
                    nodes
                        .push(draft.within(Step::Index(index), at, |draft| {
                            self.node(item.get(), draft)
                        })?);
                }
                Kind::Seq(nodes)
            }
            Some(b'"') => Kind::String(self.part(raw, draft)?),
            Some(b't') => Kind::Bool(true),
            Some(b'f') => Kind::Bool(false),
            Some(b'n') => Kind::Null,
            _ => match raw.parse() {
                Ok(value) => Kind::Int {
                    value,
                    text: raw.to_owned(),
                },
                Err(_) => Kind::Float {
                    value: self.part(raw, draft)?,
                    text: raw.to_owned(),
                },
            },
        };
        Some(Node::new(kind, position))
    }

    fn group(&self, raw: &'a str, draft: &mut Draft) -> Option<Node> {
        let mut group = Group::default();
        // Between one value and the next stand a comma, the key and a colon: so the key begins at
        // the first quotation mark.
        let mut behind = self.offset(raw) + 1;
        for (key, value) in self.part::<Pairs<'_>>(raw, draft)?.0 {
            let gap = self
                .text
                .get(behind..)
                .and_then(|text| text.find('"'))
                .unwrap_or(0);
            let position = Some(self.lines.position(behind + gap));
            behind = self.offset(value.get()) + value.get().len();
            let node = draft.within(Step::Key(key.clone()), position, |draft| {
                self.node(value.get(), draft)
            })?;
            group.add(draft, key, position, node);
        }
        Some(group.into_node(Some(self.position(raw))))
    }

    /// Reads a part; the outer structure was checked, but not yet each text and number.
    fn part<T: Deserialize<'a>>(&self, raw: &'a str, draft: &mut Draft) -> Option<T> {
        serde_json::from_str(raw)
            .map_err(|error| {
                draft.fault(Some(self.position(raw)), |path| not_json(path, &error));
            })
            .ok()
    }

    fn offset(&self, raw: &str) -> usize {
        (raw.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize)
    }

    fn position(&self, raw: &str) -> Position {
        self.lines.position(self.offset(raw))
    }
}

/// A group's keys and values as they are written, doubles included.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;
        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Pairs<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a group of keys")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(PairsVisitor)
    }
}

/// A value that was read before as a tree without positions.
pub(super) fn from_value(value: &serde_json::Value, draft: &mut Draft) -> Option<Node> {
    use serde_json::Value;
    let kind = match value {
        Value::Null => Kind::Null,
        Value::Bool(value) => Kind::Bool(*value),
        Value::Number(number) => {
            let text = number.to_string();
            match (text.parse(), number.as_f64()) {
                (Ok(value), _) => Kind::Int { value, text },
                (Err(_), value) => Kind::Float {
                    value: value.unwrap_or(f64::NAN),
                    text,
                },
            }
        }
        Value::String(text) => Kind::String(text.clone()),
        Value::Array(values) => {
            let mut nodes = Vec::new();
            for (index, value) in values.iter().enumerate() {
                let step = Step::Index(index);
                nodes.push(draft.within(step, None, |draft| from_value(value, draft))?);
            }
            Kind::Seq(nodes)
        }
        Value::Object(map) => {
            let mut group = Group::default();
            for (key, value) in map {
                let step = Step::Key(key.clone());
                let node = draft.within(step, None, |draft| from_value(value, draft))?;
                group.add(draft, key.clone(), None, node);
            }
            return Some(group.into_node(None));
        }
    };
    Some(Node::new(kind, None))
}
