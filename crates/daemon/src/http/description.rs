// SPDX-License-Identifier: GPL-3.0-or-later
//! The API's description of itself, made from its routes.

use std::sync::OnceLock;

use axum::http::HeaderMap;
use hv_model::{
    audit::AuditOutcome,
    hypervisor::Takeover,
    inventory::IfRunning,
    plan::Plan,
    problem::{Problem, ProblemKind},
};
use utoipa::{
    OpenApi,
    openapi::{
        ContentBuilder, ObjectBuilder, Ref, RefOr, Required, ResponseBuilder,
        path::{Operation, Parameter, ParameterBuilder, ParameterIn},
        schema::Type,
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api, access, account, approval, audit, bootstrap, console, event, health, host, image, login,
    network, operation, pool, problem,
    query::{NoParameters, Query},
    quota,
    refusal::{Answer, Refusal},
    session,
    stored_list::Written,
    token, version, vm, vm_action,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Hyper-NixOS",
        description = "Run VMs on a host. Every change is an operation, and every error a problem \
                       of one catalogue.",
        license(name = "GPL-3.0-or-later", identifier = "GPL-3.0-or-later"),
        contact(),
    ),
    tags(
        (name = "vms", description = "VMs"),
        (name = "images", description = "Images: read-only disks to clone from"),
        (name = "host", description = "The host, its networks, pools and health"),
        (name = "operations", description = "Operations: changes under way and done"),
        (name = "events", description = "Everything that changed"),
        (name = "audit", description = "Who did what"),
        (name = "access", description = "Who people and programs are, what they may, and how much"),
        (name = "about", description = "The API itself"),
    ),
    components(schemas(AuditOutcome, IfRunning, Plan, Problem, Takeover)),
)]
struct Description;

/// Every route, with its description.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(Description::openapi())
        .merge(vm::routes())
        .merge(vm_action::routes())
        .merge(console::routes())
        .merge(image::routes())
        .merge(network::routes())
        .merge(pool::routes())
        .merge(host::routes())
        .merge(health::routes())
        .merge(operation::routes())
        .merge(event::routes())
        .merge(audit::routes())
        .merge(access::routes())
        .merge(quota::routes())
        .merge(approval::routes())
        .merge(login::routes())
        .merge(session::routes())
        .merge(account::routes())
        .merge(token::routes())
        .merge(bootstrap::routes())
        .merge(problem::routes())
        .merge(version::routes())
        .routes(routes!(show))
}

/// The API's description as `OpenAPI` 3.1.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut description = routes().into_openapi();
    for (path, item) in &mut description.paths.paths {
        let changes = [
            &mut item.post,
            &mut item.put,
            &mut item.patch,
            &mut item.delete,
        ];
        for operation in changes.into_iter().flatten() {
            let headers = change_headers().map(RefOr::T);
            operation.parameters.get_or_insert_default().extend(headers);
            complete(path, operation);
        }
        if let Some(operation) = &mut item.get {
            complete(path, operation);
        }
    }
    description
}

/// What may come with every change.
fn change_headers() -> [Parameter; 2] {
    let header = |name: &str, description: &str| {
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(description))
            .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
            .build()
    };
    [
        header(
            "Idempotency-Key",
            "Asking again with the same key does it once.",
        ),
        header(
            "If-Match",
            "The ETag of the VM that was seen; refused if it changed since.",
        ),
    ]
}

/// Gives a call a name of its own, and says how it fails: any call can, always in the same form.
fn complete(path: &str, operation: &mut Operation) {
    let resource = path.split('/').nth(2).unwrap_or_default();
    let resource = resource.split('.').next().unwrap_or_default();
    for response in operation.responses.responses.values_mut() {
        // The form demands some.
        if let RefOr::T(response) = response
            && response.description.is_empty()
        {
            "The answer.".clone_into(&mut response.description);
        }
    }
    let function = operation.operation_id.as_deref().unwrap_or_default();
    operation.operation_id = Some(format!("{resource}_{function}"));
    let problem = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .build();
    let failed = ResponseBuilder::new()
        .description("It is not done, and this is why.")
        .content("application/problem+json", problem)
        .build();
    operation
        .responses
        .responses
        .insert("default".to_owned(), RefOr::T(failed));
}

/// Describe the API
///
/// As `OpenAPI` 3.1. Anybody may read it.
#[utoipa::path(get, path = "/v1/openapi.json", tag = "about",
    responses((status = 200, content_type = "application/json", body = Object)))]
async fn show(_: Query<NoParameters>, headers: HeaderMap) -> Answer {
    static WRITTEN: OnceLock<Written> = OnceLock::new();
    if let Some(written) = WRITTEN.get() {
        return Ok(written.answer(&headers));
    }
    let json = serde_json::to_vec(&openapi()).map_err(|error| {
        Refusal::new(
            ProblemKind::Internal,
            format!("The API cannot be described: {error}."),
        )
    })?;
    let written = Written::of_json(json)?;
    Ok(WRITTEN.get_or_init(|| written).answer(&headers))
}
