// SPDX-License-Identifier: GPL-3.0-or-later
//! `/v1/access`: who may do what, why, and how that is changed.

use axum::{
    Json as JsonAnswer,
    http::{StatusCode, header},
    response::IntoResponse,
};
use hv_model::{
    access::{
        AccessAnswer, AccessQuestion, AccessView, Action, Decision, Grant, GrantSource, GrantView,
    },
    name::{GrantName, NameError},
    problem::{Problem, ProblemKind},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    approval::Grave,
    body::{Document, Json},
    caller::Caller,
    path::Key,
    query::{NoParameters, Query},
    refusal::{Answer, Refusal},
};
use crate::access::{PolicyFault, Resource, Subject, VmTraits, people, schema_text};

impl Document for Grant {}
impl Document for AccessQuestion {}

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(show))
        .routes(routes!(give))
        .routes(routes!(take))
        .routes(routes!(explain))
        .routes(routes!(reload))
        .routes(routes!(schema))
}

/// Show who may do what
///
/// Every grant, whether the configuration or somebody at run time gave it, and the owner's own
/// policies.
#[utoipa::path(get, path = "/v1/access", tag = "access",
    responses((status = 200, body = AccessView)))]
async fn show(caller: Caller, _: Query<NoParameters>) -> Answer {
    caller
        .must_may(Action::AccessView, &Resource::Access)
        .await?;
    let access = &caller.api.app().access;
    let sources = access.sources();
    let mut grants: Vec<_> = sources
        .grants
        .into_iter()
        .map(|given| GrantView {
            grant: given.grant,
            source: given.source,
        })
        .collect();
    grants.sort_unstable_by(|one, other| one.grant.name.cmp(&other.grant.name));
    Ok(JsonAnswer(AccessView {
        profile: sources.profile,
        grants,
        files: sources.files.into_iter().map(|(name, _)| name).collect(),
        fault: access.fault(),
    })
    .into_response())
}

/// Give somebody a role
///
/// In place of a grant of the same name, if it was given at run time, too.
#[utoipa::path(post, path = "/v1/access/grants", tag = "access", request_body = Grant,
    responses((status = 200, body = Grant)))]
async fn give(caller: Caller, _: Query<NoParameters>, Json(grant): Json<Grant>) -> Answer {
    let details = serde_json::to_value(&grant).map_err(|error| unwritable(&error))?;
    let until = grant
        .until
        .map_or_else(String::new, |until| format!(" until {until}"));
    let summary = format!(
        "{} gets the role {} on {}{until}, by the grant {}.",
        grant.to, grant.role, grant.on, grant.name
    );
    let decision = change(&caller, summary, details).await?;
    refuse_configured(&caller, &grant.name)?;
    let given = grant.clone();
    let (by, from) = (caller.principal().clone(), caller.peer.origin);
    let on = format!("grant/{}", grant.name);
    let store = &caller.api.app().store;
    let write = store.write("access.grant", move |tx| {
        tx.put_grant(&given, by.label())?;
        tx.append_audit(&by, from, Action::AccessChange, &on, &decision, None)
    });
    write.await?;
    put_in_force(&caller).await?;
    Ok(JsonAnswer(grant).into_response())
}

/// Take a grant away
#[utoipa::path(delete, path = "/v1/access/grants/{name}", tag = "access",
    params(("name" = GrantName, Path, description = "Its name.")),
    responses((status = 204, description = "It is gone.")))]
