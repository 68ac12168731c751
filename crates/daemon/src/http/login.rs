// SPDX-License-Identifier: GPL-3.0-or-later
//! `/v1/login`, `/v1/logout`, `/v1/whoami`, `/v1/proof`: who somebody is, and how they show it.

use std::sync::Arc;

use axum::{
    Extension, Json as JsonAnswer,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use hv_model::{
    access::{Action, Decision, Principal},
    name::UserName,
    problem::{Problem, ProblemKind},
    session::{Carry, LoggedIn, Login, Proof, Prove, WhoAmI},
};
use serde::Serialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api, Peer, Transport,
    body::Json,
    caller::Caller,
    credential::{self, Credentials},
    query::{NoParameters, Query},
    refusal::{Answer, Refusal},
};
use crate::{
    access::{Assurance, Resource, Subject, Whence, csrf},
    store::WriteTransaction,
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(log_in))
        .routes(routes!(log_out))
        .routes(routes!(who_am_i))
        .routes(routes!(prove))
}

/// An answer that nothing between here and its reader may keep.
pub(super) fn private(status: StatusCode, answer: &impl Serialize) -> Response {
    let mut response = (status, JsonAnswer(answer)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Log in
///
/// With an account's name and password, and a code where it has a second factor. The session comes
/// in a cookie, or in the answer for a program that carries it itself. Failed attempts make the
/// next ones wait.
#[utoipa::path(post, path = "/v1/login", tag = "access",
    responses((status = 200, body = LoggedIn)))]
async fn log_in(
    State(api): State<Api>,
    Extension(peer): Extension<Peer>,
    whence: Whence,
    _: Query<NoParameters>,
    Json(login): Json<Login>,
) -> Answer {
    if peer.transport == Transport::Unix {
        let detail =
            "On this socket the kernel says who you are, so there is nothing to log in to.";
        let mut problem = Problem::new(ProblemKind::WrongState, detail);
        "Just ask. GET /v1/whoami says who you are.".clone_into(&mut problem.hint);
        return Err(problem.into());
    }
    // Nobody is known yet, and this is what one may do nevertheless.
    let caller = Caller {
        api,
        peer,
        assurance: Assurance::None,
        approval: None,
        counted: Arc::default(),
    };
    let authenticator = &caller.api.app().authenticator;
    let checked = authenticator
        .check_login(&login.name, &login.password, login.code.as_ref(), &whence)
        .await;
    let row = match checked {
        Ok(row) => row,
        Err(problem) => return Err(failed(&caller, &login.name, problem).await?),
    };
    let name = row.account.name.clone();
    let policy = if row.second_factor().is_some() {
        "password-and-code"
    } else {
        "password"
    };
    let mut known = caller.clone();
    known.peer.subject = Arc::new(Subject::new(Principal::Account { name: name.clone() }));
    allowed(
        &known,
        Action::AccountLogin,
        &Resource::Account(&name),
        policy,
    )
    .await?;
    let opened = authenticator.open_session(&row, login.carry, &whence).await;
    let (session, secret) = opened?;
    let seconds = session.expires.duration_since(session.created).as_secs();
    let answer = LoggedIn {
        session,
        csrf: csrf(secret.expose()),
        bearer: (login.carry == Carry::Bearer).then(|| secret.clone()),
    };
    let mut response = private(StatusCode::OK, &answer);
    if login.carry == Carry::Cookie
        && let Some(cookie) = credential::set_cookie(&secret, u64::try_from(seconds).unwrap_or(0))
    {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Records that somebody failed to show who they are, and gives the refusal. A name that nobody
/// has is not recorded: it may be a password that was typed in the wrong place.
async fn failed(caller: &Caller, name: &str, problem: Problem) -> Answer<Refusal> {
    let is_guess = matches!(
        problem.kind,
        ProblemKind::LoginFailed | ProblemKind::TooManyAttempts
    );
    if !is_guess {
        return Ok(problem.into());
    }
    let app = caller.api.app();
    let known = match name.parse::<UserName>() {
        Ok(name) => {
            app.store
                .read(move |read| Ok(read.account(&name)?.map(|row| row.account.name)))
                .await?
        }
        Err(_) => None,
    };
    let resource = known.as_ref().map_or(Resource::Access, Resource::Account);
    let policy = problem.kind.entry().slug.to_owned();
    if caller.api.guesses().take((), app.clock.now()).is_ok() {
        let decision = Decision::Deny { policy };
        caller
            .record(Action::AccountLogin, &resource, decision)
            .await?;
    } else {
        tracing::warn!(%resource, policy, "a login failed, too often to record");
    }
    Ok(problem.into())
}

/// Records what somebody may do by what they have shown, unless they ask for it on and on.
pub(super) async fn allowed(
    caller: &Caller,
    action: Action,
    resource: &Resource<'_>,
    policy: &str,
) -> Answer<()> {
    caller.must_not_flood()?;
    noted(caller, action, resource, policy).await
}

/// The same for what ends something: that was made, and making it counted.
pub(super) async fn noted(
    caller: &Caller,
    action: Action,
    resource: &Resource<'_>,
    policy: &str,
) -> Answer<()> {
    let policy = policy.to_owned();
    caller
        .record(action, resource, Decision::Allow { policy })
        .await
}

/// Log out
///
/// Ends the session that the request carries, and everything that goes on in it.
#[utoipa::path(post, path = "/v1/logout", tag = "access",
    responses((status = 204, description = "The session is over.")))]
