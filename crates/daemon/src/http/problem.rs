// SPDX-License-Identifier: GPL-3.0-or-later
//! `/v1/problems`: the catalogue of everything that can go wrong.

use axum::http::HeaderMap;
use hv_model::{
    page::Page,
    problem::{Explanation, ProblemKind},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    query::{NoParameters, Query},
    refusal::Answer,
    stored_list::Written,
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list))
}

/// List every kind of problem
///
/// What happened, why it happens, and how to go on. Anybody may read it.
#[utoipa::path(get, path = "/v1/problems", tag = "about",
    responses((status = 200, body = Page<Explanation>)))]
async fn list(_: Query<NoParameters>, headers: HeaderMap) -> Answer {
    let kinds = ProblemKind::ALL
        .iter()
        .copied()
        .map(Explanation::from)
        .collect();
    Ok(Written::new(kinds)?.answer(&headers))
}
