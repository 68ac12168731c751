// SPDX-License-Identifier: GPL-3.0-or-later
//! TOML as a located tree.

use ::toml::{
    Spanned,
    de::{DeTable, DeValue, Error},
};

use super::{
    Fault,
    lines::Lines,
    node::{Draft, Group, Kind, Node},
    path::Step,
    wording::printable,
};

/// The document as a tree, or nothing where a fault ends the reading.
pub(super) fn parse(text: &str, draft: &mut Draft) -> Option<Node> {
    let reader = Reader {
        text,
        lines: Lines::new(text),
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let position = error.span().map(|span| reader.lines.position(span.start));
        let message = printable(error.message());
        draft.fault(position, |path| {
            Fault::new(path, reader.what(error, &message))
        });
    }
    // The rest of a document with a double key is as it was written; behind any other error the
    // tree has holes, which would be told as missing keys.
    if errors.iter().all(is_double) {
        reader.group(table.get_ref(), draft)
    } else {
        None
    }
}

fn is_double(error: &Error) -> bool {
    error.message().starts_with("duplicate key")
}

struct Reader<'a> {
    text: &'a str,
    lines: Lines<'a>,
}

impl Reader<'_> {
    fn what(&self, error: &Error, message: &str) -> String {
        match error.span().and_then(|span| self.text.get(span)) {
            Some(key) if is_double(error) => format!("{} is given twice", printable(key)),
            _ => format!("this is not valid TOML: {message}"),
        }
    }

    fn node(&self, value: &Spanned<DeValue<'_>>, draft: &mut Draft) -> Option<Node> {
        let position = Some(self.lines.position(value.span().start));
        let written = || self.text.get(value.span()).unwrap_or_default().to_owned();
        let kind = match value.get_ref() {
            DeValue::String(text) => Kind::String(text.clone().into_owned()),
            DeValue::Boolean(value) => Kind::Bool(*value),
            DeValue::Datetime(time) => Kind::String(time.to_string()),
            DeValue::Integer(number) => {
                match i128::from_str_radix(number.as_str(), number.radix()) {
                    Ok(value) => Kind::Int {
                        value,
                        text: written(),
                    },
                    Err(_) => Kind::Float {
                        value: number.as_str().parse().unwrap_or(f64::INFINITY),
                        text: written(),
                    },
                }
            }
            DeValue::Float(number) => Kind::Float {
                value: number.as_str().parse().unwrap_or(f64::NAN),
                text: written(),
            },
            DeValue::Array(values) => {
                let mut nodes = Vec::new();
                for (index, value) in values.iter().enumerate() {
                    let at = Some(self.lines.position(value.span().start));
                    let step = Step::Index(index);
                    nodes.push(draft.within(step, at, |draft| self.node(value, draft))?);
                }
                Kind::Seq(nodes)
            }
            DeValue::Table(table) => {
                let mut node = self.group(table, draft)?;
                node.position = position;
                return Some(node);
            }
        };
        Some(Node::new(kind, position))
    }

    fn group(&self, table: &DeTable<'_>, draft: &mut Draft) -> Option<Node> {
        // The parser sorts keys by name; a reader goes through the document from top to bottom.
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let mut group = Group::default();
        for (key, value) in entries {
            let position = Some(self.lines.position(key.span().start));
            let text = key.get_ref().clone().into_owned();
            let step = Step::Key(text.clone());
            let node = draft.within(step, position, |draft| self.node(value, draft))?;
            group.add(draft, text, position, node);
        }
        Some(group.into_node(Some(self.lines.position(0))))
    }
}
