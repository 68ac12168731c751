// SPDX-License-Identifier: GPL-3.0-or-later
//! `/v1/sessions`: who is logged in, and how to end that.

use axum::http::StatusCode;
use axum::response::IntoResponse;
use hv_model::{access::Action, id::SessionId, page::Page, session::Session};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    account::{OfWhom, must_administer, own_person},
    caller::Caller,
    login::{noted, private},
    path::Key,
    query::{NoParameters, Query},
    refusal::Answer,
};
use crate::{access::Resource, store::WriteTransaction};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(end))
}

/// List sessions
///
/// Your own, or with `of` those of others; the one that was used last first.
#[utoipa::path(get, path = "/v1/sessions", tag = "access", params(OfWhom),
    responses((status = 200, body = Page<Session>)))]
async fn list(caller: Caller, Query(query): Query<OfWhom>) -> Answer {
    let of = query.person(&caller).await?;
    let read = caller
        .api
        .app()
        .store
        .read(move |read| read.sessions(of.as_ref()));
    Ok(private(StatusCode::OK, &Page::whole(read.await?)))
}

/// End a session
///
/// By its id: your own, or one of others if you may change accounts. What goes on in it is cut off.
#[utoipa::path(delete, path = "/v1/sessions/{session}", tag = "access",
    params(("session" = SessionId, Path, description = "Its id.")),
    responses((status = 204, description = "The session is over.")))]
async fn end(caller: Caller, key: Key, _: Query<NoParameters>) -> Answer {
    let app = caller.api.app();
    let missing = || key.not_found("session", "hv access session list");
    let id = key.0.parse::<SessionId>().map_err(|_| missing())?;
    let found = app.store.read(move |read| read.session_with_id(id)).await?;
    let session = found.ok_or_else(missing)?;
    let resource = Resource::Account(&session.account);
    if own_person(&caller) == Some(&session.account) {
        noted(&caller, Action::AccountChange, &resource, "own-session").await?;
    } else if caller.may_see(Action::AccessView, &resource) {
        let summary = format!("end a session of {}", session.account);
        must_administer(&caller, &session.account, summary).await?;
    } else {
        return Err(missing());
    }
    let write = move |write: &WriteTransaction<'_>| write.remove_session(id);
    app.store.write("end a session", write).await?;
    app.authenticator.sweep().await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
