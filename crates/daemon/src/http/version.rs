// SPDX-License-Identifier: GPL-3.0-or-later
//! `/v1/version`: which version answers.

use axum::{Json, response::IntoResponse};
use hv_model::host::ServerVersion;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    query::{NoParameters, Query},
    refusal::Answer,
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(show))
}

/// Show the version
///
/// Anybody may read it.
#[utoipa::path(get, path = "/v1/version", tag = "about",
    responses((status = 200, body = ServerVersion)))]
async fn show(_: Query<NoParameters>) -> Answer {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Ok(Json(ServerVersion {
        version,
        api: "v1".to_owned(),
    })
    .into_response())
}
