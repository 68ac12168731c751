// SPDX-License-Identifier: GPL-3.0-or-later
//! Server-sent events: streams that a reader pulls at its own pace.
//!
//! The next message is only made once the one before has gone into the socket, so a slow reader
//! costs one message of memory; one that reads nothing for half a minute loses its connection
//! (`connection.rs`) and can resume where it was.

use std::{convert::Infallible, future::Future, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;

use super::{
    Api,
    refusal::{Answer, Refusal},
};

/// How often something is sent when nothing happens, so that both sides notice a dead connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Whether a stream is wanted in place of one answer.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let accepted = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    accepted
        .flat_map(|value| value.split(','))
        .any(|media_type| {
            let name = media_type.split(';').next().unwrap_or_default();
            name.trim().eq_ignore_ascii_case("text/event-stream")
        })
}

/// A message that a reader can resume behind.
pub(super) fn message(id: u64, value: &impl Serialize) -> Answer<Bytes> {
    let json = serde_json::to_string(value).map_err(|error| {
        let detail = format!("A message cannot be written: {error}.");
        Refusal::new(hv_model::problem::ProblemKind::Internal, detail)
    })?;
    // JSON has no line breaks of its own.
    Ok(Bytes::from(format!("id: {id}\ndata: {json}\n\n")))
}

/// A stream of what `next` gives, until it gives nothing, fails, or the daemon ends. While `next`
/// waits, comments keep the connection alive.
pub(super) fn answer<S, N, F>(api: Api, state: S, next: N) -> Response
where
    S: Send + 'static,
    N: Fn(Api, S) -> F + Send + 'static,
    F: Future<Output = Answer<Option<(Bytes, S)>>> + Send + 'static,
{
    let first = Box::pin(next(api.clone(), state));
    let pieces = stream::unfold((api, first, next), |(api, mut waiting, next)| async move {
        let mut ending = api.ending();
        tokio::select! {
            biased;
            () = ending.comes() => None,
            made = &mut waiting => match made {
                Ok(Some((message, state))) => {
                    let waiting = Box::pin(next(api.clone(), state));
                    Some((message, (api, waiting, next)))
                }
                Ok(None) => None,
                Err(refusal) => {
                    tracing::warn!(detail = refusal.problem().detail, "a stream broke off");
                    None
                }
            },
            () = tokio::time::sleep(KEEP_ALIVE) => {
                Some((Bytes::from_static(b":\n\n"), (api, waiting, next)))
            }
        }
    });
    let pieces = futures_util::StreamExt::map(pieces, Ok::<_, Infallible>);
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/event-stream"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, Body::from_stream(pieces)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_wanted_by_whoever_accepts_it() {
        let asked = |accept: &str| {
            is_wanted(&HeaderMap::from_iter([(
                header::ACCEPT,
                accept.parse().unwrap(),
            )]))
        };
        assert!(asked("text/event-stream") && asked("application/json, text/event-stream;q=0.9"));
        assert!(!asked("*/*") && !asked("application/json"));
    }
}
