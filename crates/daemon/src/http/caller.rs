// SPDX-License-Identifier: GPL-3.0-or-later
//! Who asks: what the connection knows of the other side, and what they may.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, request::Parts},
};
use hv_model::{
    access::{Action, Decision, Need, Origin, Principal},
    id::ApprovalId,
    problem::{Problem, ProblemKind},
};

use super::{
    Api, RECORDED_A_DAY, RECORDED_A_MINUTE,
    allowance::Allowance,
    credential::Credentials,
    refusal::{Answer, Refusal},
};
use crate::access::{Assurance, Resource, Subject};

/// The other side of a connection. Whoever serves a connection puts it into each request.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Who it is.
    pub subject: Arc<Subject>,
    /// Which way it came.
    pub transport: Transport,
    /// Where it came from, as the kernel says.
    pub origin: Option<Origin>,
    /// Whether it may leave what is sent to it unread for as long as it likes.
    patience: Arc<AtomicBool>,
}

/// The way in which a connection came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Through the unix socket.
    Unix,
    /// Through loopback TCP.
    Tcp,
    /// Through TCP with TLS.
    Tls,
}

impl Peer {
    /// The other side of a connection that came in this way.
    pub fn new(subject: Subject, transport: Transport) -> Self {
        Self {
            subject: Arc::new(subject),
            transport,
            origin: None,
            patience: Arc::default(),
        }
    }

    /// The same, where it is known from where it came.
    #[must_use]
    pub const fn from(mut self, origin: Origin) -> Self {
        self.origin = Some(origin);
        self
    }

    /// Lets it leave what is sent unread, as whoever stops a terminal's output does.
    pub(super) fn be_patient(&self) {
        self.patience.store(true, Ordering::Relaxed);
    }

    /// Whether it may leave what is sent unread.
    pub(super) fn patience(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.patience)
    }
}

/// Who asks, and of whom.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) api: Api,
    pub(super) peer: Peer,
    /// What they have shown besides who they are.
    pub(super) assurance: Assurance,
    /// The approval that they name for what they ask.
    pub(super) approval: Option<ApprovalId>,
    /// Whether this request counts already among those that are written down.
    pub(super) counted: Arc<AtomicBool>,
}

/// By whose hand a person asks: a token that runs wild must not keep its person from stopping it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Hand {
    /// Their own.
    Own,
    /// That of their tokens, all of them together.
    Token,
}

impl FromRequestParts<Api> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refusal> {
        let Some(peer) = parts.extensions.get::<Peer>().cloned() else {
            let detail = "The connection does not say who is on its other side.";
            return Err(Refusal::new(ProblemKind::Internal, detail));
        };
        if peer.subject.principal == Principal::Anonymous {
            let (method, path) = (&parts.method, parts.uri.path());
            let detail = format!("{method} {path} is answered only to those who are known.");
            return Err(Refusal::new(ProblemKind::LoginNeeded, detail));
        }
        Ok(Self {
            api: api.clone(),
            peer,
            assurance: parts
                .extensions
                .get::<Credentials>()
                .map_or(Assurance::None, Credentials::assurance),
            approval: approval(&parts.headers)?,
            counted: Arc::default(),
        })
    }
}

/// The approval that the header `HV-Approval` names.
fn approval(headers: &HeaderMap) -> Answer<Option<ApprovalId>> {
    let Some(value) = headers.get("hv-approval") else {
        return Ok(None);
    };
    let id = value.to_str().ok().and_then(|text| text.parse().ok());
    let bad = || Refusal::new(ProblemKind::BadRequest, "The HV-Approval header is no id.");
    id.map(Some).ok_or_else(bad)
}

impl Caller {
    /// Who asks.
    pub(super) fn principal(&self) -> &Principal {
        &self.peer.subject.principal
    }

    /// Whether they may do this to that.
    pub(super) fn decide(&self, action: Action, resource: &Resource<'_>) -> Decision {
        self.decide_with(self.assurance, action, resource)
    }

