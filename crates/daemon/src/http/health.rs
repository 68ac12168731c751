// SPDX-License-Identifier: GPL-3.0-or-later
//! `/v1/health`: whether all is well, and what needs attention.

use axum::{Json, response::IntoResponse};
use hv_model::{access::Action, health::Health};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    caller::Caller,
    query::{NoParameters, Query},
    refusal::Answer,
};
use crate::{access::Resource, monitor};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(show))
}

/// Check the health
///
/// Each check says what was seen, why that matters and how to mend it, the worst first.
#[utoipa::path(get, path = "/v1/health", tag = "host", responses((status = 200, body = Health)))]
async fn show(caller: Caller, _: Query<NoParameters>) -> Answer {
    caller.must_see(Action::HostView, &Resource::Host).await?;
    Ok(Json(monitor::health(caller.api.app(), &caller).await?).into_response())
}
