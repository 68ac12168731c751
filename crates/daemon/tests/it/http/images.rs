// SPDX-License-Identifier: GPL-3.0-or-later
//! `/v1/images`.

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::json;

use super::{Answer, Daemon, user};

async fn put(daemon: &Daemon, path: &str, length: usize, body: Body) -> Answer {
    let request = Request::put(path)
        .header(header::CONTENT_LENGTH, length)
        .body(body)
        .unwrap();
    daemon.send(user(), request).await
}

async fn add(daemon: &Daemon, name: &str, bytes: &[u8]) -> Answer {
    let path = format!("/v1/images/{name}?format=raw&wait=60s");
    put(daemon, &path, bytes.len(), Body::from(bytes.to_vec())).await
}

#[tokio::test]
async fn an_image_is_added_with_its_digest_shown_and_deleted() {
    let daemon = Daemon::start().await;
    let bytes = vec![7; 3 << 20];
    let added = add(&daemon, "debian", &bytes).await;
    assert_eq!(added.json()["state"], "succeeded", "{}", added.told());
    let shown = daemon.get("/v1/images/debian").await.json();
    assert_eq!(shown["blake3"], blake3::hash(&bytes).to_hex().as_str());
    assert_eq!(shown["size"], "3 MiB");
    let id = shown["id"].as_str().unwrap();
    assert_eq!(daemon.get(&format!("/v1/images/{id}")).await.json(), shown);
    assert_eq!(
        daemon.get("/v1/images").await.json()["items"],
        json!([shown])
    );
    let deleted = daemon
        .ask("DELETE", "/v1/images/debian?wait=60s", None)
        .await;
    assert_eq!(deleted.json()["state"], "succeeded", "{}", deleted.told());
    assert_eq!(
        daemon.get("/v1/images/debian").await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_body_whose_sender_leaves_is_cancelled_and_leaves_nothing() {
    let daemon = Daemon::start().await;
    let pieces = vec![
        Ok(Bytes::from(vec![7; 4096])),
        Err(std::io::Error::other("the cable was pulled")),
    ];
    let body = Body::from_stream(stream::iter(pieces));
    let answer = put(&daemon, "/v1/images/debian?format=raw&wait=60s", 8192, body).await;
    assert_eq!(answer.json()["state"], "cancelled", "{}", answer.told());
    assert_eq!(daemon.get("/v1/images").await.json()["items"], json!([]));
    assert_eq!(daemon.host.all_volumes(), []);
}

#[tokio::test]
async fn a_body_of_another_length_than_was_said_leaves_nothing() {
    let daemon = Daemon::start().await;
    for said in [10, 5000] {
        let path = "/v1/images/debian?format=raw&wait=60s";
        let answer = put(&daemon, path, said, Body::from(vec![7; 4096])).await;
        assert_eq!(
            answer.json()["state"],
            "failed",
            "{said}: {}",
            answer.told()
        );
        assert_eq!(daemon.host.all_volumes(), [], "{said}");
    }
}

#[tokio::test]
async fn an_image_that_disks_are_cloned_from_is_not_deleted() {
    let daemon = Daemon::start().await;
    add(&daemon, "debian", &[7; 4096]).await;
    let spec = json!({ "spec": { "name": "web", "disks": [{ "image": "debian" }] } });
    let made = daemon.ask("POST", "/v1/vms?wait=60s", Some(spec)).await;
    assert_eq!(made.json()["state"], "succeeded", "{}", made.told());
    insta::assert_snapshot!(daemon.ask("DELETE", "/v1/images/debian", None).await.told());
}

#[tokio::test]
async fn what_is_not_said_of_an_image_is_not_guessed() {
    let daemon = Daemon::start().await;
    insta::assert_snapshot!(
        "without_format",
        put(&daemon, "/v1/images/debian", 1, Body::from("x"))
            .await
            .told()
    );
    let request = Request::put("/v1/images/debian?format=raw")
        .body(Body::from("x"))
        .unwrap();
    insta::assert_snapshot!("without_length", daemon.send(user(), request).await.told());
    let bad = put(&daemon, "/v1/images/..%2Fx?format=raw", 1, Body::from("x")).await;
    insta::assert_snapshot!("with_a_bad_name", bad.told());
    let empty = put(&daemon, "/v1/images/debian?format=raw", 0, Body::empty()).await;
    assert_eq!(empty.json()["kind"], "unsafe-image");
}

#[tokio::test]
async fn a_taken_name_is_refused_before_anything_is_read() {
    let daemon = Daemon::start().await;
    add(&daemon, "debian", &[7; 4096]).await;
    let unread = stream::iter([()])
        .map(|()| -> Result<Bytes, std::io::Error> { panic!("the body was read") });
    let body = Body::from_stream(unread);
    let answer = put(&daemon, "/v1/images/debian?format=raw", 4096, body).await;
    assert_eq!(answer.json()["kind"], "name-taken", "{}", answer.told());
}

#[tokio::test]
async fn an_image_that_there_is_not_is_not_found() {
    let daemon = Daemon::start().await;
    insta::assert_snapshot!(daemon.get("/v1/images/nothing").await.told());
    let deleted = daemon.ask("DELETE", "/v1/images/nothing", None).await;
    assert_eq!(deleted.status, StatusCode::NOT_FOUND);
}
