// SPDX-License-Identifier: GPL-3.0-or-later
//! Values as YAML that reads back as the same values.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

/// A value as YAML, its keys in their own order.
pub fn write(value: &impl Serialize) -> Result<String, serde_json::Error> {
    let node = serde_json::from_str(&serde_json::to_string(value)?)?;
    let mut page = String::new();
    match node {
        Node::Map(map) if !map.is_empty() => entries(&map, 0, Start::Line, &mut page),
        Node::List(items) if !items.is_empty() => list(&items, 0, &mut page),
        other => {
            page.push_str(&other.flow());
            page.push('\n');
        }
    }
    Ok(page)
}

/// A JSON value that keeps the order of its keys.
enum Node {
    Scalar(Value),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    /// The value on one line: JSON is YAML, too.
    fn flow(&self) -> String {
        match self {
            Self::Scalar(Value::String(text)) => word(text),
            // JSON's own form of numbers, truth values and null is YAML's, too.
            Self::Scalar(other) => other.to_string(),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(Self::flow_inside).collect();
                format!("[{}]", items.join(", "))
            }
            Self::Map(map) => {
                let key = |key: &String| Value::from(key.as_str()).to_string();
                let entry = |(name, node): &(String, Self)| {
                    format!("{}: {}", key(name), node.flow_inside())
                };
                let entries: Vec<String> = map.iter().map(entry).collect();
                format!("{{{}}}", entries.join(", "))
            }
        }
    }

    /// The same within another value on one line, where a bare text could end too early.
    fn flow_inside(&self) -> String {
        match self {
            Self::Scalar(value) => value.to_string(),
            other => other.flow(),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Nodes;
        impl<'de> Visitor<'de> for Nodes {
            type Value = Node;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }
            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::Scalar(Value::Null))
            }
            fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
                Ok(Node::Scalar(value.into()))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
                Ok(Node::Scalar(value.into()))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
                Ok(Node::Scalar(value.into()))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
                Ok(Node::Scalar(value.into()))
            }
            fn visit_str<E>(self, value: &str) -> Result<Node, E> {
                Ok(Node::Scalar(value.into()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Node::List(items))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Node::Map(entries))
            }
        }
        deserializer.deserialize_any(Nodes)
    }
}

/// Where the first entry of a group begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    /// On a line of its own.
    Line,
    /// Behind the dash of a list.
    Dash,
}

fn entries(map: &[(String, Node)], depth: usize, start: Start, page: &mut String) {
    for (number, (key, node)) in map.iter().enumerate() {
        if number > 0 || start == Start::Line {
            indent(depth, page);
        }
        page.push_str(&word(key));
        page.push(':');
        match node {
            Node::Map(inner) if !inner.is_empty() => {
                page.push('\n');
                entries(inner, depth + 1, Start::Line, page);
            }
            Node::List(items) if !items.is_empty() => {
                page.push('\n');
                list(items, depth + 1, page);
            }
            other => page.extend([" ", &other.flow(), "\n"]),
        }
    }
}

fn list(items: &[Node], depth: usize, page: &mut String) {
    for item in items {
        indent(depth, page);
        page.push_str("- ");
        match item {
            Node::Map(inner) if !inner.is_empty() => {
                entries(inner, depth + 1, Start::Dash, page);
            }
            other => page.extend([&other.flow(), "\n"]),
        }
    }
}

fn indent(depth: usize, page: &mut String) {
    page.extend(std::iter::repeat_n("  ", depth));
}

/// A text: bare where YAML cannot take it for anything else, else in quotes.
fn word(text: &str) -> String {
    let inner =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ' ' | '+');
    let bare = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !text.ends_with(' ')
        && text.chars().all(inner)
        && !is_reserved(text);
    if bare {
        text.to_owned()
    } else {
        Value::from(text).to_string()
    }
}

/// Words and numbers that YAML, of whichever version, reads as something else than text.
fn is_reserved(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let is_word = matches!(
        lower.as_str(),
        "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
    );
    let is_number = text.starts_with(|c: char| c.is_ascii_digit())
        && !text.contains(' ')
        && text.chars().all(|c| {
            c.is_ascii_hexdigit() || matches!(c, '.' | '_' | '-' | '+' | 'x' | 'X' | 'o' | 'O')
        });
    is_word || is_number
}

#[cfg(test)]
mod tests {
    use super::*;
    use hv_model::document::{self, Format};
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_spec_is_written_as_a_person_would() {
        let spec = json!({
            "name": "web", "tags": ["prod", "2024"], "memory": {"size": "2 GiB"}, "agent": "on",
            "disks": [{"image": "debian", "size": "10 GiB", "limits": {"iops": 500}}, {}],
            "description": "Front: the shop's", "nics": [],
        });
        insta::assert_snapshot!(write(&spec).unwrap(), @r#"
        name: web
        tags:
          - prod
          - "2024"
        memory:
          size: 2 GiB
        agent: "on"
        disks:
          - image: debian
            size: 10 GiB
            limits:
              iops: 500
          - {}
        description: "Front: the shop's"
        nics: []
        "#);
    }

    fn values() -> impl Strategy<Value = Value> {
        let text = prop_oneof![
            "\\PC{0,12}",
            "[0-9a-fxo._+-]{1,6}",
            "(yes|no|on|off|null|true|~|)",
            "[ -~\n\t]{0,12}"
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            text.clone().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(text.clone(), inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_as_the_same(value in values()) {
            let text = write(&value).unwrap();
            let read = document::read::<Value>(&text, Format::Yaml);
            prop_assert_eq!(read.map(|located| located.value), Ok(value), "{}", text);
        }
    }
}
