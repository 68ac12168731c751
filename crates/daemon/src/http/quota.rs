// SPDX-License-Identifier: GPL-3.0-or-later
//! `/v1/access/quotas`: how much of the host who may have, and has.

use axum::{Json as JsonAnswer, response::IntoResponse};
use hv_model::{
    access::{Action, Decision, QuotaLimits, QuotasView, UserQuota},
    document::Fault,
    name::{NameError, UserName},
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
use crate::{
    access::Resource,
    store::{Result as StoreResult, WriteTransaction},
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(quotas))
        .routes(routes!(set_quota, unset_quota))
}

impl Document for QuotaLimits {}

/// Show quotas
///
/// One's own; and to those who may see who may do what, everybody's and the total. What was asked
/// for and is not done yet counts.
#[utoipa::path(get, path = "/v1/access/quotas", tag = "access",
    responses((status = 200, body = QuotasView)))]
async fn quotas(caller: Caller, _: Query<NoParameters>) -> Answer {
    let own = caller.principal().person().cloned();
    let mut view = caller.api.app().engine.quotas(own).await?;
    if !caller.may_see(Action::AccessView, &Resource::Access) {
        view.total = None;
        let own = caller.principal().person();
        view.users.retain(|quota| Some(&quota.user) == own);
    }
    Ok(JsonAnswer(view).into_response())
}

/// Set a user's quota
///
/// In place of what was set for just them. What is absent stays as it is for each user; `none` is
/// no limit but that of the total. Nothing that they have is taken away, be it more than that.
#[utoipa::path(put, path = "/v1/access/quotas/{user}", tag = "access",
    params(("user" = UserName, Path, description = "Whose.")),
    request_body = QuotaLimits,
    responses((status = 200, body = UserQuota)))]
async fn set_quota(
    caller: Caller,
    key: Key,
    _: Query<NoParameters>,
    Json(limits): Json<QuotaLimits>,
) -> Answer {
    let user = user(&key)?;
    let summary = match limits.words().as_str() {
        "" => format!("{user} gets a quota that says nothing."),
        words => format!("{user} gets the quota {words}."),
    };
    let wish = serde_json::json!({ "user": user, "quota": limits });
    let decision = caller.may_change_quota(summary, wish).await?;
    caller.refuse_configured(&user)?;
    let total = caller.api.app().config.access.quotas.total();
    let faults: Vec<Fault> = limits
        .above(&total)
        .map(|(measure, highest)| {
            let allowed = format!("at most {}, as the total is", measure.said(highest));
            Fault::new(measure.as_str(), "is more than everybody together may have")
                .allowed(allowed)
        })
        .collect();
    if !faults.is_empty() {
        return Err(Refusal::with_faults(
            ProblemKind::BadRequest,
            "quota",
            faults,
        ));
    }
    let (of, by) = (user.clone(), caller.principal().label().to_owned());
    caller
        .change_quota(&user, decision, move |tx| tx.put_quota(&of, &limits, &by))
        .await?;
    caller.quota_of(user).await
}

/// Unset a user's quota
///
/// They have what each user has.
#[utoipa::path(delete, path = "/v1/access/quotas/{user}", tag = "access",
    params(("user" = UserName, Path, description = "Whose.")),
    responses((status = 200, body = UserQuota)))]
async fn unset_quota(caller: Caller, key: Key, _: Query<NoParameters>) -> Answer {
    let user = user(&key)?;
    let summary = format!("{user} gets the quota that each user has.");
    let wish = serde_json::json!({ "user": user, "quota": null });
    let decision = caller.may_change_quota(summary, wish).await?;
    caller.refuse_configured(&user)?;
    let of = user.clone();
    let remove = move |tx: &WriteTransaction<'_>| {
        if tx.remove_quota(&of)? {
            return Ok(());
        }
        let detail = format!("No quota is set for just {of}.");
        let problem = Problem::new(ProblemKind::NotFound, detail);
        Err(problem.with_try("hv access quota list").into())
    };
    caller.change_quota(&user, decision, remove).await?;
    caller.quota_of(user).await
}

fn user(key: &Key) -> Answer<UserName> {
    let bad = |error: NameError| Refusal::new(ProblemKind::BadRequest, format!("{error}."));
    key.0.parse().map_err(bad)
}

impl Caller {
    /// The decision that allows a change of a quota.
    async fn may_change_quota(
        &self,
        summary: String,
        details: serde_json::Value,
    ) -> Answer<Decision> {
        self.must_may_grave(Grave {
            action: Action::AccessChange,
            resource: Resource::Access,
            id: None,
            summary,
            details,
        })
        .await
    }

    /// Refuses to change a quota that the configuration says.
    fn refuse_configured(&self, user: &UserName) -> Answer<()> {
        let configured = &self.api.app().config.access.quotas.users;
        if !configured.contains_key(user) {
            return Ok(());
        }
        let detail =
            format!("The quota of {user} is in the host's configuration, which only root changes.");
        Err(Problem::new(ProblemKind::Denied, detail)
            .with_try("hv access quota list")
            .into())
    }

    /// Changes a user's quota, with its entry in the audit log.
    async fn change_quota(
        &self,
        user: &UserName,
        decision: Decision,
        change: impl FnOnce(&WriteTransaction<'_>) -> StoreResult<()> + Send + 'static,
    ) -> Answer<()> {
        let (principal, target) = (self.principal().clone(), format!("quota/{user}"));
        let from = self.peer.origin;
        let write = move |tx: &WriteTransaction<'_>| {
            change(tx)?;
            tx.append_audit(
                &principal,
                from,
                Action::AccessChange,
                &target,
                &decision,
                None,
            )
            .map(drop)
        };
        Ok(self.api.app().store.write("quota.change", write).await?)
    }

    async fn quota_of(&self, user: UserName) -> Answer {
        let view = self.api.app().engine.quotas(Some(user.clone())).await?;
        let quota = view.users.into_iter().find(|quota| quota.user == user);
        let quota = quota.ok_or_else(|| {
            let detail = format!("The quota of {user} is not listed.");
            Refusal::new(ProblemKind::Internal, detail)
        })?;
        Ok(JsonAnswer(quota).into_response())
    }
}
