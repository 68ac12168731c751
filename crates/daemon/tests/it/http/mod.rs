// SPDX-License-Identifier: GPL-3.0-or-later
//! The API through its router, on a simulated host.

mod access;
mod accounts;
mod approvals;
mod audit;
mod description;
mod events;
mod health;
mod images;
mod lists;
mod operations;
mod quotas;
mod random;
mod refusals;
mod secrets;
mod served;
mod tls;
mod vms;

use std::{fmt::Write, path::Path, sync::Arc};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode, header},
    response::Response,
};
use http_body_util::BodyExt;
use hv_model::access::{Grant, Principal, Profile, Role};
use hvd::{
    App, Parts,
    access::Subject,
    clock::{Clock, Ids},
    config::{AccessConfig, AuditConfig, Config, SyslogSocket},
    http::{Api, Ending, Peer, Transport, router},
    sim::SimulatedHost,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use tower::ServiceExt;

/// A daemon on a simulated host, asked without a socket.
struct Daemon {
    app: App,
    host: Arc<SimulatedHost>,
    clock: Clock,
    router: Router,
    ending: watch::Sender<bool>,
    _folder: TempDir,
}

/// An answer of the API.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// Ada, who may do everything.
fn user() -> Peer {
    named("ada")
}

fn root() -> Peer {
    let principal = Principal::User {
        name: "root".parse().unwrap(),
        uid: 0,
    };
    Peer::new(Subject::new(principal), Transport::Unix)
}

/// Whoever has this name on the host.
fn named(name: &str) -> Peer {
    let principal = Principal::User {
        name: name.parse().unwrap(),
        uid: 1000,
    };
    Peer::new(Subject::new(principal), Transport::Unix)
}

fn anonymous() -> Peer {
    Peer::new(Subject::new(Principal::Anonymous), Transport::Tcp)
}

fn config(folder: &Path) -> Config {
    Config {
        state_dir: folder.to_owned(),
        socket: folder.join("hvd.sock"),
        access: AccessConfig {
            profile: Profile::Production,
            policies: folder.join("policies"),
            grants: vec![grant("admins", "user:ada", Role::Admin, "everything")],
            ..AccessConfig::default()
        },
        audit: AuditConfig {
            syslog: SyslogSocket::None,
            ..AuditConfig::default()
        },
        ..Config::default()
    }
}

fn grant(name: &str, to: &str, role: Role, on: &str) -> Grant {
    Grant {
        name: name.parse().unwrap(),
        to: to.parse().unwrap(),
        role,
        on: on.parse().unwrap(),
        until: None,
    }
}

impl Daemon {
    /// One that has seen its host.
    async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// One whose configuration says something else.
    async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path());
        change(&mut config);
        let host = Arc::new(SimulatedHost::new(1));
        let clock = Clock::manual("2026-01-02T03:04:05Z".parse().unwrap());
        let app = App::start(Parts {
            clock: clock.clone(),
            ids: Ids::random(),
            ..Parts::new(config, Arc::clone(&host) as _, "boot-1".to_owned())
        })
        .unwrap();
        let (ending, ends) = watch::channel(false);
        let router = router(Api::new(app.clone(), Ending::new(ends)));
        let daemon = Self {
            app,
            host,
            clock,
            router,
            ending,
            _folder: folder,
        };
        daemon
            .until(|snapshot| snapshot.freshness.live && snapshot.host.is_some())
            .await;
        daemon
    }

    /// Waits until what is known is like that.
    async fn until(&self, is_so: impl Fn(&hvd::store::Snapshot) -> bool) {
        let mut changed = self.app.inventory.changed();
        while !is_so(&self.app.inventory.snapshot()) {
            changed.changed().await.unwrap();
        }
    }

    /// Asks as a user of the host.
    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.ask_as(user(), method, path, body).await
    }

    async fn ask_as(&self, peer: Peer, method: &str, path: &str, body: Option<Value>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.send(peer, request.body(body).unwrap()).await
    }

    /// The same as root, of whom nothing more is asked for.
    async fn post_as_root(&self, path: &str) -> Answer {
        self.ask_as(root(), "POST", path, None).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, None).await
    }

    /// The newest entries of the audit log.
    async fn audit(&self) -> Vec<Value> {
        let page = self.get("/v1/audit?limit=1000").await.json();
        page["items"].as_array().unwrap().clone()
    }

    async fn post(&self, path: &str) -> Answer {
        self.ask("POST", path, None).await
    }

    /// Sends any request and reads the whole answer.
    async fn send(&self, peer: Peer, request: Request<Body>) -> Answer {
        let response = self.open(peer, request).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    /// Sends any request and leaves the answer's body to be read.
    async fn open(&self, peer: Peer, mut request: Request<Body>) -> Response {
        request.extensions_mut().insert(peer);
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Makes a VM, and waits for it.
    async fn vm(&self, name: &str) {
        let body = json!({ "spec": { "name": name } });
        let answer = self.ask("POST", "/v1/vms?wait=60s", Some(body)).await;
        assert_eq!(answer.json()["state"], "succeeded", "{}", answer.told());
    }

    /// Makes a VM, starts it, and waits for that.
    async fn running_vm(&self, name: &str) {
        let body = json!({ "spec": { "name": name }, "then": "start" });
        let answer = self.ask("POST", "/v1/vms?wait=60s", Some(body)).await;
        assert_eq!(answer.json()["state"], "succeeded", "{}", answer.told());
        self.until(|snapshot| {
            snapshot
                .vm(name)
                .is_some_and(|vm| vm.row.state == hv_model::vm::VmState::Running)
        })
        .await;
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.app.end();
    }
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The answer as a snapshot shows it: status, what is told in headers, and the body, with
    /// whatever differs from run to run replaced.
    fn told(&self) -> String {
        let mut told = format!("{}\n", self.status);
        for name in ["content-type", "location", "allow", "hv-stale"] {
            if let Some(value) = self.headers.get(name) {
                writeln!(told, "{name}: {}", steady_text(value.to_str().unwrap())).unwrap();
            }
        }
        let is_text = self
            .headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.to_str().unwrap().starts_with("text/plain"));
        if is_text {
            write!(told, "\n{}", String::from_utf8_lossy(&self.body)).unwrap();
        } else if !self.body.is_empty() {
            let body = serde_json::to_string_pretty(&steady(self.json())).unwrap();
            write!(told, "\n{body}").unwrap();
        }
        told
    }
}

