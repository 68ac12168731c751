// SPDX-License-Identifier: GPL-3.0-or-later
//! `/v1/accounts`: people who come over the network, their passwords and second factors.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use hv_model::{
    access::{Action, Principal},
    account::{
        Account, AccountState, ChangeAccount, ConfirmTotp, NewAccount, RecoveryCodes, SetPassword,
        TotpEnrolment,
    },
    name::UserName,
    page::Page,
    problem::ProblemKind,
};
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    approval::Grave,
    body::Json,
    caller::Caller,
    credential::Credentials,
    login::{allowed, private},
    path::Key,
    query::{Flag, NoParameters, Query},
    refusal::{Answer, Refusal},
};
use crate::{
    access::{Resource, Whence},
    store::{StoreError, WriteTransaction},
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(show, change, delete))
        .routes(routes!(set_password))
        .routes(routes!(begin_totp, remove_totp))
        .routes(routes!(confirm_totp))
}

/// Whose sessions or tokens are wanted.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct OfWhom {
    /// Those of this person; your own, if not given.
    #[param(value_type = Option<String>)]
    of: Option<UserName>,
    /// `true`: those of everybody.
    #[param(value_type = Option<bool>)]
    all: Flag,
}

impl OfWhom {
    /// Whose they are, or everybody's, if the caller may see them.
    pub(super) async fn person(self, caller: &Caller) -> Answer<Option<UserName>> {
        let of = match (self.all, self.of) {
            (Flag::Yes, _) => None,
            (Flag::No, Some(of)) => Some(of),
            (Flag::No, None) => Some(must_be_person(caller)?.clone()),
        };
        if of.is_none() || of.as_ref() != own_person(caller) {
            let resource = of.as_ref().map_or(Resource::Access, Resource::Account);
            caller.must_see(Action::AccessView, &resource).await?;
        }
        Ok(of)
    }
}

/// The person who asks by themselves, not by a program.
pub(super) fn own_person(caller: &Caller) -> Option<&UserName> {
    match caller.principal() {
        Principal::User { name, .. } | Principal::Account { name } => Some(name),
        _ => None,
    }
}

/// The person who asks by themselves. A token reaches no accounts, sessions and tokens, or else it
/// could make itself one that is narrowed less.
pub(super) fn must_be_person(caller: &Caller) -> Answer<&UserName> {
    own_person(caller).ok_or_else(|| {
        let detail = "A token may not see or change accounts, sessions and tokens.";
        Refusal::new(ProblemKind::Denied, detail)
    })
}

/// Refuses who has not freshly proved who they are.
pub(super) fn must_prove(credentials: &Credentials, what: &str) -> Answer<()> {
    if credentials.has_proof {
        return Ok(());
    }
    let detail = format!("{what} needs a fresh proof of who you are.");
    Err(Refusal::new(ProblemKind::ProofNeeded, detail))
}

fn name(key: &Key) -> Answer<UserName> {
    let missing = || key.not_found("account", "hv access account list");
    key.0.parse().map_err(|_| missing())
}

/// Whether the account is the caller's own. Root needs none to do what an administrator may.
fn is_own(caller: &Caller, name: &UserName) -> bool {
    !caller.principal().is_root() && own_person(caller) == Some(name)
}

/// Records that whoever may change accounts changes this one; refuses others. `summary` says what
/// will happen, where a second person must approve it.
pub(super) async fn must_administer(
    caller: &Caller,
    name: &UserName,
    summary: String,
) -> Answer<()> {
    must_be_person(caller)?;
    let (action, resource) = (Action::AccountChange, Resource::Account(name));
    let grave = Grave {
        action,
        resource,
        id: None,
        summary,
        // Passwords are not shown to who approves, and nothing else is sent.
        details: serde_json::Value::Null,
    };
    let decision = caller.must_may_grave(grave).await?;
    caller.record(action, &resource, decision).await
}

/// Records that somebody changes their own account.
async fn changes_own(caller: &Caller, name: &UserName) -> Answer<()> {
    let resource = Resource::Account(name);
    allowed(caller, Action::AccountChange, &resource, "own-account").await
}

/// List accounts
///
/// All of them, by name; only your own, if you may not see who may do what.
#[utoipa::path(get, path = "/v1/accounts", tag = "access",
    responses((status = 200, body = Page<Account>)))]
