// SPDX-License-Identifier: GPL-3.0-or-later
//! The form of a VM's spec as a JSON Schema.

use serde_json::{Map, Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, schema::Schema},
};

use super::VmSpec;

/// The schema's own name.
const SCHEMA_ID: &str = "urn:hyper-nixos:schema:vm:1";

/// The form of a VM's spec as a JSON Schema of draft 2020-12.
///
/// It is made from the types that read specs, and knows the form of each value. What concerns
/// several values at once is judged by [`VmSpec::validate`].
pub fn json_schema() -> Value {
    let mut components: Vec<(String, RefOr<Schema>)> = Vec::new();
    VmSpec::schemas(&mut components);
    let mut definitions = Map::new();
    for (name, schema) in components {
        definitions.insert(name, plain(&schema));
    }
    let mut root = Map::new();
    root.insert(
        "$schema".into(),
        json!("https://json-schema.org/draft/2020-12/schema"),
    );
    root.insert("$id".into(), json!(SCHEMA_ID));
    root.insert("title".into(), json!("A VM of Hyper-NixOS"));
    if let Value::Object(spec) = plain(&VmSpec::schema()) {
        root.extend(spec);
    }
    let mut root = Value::Object(root);
    accept_short_form(
        &mut root,
        "cpus",
        &json!({ "type": "integer", "minimum": 1, "maximum": 4096 }),
    );
    accept_short_form(&mut root, "memory", &json!({ "$ref": "#/$defs/Size" }));
    if let Some(size) = definitions.get_mut("Size") {
        accept_bytes(size);
    }
    if let Value::Object(root) = &mut root {
        root.insert("$defs".into(), Value::Object(definitions));
    }
    root
}

/// A schema of `OpenAPI` 3.1 as one of JSON Schema: the same but for where the others are.
fn plain(schema: &RefOr<Schema>) -> Value {
    let mut value = serde_json::to_value(schema).unwrap_or_default();
    point_to_definitions(&mut value);
    value
}

fn point_to_definitions(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                match value {
                    Value::String(target) if key == "$ref" => {
                        *target = target.replace("#/components/schemas/", "#/$defs/");
                    }
                    _ => point_to_definitions(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(point_to_definitions),
        _ => {}
    }
}

/// Lets a property be written as one value, too.
fn accept_short_form(schema: &mut Value, property: &str, short: &Value) {
    let Some(full) = schema
        .get_mut("properties")
        .and_then(|all| all.get_mut(property))
    else {
        return;
    };
    let description = full.get("description").cloned();
    *full = json!({ "anyOf": [short, full.take()] });
    if let (Value::Object(map), Some(description)) = (full, description) {
        map.insert("description".into(), description);
    }
}

/// Lets a size be written as a bare number of bytes, too.
fn accept_bytes(size: &mut Value) {
    let Value::Object(map) = size else { return };
    map.insert("type".into(), json!(["string", "integer"]));
    map.insert("minimum".into(), json!(0));
}
