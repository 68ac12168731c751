// SPDX-License-Identifier: GPL-3.0-or-later
//! What is refused, whatever is asked for.

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use hvd::http::Peer;
use serde_json::json;

use super::{Answer, Daemon, anonymous, user};

async fn send(
    daemon: &Daemon,
    peer: Peer,
    request: axum::http::request::Builder,
    body: &str,
) -> Answer {
    daemon
        .send(peer, request.body(Body::from(body.to_owned())).unwrap())
        .await
}

#[tokio::test]
async fn an_address_that_there_is_not_is_a_problem_too() {
    let daemon = Daemon::start().await;
    insta::assert_snapshot!(daemon.get("/v1/vm").await.told());
    for path in [
        "/",
        "/v2/vms",
        "/v1/vms/",
        "/v1/vms/web/strat",
        "/v1/operations/x/y",
    ] {
        assert_eq!(daemon.get(path).await.json()["kind"], "not-found", "{path}");
    }
}

#[tokio::test]
async fn a_method_that_an_address_does_not_have_is_refused_with_those_that_it_has() {
    let daemon = Daemon::start().await;
    insta::assert_snapshot!(daemon.ask("DELETE", "/v1/vms", None).await.told());
}

#[tokio::test]
async fn unknown_parameters_are_refused_with_the_nearest_known_one() {
    let daemon = Daemon::start().await;
    insta::assert_snapshot!(daemon.get("/v1/vms?stat=running&tag=-x&tag=y").await.told());
    for path in [
        "/v1/version",
        "/v1/networks",
        "/v1/pools",
        "/v1/hosts",
        "/v1/health",
        "/v1/problems",
        "/v1/openapi.json",
        "/v1/images",
        "/v1/operations",
        "/v1/events",
        "/v1/audit",
    ] {
        let answer = daemon.get(&format!("{path}?nonsense=1")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        assert_eq!(answer.json()["faults"][0]["path"], "nonsense", "{path}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_json_is_refused() {
    let daemon = Daemon::start().await;
    let request = || Request::post("/v1/vms").header(header::CONTENT_TYPE, "application/json");
    insta::assert_snapshot!(
        "broken",
        send(&daemon, user(), request(), "{\"spec\": {")
            .await
            .told()
    );
    insta::assert_snapshot!("empty", send(&daemon, user(), request(), "").await.told());
    let form =
        Request::post("/v1/vms").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    insta::assert_snapshot!("form", send(&daemon, user(), form, "name=web").await.told());
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let daemon = Daemon::start().await;
    let request = Request::post("/v1/vms").header(header::CONTENT_TYPE, "application/json");
    let body = format!("\"{}\"", "x".repeat(1 << 20));
    insta::assert_snapshot!(send(&daemon, user(), request, &body).await.told());
}

#[tokio::test]
async fn a_body_that_is_not_text_is_refused() {
    let daemon = Daemon::start().await;
    let request = Request::post("/v1/vms")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(vec![0xff, 0xfe]))
        .unwrap();
    assert_eq!(
        daemon.send(user(), request).await.status,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn a_precondition_that_can_t_be_read_is_refused() {
    let daemon = Daemon::start().await;
    daemon.vm("web").await;
    let request = Request::post("/v1/vms/web/start").header(header::IF_MATCH, "1");
    insta::assert_snapshot!(send(&daemon, user(), request, "").await.told());
}

#[tokio::test]
async fn who_comes_over_tcp_and_does_not_log_in_gets_nothing() {
    let daemon = Daemon::start().await;
    daemon.running_vm("web").await;
    let ask = async |method: &str, path: &str| {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "localhost:8006")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_LENGTH, "2");
        send(&daemon, anonymous(), request, "{}").await
    };
    for path in ["/v1/problems", "/v1/version", "/v1/openapi.json"] {
        assert_eq!(ask("GET", path).await.status, StatusCode::OK, "{path}");
    }
    for (method, path) in [
        ("GET", "/v1/vms"),
        ("GET", "/v1/vms/web"),
        ("GET", "/v1/vms/no-such-vm"),
        ("GET", "/v1/images"),
        ("GET", "/v1/networks"),
        ("GET", "/v1/pools"),
        ("GET", "/v1/hosts"),
        ("GET", "/v1/health"),
        ("GET", "/v1/operations"),
        ("GET", "/v1/events"),
        ("GET", "/v1/audit"),
        ("POST", "/v1/vms"),
        ("PATCH", "/v1/vms/web"),
        ("DELETE", "/v1/vms/web"),
        ("POST", "/v1/vms/web/start"),
        ("POST", "/v1/vms/web/force-off"),
        ("POST", "/v1/vms/web/purge"),
        ("GET", "/v1/vms/web/console"),
        ("PUT", "/v1/images/debian?format=raw"),
    ] {
        let answer = ask(method, path).await;
        assert_eq!(
            answer.status,
            StatusCode::UNAUTHORIZED,
            "{method} {path}: {}",
            answer.told()
        );
        assert_eq!(answer.json()["kind"], "login-needed", "{method} {path}");
    }
    insta::assert_snapshot!(ask("POST", "/v1/vms/web/force-off").await.told());
}

#[tokio::test]
async fn a_web_page_of_somebody_else_is_refused() {
    let daemon = Daemon::start().await;
    let from = |host: &str, origin: Option<&str>| {
        let request = Request::get("/v1/vms").header(header::HOST, host);
        match origin {
            Some(origin) => request.header(header::ORIGIN, origin),
            None => request,
        }
    };
    for (host, origin, status) in [
        ("localhost:8006", None, StatusCode::UNAUTHORIZED),
        (
            "127.0.0.1:8006",
            Some("http://localhost:8006"),
            StatusCode::UNAUTHORIZED,
        ),
        ("evil.example:8006", None, StatusCode::FORBIDDEN),
        ("", None, StatusCode::FORBIDDEN),
        (
            "localhost:8006",
            Some("https://evil.example"),
            StatusCode::FORBIDDEN,
        ),
        ("localhost:8006", Some("null"), StatusCode::FORBIDDEN),
    ] {
        let answer = send(&daemon, anonymous(), from(host, origin), "").await;
        assert_eq!(answer.status, status, "{host} {origin:?}");
    }
    let told = send(&daemon, anonymous(), from("evil.example", None), "")
        .await
        .told();
    insta::assert_snapshot!(told);
}

#[tokio::test]
async fn a_console_is_refused_without_an_upgrade() {
    let daemon = Daemon::start().await;
    daemon.running_vm("web").await;
    insta::assert_snapshot!(daemon.get("/v1/vms/web/console").await.told());
}

#[tokio::test]
async fn a_name_taken_for_another_vm_is_refused_on_rename() {
    let daemon = Daemon::start().await;
    daemon.vm("web").await;
    daemon.vm("db").await;
    let body = Some(json!({ "name": "db" }));
    insta::assert_snapshot!(daemon.ask("POST", "/v1/vms/web/rename", body).await.told());
}
