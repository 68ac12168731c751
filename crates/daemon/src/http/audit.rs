// SPDX-License-Identifier: GPL-3.0-or-later
//! `/v1/audit`: who did what, and who tried.

use axum::{Json, response::IntoResponse};
use hv_model::{access::Action, audit::AuditEntry, page::Page};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    caller::Caller,
    query::{PageQuery, Query},
    refusal::Answer,
};
use crate::access::Resource;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Read the audit log
///
/// The newest entry first: every change that was asked for, with the decision and its policy.
#[utoipa::path(get, path = "/v1/audit", tag = "audit", params(PageQuery),
    responses((status = 200, body = Page<AuditEntry>)))]
async fn list(caller: Caller, Query(query): Query<PageQuery>) -> Answer {
    caller.must_see(Action::AuditView, &Resource::Audit)?;
    let (page, limit) = (query.page.map(|page| page.0), query.limit.0);
    let read = caller
        .api
        .app()
        .store
        .read(move |read| read.audit(page, limit));
    Ok(Json(read.await?).into_response())
}
