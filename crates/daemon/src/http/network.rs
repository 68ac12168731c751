// SPDX-License-Identifier: GPL-3.0-or-later
//! `/v1/networks`: the host's virtual networks.

use axum::http::HeaderMap;
use hv_model::{access::Action, network::Network, page::Page};
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

/// List networks
///
/// All of them, those that the host's policy does not let VMs use included.
#[utoipa::path(get, path = "/v1/networks", tag = "host",
    responses((status = 200, body = Page<Network>)))]
async fn list(caller: Caller, _: Query<NoParameters>, headers: HeaderMap) -> Answer {
    caller
        .must_see(Action::NetworkView, &Resource::Networks)
        .await?;
    let networks = caller.api.app().inventory.snapshot().networks.to_vec();
    Ok(Written::new(networks)?.answer(&headers))
}