async fn list(caller: Caller, _: Query<NoParameters>) -> Answer {
    let own = must_be_person(&caller)?.clone();
    let sees_all = caller.may_see(Action::AccessView, &Resource::Access);
    let read = caller.api.app().store.read(move |read| {
        let mut accounts = read.accounts()?;
        accounts.retain(|account| sees_all || account.name == own);
        Ok(Page::whole(accounts))
    });
    Ok(private(StatusCode::OK, &read.await?))
}

/// Show an account
///
/// Your own, or any if you may see who may do what.
#[utoipa::path(get, path = "/v1/accounts/{account}", tag = "access",
    params(("account" = UserName, Path, description = "Its name.")),
    responses((status = 200, body = Account)))]
async fn show(caller: Caller, key: Key, _: Query<NoParameters>) -> Answer {
    must_be_person(&caller)?;
    let name = name(&key)?;
    if own_person(&caller) != Some(&name)
        && !caller.may_see(Action::AccessView, &Resource::Account(&name))
    {
        return Err(key.not_found("account", "hv access account list"));
    }
    answer(&caller, &name, StatusCode::OK).await
}

async fn answer(caller: &Caller, name: &UserName, status: StatusCode) -> Answer {
    let look = name.clone();
    let read = caller.api.app().store.read(move |read| read.account(&look));
    let missing = || Key(name.to_string()).not_found("account", "hv access account list");
    let row = read.await?.ok_or_else(missing)?;
    Ok(private(status, &row.account))
}

/// Add an account
///
/// Who has it may do what grants say of this name.
#[utoipa::path(post, path = "/v1/accounts", tag = "access",
    responses((status = 201, body = Account)))]
async fn add(caller: Caller, _: Query<NoParameters>, Json(new): Json<NewAccount>) -> Answer {
    let summary = format!("add the account {}", new.name);
    must_administer(&caller, &new.name, summary).await?;
    let app = caller.api.app();
    let hash = app
        .authenticator
        .hash_password("password", &new.password, &new.name);
    let (hash, name) = (hash.await?, new.name.clone());
    let write = move |write: &WriteTransaction<'_>| write.add_account(&name, &hash).map(drop);
    app.store.write("add an account", write).await?;
    let mut response = answer(&caller, &new.name, StatusCode::CREATED).await?;
    if let Ok(place) = HeaderValue::try_from(format!("/v1/accounts/{}", new.name)) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// Enable or disable an account
///
/// Disabling ends its sessions and refuses its tokens, until it is enabled again.
#[utoipa::path(patch, path = "/v1/accounts/{account}", tag = "access",
    params(("account" = UserName, Path, description = "Its name.")),
    responses((status = 200, body = Account)))]
async fn change(
    caller: Caller,
    key: Key,
    _: Query<NoParameters>,
    Json(change): Json<ChangeAccount>,
) -> Answer {
    let name = name(&key)?;
    let summary = format!("make the account {name} {}", change.state.as_str());
    must_administer(&caller, &name, summary).await?;
    let account = name.clone();
    let write = move |write: &WriteTransaction<'_>| {
        write.known_account(&account)?;
        write.set_account_state(&account, change.state)?;
        if change.state == AccountState::Disabled {
            write.remove_sessions_of(&account, None)?;
        }
        Ok::<_, StoreError>(())
    };
    let app = caller.api.app();
    app.store.write("change an account", write).await?;
    app.authenticator.sweep().await?;
    answer(&caller, &name, StatusCode::OK).await
}

/// Delete an account
///
/// With its sessions and the tokens of that name. VMs keep their owner, and grants stay.
#[utoipa::path(delete, path = "/v1/accounts/{account}", tag = "access",
    params(("account" = UserName, Path, description = "Its name.")),
    responses((status = 204, description = "The account is gone.")))]
async fn delete(caller: Caller, key: Key, _: Query<NoParameters>) -> Answer {
    let name = name(&key)?;
    must_administer(&caller, &name, format!("delete the account {name}")).await?;
    let write = move |write: &WriteTransaction<'_>| {
        write.known_account(&name)?;
        write.remove_account(&name)
    };
    let app = caller.api.app();
    app.store.write("delete an account", write).await?;
    app.authenticator.sweep().await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Set a password
///
/// Your own, with the one that it was; or that of others, if you may change accounts. All other
/// sessions of the account end.
#[utoipa::path(put, path = "/v1/accounts/{account}/password", tag = "access",
    params(("account" = UserName, Path, description = "The account's name.")),
    responses((status = 204, description = "The password is set.")))]
