// SPDX-License-Identifier: GPL-3.0-or-later
//! `/v1/operations`: what is being done and was done, and how a change becomes one.

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use hv_model::{
    access::Decision,
    id::{OperationId, VmId},
    operation::{Operation, OperationState},
    page::Page,
};
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    caller::Caller,
    path::Key,
    precondition::Precondition,
    query::{ChangeQuery, Limit, Place, Query, Wait},
    refusal::Answer,
    sse,
};
use crate::{
    engine::{JobRequest, SubmitOptions},
    monitor::Sight,
    store::OperationFilter,
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(cancel))
}

/// A change that may be made, on its way to the engine.
pub(super) struct Change {
    pub(super) caller: Caller,
    pub(super) precondition: Precondition,
    pub(super) wait: Option<Wait>,
    pub(super) decision: Decision,
}

impl Change {
    /// Makes it an operation, and answers with that.
    pub(super) async fn submit(self, request: JobRequest) -> Answer {
        let (api, wait) = (self.caller.api.clone(), self.wait);
        let operation = self.queue(request).await?;
        accepted(&api, operation, wait).await
    }

    /// Makes it an operation.
    pub(super) async fn queue(self, request: JobRequest) -> Answer<Operation> {
        let options = SubmitOptions {
            idempotency_key: self.precondition.idempotency_key,
            expected_generation: self.precondition.generation,
            decision: self.decision,
            from: self.caller.peer.origin,
        };
        let engine = &self.caller.api.app().engine;
        Ok(engine
            .submit(self.caller.principal(), request, options)
            .await?)
    }
}

/// Answers with an operation: 200 if it is over within the time to wait, else 202.
pub(super) async fn accepted(api: &Api, operation: Operation, wait: Option<Wait>) -> Answer {
    let id = operation.id;
    let operation = match wait {
        Some(Wait(time)) if !operation.state.is_final() => wait_for(api, id, time).await?,
        _ => operation,
    };
    let status = if operation.state.is_final() {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    let location = [(header::LOCATION, format!("/v1/operations/{id}"))];
    Ok((status, location, Json(operation)).into_response())
}

/// The operation at its end, after that time, or when the daemon ends, whichever is soonest.
async fn wait_for(api: &Api, id: OperationId, time: Duration) -> Answer<Operation> {
    let engine = &api.app().engine;
    let mut ending = api.ending();
    tokio::select! {
        operation = engine.wait(id, time) => Ok(operation?),
        () = ending.comes() => Ok(engine.wait(id, Duration::ZERO).await?),
    }
}

/// Which operations are wanted: those that fit everything that is given.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct OperationQuery {
    /// Those in this state.
    state: Option<OperationState>,
    /// Those on the VM of this name or id.
    vm: Option<String>,
    /// How many items to give: 1 to 1,000; 100, if not given.
    #[param(value_type = Option<u32>)]
    limit: Limit,
    /// The `next_page` of the page before.
    #[param(value_type = Option<String>)]
    page: Option<Place>,
}

/// List operations
///
/// The newest first.
#[utoipa::path(get, path = "/v1/operations", tag = "operations", params(OperationQuery),
    responses((status = 200, body = Page<Operation>)))]
async fn list(caller: Caller, Query(query): Query<OperationQuery>) -> Answer {
    let filter = OperationFilter {
        states: query.state.into_iter().collect(),
        target: query.vm.map(|vm| vm_id(&caller, vm)).transpose()?,
    };
    let (page, limit) = (query.page.map(|page| page.0), query.limit.0);
    let read = caller
        .api
        .app()
        .store
        .read(move |read| read.operations(&filter, page, limit));
    let mut found: Page<Operation> = read.await?;
    let snapshot = caller.api.app().inventory.snapshot();
    found
        .items
        .retain(|operation| caller.sees_operation(&snapshot, operation));
    Ok(Json(found).into_response())
}

/// The id of the VM of this name; an id may be of a VM that is gone.
pub(super) fn vm_id(caller: &Caller, vm: String) -> Answer<String> {
    let gone = vm.parse::<VmId>().ok();
    match (caller.vm(&Key(vm)), gone) {
        (Ok((_, vm)), _) => Ok(vm.row.id.to_string()),
        (Err(_), Some(gone)) => Ok(gone.to_string()),
        (Err(refusal), None) => Err(refusal),
    }
}

/// Show an operation
///
/// With `Accept: text/event-stream` it is sent now and at each change, until it is over.
#[utoipa::path(get, path = "/v1/operations/{id}", tag = "operations",
    params(("id" = OperationId, Path, description = "Its id."), ChangeQuery),
    responses((status = 200, content(
        (Operation = "application/json"),
        (String = "text/event-stream"),
    ))))]
async fn show(
    caller: Caller,
    key: Key,
    Query(query): Query<ChangeQuery>,
    headers: HeaderMap,
) -> Answer {
    let operation = find(&caller, &key).await?;
    if sse::is_wanted(&headers) {
        return Ok(follow(caller.api, operation.id));
    }
    let operation = match query.wait {
        Some(Wait(time)) if !operation.state.is_final() => {
            wait_for(&caller.api, operation.id, time).await?
        }
        _ => operation,
    };
    Ok(Json(operation).into_response())
}

async fn find(caller: &Caller, key: &Key) -> Answer<Operation> {
    let not_found = || key.not_found("operation", "hv op list");
    let id: OperationId = key.0.parse().map_err(|_| not_found())?;
    let row = caller
        .api
        .app()
        .store
        .read(move |read| read.operation(id))
        .await?;
    let snapshot = caller.api.app().inventory.snapshot();
    row.map(|row| row.operation)
        .filter(|operation| caller.sees_operation(&snapshot, operation))
        .ok_or_else(not_found)
}

/// Sends an operation at each of its changes.
fn follow(api: Api, id: OperationId) -> Response {
    let state = (api.app().inventory.changed(), None);
    sse::answer(api, state, move |api, (mut changed, mut sent)| async move {
        loop {
            if sent
                .as_ref()
                .is_some_and(|sent: &Operation| sent.state.is_final())
            {
                return Ok(None);
            }
            let seq = *changed.borrow_and_update();
            let row = api.app().store.read(move |read| read.operation(id)).await?;
            let Some(operation) = row.map(|row| row.operation) else {
                return Ok(None);
            };
            if sent.as_ref() != Some(&operation) {
                let message = sse::message(seq, &operation)?;
                sent = Some(operation);
                return Ok(Some((message, (changed, sent))));
            }
            if changed.changed().await.is_err() {
                return Ok(None);
            }
        }
    })
}

/// Cancel an operation
///
/// One that waits ends at once. One that is under way ends after its current step, and what it
/// had begun is undone.
#[utoipa::path(post, path = "/v1/operations/{id}/cancel", tag = "operations",
    params(("id" = OperationId, Path, description = "Its id."), ChangeQuery),
    responses(
        (status = 200, body = Operation, description = "It is over."),
        (status = 202, body = Operation, description = "It will end."),
    ))]
async fn cancel(caller: Caller, key: Key, Query(query): Query<ChangeQuery>) -> Answer {
    let operation = find(&caller, &key).await?;
    let decision = caller.must_may_cancel(&operation).await?;
    let engine = &caller.api.app().engine;
    let operation = engine
        .cancel(
            caller.principal(),
            caller.peer.origin,
            operation.id,
            decision,
        )
        .await?;
    accepted(&caller.api, operation, query.wait).await
}
