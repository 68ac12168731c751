// SPDX-License-Identifier: GPL-3.0-or-later
//! Lists: filters, and answers that did not change.

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use serde_json::{Value, json};

use super::{Daemon, user};

fn names(list: &Value) -> Vec<&str> {
    list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|vm| vm["name"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn vms_are_listed_by_name_and_filtered() {
    let daemon = Daemon::start().await;
    daemon.running_vm("web").await;
    let spec = json!({ "spec": { "name": "db", "tags": ["prod"], "owner": "grace" } });
    daemon.ask("POST", "/v1/vms?wait=60s", Some(spec)).await;
    for (query, expected) in [
        ("", vec!["db", "web"]),
        ("?state=running", vec!["web"]),
        ("?tag=prod", vec!["db"]),
        ("?owner=grace", vec!["db"]),
        ("?owner=ada", vec!["web"]),
        ("?name=web", vec!["web"]),
        ("?name=web&state=off", vec![]),
        ("?trash=true", vec![]),
        ("?trash=false", vec!["db", "web"]),
    ] {
        let list = daemon.get(&format!("/v1/vms{query}")).await.json();
        assert_eq!(names(&list), expected, "{query}");
    }
}

#[tokio::test]
async fn a_list_that_did_not_change_is_not_sent_again() {
    let daemon = Daemon::start().await;
    daemon.vm("web").await;
    for path in [
        "/v1/vms",
        "/v1/vms?state=off",
        "/v1/networks",
        "/v1/pools",
        "/v1/problems",
        "/v1/openapi.json",
    ] {
        let first = daemon.get(path).await;
        let again = Request::get(path)
            .header(header::IF_NONE_MATCH, first.header("etag"))
            .body(Body::empty())
            .unwrap();
        let again = daemon.send(user(), again).await;
        assert_eq!(again.status, StatusCode::NOT_MODIFIED, "{path}");
        assert!(again.body.is_empty(), "{path}");
        assert_eq!(again.header("etag"), first.header("etag"), "{path}");
    }
}

#[tokio::test]
async fn a_list_that_changed_is_sent() {
    let daemon = Daemon::start().await;
    let etag = daemon.get("/v1/vms").await.header("etag").to_owned();
    daemon.vm("web").await;
    let request = Request::get("/v1/vms")
        .header(header::IF_NONE_MATCH, etag)
        .body(Body::empty())
        .unwrap();
    let answer = daemon.send(user(), request).await;
    assert_eq!(names(&answer.json()), ["web"]);
}

#[tokio::test]
async fn the_host_its_networks_and_its_pools_are_shown() {
    let daemon = Daemon::start().await;
    daemon.until(|snapshot| snapshot.host.is_some()).await;
    insta::assert_snapshot!("hosts", daemon.get("/v1/hosts").await.told());
    insta::assert_snapshot!("networks", daemon.get("/v1/networks").await.told());
    insta::assert_snapshot!("pools", daemon.get("/v1/pools").await.told());
}

#[tokio::test]
async fn the_version_and_the_catalogue_of_problems_are_told() {
    let daemon = Daemon::start().await;
    let version = daemon.get("/v1/version").await.json();
    assert_eq!(
        version,
        json!({ "version": env!("CARGO_PKG_VERSION"), "api": "v1" })
    );
    let problems = daemon.get("/v1/problems").await.json();
    let known = hv_model::problem::ProblemKind::ALL.len();
    assert_eq!(problems["items"].as_array().unwrap().len(), known);
}
