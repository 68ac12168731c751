// SPDX-License-Identifier: GPL-3.0-or-later
//! Whether who asked for an operation still may, once its turn has come.
//!
//! It may have waited behind others while grants were taken away, or while the VM got another owner
//! or other tags, or a token may have been revoked or have ended. What was shown when it was asked
//! for, a proof or an approval, counts still.

use std::sync::Arc;

use hv_model::{
    access::{Decision, Principal, TokenScope},
    inventory::CreateVm,
    operation::{Operation, OperationKind},
    problem::{Problem, ProblemKind},
};

use super::{Context, Stop};
use crate::access::{Assurance, Resource, Subject, VmTraits, people};

impl Context {
    /// Refuses what who asked for it may no longer do, and records that.
    pub(super) async fn expect_still_allowed(&self) -> Result<(), Stop> {
        let operation = self.operation();
        if operation.actor == Principal::System || operation.actor.is_root() {
            return Ok(());
        }
        let narrowed = self.expect_token_is_good().await?;
        let actor = operation.actor.clone();
        let subject = tokio::task::spawn_blocking(move || people::subject_of(actor)).await;
        let mut subject = subject.map_err(|error| {
            let detail = format!("Who asked for it can't be found out: {error}.");
            Problem::new(ProblemKind::Internal, detail)
        })?;
        subject.narrowed = narrowed;
        let decision = self.decide_anew(&Arc::new(subject))?;
        if decision.is_allowed() {
            return Ok(());
        }
        let (who, on) = (operation.actor.label(), target(operation));
        let detail = format!(
            "{who} was allowed to do {} to {on} when it was asked for, and is no longer.",
            operation.kind.action().as_str()
        );
        let (actor, id, action) = (
            operation.actor.clone(),
            operation.id,
            operation.kind.action(),
        );
        self.store()
            .write("operation.denied", move |tx| {
                tx.append_audit(&actor, None, action, &on, &decision, Some(id))
                    .map(drop)
            })
            .await?;
        Err(Problem::new(ProblemKind::Denied, detail).into())
    }

    /// What the token is narrowed to that it was asked for with, which must be the same and good.
    async fn expect_token_is_good(&self) -> Result<Option<TokenScope>, Stop> {
        let operation = self.operation();
        let Principal::Token { token, name } = operation.actor.clone() else {
            return Ok(None);
        };
        let (now, asked) = (self.clock().now(), operation.created);
        let label = operation.actor.label().to_owned();
        let found = self
            .store()
            .read(move |tx| tx.token_named(&name, &token))
            .await?;
        // One that was made later bears its name only.
        let good = found.filter(|token| token.expires > now && token.created <= asked);
        let Some(good) = good else {
            let detail = format!("{label} asked for it with a token that is no longer good.");
            return Err(Problem::new(ProblemKind::Denied, detail).into());
        };
        Ok(Some(good.scope))
    }

    fn decide_anew(&self, subject: &Arc<Subject>) -> Result<Decision, Stop> {
        let operation = self.operation();
        let action = operation.kind.action();
        let decide = |resource: &Resource<'_>| {
            let access = &self.engine.0.access;
            access.decide(subject, Assurance::Approved, action, resource)
        };
        if operation.target.kind == "image" {
            let name = operation.target.name.parse();
            let name = name.map_err(|error: hv_model::name::NameError| {
                Problem::new(ProblemKind::Internal, error.to_string())
            })?;
            return Ok(decide(&Resource::Image(&name)));
        }
        if operation.kind == OperationKind::VmCreate {
            let request: CreateVm = serde_json::from_value(operation.parameters.clone())
                .map_err(|error| Problem::new(ProblemKind::Internal, error.to_string()))?;
            let traits = VmTraits::of_spec(&request.spec);
            return Ok(decide(&Resource::no_vm(&traits)));
        }
        let snapshot = self.snapshot();
        let id = operation.target.id.parse().ok();
        match id.and_then(|id| snapshot.vm_by_id(id)) {
            Some(vm) => Ok(decide(&Resource::vm(vm))),
            // The job itself says that it is gone.
            None => Ok(decide(&Resource::no_vm(&VmTraits::named(
                &operation.target.name,
            )))),
        }
    }
}

fn target(operation: &Operation) -> String {
    format!("{}/{}", operation.target.kind, operation.target.name)
}
