// SPDX-License-Identifier: GPL-3.0-or-later
//! `/v1/audit`: an entry, the whole log, and what verifying it comes to.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use http_body_util::BodyExt;
use hv_model::{
    access::{Action, Decision, Principal},
    audit::{End, Trust, verify},
};
use hvd::{
    access::Subject,
    http::{Peer, Transport},
};
use serde_json::{Value, json};

use super::{Daemon, named, user};

impl Daemon {
    /// Fills the log with so many entries.
    async fn fill_audit(&self, entries: u32) {
        let write = self.app.store.write("test", move |tx| {
            let decision = Decision::Deny {
                policy: "test".to_owned(),
            };
            for number in 0..entries {
                let (action, target) = (Action::VmStart, format!("vm/web{number}"));
                tx.append_audit(&Principal::System, None, action, &target, &decision, None)?;
            }
            Ok(())
        });
        write.await.unwrap();
    }
}

fn whom_and_on_what(entries: &[Value]) -> Vec<String> {
    let told = entries.iter().map(|entry| &entry["event"]);
    told.filter(|event| event["action"] == "audit.view")
        .map(|event| {
            let (who, on) = (&event["principal"], &event["target"]);
            let decision = &event["decision"]["decision"];
            let who = who["name"].as_str().or(who["kind"].as_str());
            format!("{} {on} {decision}", who.unwrap()).replace('"', "")
        })
        .collect()
}

#[tokio::test]
async fn the_whole_log_is_sent_piece_by_piece_and_is_whole() {
    let daemon = Daemon::start().await;
    daemon.fill_audit(1_000).await;
    let request = Request::get("/v1/audit/export")
        .body(Body::empty())
        .unwrap();
    let mut response = daemon.open(user(), request).await;
    assert_eq!(
        response.headers()[header::CONTENT_TYPE],
        "application/x-ndjson"
    );
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    let mut text = Vec::new();
    let mut pieces = 0;
    while let Some(frame) = response.body_mut().frame().await {
        let piece = frame.unwrap().into_data().unwrap();
        assert!(piece.len() < 300_000, "{} bytes at once", piece.len());
        text.extend_from_slice(&piece);
        pieces += 1;
    }
    assert!(pieces > 3, "{pieces}");
    let text = String::from_utf8(text).unwrap();
    let trust = Trust {
        keys: vec![daemon.app.audit.key()],
        heads: Vec::new(),
    };
    let summary = verify(text.lines(), trust, End::Signed).unwrap();
    assert!(summary.entries > 1_000);
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last["event"]["reason"], "export");
    assert_eq!(last["signature"].as_str().unwrap().len(), 128);
}

#[tokio::test]
async fn whoever_looks_at_the_log_is_in_it() {
    let daemon = Daemon::start().await;
    for path in [
        "/v1/audit",
        "/v1/audit/1",
        "/v1/audit/export",
        "/v1/audit/verification",
    ] {
        assert_eq!(daemon.get(path).await.status, StatusCode::OK, "{path}");
        let request = Request::get(path).header(header::HOST, "localhost");
        let request = request.body(Body::empty()).unwrap();
        let denied = daemon.send(named("eve"), request).await;
        assert_eq!(denied.status, StatusCode::FORBIDDEN, "{path}");
    }
    let mut told = whom_and_on_what(&daemon.audit().await);
    told.reverse();
    assert_eq!(
        told,
        [
            "ada audit allow",
            "eve audit deny",
            "ada audit allow",
            "eve audit deny",
            "ada audit/export allow",
            "eve audit deny",
            "ada audit/verification allow",
            "eve audit deny",
        ]
    );
}

#[tokio::test]
async fn an_entry_is_shown_by_its_place() {
    let daemon = Daemon::start().await;
    let first = daemon.get("/v1/audit/1").await.json();
    assert_eq!(first["event"]["kind"], "began");
    for nowhere in ["/v1/audit/999999", "/v1/audit/web", "/v1/audit/-1"] {
        assert_eq!(daemon.get(nowhere).await.status, 404, "{nowhere}");
    }
}

#[tokio::test]
async fn the_daemon_says_what_it_verified() {
    let daemon = Daemon::start().await;
    let told = daemon.get("/v1/audit/verification").await.json();
    assert_eq!(told["key"], daemon.app.audit.key().to_string());
    assert!(told["summary"]["entries"].as_u64() > Some(1), "{told}");
    assert_eq!(told["fault"], Value::Null);
}

