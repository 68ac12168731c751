// SPDX-License-Identifier: GPL-3.0-or-later
//! Calls about who may do what.

use hv_model::{
    access::{AccessAnswer, AccessQuestion, AccessView, Approval, Grant, Verdict},
    id::ApprovalId,
    name::GrantName,
    page::Page,
};
use hyper::Method;

use crate::{Client, Result, request::Call};

impl Client {
    /// Who may do what: every grant, and the owner's own policies.
    pub async fn access(&self) -> Result<AccessView> {
        self.call(Call::new(Method::GET, &["access"])).await
    }

    /// Gives somebody a role.
    pub async fn give(&self, grant: &Grant) -> Result<Grant> {
        let call = Call::new(Method::POST, &["access", "grants"]).json(grant)?;
        self.call(call).await
    }

    /// Takes a grant away.
    pub async fn take(&self, grant: &GrantName) -> Result<()> {
        let call = Call::new(Method::DELETE, &["access", "grants", grant.as_str()]);
        self.done(call).await
    }

    /// Whether somebody may do something, and why.
    pub async fn explain_access(&self, question: &AccessQuestion) -> Result<AccessAnswer> {
        let call = Call::new(Method::POST, &["access", "explain"]).json(question)?;
        self.call(call).await
    }

    /// Has the policies read again.
    pub async fn reload_access(&self) -> Result<()> {
        self.done(Call::new(Method::POST, &["access", "reload"]))
            .await
    }

    /// The words that policies can use: Cedar's schema.
    pub async fn access_schema(&self) -> Result<String> {
        self.text(Call::new(Method::GET, &["access", "schema"]))
            .await
    }

    /// The requests for approval that are open, as far as one may see them.
    pub async fn approvals(&self) -> Result<Page<Approval>> {
        self.call(Call::new(Method::GET, &["approvals"])).await
    }

    /// A request for approval.
    pub async fn approval(&self, id: ApprovalId) -> Result<Approval> {
        self.call(Call::new(Method::GET, &["approvals", &id.to_string()]))
            .await
    }

    /// Approves a request, as it was seen.
    pub async fn approve(&self, id: ApprovalId, verdict: &Verdict) -> Result<Approval> {
        let call = Call::new(Method::POST, &["approvals", &id.to_string(), "approve"]);
        self.call(call.json(verdict)?).await
    }

    /// Refuses a request, as it was seen.
    pub async fn refuse(&self, id: ApprovalId, verdict: &Verdict) -> Result<Approval> {
        let call = Call::new(Method::POST, &["approvals", &id.to_string(), "refuse"]);
        self.call(call.json(verdict)?).await
    }
}
