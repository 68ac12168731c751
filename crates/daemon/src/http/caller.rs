// SPDX-License-Identifier: GPL-3.0-or-later
//! Who asks: what the connection knows of the other side, and what they may.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{extract::FromRequestParts, http::request::Parts};
use hv_model::{
    access::{Action, Decision, Origin, Principal},
    problem::{Problem, ProblemKind},
};

use super::{
    Api,
    refusal::{Answer, Refusal},
};
use crate::access::{Resource, authorize};

/// The other side of a connection. Whoever serves a connection puts it into each request.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Who it is.
    pub principal: Principal,
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
}

impl Peer {
    /// The other side of a connection that came in this way.
    pub fn new(principal: Principal, transport: Transport) -> Self {
        Self {
            principal,
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
}

impl FromRequestParts<Api> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refusal> {
        let Some(peer) = parts.extensions.get::<Peer>().cloned() else {
            let detail = "The connection does not say who is on its other side.";
            return Err(Refusal::new(ProblemKind::Internal, detail));
        };
        Ok(Self {
            api: api.clone(),
            peer,
        })
    }
}

impl Caller {
    /// Who asks.
    pub(super) fn principal(&self) -> &Principal {
        &self.peer.principal
    }

    /// Whether they may do this to that.
    pub(super) fn decide(&self, action: Action, resource: &Resource<'_>) -> Decision {
        authorize(self.principal(), action, resource)
    }

    /// Whether they may see this.
    pub(super) fn may_see(&self, action: Action, resource: &Resource<'_>) -> bool {
        matches!(self.decide(action, resource), Decision::Allow { .. })
    }

    /// Refuses a look at a list or log that they may not see; the denial is recorded.
    pub(super) async fn must_see(&self, action: Action, resource: &Resource<'_>) -> Answer<()> {
        self.must_may(action, resource).await.map(drop)
    }

    /// The decision that allows a change, for the audit log; a denial is written there at once.
    pub(super) async fn must_may(
        &self,
        action: Action,
        resource: &Resource<'_>,
    ) -> Answer<Decision> {
        let decision = self.decide(action, resource);
        let (Decision::Deny { policy } | Decision::Ask { policy, .. }) = &decision else {
            return Ok(decision);
        };
        let refusal = self.denied(action, resource, policy);
        let may_record = *self.principal() != Principal::Anonymous
            || self.api.denials().take(self.api.app().clock.now());
        if may_record {
            self.record(action, resource, decision).await?;
        } else {
            tracing::warn!(action = action.as_str(), %resource, "denied, too often to record");
        }
        Err(refusal)
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

    fn denied(&self, action: Action, resource: &Resource<'_>, policy: &str) -> Refusal {
        let who = match self.principal() {
            Principal::Anonymous => "Whoever comes over TCP cannot be known, and".to_owned(),
            known => known.label().to_owned(),
        };
        let detail = format!(
            "{who} may not do {} to {resource} ({policy}).",
            action.as_str()
        );
        Problem::new(ProblemKind::Denied, detail).into()
    }
}