#[tokio::test]
async fn nobody_fills_the_log_by_asking_on_and_on() {
    const LIMIT: usize = 600;
    let daemon = Daemon::start().await;
    let denied = async |who: &str| daemon.ask_as(named(who), "GET", "/v1/access", None).await;
    for _ in 0..LIMIT {
        assert_eq!(denied("eve").await.status, StatusCode::FORBIDDEN);
    }
    let refused = denied("eve").await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.header("retry-after"), "60");
    insta::assert_snapshot!(refused.told());
    let of_eve = |entries: &[Value]| {
        let names = entries.iter().map(|entry| &entry["event"]["principal"]);
        names.filter(|who| who["name"] == "eve").count()
    };
    assert_eq!(of_eve(&daemon.audit().await), LIMIT);
    assert_eq!(denied("bob").await.status, StatusCode::FORBIDDEN);
    let looked = daemon.ask_as(named("eve"), "GET", "/v1/vms", None).await;
    assert_eq!(looked.status, StatusCode::OK, "what is not recorded");
    let token = json!({ "name": "ci", "scope": { "roles": ["viewer"] } });
    let made = daemon.ask_as(named("eve"), "POST", "/v1/tokens", Some(token));
    assert_eq!(made.await.status, StatusCode::TOO_MANY_REQUESTS);
    daemon.clock.advance(Duration::from_mins(1));
    assert_eq!(denied("eve").await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_token_that_runs_wild_leaves_its_person_free() {
    let daemon = Daemon::start().await;
    let token = || {
        let principal = Principal::Token {
            token: "ci".parse().unwrap(),
            name: "eve".parse().unwrap(),
        };
        Peer::new(Subject::new(principal), Transport::Unix)
    };
    let by_token = async || daemon.ask_as(token(), "GET", "/v1/access", None).await;
    for _ in 0..600 {
        by_token().await;
    }
    assert_eq!(by_token().await.status, StatusCode::TOO_MANY_REQUESTS);
    let by_eve = daemon.ask_as(named("eve"), "GET", "/v1/access", None).await;
    assert_eq!(by_eve.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn entries_are_found_by_who_what_on_what_outcome_operation_and_time() {
    let daemon = Daemon::start().await;
    daemon.vm_of("ada", "web", &[]).await;
    daemon.clock.advance(Duration::from_hours(1));
    daemon.vm_of("ada", "db", &[]).await;
    daemon.ask_as(named("eve"), "GET", "/v1/access", None).await;
    let found = async |query: &str| -> Vec<String> {
        let answer = daemon.get(&format!("/v1/audit?{query}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{query}: {}", answer.told());
        let page = answer.json();
        assert_eq!(page["next_page"], Value::Null, "{query}");
        let items = page["items"].as_array().unwrap();
        let told = |entry: &Value| {
            let event = &entry["event"];
            let text = |key: &str| event[key].as_str().unwrap_or("-").to_owned();
            format!("{} {} {}", text("kind"), text("action"), text("target"))
        };
        items.iter().map(told).collect()
    };
    assert_eq!(found("who=eve").await, ["decided access.view access"]);
    assert_eq!(found("outcome=denied").await, found("who=eve").await);
    assert_eq!(
        found("target=vm/web").await,
        ["ended vm.create vm/web", "decided vm.create vm/web"]
    );
    assert_eq!(
        found("action=vm.create&outcome=succeeded&since=2026-01-02T04:04:05Z").await,
        ["ended vm.create vm/db"]
    );
    assert_eq!(
        found("action=vm.create&until=2026-01-02T04:04:05Z").await,
        found("target=vm/web").await
    );
    let operations = daemon.get("/v1/operations?vm=db").await.json();
    let operation = operations["items"][0]["id"].as_str().unwrap();
    assert_eq!(
        found(&format!("operation={operation}")).await,
        ["ended vm.create vm/db", "decided vm.create vm/db"]
    );
    assert_eq!(found("who=mallory").await, [""; 0]);
    // A clock that was wrong for a while hides nothing.
    daemon.clock.set("2020-01-01T00:00:00Z".parse().unwrap());
    daemon.ask_as(named("eve"), "GET", "/v1/access", None).await;
    daemon.clock.set("2026-01-02T05:00:00Z".parse().unwrap());
    assert_eq!(found("who=eve&since=2026-01-01T00:00:00Z").await.len(), 1);
    for bad in [
        "outcome=fine",
        "action=vm.fly",
        "since=yesterday",
        "operation=1",
        "by=ada",
    ] {
        let answer = daemon.get(&format!("/v1/audit?{bad}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{bad}");
    }
}

#[tokio::test]
async fn a_search_goes_on_where_a_page_ended() {
    const FILLED: u32 = 101_000;
    let daemon = Daemon::start().await;
    daemon.vm_of("ada", "web", &[]).await;
    daemon.fill_audit(FILLED).await;
    let (mut query, mut pages, mut found) = ("target=vm/web".to_owned(), 0, 0);
    loop {
        let page = daemon.get(&format!("/v1/audit?{query}")).await.json();
        pages += 1;
        found += page["items"].as_array().unwrap().len();
        match page["next_page"].as_str() {
            Some(next) => query = format!("target=vm/web&page={next}"),
            None => break,
        }
    }
    assert_eq!((pages, found), (2, 2));
}
