// SPDX-License-Identifier: GPL-3.0-or-later
//! The published JSON Schema takes what the types take, and refuses what they refuse.

use std::path::{Path, PathBuf};

use hv_model::{
    document::{self, Format},
    vm::{VmSpec, json_schema},
};
use serde_json::{Value, json};

use crate::{examples, specs};

/// A schema that values are held against: as much of draft 2020-12 as ours uses.
struct Schema {
    root: Value,
}

impl Schema {
    fn accepts(&self, value: &Value) -> bool {
        self.fits(&self.root, value)
    }

    fn fits(&self, schema: &Value, value: &Value) -> bool {
        let keywords = schema.as_object().expect("a schema is an object");
        keywords
            .iter()
            .all(|(keyword, rule)| self.follows(schema, keyword, rule, value))
    }

    fn follows(&self, schema: &Value, keyword: &str, rule: &Value, value: &Value) -> bool {
        let schemas = || rule.as_array().unwrap().iter();
        let text = value.as_str();
        match keyword {
            "$schema" | "$id" | "$defs" | "title" | "description" | "default" | "examples" => true,
            "$ref" => {
                let pointer = rule.as_str().unwrap().strip_prefix('#').unwrap();
                self.fits(
                    self.root
                        .pointer(pointer)
                        .unwrap_or_else(|| panic!("{rule}")),
                    value,
                )
            }
            "type" => match rule {
                Value::Array(types) => types.iter().any(|kind| is_of_type(value, kind)),
                kind => is_of_type(value, kind),
            },
            "enum" => rule.as_array().unwrap().contains(value),
            "oneOf" => schemas().filter(|one| self.fits(one, value)).count() == 1,
            "anyOf" => schemas().any(|one| self.fits(one, value)),
            "pattern" => text.is_none_or(|text| regex(rule.as_str().unwrap()).is_match(text)),
            "maxLength" => {
                text.is_none_or(|text| text.chars().count() as u64 <= rule.as_u64().unwrap())
            }
            "minimum" => value
                .as_i64()
                .is_none_or(|number| number >= rule.as_i64().unwrap()),
            "maximum" => value
                .as_i64()
                .is_none_or(|number| number <= rule.as_i64().unwrap()),
            "items" => value
                .as_array()
                .is_none_or(|items| items.iter().all(|item| self.fits(rule, item))),
            "maxItems" => value
                .as_array()
                .is_none_or(|items| items.len() as u64 <= rule.as_u64().unwrap()),
            "uniqueItems" => value.as_array().is_none_or(|items| {
                items
                    .iter()
                    .enumerate()
                    .all(|(index, item)| !items[..index].contains(item))
            }),
            "required" => value.as_object().is_none_or(|members| {
                schemas().all(|key| members.contains_key(key.as_str().unwrap()))
            }),
            "properties" => value.as_object().is_none_or(|members| {
                members
                    .iter()
                    .all(|(key, value)| rule.get(key).is_none_or(|schema| self.fits(schema, value)))
            }),
            "additionalProperties" => value.as_object().is_none_or(|members| {
                let known = schema.get("properties").and_then(Value::as_object);
                let others = members
                    .iter()
                    .filter(|(key, _)| known.is_none_or(|known| !known.contains_key(*key)));
                others.into_iter().all(|(_, value)| match rule {
                    Value::Bool(allowed) => *allowed,
                    schema => self.fits(schema, value),
                })
            }),
            "propertyNames" => value
                .as_object()
                .is_none_or(|members| members.keys().all(|key| self.fits(rule, &json!(key)))),
            other => panic!("the schema uses {other}, which this test does not know"),
        }
    }
}

fn is_of_type(value: &Value, kind: &Value) -> bool {
    match kind.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        other => panic!("no type {other}"),
    }
}

fn regex(pattern: &str) -> regex::Regex {
    regex::Regex::new(pattern).unwrap()
}

fn schema() -> Schema {
    Schema {
        root: json_schema(),
    }
}

fn every_spec_file() -> Vec<PathBuf> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    [specs::files(&golden), specs::files(&examples::folder())].concat()
}

#[test]
fn the_schema_says_which_one_it_is() {
    let root = json_schema();
    assert_eq!(
        root["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    assert_eq!(root["$id"], "urn:hyper-nixos:schema:vm:1");
    assert_eq!(root["required"], json!(["name"]));
    assert!(!root.to_string().contains("#/components/"));
}

#[test]
fn the_schema_takes_every_spec_of_ours_as_it_is_written() {
    let schema = schema();
    for file in every_spec_file() {
        let text = std::fs::read_to_string(&file).unwrap();
        let written = document::read::<Value>(&text, Format::Yaml).unwrap().value;
        assert!(schema.accepts(&written), "{}", file.display());
    }
}

#[test]
fn the_schema_takes_every_spec_as_the_api_shows_it() {
    let schema = schema();
    for file in every_spec_file() {
        let shown = serde_json::to_value(specs::read(&file)).unwrap();
        assert!(schema.accepts(&shown), "{}", file.display());
    }
}

#[test]
fn schema_and_types_refuse_the_same_forms() {
    let schema = schema();
    let refused = [
        json!({}),
        json!("web"),
        json!({ "name": "-web" }),
        json!({ "name": "web", "cpu": 2 }),
        json!({ "name": "web", "cpus": "two" }),
        json!({ "name": "web", "cpus": { "count": 2, "cores": 2 } }),
        json!({ "name": "web", "memory": "2 gib" }),
        json!({ "name": "web", "memory": -1 }),
        json!({ "name": "web", "arch": "i386" }),
        json!({ "name": "web", "serial": true }),
        json!({ "name": "web", "disks": [{ "size": "1 GiB", "path": "/etc/passwd" }] }),
        json!({ "name": "web", "nics": { "network": "default" } }),
        json!({ "name": "web", "cpus": { "pinning": { "0": "2-" } } }),
    ];
    for value in refused {
        assert!(!schema.accepts(&value), "the schema takes {value}");
        assert!(
            document::read_value::<VmSpec>(&value).is_err(),
            "the types take {value}"
        );
    }
    let taken = [
        json!({ "name": "web", "cpus": 2, "memory": 1_073_741_824_u64 }),
        json!({ "name": "web", "cpus": { "count": 2 }, "memory": { "size": "1.5 GiB" } }),
        json!({ "name": "web", "owner": null, "disks": [{ "name": null, "size": 1_048_576 }] }),
    ];
    for value in taken {
        assert!(schema.accepts(&value), "the schema refuses {value}");
        assert!(
            document::read_value::<VmSpec>(&value).is_ok(),
            "the types refuse {value}"
        );
    }
}