/// A value with whatever differs from run to run replaced.
fn steady(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(steady_text(&text)),
        Value::Array(items) => items.into_iter().map(steady).collect(),
        // By name, whichever way serde_json keeps them.
        Value::Object(map) => std::collections::BTreeMap::from_iter(map)
            .into_iter()
            .map(|(key, value)| {
                let value = match key.as_str() {
                    "seq" => json!("[seq]"),
                    "audit_key" => json!("[key]"),
                    _ => steady(value),
                };
                (key, value)
            })
            .collect(),
        other => other,
    }
}

/// A text with ids, times and addresses of interfaces replaced.
fn steady_text(text: &str) -> String {
    if text.parse::<jiff::Timestamp>().is_ok() {
        return "[time]".to_owned();
    }
    let is_id = |text: &str| text.parse::<uuid::Uuid>().is_ok();
    let is_address = |text: &str| {
        text.split(':').count() == 6
            && text
                .split(':')
                .all(|part| u8::from_str_radix(part, 16).is_ok())
    };
    let mut steady = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (length, shown) = if rest.get(..36).is_some_and(is_id) {
            (36, "[id]")
        } else if rest.get(..17).is_some_and(is_address) {
            (17, "[mac]")
        } else {
            (first.len_utf8(), &rest[..first.len_utf8()])
        };
        steady.push_str(shown);
        rest = &rest[length..];
    }
    steady
}
