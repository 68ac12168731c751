// SPDX-License-Identifier: GPL-3.0-or-later
//! YAML as a located tree, by the core schema of YAML 1.2.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::{
    Fault, Position,
    node::{Draft, Group, Kind, Node},
    path::Step,
    wording::printable,
};

/// The document as a tree, or nothing where a fault ends the reading.
pub(super) fn parse(text: &str, draft: &mut Draft) -> Option<Node> {
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
    };
    let mut root = None;
    loop {
        let (event, span) = reader.next(draft)?;
        match event {
            Event::StreamEnd => break,
            Event::DocumentStart(_) if root.is_some() => {
                draft.fault(Some(position(span.start)), |path| {
                    Fault::new(path, "a second document begins here").allowed("one document")
                });
                return None;
            }
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            event => root = Some(reader.node(event, span, draft)?),
        }
    }
    Some(root.unwrap_or_else(|| Node::new(Kind::Null, Some(Position { line: 1, column: 1 }))))
}

fn position(marker: Marker) -> Position {
    let short = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Position {
        line: short(marker.line()),
        column: short(marker.col() + 1),
    }
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
}

impl<'a> Reader<'a> {
    fn next(&mut self, draft: &mut Draft) -> Option<(Event<'a>, Span)> {
        match self.parser.next_event()? {
            Ok(event) => Some(event),
            Err(error) => {
                not_yaml(&error, draft);
                None
            }
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, draft: &mut Draft) -> Option<Node> {
        let at = Some(position(span.start));
        let (Event::Scalar(_, _, _, tag)
        | Event::SequenceStart(_, tag)
        | Event::MappingStart(_, tag)) = &event
        else {
            draft.fault(at, |path| {
                Fault::new(path, "uses an alias").allowed("the value itself, written out")
            });
            return Some(Node::removed(at));
        };
        let tagged = tag.as_ref().map(|tag| {
            let core = tag.is_yaml_core_schema();
            printable(&if core {
                format!("!!{}", tag.suffix)
            } else {
                tag.to_string()
            })
        });
        let mut node = match event {
            Event::SequenceStart(..) => self.list(draft)?,
            Event::MappingStart(..) => self.group(draft)?,
            Event::Scalar(text, ScalarStyle::Plain, ..) => Node::new(plain(&text), None),
            Event::Scalar(text, ..) => Node::new(Kind::String(text.into_owned()), None),
            _ => Node::removed(at),
        };
        node.position = at;
        if let Some(tag) = tagged {
            draft.fault(at, |path| {
                Fault::new(path, format!("has the tag {tag}")).allowed("the value without a tag")
            });
            return Some(Node::removed(at));
        }
        Some(node)
    }

    fn list(&mut self, draft: &mut Draft) -> Option<Node> {
        let mut nodes = Vec::new();
        loop {
            let (event, span) = self.next(draft)?;
            if matches!(event, Event::SequenceEnd) {
                return Some(Node::new(Kind::Seq(nodes), None));
            }
            let (step, at) = (Step::Index(nodes.len()), Some(position(span.start)));
            nodes.push(draft.within(step, at, |draft| self.node(event, span, draft))?);
        }
    }

    fn group(&mut self, draft: &mut Draft) -> Option<Node> {
        let mut group = Group::default();
        loop {
            let (event, span) = self.next(draft)?;
            let at = Some(position(span.start));
            let key = match event {
                Event::MappingEnd => return Some(group.into_node(None)),
                Event::Scalar(text, _, _, None) => Some(text.into_owned()),
                event => {
                    draft.fault(at, |path| {
                        Fault::new(path, "has a key that is not plain text").allowed("text as keys")
                    });
                    draft.within(Step::Key("?".into()), at, |draft| {
                        self.node(event, span, draft)
                    })?;
                    None
                }
            };
            let (event, span) = self.next(draft)?;
            let step = Step::Key(key.clone().unwrap_or_else(|| "?".into()));
            let node = draft.within(step, at, |draft| self.node(event, span, draft))?;
            if let Some(key) = key {
                group.add(draft, key, at, node);
            }
        }
    }
}

fn not_yaml(error: &ScanError, draft: &mut Draft) {
    let at = Some(position(*error.marker()));
    let message = printable(error.info());
    let fault = Fault::new("", format!("this is not valid YAML: {message}"));
    let about_tabs = message.contains("tab");
    draft.fault(at, |_| {
        if about_tabs {
            fault.allowed("spaces to indent lines")
        } else {
            fault
        }
    });
}

/// What a text without quotation marks means: YAML 1.2.2, chapter 10.3.2.
fn plain(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Kind::Null,
        "true" | "True" | "TRUE" => return Kind::Bool(true),
        "false" | "False" | "FALSE" => return Kind::Bool(false),
        _ => {}
    }
    let written = || text.to_owned();
    let radix = match text.get(..2) {
        Some("0o") => Some(8),
        Some("0x") => Some(16),
        _ => None,
    };
    if let (Some(radix), Some(digits)) = (radix, text.get(2..)) {
        let is_number = digits.starts_with(|c: char| c.is_digit(radix));
        return match i128::from_str_radix(digits, radix) {
            Ok(value) if is_number => Kind::Int {
                value,
                text: written(),
            },
            _ => Kind::String(written()),
        };
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    match unsigned {
        ".inf" | ".Inf" | ".INF" => {
            let value = if text.starts_with('-') {
                f64::NEG_INFINITY
            } else {
                f64::INFINITY
            };
            return Kind::Float {
                value,
                text: written(),
            };
        }
        ".nan" | ".NaN" | ".NAN" if unsigned.len() == text.len() => {
            return Kind::Float {
                value: f64::NAN,
                text: written(),
            };
        }
        _ => {}
    }
    // Rust reads the same numbers, and words such as `inf` and `infinity`, which are text in YAML.
    let looks_like_one = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    match (looks_like_one, text.parse(), text.parse()) {
        (true, Ok(value), _) => Kind::Int {
            value,
            text: written(),
        },
        (true, _, Ok(value)) => Kind::Float {
            value,
            text: written(),
        },
        _ => Kind::String(written()),
    }
}