    /// The same, had they shown this.
    pub(super) fn decide_with(
        &self,
        assurance: Assurance,
        action: Action,
        resource: &Resource<'_>,
    ) -> Decision {
        let access = &self.api.app().access;
        access.decide(&self.peer.subject, assurance, action, resource)
    }

    /// Whether they may see this.
    pub(super) fn may_see(&self, action: Action, resource: &Resource<'_>) -> bool {
        matches!(self.decide(action, resource), Decision::Allow { .. })
    }

    /// Refuses a look at something that they may not see; the denial is recorded.
    pub(super) async fn must_see(&self, action: Action, resource: &Resource<'_>) -> Answer<()> {
        if self.may_see(action, resource) {
            return Ok(());
        }
        self.must_may(action, resource).await.map(drop)
    }

    /// Refuses somebody who asks on and on for what is written down. A request counts once.
    pub(super) fn must_not_flood(&self) -> Answer<()> {
        let principal = self.principal();
        let Some(person) = principal.person().filter(|_| !principal.is_root()) else {
            return Ok(());
        };
        if self.counted.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let hand = match principal {
            Principal::Token { .. } => Hand::Token,
            _ => Hand::Own,
        };
        let now = self.api.app().clock.now();
        let take = |allowance: &Allowance<_>| allowance.take((person.clone(), hand), now);
        self.api.0.asked.iter().try_for_each(take).map_err(|wait| {
            let detail = |seconds| {
                format!(
                    "{} asked more than {RECORDED_A_MINUTE} times within a minute, or \
                     {RECORDED_A_DAY} times within a day, for changes or for what they may not do. \
                     In {seconds} s they may go on.",
                    principal.label()
                )
            };
            Problem::too_soon(ProblemKind::TooManyRequests, wait, detail).into()
        })
    }

    /// The decision that allows a change, for the audit log; another one is written there at once.
    pub(super) async fn must_may(
        &self,
        action: Action,
        resource: &Resource<'_>,
    ) -> Answer<Decision> {
        self.must_not_flood()?;
        let decision = self.decide(action, resource);
        if let Err(refusal) = self.unless_allowed(&decision, action, resource) {
            self.record(action, resource, decision).await?;
            return Err(refusal);
        }
        Ok(decision)
    }

    /// Writes a decision to the audit log that no operation stands for.
    pub(super) async fn record(
        &self,
        action: Action,
        target: &impl ToString,
        decision: Decision,
    ) -> Answer<()> {
        let (principal, target) = (self.principal().clone(), target.to_string());
        let from = self.peer.origin;
        let write = move |write: &crate::store::WriteTransaction<'_>| {
            write
                .append_audit(&principal, from, action, &target, &decision, None)
                .map(drop)
        };
        Ok(self
            .api
            .app()
            .store
            .write("audit a decision", write)
            .await?)
    }

    /// Says who may not do what to what, which policy says so, and how to go on.
    fn unless_allowed(
        &self,
        decision: &Decision,
        action: Action,
        resource: &Resource<'_>,
    ) -> Answer<()> {
        let (who, what) = (self.principal().label(), action.as_str());
        let (kind, why) = match decision {
            Decision::Allow { .. } => return Ok(()),
            Decision::Deny { policy } if policy == "default" => {
                (ProblemKind::Denied, "no policy permits it".to_owned())
            }
            Decision::Deny { policy } => (
                ProblemKind::Denied,
                format!("the policy {policy} forbids it"),
            ),
            Decision::Ask { policy, needs } => match needs {
                Need::Proof => (
                    ProblemKind::ProofNeeded,
                    format!("the policy {policy} asks for a fresh proof of identity"),
                ),
                Need::SecondPerson => (
                    ProblemKind::ApprovalNeeded,
                    format!("the policy {policy} asks for a second person"),
                ),
            },
        };
        let may = match kind {
            ProblemKind::Denied => "may not do",
            _ => "may not yet do",
        };
        let detail = format!("{who} {may} {what} to {resource}: {why}.");
        Err(Problem::new(kind, detail).into())
    }
}
