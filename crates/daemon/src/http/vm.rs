// SPDX-License-Identifier: GPL-3.0-or-later
//! `/v1/vms`: look at VMs, make, change and delete them.

use std::sync::Arc;

use axum::{
    Json as JsonAnswer,
    http::{HeaderMap, HeaderValue, header},
    response::IntoResponse,
};
use hv_model::{
    access::Action,
    inventory::{ChangeVm, CreateVm, DeleteVm, IfRunning, VmSummary, VmView},
    name::{Tag, UserName},
    operation::Operation,
    page::Page,
    plan::Plan,
    problem::Problem,
    vm::VmState,
};
use serde::Deserialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{OneOfBuilder, Ref, RefOr, Schema},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    body::Json,
    caller::Caller,
    operation::Change,
    path::Key,
    precondition::Precondition,
    query::{Flag, NoParameters, PlanQuery, Query, Wait},
    refusal::Answer,
    stored_list::Written,
};
use crate::{
    access::{Resource, VmTraits},
    engine::JobRequest,
    store::{Snapshot, VmRecord},
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, change, delete))
}

/// Which VMs are wanted: those that fit everything that is given.
#[derive(Debug, Default, PartialEq, Eq, Deserialize, utoipa::IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct VmQuery {
    /// Those in this state.
    state: Option<VmState>,
    /// Those with this tag.
    tag: Option<Tag>,
    /// Those of this owner.
    owner: Option<UserName>,
    /// Those with this name.
    name: Option<String>,
    /// `true`: those in the trash, in place of those in use.
    #[param(value_type = Option<bool>)]
    trash: Flag,
}

impl VmQuery {
    fn fits(&self, vm: &VmRecord) -> bool {
        let summary = &vm.summary;
        let in_trash = self.trash == Flag::Yes || self.state == Some(VmState::Trashed);
        in_trash == vm.row.is_trashed()
            && self.state.is_none_or(|state| state == summary.state)
            && self
                .tag
                .as_ref()
                .is_none_or(|tag| summary.tags.contains(tag))
            && self
                .owner
                .as_ref()
                .is_none_or(|owner| summary.owner.as_ref() == Some(owner))
            && self.name.as_ref().is_none_or(|name| *name == summary.name)
    }
}

/// List VMs
///
/// All of them by name, those in the trash left out. Answered from memory; send the `ETag` of the
/// last answer as `If-None-Match` to learn only whether something changed.
#[utoipa::path(get, path = "/v1/vms", tag = "vms", params(VmQuery), responses(
    (status = 200, body = Page<VmSummary>, headers(("ETag" = String))),
    (status = 304, description = "Nothing changed since."),
))]
async fn list(caller: Caller, Query(query): Query<VmQuery>, headers: HeaderMap) -> Answer {
    let policies = caller.api.app().access.version();
    let snapshot = caller.api.app().inventory.snapshot();
    let seen = |vm: &VmRecord| query.fits(vm) && caller.may_see(Action::VmView, &Resource::vm(vm));
    if query == VmQuery::default() {
        let all = || summaries(&snapshot, seen);
        let version = (snapshot.version, policies);
        let list = caller.api.vms().of(&caller.peer.subject, version, all)?;
        return Ok(list.answer(&headers));
    }
    Ok(Written::new(summaries(&snapshot, seen))?.answer(&headers))
}

fn summaries(snapshot: &Snapshot, wanted: impl Fn(&VmRecord) -> bool) -> Vec<VmSummary> {
    snapshot
        .vms
        .iter()
        .filter(|vm| wanted(vm))
        .map(|vm| vm.summary.clone())
        .collect()
}

impl Caller {
    /// The VM of this name or id, if they may see it; nobody else is told that it is there.
    pub(super) fn vm(&self, key: &Key) -> Answer<(Arc<Snapshot>, Arc<VmRecord>)> {
        let snapshot = self.api.app().inventory.snapshot();
        let seen = |vm: &&Arc<VmRecord>| self.may_see(Action::VmView, &Resource::vm(vm));
        match snapshot.vm(&key.0).filter(seen).cloned() {
            Some(vm) => Ok((snapshot, vm)),
            None => Err(key.not_found("VM", "hv vm list")),
        }
    }
}

/// Make a VM
///
/// With `then: start` it is started, too. Whoever makes it owns it, unless the spec says who does.
#[utoipa::path(post, path = "/v1/vms", tag = "vms", params(PlanQuery), request_body = CreateVm,
    responses(
        (status = 200, body = OperationOrPlan, description = "It is over; or only planned."),
        (status = 202, body = Operation, description = "It is under way."),
    ))]
async fn create(
    caller: Caller,
    Query(query): Query<PlanQuery>,
    precondition: Precondition,
    Json(request): Json<CreateVm>,
) -> Answer {
    let mut request = request;
    if request.spec.owner.is_none() {
        request.spec.owner = caller.principal().person().cloned();
    }
    let traits = VmTraits::of_spec(&request.spec);
    let resource = Resource::no_vm(&traits);
    let decision = caller.must_may(Action::VmCreate, &resource).await?;
    if request.spec.owner.as_ref() != caller.principal().person() {
        caller.must_may(Action::VmAssign, &resource).await?;
    }
    if query.dry_run == Flag::Yes {
        let engine = &caller.api.app().engine;
        return plan(engine.plan_create(caller.principal(), &request).await);
    }
    let request = JobRequest::VmCreate(Box::new(request));
    Change {
        caller,
        precondition,
        wait: query.wait,
        decision,
    }
    .submit(request)
    .await
}

