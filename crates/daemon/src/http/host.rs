// SPDX-License-Identifier: GPL-3.0-or-later
//! `/v1/hosts`: what the host is and can do.

use axum::http::HeaderMap;
use hv_model::{
    access::Action,
    host::{Host, HostView},
    page::Page,
};
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

/// List hosts
///
/// In this version the one that the daemon runs on, with how old what is known of it is.
#[utoipa::path(get, path = "/v1/hosts", tag = "host",
    responses((status = 200, body = Page<HostView>)))]
async fn list(caller: Caller, _: Query<NoParameters>, headers: HeaderMap) -> Answer {
    caller.must_see(Action::HostView, &Resource::Host).await?;
    let snapshot = caller.api.app().inventory.snapshot();
    let host = snapshot.host.as_ref().map(|host| Host::clone(host));
    let view = HostView {
        host,
        freshness: snapshot.freshness.clone(),
        audit_key: Some(caller.api.app().audit.key()),
    };
    Ok(Written::new(vec![view])?.answer(&headers))
}