async fn set_password(
    caller: Caller,
    credentials: Credentials,
    whence: Whence,
    key: Key,
    _: Query<NoParameters>,
    Json(set): Json<SetPassword>,
) -> Answer {
    let name = name(&key)?;
    let app = caller.api.app();
    if is_own(&caller, &name) {
        let current = set.current_password.as_ref();
        match current {
            Some(current) => {
                let checked = app.authenticator.check_password(&name, current, &whence);
                checked.await?;
            }
            None => must_prove(
                &credentials,
                "Setting your password without the current one",
            )?,
        }
        changes_own(&caller, &name).await?;
    } else {
        must_administer(&caller, &name, format!("set the password of {name}")).await?;
    }
    let hash = app
        .authenticator
        .hash_password("password", &set.password, &name);
    let (hash, kept) = (hash.await?, credentials.session.map(|session| session.id));
    let write = move |write: &WriteTransaction<'_>| {
        write.known_account(&name)?;
        write.set_password(&name, &hash)?;
        write.remove_sessions_of(&name, kept).map(drop)
    };
    app.store.write("set a password", write).await?;
    app.authenticator.sweep().await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Get a second factor
///
/// For your own account, with a fresh proof. The answer is a secret for an app; it counts once you
/// have confirmed it with a code.
#[utoipa::path(post, path = "/v1/accounts/{account}/totp", tag = "access",
    params(("account" = UserName, Path, description = "The account's name.")),
    responses((status = 200, body = TotpEnrolment)))]
async fn begin_totp(
    caller: Caller,
    credentials: Credentials,
    key: Key,
    _: Query<NoParameters>,
) -> Answer {
    let name = own_name(&caller, &key)?;
    if !caller.principal().is_root() {
        must_prove(&credentials, "Getting a second factor")?;
    }
    changes_own(&caller, &name).await?;
    let begun = caller.api.app().authenticator.begin_totp(&name).await?;
    Ok(private(StatusCode::OK, &begun))
}

/// The name of the caller's own account; whoever got a second factor for somebody else would have
/// their codes.
fn own_name(caller: &Caller, key: &Key) -> Answer<UserName> {
    let name = name(key)?;
    if *must_be_person(caller)? == name {
        return Ok(name);
    }
    let detail = "Only who has an account can get a second factor for it.";
    Err(Refusal::new(ProblemKind::Denied, detail))
}

/// Confirm a second factor
///
/// With a code of the app that got its secret. From now on logging in takes a code. The answer has
/// ten recovery codes, each of which stands in for a lost app, once.
#[utoipa::path(post, path = "/v1/accounts/{account}/totp/confirm", tag = "access",
    params(("account" = UserName, Path, description = "The account's name.")),
    responses((status = 200, body = RecoveryCodes)))]
async fn confirm_totp(
    caller: Caller,
    key: Key,
    _: Query<NoParameters>,
    Json(confirm): Json<ConfirmTotp>,
) -> Answer {
    let name = own_name(&caller, &key)?;
    changes_own(&caller, &name).await?;
    let authenticator = &caller.api.app().authenticator;
    let codes = authenticator.confirm_totp(&name, &confirm.code).await?;
    Ok(private(StatusCode::OK, &codes))
}

/// Remove a second factor
///
/// Your own, with a fresh proof; or that of others, if you may change accounts, such as when they
/// have lost their app and their recovery codes.
#[utoipa::path(delete, path = "/v1/accounts/{account}/totp", tag = "access",
    params(("account" = UserName, Path, description = "The account's name.")),
    responses((status = 204, description = "The password alone is enough again.")))]
async fn remove_totp(
    caller: Caller,
    credentials: Credentials,
    key: Key,
    _: Query<NoParameters>,
) -> Answer {
    let name = name(&key)?;
    if is_own(&caller, &name) {
        must_prove(&credentials, "Removing your second factor")?;
        changes_own(&caller, &name).await?;
    } else {
        let summary = format!("remove the second factor of {name}");
        must_administer(&caller, &name, summary).await?;
    }
    let write = move |write: &WriteTransaction<'_>| {
        write.known_account(&name)?;
        write.remove_totp(&name)
    };
    let app = caller.api.app();
    app.store.write("remove a second factor", write).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
