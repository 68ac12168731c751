// SPDX-License-Identifier: GPL-3.0-or-later
//! `/v1/audit`: who did what, and who tried. Whoever looks at it is in it, too.

use std::io;

use axum::{
    Json,
    body::Body,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::stream;
use hv_model::{
    access::Action,
    audit::{AuditEntry, AuditOutcome, AuditVerification, SignReason, WantedEntries},
    id::OperationId,
    page::Page,
};
use jiff::Timestamp;
use serde::Deserialize;
use tokio::sync::OwnedRwLockReadGuard;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    caller::Caller,
    path::Key,
    query::{Limit, NoParameters, Place, Query},
    refusal::Answer,
};
use crate::access::Resource;

/// How many lines of an export are read at once.
const AT_ONCE: u32 = 256;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(export))
        .routes(routes!(verification))
        .routes(routes!(show))
}

impl Caller {
    /// Records that they look at this part of the audit log, if they may.
    async fn looks_at_audit(&self, part: &str) -> Answer<()> {
        let decision = self.must_may(Action::AuditView, &Resource::Audit).await?;
        self.record(Action::AuditView, &part, decision).await
    }
}

/// Which entries are wanted: those that fit everything that is given.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AuditQuery {
    /// Those of this person; or of `system`, hvd itself, or `anonymous`.
    who: Option<String>,
    /// Those in which this was asked for.
    action: Option<Action>,
    /// Those about this.
    #[param(example = "vm/web")]
    target: Option<String>,
    /// Those that came out like this.
    outcome: Option<AuditOutcome>,
    /// Those of this operation.
    operation: Option<OperationId>,
    /// Those from then on.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Those before then.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// How many items to give: 1 to 1,000; 100, if not given.
    #[param(value_type = Option<u32>)]
    limit: Limit,
    /// The `next_page` of the page before.
    #[param(value_type = Option<String>)]
    page: Option<Place>,
}

/// Read the audit log
///
/// The newest entry first: every decision and change, how operations ended, and who looked at this
/// log before. A page looks through 100,000 entries at most: if few of them are wanted it has fewer
/// items than `limit`, or none, and a `next_page` with which to go on.
#[utoipa::path(get, path = "/v1/audit", tag = "audit", params(AuditQuery),
    responses((status = 200, body = Page<AuditEntry>)))]
async fn list(caller: Caller, Query(query): Query<AuditQuery>) -> Answer {
    let decision = caller.must_may(Action::AuditView, &Resource::Audit).await?;
    let (page, limit) = (query.page.map(|page| page.0), query.limit.0);
    let store = &caller.api.app().store;
    let wanted = WantedEntries {
        who: query.who,
        action: query.action,
        target: query.target,
        outcome: query.outcome,
        operation: query.operation,
        since: query.since,
        until: query.until,
    };
    // One search at a time: all of them together must not keep everybody else from the store.
    let turn = if wanted == WantedEntries::default() {
        None
    } else {
        Some(caller.api.searching().lock().await)
    };
    let read = store.read(move |read| read.audit(&wanted, page, limit));
    let read = read.await?;
    drop(turn);
    // Only now, so that nobody finds their own look on top.
    caller
        .record(Action::AuditView, &Resource::Audit, decision)
        .await?;
    Ok(Json(read).into_response())
}

/// Show an entry of the audit log
///
/// By its place in the log.
#[utoipa::path(get, path = "/v1/audit/{sequence}", tag = "audit",
    params(("sequence" = u64, Path, description = "Its place in the log.")),
    responses((status = 200, body = AuditEntry)))]
async fn show(caller: Caller, key: Key, _: Query<NoParameters>) -> Answer {
    caller.looks_at_audit(&Resource::Audit.to_string()).await?;
    let not_found = || key.not_found("audit entry", "hv audit list");
    let place = Place::try_from(key.0.clone()).map_err(|_| not_found())?;
    let store = &caller.api.app().store;
    let entry = store.read(move |read| read.audit_entry(place.0)).await?;
    Ok(Json(entry.ok_or_else(not_found)?).into_response())
}

/// Verify the audit log
///
/// The whole of it, now. The answer says what was verified, or the first entry that does not fit.
#[utoipa::path(get, path = "/v1/audit/verification", tag = "audit",
    responses((status = 200, body = AuditVerification)))]
async fn verification(caller: Caller, _: Query<NoParameters>) -> Answer {
    caller.looks_at_audit("audit/verification").await?;
    Ok(Json(caller.api.app().audit.verify().await?).into_response())
}

/// Export the audit log
///
/// The whole of it, an entry a line, as it was hashed, the oldest first. It ends with an entry that
/// is signed for it. `docs/audit.md` says how to verify it.
#[utoipa::path(get, path = "/v1/audit/export", tag = "audit",
    responses((status = 200, content_type = "application/x-ndjson", body = String)))]
async fn export(caller: Caller, _: Query<NoParameters>) -> Answer {
    caller.looks_at_audit("audit/export").await?;
    let audit = &caller.api.app().audit;
    let hold = audit.hold().await;
    let last = audit.sign(SignReason::Export).await?;
    Ok(lines(caller.api.clone(), last.sequence, hold))
}

/// The lines up to this one. A reader pulls them at its own pace.
fn lines(api: Api, last: u64, hold: OwnedRwLockReadGuard<()>) -> Response {
    let pieces = stream::try_unfold((api, 0, hold), move |(api, after, hold)| async move {
        let store = &api.app().store;
        let read = store.read(move |read| read.audit_lines(after, last, AT_ONCE));
        let lines = read.await.map_err(io::Error::other)?;
        let Some((place, _)) = lines.last() else {
            return Ok(None);
        };
        let place = *place;
        let mut piece = String::new();
        for (_, line) in lines {
            piece.push_str(&line);
            piece.push('\n');
        }
        Ok::<_, io::Error>(Some((Bytes::from(piece), (api, place, hold))))
    });
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-ndjson"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, Body::from_stream(pieces)).into_response()
}
