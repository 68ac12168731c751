// SPDX-License-Identifier: GPL-3.0-or-later
//! `/v1/audit`: an entry, the whole log, and what verifying it comes to.

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use http_body_util::BodyExt;
use hv_model::{
    access::{Action, Decision, Principal},
    audit::{End, Trust, verify},
};
use serde_json::Value;

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
