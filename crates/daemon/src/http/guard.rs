// SPDX-License-Identifier: GPL-3.0-or-later
//! What holds for every request: who it is meant for, how old its answer is, and no crash.

use std::panic::AssertUnwindSafe;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use hv_model::problem::{Problem, ProblemKind};

use super::{
    Api,
    caller::{Peer, Transport},
    refusal::Refusal,
};

/// How many seconds old an answer is, when the host is not being listened to.
const STALE: HeaderName = HeaderName::from_static("hv-stale");

/// Guards every request.
pub(super) async fn guard(State(api): State<Api>, request: Request, next: Next) -> Response {
    if let Err(refusal) = meant_for_us(&request) {
        return refusal.into_response();
    }
    let what = format!("{} {}", request.method(), request.uri().path());
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let mut response = answered.unwrap_or_else(|_| {
        tracing::error!(request = what, "a request crashed");
        let detail = format!("Answering {what} failed in a way that it should not.");
        Refusal::new(ProblemKind::Internal, detail).into_response()
    });
    if let Some(age) = age(&api) {
        response.headers_mut().insert(STALE, age);
    }
    response
}

/// How old what is known is in seconds, or `unknown`; nothing when it is live.
fn age(api: &Api) -> Option<HeaderValue> {
    let snapshot = api.app().inventory.snapshot();
    let freshness = &snapshot.freshness;
    if freshness.live {
        return None;
    }
    let Some(seen) = freshness.seen else {
        return Some(HeaderValue::from_static("unknown"));
    };
    let age = api.app().clock.now().duration_since(seen).as_secs();
    Some(HeaderValue::from(u64::try_from(age).unwrap_or(0)))
}

/// Refuses what a web page of somebody else makes a browser send. The name in `Host` gives away a
/// page whose own name was made to point here.
fn meant_for_us(request: &Request) -> Result<(), Refusal> {
    let tcp = request
        .extensions()
        .get::<Peer>()
        .is_some_and(|peer| peer.transport == Transport::Tcp);
    let denied = |detail: String| Err(Refusal::new(ProblemKind::Denied, detail));
    if tcp {
        let host = text(request.headers(), &header::HOST);
        let host = host.or_else(|| request.uri().authority().map(Authority::as_str));
        if !host.is_some_and(is_loopback) {
            let host = host.unwrap_or_default();
            return denied(format!(
                "The request is meant for the host {host:?}, not for this one."
            ));
        }
    }
    match request.headers().get(header::ORIGIN) {
        None => Ok(()),
        Some(origin) => {
            let origin = origin.to_str().unwrap_or_default();
            let host = origin
                .strip_prefix("http://")
                .or(origin.strip_prefix("https://"));
            if host.is_some_and(is_loopback) {
                return Ok(());
            }
            denied(format!("The request comes from a web page of {origin:?}."))
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Whether a host with or without a port names this machine to itself.
fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    ["localhost", "127.0.0.1", "[::1]"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}

/// Answers a request for an address that there is not.
pub(super) async fn no_such_address(uri: Uri) -> Refusal {
    let detail = format!("The API has no address {}.", shortened(uri.path()));
    let mut problem = Problem::new(ProblemKind::NotFound, detail);
    "Look it up in the API's description: /v1/openapi.json.".clone_into(&mut problem.hint);
    problem.into()
}

/// Answers a request with a method that its address does not have.
pub(super) async fn no_such_method(request: Request) -> Refusal {
    let (method, path) = (request.method(), shortened(request.uri().path()));
    let detail = format!("{path} cannot be asked with {method}. The header Allow says how it can.");
    Refusal::with_status(StatusCode::METHOD_NOT_ALLOWED, detail)
}

fn shortened(path: &str) -> String {
    path.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_loopback() {
        for host in [
            "localhost",
            "LOCALHOST:80",
            "127.0.0.1:8006",
            "[::1]",
            "[::1]:8006",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.nip.io:80",
            "10.0.0.1",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
