// SPDX-License-Identifier: GPL-3.0-or-later
//! `/v1/access/bootstrap`: the first account of a host.
//!
//! There is no default account and no default password. The host's root makes the first account,
//! on the unix socket, and only while there is none.

use axum::http::StatusCode;
use hv_model::{
    access::{Action, Principal},
    account::{Account, NewAccount},
    name::GrantName,
    problem::{Problem, ProblemKind},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api, Transport,
    body::Json,
    caller::Caller,
    login::{allowed, private},
    query::{NoParameters, Query},
    refusal::Answer,
};
use crate::{access::Resource, store::WriteTransaction};

/// What the grant of the first account is called. There is one of this name at most.
const GRANT: &str = "bootstrap";

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(bootstrap))
}

/// Make the first account
///
/// An administrator's. Only on the unix socket, for root or the daemon's own user, and only while
/// there is no account.
#[utoipa::path(post, path = "/v1/access/bootstrap", tag = "access",
    responses((status = 201, body = Account)))]
async fn bootstrap(caller: Caller, _: Query<NoParameters>, Json(new): Json<NewAccount>) -> Answer {
    if !may_bootstrap(&caller) {
        let detail = "The first account is made by root on the host itself.";
        let mut problem = Problem::new(ProblemKind::Denied, detail);
        "On the host: sudo hv access bootstrap.".clone_into(&mut problem.hint);
        return Err(problem.into());
    }
    let app = caller.api.app();
    let is_first = app.store.read(|read| Ok(!read.has_accounts()?));
    if !is_first.await? {
        return Err(there_are_accounts().into());
    }
    let hash = app
        .authenticator
        .hash_password("password", &new.password, &new.name);
    let hash = hash.await?;
    let resource = Resource::Account(&new.name);
    allowed(&caller, Action::AccountChange, &resource, "bootstrap").await?;
    let name = new.name.clone();
    let given_as = GRANT
        .parse::<GrantName>()
        .map_err(|error| Problem::new(ProblemKind::Internal, format!("{error}.")))?;
    let write = move |write: &WriteTransaction<'_>| {
        // Somebody else may have been quicker.
        if write.has_accounts()? {
            return Err(there_are_accounts().into());
        }
        let row = write.add_account(&name, &hash)?;
        write.grant_first_admin(&name, given_as)?;
        Ok(row.account)
    };
    let account = app.store.write("make the first account", write).await?;
    if let Err(fault) = app.access.reload(&app.config.access, &app.store).await {
        let detail = format!("The account is made, but may do nothing yet: {fault}.");
        return Err(Problem::new(ProblemKind::Internal, detail).into());
    }
    Ok(private(StatusCode::CREATED, &account))
}

/// Whether it is root, or the user that the daemon runs as, on the host itself.
fn may_bootstrap(caller: &Caller) -> bool {
    let own = rustix::process::geteuid().as_raw();
    match caller.principal() {
        Principal::User { uid, .. } => {
            caller.peer.transport == Transport::Unix && (*uid == 0 || *uid == own)
        }
        _ => false,
    }
}

fn there_are_accounts() -> Problem {
    let detail = "There are accounts already, so none is the first.";
    let mut problem = Problem::new(ProblemKind::WrongState, detail);
    "Add another one: hv access account add NAME.".clone_into(&mut problem.hint);
    problem.with_try("hv access account list")
}