/// Show a VM
///
/// By its name or id. Its `ETag` is its generation, for `If-Match` of a change.
#[utoipa::path(get, path = "/v1/vms/{vm}", tag = "vms",
    params(("vm" = String, Path, description = "Its name or id.")),
    responses(
        (status = 200, body = VmView, headers(("ETag" = String))),
    ))]
async fn show(caller: Caller, key: Key, _: Query<NoParameters>) -> Answer {
    let (snapshot, vm) = caller.vm(&key)?;
    let generation = HeaderValue::try_from(format!("\"{}\"", vm.summary.generation));
    let mut answer = JsonAnswer(snapshot.view(&vm)).into_response();
    if let Ok(generation) = generation {
        answer.headers_mut().insert(header::ETAG, generation);
    }
    Ok(answer)
}

/// Change a VM's spec
///
/// What is absent stays as it is. What can't be done while it runs waits for its next boot.
#[utoipa::path(patch, path = "/v1/vms/{vm}", tag = "vms",
    params(("vm" = String, Path, description = "Its name or id."), PlanQuery),
    request_body = ChangeVm,
    responses(
        (status = 200, body = OperationOrPlan, description = "It is over; or only planned."),
        (status = 202, body = Operation, description = "It is under way."),
    ))]
async fn change(
    caller: Caller,
    key: Key,
    Query(query): Query<PlanQuery>,
    precondition: Precondition,
    Json(request): Json<ChangeVm>,
) -> Answer {
    let (_, vm) = caller.vm(&key)?;
    let decision = caller
        .must_may(Action::VmChange, &Resource::vm(&vm))
        .await?;
    caller.must_may_assign(&vm, &request).await?;
    if query.dry_run == Flag::Yes {
        let (engine, principal) = (&caller.api.app().engine, caller.principal());
        return plan(engine.plan_change(principal, vm.row.id, &request).await);
    }
    let request = JobRequest::VmChange(vm.row.id, Box::new(request));
    Change {
        caller,
        precondition,
        wait: query.wait,
        decision,
    }
    .submit(request)
    .await
}

impl Caller {
    /// Refuses to change what grants depend on, the owner and the tags, to all but those who may
    /// assign the VM, as it is and as it would be.
    async fn must_may_assign(&self, vm: &VmRecord, change: &ChangeVm) -> Answer<()> {
        let mut traits = VmTraits::clone(&vm.traits);
        change.assign(&mut traits.owner, &mut traits.tags);
        if traits == *vm.traits {
            return Ok(());
        }
        self.must_may(Action::VmAssign, &Resource::vm(vm)).await?;
        self.must_may(Action::VmAssign, &Resource::no_vm(&traits))
            .await?;
        Ok(())
    }
}

/// How a VM is to be deleted.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DeleteQuery {
    /// Wait so long for the operation's end before answering: `30s`, at most `300s`. The answer
    /// is 200 if the operation is over by then, else 202.
    #[param(value_type = Option<String>, example = "30s")]
    wait: Option<Wait>,
    /// `true`: change nothing, and answer with the plan of what would change.
    #[param(value_type = Option<bool>)]
    dry_run: Flag,
    /// What to do if it still runs.
    #[param(value_type = Option<IfRunning>)]
    running: IfRunning,
}

/// Delete a VM
///
/// It moves to the trash, from where it can be taken back until it is purged.
#[utoipa::path(delete, path = "/v1/vms/{vm}", tag = "vms",
    params(("vm" = String, Path, description = "Its name or id."), DeleteQuery),
    responses(
        (status = 200, body = OperationOrPlan, description = "It is over; or only planned."),
        (status = 202, body = Operation, description = "It is under way."),
    ))]
async fn delete(
    caller: Caller,
    key: Key,
    Query(query): Query<DeleteQuery>,
    precondition: Precondition,
) -> Answer {
    let (_, vm) = caller.vm(&key)?;
    let decision = caller
        .must_may(Action::VmDelete, &Resource::vm(&vm))
        .await?;
    let request = DeleteVm {
        running: query.running,
    };
    if query.dry_run == Flag::Yes {
        return plan(
            caller
                .api
                .app()
                .engine
                .plan_delete(vm.row.id, &request)
                .await,
        );
    }
    let request = JobRequest::VmDelete(vm.row.id, request);
    Change {
        caller,
        precondition,
        wait: query.wait,
        decision,
    }
    .submit(request)
    .await
}

/// What a change that may only be planned comes to.
struct OperationOrPlan;

impl PartialSchema for OperationOrPlan {
    fn schema() -> RefOr<Schema> {
        OneOfBuilder::new()
            .item(Ref::from_schema_name("Operation"))
            .item(Ref::from_schema_name("Plan"))
            .into()
    }
}

impl ToSchema for OperationOrPlan {}

fn plan(plan: Result<Plan, Problem>) -> Answer {
    Ok(JsonAnswer(plan?).into_response())
}
