// SPDX-License-Identifier: GPL-3.0-or-later
//! `/v1/pools`: where disks and images live.

use axum::http::HeaderMap;
use hv_model::{access::Action, page::Page, storage::Pool};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    caller::Caller,
    query::{NoParameters, Query},
    refusal::Answer,
    stored_list::Written,
};
use crate::access::Resource;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list))
}

/// List pools
///
/// The managed ones, with the space that each has.
#[utoipa::path(get, path = "/v1/pools", tag = "host",
    responses((status = 200, body = Page<Pool>)))]
async fn list(caller: Caller, _: Query<NoParameters>, headers: HeaderMap) -> Answer {
    caller.must_see(Action::PoolView, &Resource::Pools).await?;
    let pools = caller.api.app().inventory.snapshot().pools.to_vec();
    Ok(Written::new(pools)?.answer(&headers))
}
