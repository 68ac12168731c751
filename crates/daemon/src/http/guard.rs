// SPDX-License-Identifier: GPL-3.0-or-later
//! What holds for every request: who it is meant for, how old its answer is, and no crash.

use std::panic::AssertUnwindSafe;

use axum::{
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use hv_model::problem::{Problem, ProblemKind};

use super::{
    Api,
    arrival::Arrival,
    caller::{Peer, Transport},
    origin,
    refusal::Refusal,
};

/// How many seconds old an answer is, when the host is not being listened to.
const STALE: HeaderName = HeaderName::from_static("hv-stale");

/// That browsers are to come over TLS alone, for a year.
const ONLY_TLS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Guards every request.
pub(super) async fn guard(State(api): State<Api>, request: Request, next: Next) -> Response {
    let over_tls = request
        .extensions()
        .get::<Peer>()
        .is_some_and(|peer| peer.transport == Transport::Tls);
    let mut response = match meant_for_us(&api, &request) {
        Ok(()) => answered(&api, request, next).await,
        Err(refusal) => refusal.into_response(),
    };
    if over_tls {
        let headers = response.headers_mut();
        headers.insert(header::STRICT_TRANSPORT_SECURITY, ONLY_TLS);
    }
    response
}

/// The answer, whatever happens on the way to it.
async fn answered(api: &Api, request: Request, next: Next) -> Response {
    let what = format!("{} {}", request.method(), request.uri().path());
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let mut response = answered.unwrap_or_else(|_| {
        tracing::error!(request = what, "a request crashed");
        let detail = format!("Answering {what} failed in a way that it should not.");
        Refusal::new(ProblemKind::Internal, detail).into_response()
    });
    if let Some(age) = age(api) {
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
fn meant_for_us(api: &Api, request: &Request) -> Result<(), Refusal> {
    let (headers, extensions) = (request.headers(), request.extensions());
    let arrived = extensions.get::<Arrival>().map(|arrival| arrival.local);
    let is_ours = |host: &str| origin::is_ours(host, api.names(), arrived);
    let denied = |detail: String| Err(Refusal::new(ProblemKind::Denied, detail));
    if extensions
        .get::<Peer>()
        .is_some_and(|peer| peer.transport != Transport::Unix)
    {
        let host = origin::host(headers, request.uri());
        if !host.is_some_and(is_ours) {
            let host = host.unwrap_or_default();
            return denied(format!(
                "The request is meant for the host {host:?}, not for this one."
            ));
        }
    }
    match origin::origin(headers) {
        None => Ok(()),
        Some(origin) => {
            let host = origin
                .strip_prefix("http://")
                .or(origin.strip_prefix("https://"));
            if host.is_some_and(is_ours) {
                return Ok(());
            }
            denied(format!("The request comes from a web page of {origin:?}."))
        }
    }
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
