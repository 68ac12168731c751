// SPDX-License-Identifier: GPL-3.0-or-later
//! `/v1/approvals`: what somebody wants to do and a second person must see.
//!
//! Something grave that is asked for becomes a request for approval. Once another person has
//! approved it, who asked for it sends the same again, with the request's id in the header
//! `HV-Approval`; anything else than the very same is refused.

use axum::{Json as JsonAnswer, response::IntoResponse};
use hv_model::{
    access::{Action, Approval, ApprovalState, Decision, Need, Principal, Verdict, Wish},
    id::ApprovalId,
    page::Page,
    problem::{Problem, ProblemKind},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    body::{Document, Json},
    caller::Caller,
    path::Key,
    query::{NoParameters, Query},
    refusal::{Answer, Refusal},
};
use crate::access::{Assurance, Resource};

impl Document for Verdict {}

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(approve))
        .routes(routes!(refuse))
}

/// Something grave, as somebody asks for it.
pub(super) struct Grave<'a> {
    pub(super) action: Action,
    pub(super) resource: Resource<'a>,
    /// The id of what it is done to, where it has one.
    pub(super) id: Option<String>,
    /// What will happen, in words.
    pub(super) summary: String,
    /// Everything else that was sent.
    pub(super) details: serde_json::Value,
}

impl Caller {
    /// The decision that allows something grave. Where a second person must approve it, it becomes
    /// a request for that, unless the one who asks names an approval of just this.
    pub(super) async fn must_may_grave(&self, grave: Grave<'_>) -> Answer<Decision> {
        let (action, resource) = (grave.action, grave.resource);
        let Decision::Ask {
            needs: Need::SecondPerson,
            ..
        } = self.decide(action, &resource)
        else {
            return self.must_may(action, &resource).await;
        };
        self.must_not_flood()?;
        let wish = Wish {
            action,
            target: resource.to_string(),
            id: grave.id,
            summary: grave.summary,
            details: grave.details,
        };
        let digest = digest(&wish)?;
        match self.approval {
            Some(id) => {
                self.use_approval(id, digest).await?;
                let approved = self.decide_with(Assurance::Approved, action, &resource);
                if approved.is_allowed() {
                    return Ok(approved);
                }
                self.must_may(action, &resource).await
            }
            None => Err(self.ask_for_approval(wish, digest, &resource).await?),
        }
    }

    async fn use_approval(&self, id: ApprovalId, digest: String) -> Answer<()> {
        let by = self.principal().clone();
        let store = &self.api.app().store;
        let used = store.write("approval.use", move |tx| tx.use_approval(id, &digest, &by));
        Ok(used.await?)
    }

    /// Writes down what is asked for, and says how to go on.
    async fn ask_for_approval(
        &self,
        wish: Wish,
        digest: String,
        resource: &Resource<'_>,
    ) -> Answer<Refusal> {
        let decision = self.decide(wish.action, resource);
        let (action, by) = (wish.action, self.principal().clone());
        let store = &self.api.app().store;
        let asked = store.write("approval.ask", move |tx| {
            tx.ask_for_approval(&wish, &digest, &by)
        });
        let asked = asked.await?;
        self.record(action, resource, decision).await?;
        let id = asked.id;
        let who = self.principal().label();
        let detail = format!(
            "{who} may not yet do {} to {resource}: a second person must approve it, by {}. Then \
             ask for the same again with the approval {id}.",
            action.as_str(),
            asked.expires,
        );
        Ok(Problem::new(ProblemKind::ApprovalNeeded, detail)
            .with_try(format!("hv approve show {id}"))
            .into())
    }

    /// A request for approval, if they may see it: their own, and, who may see or give approvals,
    /// all.
    async fn approval(&self, key: &Key) -> Answer<Approval> {
        let not_found = || key.not_found("request for approval", "hv approve list");
        let id: ApprovalId = key.0.parse().map_err(|_| not_found())?;
        let read = self.api.app().store.read(move |read| read.approval(id));
        read.await?
            .filter(|approval| self.sees_approval(approval))
            .ok_or_else(not_found)
    }

    fn sees_approval(&self, approval: &Approval) -> bool {
        approval.asked_by.person() == self.principal().person()
            || self.may_see(Action::ApprovalView, &Resource::Approvals)
    }

    /// Whether they themselves might do what is wished, were it approved.
    fn might(&self, wish: &Wish) -> bool {
        let snapshot = self.api.app().inventory.snapshot();
        let might = |resource: &Resource<'_>| {
            self.decide_with(Assurance::Approved, wish.action, resource)
                .is_allowed()
        };
        match wish.action.noun() {
            "vm" => {
                let id = wish.id.as_ref().and_then(|id| id.parse().ok());
                let vm = id.and_then(|id| snapshot.vm_by_id(id));
                vm.is_some_and(|vm| might(&Resource::vm(vm)))
            }
            "account" => {
                let name = wish.target.strip_prefix("account/");
                let name = name.and_then(|name| name.parse().ok());
                name.is_some_and(|name| might(&Resource::Account(&name)))
            }
            _ => might(&Resource::Access),
        }
    }
}

