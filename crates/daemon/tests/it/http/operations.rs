// SPDX-License-Identifier: GPL-3.0-or-later
//! `/v1/operations` and `/v1/audit`.

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use http_body_util::BodyExt;
use hvd::sim::Temper;
use serde_json::json;

use super::{Daemon, user};

#[tokio::test]
async fn operations_come_in_pages_the_newest_first() {
    let daemon = Daemon::start().await;
    for name in ["a", "b", "c"] {
        daemon.vm(name).await;
    }
    let first = daemon.get("/v1/operations?limit=2").await.json();
    let targets = |page: &serde_json::Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap();
        items
            .iter()
            .map(|item| item["target"]["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(targets(&first), ["c", "b"]);
    let next = first["next_page"].as_str().unwrap();
    let second = daemon
        .get(&format!("/v1/operations?limit=2&page={next}"))
        .await
        .json();
    assert_eq!(targets(&second), ["a"]);
    assert!(second.get("next_page").is_none());
}

#[tokio::test]
async fn operations_are_filtered_by_state_and_vm() {
    let daemon = Daemon::start().await;
    daemon.vm("web").await;
    daemon.vm("db").await;
    let count = async |query: &str| {
        let page = daemon.get(&format!("/v1/operations?{query}")).await.json();
        page["items"].as_array().unwrap().len()
    };
    assert_eq!(count("state=succeeded").await, 2);
    assert_eq!(count("state=failed").await, 0);
    assert_eq!(count("vm=web").await, 1);
    assert_eq!(
        daemon.get("/v1/operations?vm=none").await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn an_operation_that_there_is_not_is_not_found() {
    let daemon = Daemon::start().await;
    for id in ["nonsense", "00000000-0000-0000-0000-000000000009"] {
        let answer = daemon.get(&format!("/v1/operations/{id}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{id}");
        let cancel = daemon.post(&format!("/v1/operations/{id}/cancel")).await;
        assert_eq!(cancel.status, StatusCode::NOT_FOUND, "{id}");
    }
}

#[tokio::test]
async fn an_operation_that_waits_for_a_guest_is_cancelled() {
    let daemon = Daemon::start().await;
    daemon.running_vm("web").await;
    let id = daemon.app.inventory.snapshot().vm("web").unwrap().row.id;
    daemon.host.set_temper(id, Temper::Deaf).unwrap();
    let asked = daemon.post("/v1/vms/web/shut-down").await;
    let location = asked.header("location");
    let again = daemon.post("/v1/vms/web/shut-down").await;
    assert_eq!(again.json()["kind"], "busy", "{}", again.told());
    let cancelled = daemon.post(&format!("{location}/cancel?wait=60s")).await;
    assert_eq!(
        cancelled.json()["state"],
        "cancelled",
        "{}",
        cancelled.told()
    );
    insta::assert_snapshot!(daemon.post(&format!("{location}/cancel")).await.told());
}

#[tokio::test]
async fn an_operation_is_sent_at_each_change_until_it_is_over() {
    let daemon = Daemon::start().await;
    let body = json!({ "spec": { "name": "web" } });
    let made = daemon.ask("POST", "/v1/vms", Some(body)).await;
    let request = Request::get(made.header("location"))
        .header(header::ACCEPT, "text/event-stream")
        .body(Body::empty())
        .unwrap();
    let stream = daemon.open(user(), request).await;
    assert_eq!(stream.headers()[header::CONTENT_TYPE], "text/event-stream");
    // The stream ends by itself.
    let text = stream.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8(text.to_vec()).unwrap();
    let last = text
        .lines()
        .rfind(|line| line.starts_with("data: "))
        .unwrap();
    let last: serde_json::Value = serde_json::from_str(&last["data: ".len()..]).unwrap();
    assert_eq!(last["state"], "succeeded");
}

#[tokio::test]
async fn every_change_is_in_the_audit_log_with_who_and_why() {
    let daemon = Daemon::start().await;
    daemon.vm("web").await;
    let entries = daemon.audit().await;
    let told = entries.iter().map(|entry| &entry["event"]);
    let told: Vec<_> = told
        .filter(|event| event["kind"] == "decided" || event["kind"] == "ended")
        .collect();
    insta::assert_json_snapshot!(told, { "[].operation" => "[id]" });
}
