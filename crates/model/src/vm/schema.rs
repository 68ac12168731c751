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

/// A schema of `OpenAPI` 3.1 as one of JSON Schema: the others are elsewhere, and what only
/// `OpenAPI` knows or what says nothing is left out.
fn plain(schema: &RefOr<Schema>) -> Value {
    let mut value = serde_json::to_value(schema).unwrap_or_default();
    simplify(&mut value);
    value
}

fn simplify(schema: &mut Value) {
    let Value::Object(keywords) = schema else {
        return;
    };
    keywords.remove("format");
    if keywords.get("default").is_some_and(Value::is_null) {
        keywords.remove("default");
    }
    if let Some(example) = keywords.remove("example") {
        keywords.insert("examples".into(), json!([example]));
    }
    for (keyword, value) in keywords {
        match (keyword.as_str(), value) {
            ("$ref", Value::String(target)) => {
                *target = target.replace("#/components/schemas/", "#/$defs/");
            }
            // The keys of a map are text, whatever they are to us.
            ("propertyNames", names) if names.get("type") == Some(&json!("integer")) => {
                *names = json!({ "pattern": "^[0-9]+$" });
            }
            ("properties", Value::Object(properties)) => {
                properties.values_mut().for_each(simplify);
            }
            ("oneOf" | "anyOf" | "allOf", Value::Array(schemas)) => {
                schemas.iter_mut().for_each(simplify);
            }
            ("items" | "additionalProperties" | "propertyNames", schema) => simplify(schema),
            _ => {}
        }
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