fn digest(wish: &Wish) -> Answer<String> {
    let json = serde_json::to_vec(wish).map_err(|error| {
        let detail = format!("What is asked for cannot be written down: {error}.");
        Refusal::new(ProblemKind::Internal, detail)
    })?;
    Ok(blake3::hash(&json).to_hex().to_string())
}

/// List requests for approval
///
/// Those that wait or are approved and not used yet, the newest first: one's own, and, who may see
/// approvals, everybody's.
#[utoipa::path(get, path = "/v1/approvals", tag = "access",
    responses((status = 200, body = Page<Approval>)))]
async fn list(caller: Caller, _: Query<NoParameters>) -> Answer {
    let now = caller.api.app().clock.now();
    let read = caller
        .api
        .app()
        .store
        .read(move |read| read.open_approvals(now));
    let seen = |approval: &Approval| caller.sees_approval(approval);
    let items = read.await?.into_iter().filter(seen).collect();
    Ok(JsonAnswer(Page::whole(items)).into_response())
}

/// Show a request for approval
#[utoipa::path(get, path = "/v1/approvals/{id}", tag = "access",
    params(("id" = ApprovalId, Path, description = "Its id.")),
    responses((status = 200, body = Approval)))]
async fn show(caller: Caller, key: Key, _: Query<NoParameters>) -> Answer {
    Ok(JsonAnswer(caller.approval(&key).await?).into_response())
}

/// Approve what somebody asks for
///
/// Who approves must be another person than who asks, known as themselves and not by a token, and
/// must be allowed to do it, too. The digest says what they saw.
#[utoipa::path(post, path = "/v1/approvals/{id}/approve", tag = "access",
    params(("id" = ApprovalId, Path, description = "Its id.")),
    request_body = Verdict,
    responses((status = 200, body = Approval)))]
async fn approve(
    caller: Caller,
    key: Key,
    _: Query<NoParameters>,
    Json(verdict): Json<Verdict>,
) -> Answer {
    decide(caller, key, verdict, ApprovalState::Approved).await
}

/// Refuse what somebody asks for
///
/// Also what was approved and is not done yet. Whoever asked for it withdraws it so, without any right.
#[utoipa::path(post, path = "/v1/approvals/{id}/refuse", tag = "access",
    params(("id" = ApprovalId, Path, description = "Its id.")),
    request_body = Verdict,
    responses((status = 200, body = Approval)))]
async fn refuse(
    caller: Caller,
    key: Key,
    _: Query<NoParameters>,
    Json(verdict): Json<Verdict>,
) -> Answer {
    decide(caller, key, verdict, ApprovalState::Refused).await
}

async fn decide(caller: Caller, key: Key, verdict: Verdict, state: ApprovalState) -> Answer {
    let approval = caller.approval(&key).await?;
    let is_own = caller.principal().person() == approval.asked_by.person();
    // Not by a token: it may be narrowed to less than its person.
    let is_token = matches!(caller.principal(), Principal::Token { .. });
    let may = if is_own && !is_token && state == ApprovalState::Refused {
        caller.must_not_flood()?;
        Decision::Allow {
            policy: "own-request".to_owned(),
        }
    } else {
        caller
            .must_may(Action::ApprovalGive, &Resource::Approvals)
            .await?
    };
    let denied = |detail: String| Err(Refusal::new(ProblemKind::Denied, detail));
    let who = caller.principal().label();
    if state == ApprovalState::Approved {
        if is_own {
            return denied(format!(
                "{who} asked for it, and somebody else must approve it."
            ));
        }
        if is_token {
            return denied("A token is no second person: log in to approve.".to_owned());
        }
        if !caller.might(&approval.wish) {
            return denied(format!(
                "{who} may not do {} to {} themselves, so they can't approve it.",
                approval.wish.action.as_str(),
                approval.wish.target
            ));
        }
    }
    if verdict.digest != approval.digest {
        let detail = "The digest is not that of this request: look at it again.";
        return Err(Problem::new(ProblemKind::PreconditionFailed, detail)
            .with_try(format!("hv approve show {}", approval.id))
            .into());
    }
    let (id, by) = (approval.id, caller.principal().clone());
    let from = caller.peer.origin;
    let on = format!("approval/{id}");
    let store = &caller.api.app().store;
    let decided = store.write("approval.decide", move |tx| {
        tx.decide_approval(id, state, &by)?;
        tx.append_audit(&by, from, Action::ApprovalGive, &on, &may, None)?;
        tx.approval(id)
    });
    let decided = decided.await?;
    Ok(JsonAnswer(decided).into_response())
}