async fn log_out(caller: Caller, credentials: Credentials, _: Query<NoParameters>) -> Answer {
    let Some(session) = credentials.session else {
        let detail = "This request carries no session that could be ended.";
        return Err(Refusal::new(ProblemKind::WrongState, detail));
    };
    let resource = Resource::Account(&session.account);
    noted(&caller, Action::AccountChange, &resource, "own-session").await?;
    let app = caller.api.app();
    let write = move |write: &WriteTransaction<'_>| write.remove_session(session.id);
    app.store.write("log out", write).await?;
    app.authenticator.sweep().await?;
    let cookie = [(header::SET_COOKIE, credential::no_cookie())];
    Ok((StatusCode::NO_CONTENT, cookie).into_response())
}

/// Tell who you are
///
/// Who the daemon takes you for, by what, and what a page of a browser must send with each change.
#[utoipa::path(get, path = "/v1/whoami", tag = "access",
    responses((status = 200, body = WhoAmI)))]
async fn who_am_i(caller: Caller, credentials: Credentials, _: Query<NoParameters>) -> Answer {
    let answer = WhoAmI {
        principal: caller.principal().clone(),
        session: credentials.session,
        scope: caller.peer.subject.narrowed.clone(),
        csrf: credentials.csrf,
    };
    Ok(private(StatusCode::OK, &answer))
}

/// Prove anew who you are
///
/// By your account's password; by a code, if it has a second factor. The proof is good for five
/// minutes, with this session or for this user of the host alone: send it in the header
/// `HV-Proof`.
#[utoipa::path(post, path = "/v1/proof", tag = "access",
    responses((status = 200, body = Proof)))]
async fn prove(
    caller: Caller,
    credentials: Credentials,
    whence: Whence,
    _: Query<NoParameters>,
    Json(prove): Json<Prove>,
) -> Answer {
    let prover = credential::prover(&caller.peer, &credentials);
    let Some((prover, person)) = prover.zip(caller.principal().person()) else {
        let detail = "A token cannot prove who carries it.";
        return Err(Refusal::new(ProblemKind::Denied, detail));
    };
    let authenticator = &caller.api.app().authenticator;
    match authenticator.prove(prover, person, &prove, &whence).await {
        Ok(proof) => {
            let resource = Resource::Account(person);
            allowed(&caller, Action::AccountLogin, &resource, "proof").await?;
            Ok(private(StatusCode::OK, &proof))
        }
        Err(problem) => Err(failed(&caller, person.as_str(), problem).await?),
    }
}