async fn take(caller: Caller, key: Key, _: Query<NoParameters>) -> Answer {
    let name: GrantName = key
        .0
        .parse()
        .map_err(|error: NameError| Refusal::new(ProblemKind::BadRequest, format!("{error}.")))?;
    let summary = format!("The grant {name} is taken away.");
    let decision = change(&caller, summary, serde_json::json!({ "take": name })).await?;
    refuse_configured(&caller, &name)?;
    let (by, from) = (caller.principal().clone(), caller.peer.origin);
    let on = format!("grant/{name}");
    let missing = key.not_found("grant", "hv access list");
    let store = &caller.api.app().store;
    let write = store.write("access.revoke", move |tx| {
        let there = tx.remove_grant(&name)?;
        if there {
            tx.append_audit(&by, from, Action::AccessChange, &on, &decision, None)?;
        }
        Ok(there)
    });
    if !write.await? {
        return Err(missing);
    }
    put_in_force(&caller).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The decision that allows a change of who may do what.
async fn change(caller: &Caller, summary: String, details: serde_json::Value) -> Answer<Decision> {
    caller
        .must_may_grave(Grave {
            action: Action::AccessChange,
            resource: Resource::Access,
            id: None,
            summary,
            details,
        })
        .await
}

fn refuse_configured(caller: &Caller, name: &GrantName) -> Answer<()> {
    let sources = caller.api.app().access.sources();
    let mut configured = sources
        .grants
        .iter()
        .filter(|given| given.source == GrantSource::Configuration);
    if !configured.any(|given| given.grant.name == *name) {
        return Ok(());
    }
    let detail =
        format!("The grant {name} is in the host's configuration, which only root changes.");
    Err(Problem::new(ProblemKind::NameTaken, detail)
        .with_try("hv access list")
        .into())
}

async fn put_in_force(caller: &Caller) -> Answer<()> {
    let app = caller.api.app();
    let done = app.access.reload(&app.config.access, &app.store).await;
    done.map_err(|fault| not_in_force(&fault))
}

fn not_in_force(fault: &PolicyFault) -> Refusal {
    let detail = format!("Policies are not taken, and those that were in force stay: {fault}.");
    Refusal::new(ProblemKind::InvalidPolicy, detail)
}

fn unwritable(error: &serde_json::Error) -> Refusal {
    let detail = format!("The grant cannot be written down: {error}.");
    Refusal::new(ProblemKind::Internal, detail)
}

/// Explain whether somebody may do something
///
/// With the deciding policy, each of their grants and why it reaches this or not, and what would
/// change the decision. Everybody may ask about themselves and VMs that they see.
#[utoipa::path(post, path = "/v1/access/explain", tag = "access", request_body = AccessQuestion,
    responses((status = 200, body = AccessAnswer)))]
async fn explain(
    caller: Caller,
    _: Query<NoParameters>,
    Json(question): Json<AccessQuestion>,
) -> Answer {
    if caller.principal().person() != Some(&question.user) {
        caller
            .must_may(Action::AccessView, &Resource::Access)
            .await?;
    }
    let wanted = question.user.clone();
    let subject = tokio::task::spawn_blocking(move || people::person_of_name(&wanted)).await;
    let subject = subject.map_err(|error| {
        let detail = format!("Who {} is can't be found out: {error}.", question.user);
        Refusal::new(ProblemKind::Internal, detail)
    })?;
    // Who asks about themselves is who they are here and now.
    let subject = if caller.principal().person() == Some(&question.user) {
        Subject::clone(&caller.peer.subject)
    } else {
        subject
    };
    let subject = std::sync::Arc::new(subject);
    let access = &caller.api.app().access;
    let answer = if let Some(vm) = &question.vm {
        let (_, vm) = caller.vm(&Key(vm.to_string()))?;
        access.explain(&subject, question.action, &Resource::vm(&vm))
    } else {
        let nothing = VmTraits::default();
        access.explain(&subject, question.action, &thing(question.action, &nothing))
    };
    Ok(JsonAnswer(answer).into_response())
}

/// What an action is done to, where nothing is named.
fn thing(action: Action, nothing: &VmTraits) -> Resource<'_> {
    match action.noun() {
        "vm" => Resource::no_vm(nothing),
        "event" | "operation" => Resource::Events,
        "audit" => Resource::Audit,
        "access" | "account" => Resource::Access,
        "approval" => Resource::Approvals,
        _ => Resource::Host,
    }
}

/// Read the policies again
///
/// From the folder of the owner's own policies. If one is at fault, those that were in force stay.
#[utoipa::path(post, path = "/v1/access/reload", tag = "access",
    responses((status = 204, description = "They are in force.")))]
async fn reload(caller: Caller, _: Query<NoParameters>) -> Answer {
    let decision = change(
        &caller,
        "The policies are read again.".to_owned(),
        serde_json::json!("reload"),
    )
    .await?;
    caller
        .record(Action::AccessChange, &Resource::Access, decision)
        .await?;
    put_in_force(&caller).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Show the schema of policies
///
/// In Cedar's own words, for who writes policies.
#[utoipa::path(get, path = "/v1/access/schema", tag = "access",
    responses((status = 200, body = String, content_type = "text/plain")))]
async fn schema(_: Caller, _: Query<NoParameters>) -> Answer {
    let text = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok((text, schema_text()).into_response())
}
