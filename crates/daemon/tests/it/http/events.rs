// SPDX-License-Identifier: GPL-3.0-or-later
//! `/v1/events`.

use axum::{
    body::{Body, BodyDataStream},
    http::{Request, StatusCode, header},
};
use futures_util::StreamExt;
use serde_json::Value;

use super::{Daemon, user};

/// A stream of events, read message by message.
struct Stream {
    body: BodyDataStream,
    text: String,
}

impl Stream {
    async fn open(daemon: &Daemon, path: &str, last: Option<&str>) -> Self {
        let mut request = Request::get(path).header(header::ACCEPT, "text/event-stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = daemon
            .open(user(), request.body(Body::empty()).unwrap())
            .await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "text/event-stream"
        );
        Self {
            body: response.into_body().into_data_stream(),
            text: String::new(),
        }
    }

    /// The next message's id, and its data if it has any.
    async fn next(&mut self) -> (String, Option<Value>) {
        loop {
            if let Some((message, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    message
                        .lines()
                        .find_map(|line| line.strip_prefix(name))
                        .map(ToOwned::to_owned)
                };
                let found = (field("id: "), field("data: "));
                self.text = self.text.split_off(self.text.len() - rest.len());
                if let (Some(id), data) = found {
                    return (id, data.map(|data| serde_json::from_str(&data).unwrap()));
                }
                continue;
            }
            let piece = self.body.next().await.expect("the stream goes on").unwrap();
            self.text.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }

    /// The next event of this kind.
    async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            if let (_, Some(event)) = self.next().await
                && event["kind"] == kind
            {
                return event;
            }
        }
    }
}

#[tokio::test]
async fn events_come_in_pages_the_oldest_first() {
    let daemon = Daemon::start().await;
    daemon.running_vm("web").await;
    let first = daemon.get("/v1/events?limit=2").await.json();
    let seqs = |page: &Value| -> Vec<u64> {
        let items = page["items"].as_array().unwrap();
        items
            .iter()
            .map(|event| event["seq"].as_u64().unwrap())
            .collect()
    };
    assert_eq!(seqs(&first).len(), 2);
    let next = first["next_page"].as_str().unwrap();
    let second = daemon.get(&format!("/v1/events?after={next}")).await.json();
    assert!(
        seqs(&second)
            .iter()
            .all(|seq| seq.to_string().parse::<u64>().unwrap() > seqs(&first)[1])
    );
    assert!(seqs(&second).is_sorted());
}

#[tokio::test]
async fn what_happens_is_told_at_once() {
    let daemon = Daemon::start().await;
    let mut stream = Stream::open(&daemon, "/v1/events", None).await;
    daemon.running_vm("web").await;
    let event = stream.next_of("vm.state").await;
    assert_eq!(event["subject"]["name"], "web");
}

#[tokio::test]
async fn a_reader_that_comes_back_misses_nothing() {
    let daemon = Daemon::start().await;
    let mut stream = Stream::open(&daemon, "/v1/events", None).await;
    let (place, greeting) = stream.next().await;
    assert_eq!(greeting, None, "it begins with its place");
    drop(stream);
    daemon.running_vm("web").await;
    let mut stream = Stream::open(&daemon, "/v1/events", Some(&place)).await;
    assert_eq!(stream.next_of("vm.added").await["subject"]["name"], "web");
    let state = stream.next_of("vm.state").await;
    drop(stream);
    let place = state["seq"].to_string();
    daemon.post("/v1/vms/web/force-off?wait=60s").await;
    let mut stream = Stream::open(&daemon, "/v1/events", Some(&place)).await;
    assert_ne!(
        stream.next_of("vm.state").await["seq"],
        state["seq"],
        "none comes twice"
    );
}

#[tokio::test]
async fn events_of_one_vm_leave_others_out() {
    let daemon = Daemon::start().await;
    daemon.vm("web").await;
    daemon.vm("db").await;
    let page = daemon.get("/v1/events?vm=db&limit=1000").await.json();
    let events = page["items"].as_array().unwrap();
    assert!(!events.is_empty());
    let names_web = |event: &&Value| event.to_string().contains("\"web\"");
    assert_eq!(events.iter().find(names_web), None);
}

#[tokio::test]
async fn streams_end_with_the_daemon() {
    let daemon = Daemon::start().await;
    let mut stream = Stream::open(&daemon, "/v1/events", None).await;
    stream.next().await;
    daemon.ending.send_replace(true);
    while let Some(piece) = stream.body.next().await {
        piece.unwrap();
    }
}

#[tokio::test]
async fn a_place_that_makes_no_sense_is_refused() {
    let daemon = Daemon::start().await;
    let request = Request::get("/v1/events")
        .header(header::ACCEPT, "text/event-stream")
        .header("last-event-id", "yesterday")
        .body(Body::empty())
        .unwrap();
    insta::assert_snapshot!(daemon.send(user(), request).await.told());
}
