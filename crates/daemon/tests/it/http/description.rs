// SPDX-License-Identifier: GPL-3.0-or-later
//! The API's description of itself.

use std::collections::HashSet;

use serde_json::Value;

use super::Daemon;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

fn calls(description: &Value) -> Vec<(String, String, Value)> {
    let mut calls = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for method in METHODS {
            if let Some(call) = item.get(method) {
                calls.push((method.to_uppercase(), path.clone(), call.clone()));
            }
        }
    }
    calls
}

#[tokio::test]
async fn every_call_that_is_described_is_answered() {
    let daemon = Daemon::start().await;
    let description = daemon.get("/v1/openapi.json").await.json();
    assert_eq!(description["openapi"], "3.1.0");
    for (method, path, _) in calls(&description) {
        let real = path.replace(['{', '}'], "");
        let answer = daemon.ask(&method, &real, None).await;
        assert_ne!(answer.status, 405, "{method} {path}");
        let told = String::from_utf8_lossy(&answer.body);
        assert!(!told.contains("has no address"), "{method} {path}: {told}");
    }
}

#[tokio::test]
async fn the_calls_are_these() {
    let daemon = Daemon::start().await;
    let description = daemon.get("/v1/openapi.json").await.json();
    let calls = calls(&description);
    let lines: Vec<String> = calls
        .iter()
        .map(|(method, path, call)| {
            let id = call["operationId"].as_str().unwrap();
            format!(
                "{method:<6} {path:<34} {id:<20} {}",
                call["summary"].as_str().unwrap()
            )
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
    let ids: HashSet<&str> = calls
        .iter()
        .map(|(_, _, call)| call["operationId"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), calls.len(), "each has a name of its own");
}

#[tokio::test]
async fn every_reference_leads_somewhere() {
    let daemon = Daemon::start().await;
    let description = daemon.get("/v1/openapi.json").await.json();
    let mut references = Vec::new();
    collect(&description, &mut references);
    assert!(!references.is_empty());
    references.retain(|reference| description.pointer(&reference[1..]).is_none());
    assert_eq!(references, Vec::<String>::new());
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.get("$ref") {
                references.push(reference.clone());
            }
            map.values().for_each(|value| collect(value, references));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, references)),
        _ => {}
    }
}

#[tokio::test]
async fn every_call_says_how_it_fails() {
    let daemon = Daemon::start().await;
    let description = daemon.get("/v1/openapi.json").await.json();
    for (method, path, call) in calls(&description) {
        let failed = &call["responses"]["default"]["content"]["application/problem+json"];
        assert!(failed.is_object(), "{method} {path}");
    }
}
