// SPDX-License-Identifier: GPL-3.0-or-later
//! `/v1/tokens`: what programs carry.

use axum::http::StatusCode;
use axum::response::IntoResponse;
use hv_model::{
    access::{Action, ApiToken, MadeToken, NewToken, Principal},
    id::TokenId,
    name::TokenName,
    page::Page,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    account::{OfWhom, must_administer, must_be_person, must_prove, own_person},
    body::Json,
    caller::Caller,
    credential::Credentials,
    login::{allowed, noted, private},
    path::Key,
    query::{NoParameters, Query},
    refusal::Answer,
};
use crate::{access::Resource, store::WriteTransaction};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list, make))
        .routes(routes!(revoke))
}

/// List tokens
///
/// Your own, or with `of` those of others, by owner and name. Their secrets are not known.
#[utoipa::path(get, path = "/v1/tokens", tag = "access", params(OfWhom),
    responses((status = 200, body = Page<ApiToken>)))]
async fn list(caller: Caller, Query(query): Query<OfWhom>) -> Answer {
    let of = query.person(&caller).await?;
    let read = caller
        .api
        .app()
        .store
        .read(move |read| read.tokens(of.as_ref()));
    Ok(private(StatusCode::OK, &Page::whole(read.await?)))
}

/// Make a token
///
/// For a program of yours. It may what you may, within its roles and VMs, until it ends. Its secret
/// is in this answer and nowhere else. Who has logged in needs a fresh proof.
#[utoipa::path(post, path = "/v1/tokens", tag = "access",
    responses((status = 201, body = MadeToken)))]
async fn make(
    caller: Caller,
    credentials: Credentials,
    _: Query<NoParameters>,
    Json(new): Json<NewToken>,
) -> Answer {
    let person = must_be_person(&caller)?.clone();
    if matches!(caller.principal(), Principal::Account { .. }) {
        must_prove(&credentials, "Making a token")?;
    }
    let resource = Resource::Account(&person);
    allowed(&caller, Action::AccountChange, &resource, "own-token").await?;
    let authenticator = &caller.api.app().authenticator;
    let made = authenticator.make_token(person.clone(), new).await?;
    Ok(private(StatusCode::CREATED, &made))
}

/// Revoke a token
///
/// By its id, or one of yours by its name; those of others if you may change accounts. What goes on
/// with it is cut off.
#[utoipa::path(delete, path = "/v1/tokens/{token}", tag = "access",
    params(("token" = String, Path, description = "Its id, or the name of one of yours.")),
    responses((status = 204, description = "The token is refused from now on.")))]
async fn revoke(caller: Caller, key: Key, _: Query<NoParameters>) -> Answer {
    let app = caller.api.app();
    let missing = || key.not_found("token", "hv access token list");
    let (id, name) = (
        key.0.parse::<TokenId>().ok(),
        key.0.parse::<TokenName>().ok(),
    );
    let own = own_person(&caller).cloned();
    let owner = own.clone();
    let read = app.store.read(move |read| {
        let found = id.map(|id| read.token_with_id(id)).transpose()?.flatten();
        match (found, owner.zip(name)) {
            (None, Some((owner, name))) => read.token_named(&owner, &name),
            (found, _) => Ok(found),
        }
    });
    let token = read.await?.ok_or_else(missing)?;
    let resource = Resource::Account(&token.owner);
    if own.as_ref() == Some(&token.owner) {
        noted(&caller, Action::AccountChange, &resource, "own-token").await?;
    } else if caller.may_see(Action::AccessView, &resource) {
        let summary = format!("revoke a token of {}", token.owner);
        must_administer(&caller, &token.owner, summary).await?;
    } else {
        return Err(missing());
    }
    let write = move |write: &WriteTransaction<'_>| write.remove_token(token.id);
    app.store.write("revoke a token", write).await?;
    app.authenticator.sweep().await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
