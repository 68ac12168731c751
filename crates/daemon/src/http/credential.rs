// SPDX-License-Identifier: GPL-3.0-or-later
//! What a request carries to be known by: a session's cookie, a bearer's secret, a fresh proof.
//!
//! ```text
//!  unix socket ── the kernel says who it is ──────────────────────────────────▶ User
//!  TCP, TLS ──┬── Authorization: Bearer hvs_… or hvt_… ── store ──────────────▶ Account or Token
//!             ├── Cookie: __Host-hv=hvs_… ── store ── same page? HV-CSRF? ────▶ Account
//!             └── nothing ────────────────────────────────────────────────────▶ Anonymous
//! ```
//!
//! What is carried and not good is refused, never taken for nothing. An address never carries a
//! secret, since addresses are written into logs.

use std::{convert::Infallible, sync::Arc};

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use hv_model::{
    access::{ApiToken, Principal},
    problem::ProblemKind,
    secret::Secret,
    session::{Carry, Session},
};

use super::{
    Api, Peer, Transport,
    arrival::{Arrival, whence},
    origin,
    refusal::{Answer, Refusal},
};
use crate::access::{Assurance, Authenticator, Prover, Subject, Tie, Whence, csrf};

/// The name of a session's cookie. Browsers take a name that begins so only over TLS, for this
/// host alone and for all of its paths.
const COOKIE: &str = "__Host-hv";
/// What a page of ours sends with each change.
const CSRF: HeaderName = HeaderName::from_static("hv-csrf");
/// What carries a fresh proof.
const PROOF: HeaderName = HeaderName::from_static("hv-proof");
/// The one address that who is not known any more must be able to ask.
const LOGIN: &str = "/v1/login";

/// By what somebody is known, besides their connection.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// Their session.
    pub session: Option<Session>,
    /// Whether they have freshly proved who they are.
    pub has_proof: bool,
    /// What their page sends with each change.
    pub(super) csrf: Option<Secret>,
}

impl Credentials {
    /// What they have shown besides who they are.
    pub(super) const fn assurance(&self) -> Assurance {
        if self.has_proof {
            Assurance::Proof
        } else {
            Assurance::None
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Credentials {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

/// Finds out who asks, where the connection does not say it.
pub(super) async fn recognize(State(api): State<Api>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let carries_cookie = parts.headers.contains_key(header::COOKIE);
    match find_out(&api, &mut parts).await {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(refusal) => {
            let is_unknown = refusal.problem().kind == ProblemKind::SessionOver;
            let mut response = refusal.into_response();
            if is_unknown && carries_cookie {
                response
                    .headers_mut()
                    .insert(header::SET_COOKIE, no_cookie());
            }
            response
        }
    }
}

async fn find_out(api: &Api, parts: &mut Parts) -> Answer<()> {
    let Some(mut peer) = parts.extensions.get::<Peer>().cloned() else {
        // Whoever asks for the caller is told so.
        return Ok(());
    };
    let authenticator = &api.app().authenticator;
    let mut credentials = Credentials::default();
    let may_be_known = peer.transport != Transport::Unix && parts.uri.path() != LOGIN;
    if may_be_known && let Some(known) = known(authenticator, parts, peer.transport).await? {
        if let Some(arrival) = parts.extensions.get::<Arrival>() {
            authenticator.tie(known.tie(), &arrival.cutter);
        }
        let principal = known.principal();
        let groups = api.memberships().of(principal.person()).await?;
        let mut subject = Subject {
            groups,
            ..Subject::new(principal)
        };
        match known {
            Known::Session(session, secret) => {
                credentials.csrf = (session.carry == Carry::Cookie).then(|| csrf(&secret));
                credentials.session = Some(session);
            }
            Known::Token(token) => subject.narrowed = Some(token.scope),
        }
        peer.subject = Arc::new(subject);
    }
    credentials.has_proof = has_proof(authenticator, &parts.headers, &peer, &credentials)?;
    parts.extensions.insert(peer);
    parts.extensions.insert(credentials);
    Ok(())
}

/// What was carried and is good.
enum Known {
    Session(Session, zeroize::Zeroizing<String>),
    Token(ApiToken),
}

impl Known {
    fn principal(&self) -> Principal {
        match self {
            Self::Session(session, _) => Principal::Account {
                name: session.account.clone(),
            },
            Self::Token(token) => Principal::Token {
                token: token.name.clone(),
                name: token.owner.clone(),
            },
        }
    }

    fn tie(&self) -> Tie {
        match self {
            Self::Session(session, _) => Tie::Session(session.id),
            Self::Token(token) => Tie::Token(token.id),
        }
    }
}

async fn known(
    authenticator: &Authenticator,
    parts: &Parts,
    transport: Transport,
) -> Answer<Option<Known>> {
    let whence = whence(parts);
    if let Some(bearer) = bearer(&parts.headers)? {
        return match by_bearer(authenticator, bearer, &whence).await? {
            Some(known) => Ok(Some(known)),
            None => Err(not_logged_in()),
        };
    }
    let Some(secret) = cookie(&parts.headers)? else {
        return Ok(None);
    };
    let session = authenticator.session(secret).await?;
    let session = session.filter(|session| session.carry == Carry::Cookie);
    let session = session.ok_or_else(not_logged_in)?;
    check_page(parts, transport, secret)?;
    Ok(Some(Known::Session(session, secret.to_owned().into())))
}

async fn by_bearer(
    authenticator: &Authenticator,
    bearer: &str,
    whence: &Whence,
) -> Answer<Option<Known>> {
    if let Some(token) = authenticator.token(bearer, whence).await? {
        return Ok(Some(Known::Token(token)));
    }
    let session = authenticator.session(bearer).await?;
    let session = session.filter(|session| session.carry == Carry::Bearer);
    Ok(session.map(|session| Known::Session(session, bearer.to_owned().into())))
}

/// What stands behind `Authorization: Bearer`.
pub fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let Some(value) = only(headers, &header::AUTHORIZATION)? else {
        return Ok(None);
    };
    match value.split_once(' ') {
        Some((scheme, secret)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(secret.trim())),
        _ => Err(not_logged_in()),
    }
}

/// The secret in our cookie.
pub fn cookie(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let mut found = None;
    for value in headers.get_all(header::COOKIE) {
        // Other cookies are none of our business, whatever is in them.
        for pair in value.as_bytes().split(|byte| *byte == b';') {
            let Some((name, secret)) = std::str::from_utf8(pair)
                .ok()
                .and_then(|pair| pair.split_once('='))
            else {
                continue;
            };
            if name.trim() == COOKIE && found.replace(secret.trim()).is_some() {
                let detail = format!("The cookie {COOKIE} is given twice.");
                return Err(Refusal::new(ProblemKind::BadRequest, detail));
            }
        }
    }
    Ok(found)
}

/// The one value of a header.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Answer<Option<&'a str>> {
    let mut values = headers.get_all(name).iter();
    let (value, other) = (values.next(), values.next());
    if other.is_some() {
        let detail = format!("The header {name} is given twice.");
        return Err(Refusal::new(ProblemKind::BadRequest, detail));
    }
    match value.map(HeaderValue::to_str) {
        None => Ok(None),
        Some(Ok(value)) => Ok(Some(value)),
        Some(Err(_)) => {
            let detail = format!("The header {name} is not plain text.");
            Err(Refusal::new(ProblemKind::BadRequest, detail))
        }
    }
}

/// A browser sends a cookie with whatever any page makes it send. So whatever may change something
/// must come from a page of ours, and show what only such a page can know.
fn check_page(parts: &Parts, transport: Transport, secret: &str) -> Answer<()> {
    let upgrades = parts.headers.contains_key(header::UPGRADE);
    let looks = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
    if looks && !upgrades {
        return Ok(());
    }
    let denied = |detail: &str| Err(Refusal::new(ProblemKind::Denied, detail));
    if !origin::is_same(&parts.headers, &parts.uri, transport) {
        return denied("The request does not come from a page of this host: its Origin says so.");
    }
    let shown = only(&parts.headers, &CSRF)?.unwrap_or_default();
    // The digests are compared in constant time.
    let is_ours = blake3::hash(shown.as_bytes()) == blake3::hash(csrf(secret).expose().as_bytes());
    // What upgrades a connection is asked for by a browser that can send no header of ours.
    if looks || is_ours {
        return Ok(());
    }
    denied("The header HV-CSRF does not say what GET /v1/whoami does.")
}

fn has_proof(
    authenticator: &Authenticator,
    headers: &HeaderMap,
    peer: &Peer,
    credentials: &Credentials,
) -> Answer<bool> {
    let proof = only(headers, &PROOF)?;
    let prover = prover(peer, credentials);
    Ok(proof
        .zip(prover)
        .is_some_and(|(proof, prover)| authenticator.is_proof(proof, prover)))
}

/// To whom a proof of theirs is bound; programs that carry a token prove nothing.
pub(super) fn prover(peer: &Peer, credentials: &Credentials) -> Option<Prover> {
    match (&peer.subject.principal, &credentials.session) {
        (Principal::User { uid, .. }, _) => Some(Prover::User(*uid)),
        (Principal::Account { .. }, Some(session)) => Some(Prover::Session(session.id)),
        _ => None,
    }
}

/// The refusal of what nobody is known by.
fn not_logged_in() -> Refusal {
    let detail = "The session or token is not known, or not any more.";
    Refusal::new(ProblemKind::SessionOver, detail)
}

/// The header that gives a browser a session.
pub(super) fn set_cookie(secret: &Secret, seconds: u64) -> Option<HeaderValue> {
    let cookie = zeroize::Zeroizing::new(format!(
        "{COOKIE}={}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Strict",
        secret.expose()
    ));
    let mut header = HeaderValue::from_str(&cookie).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// The header that takes a browser's session away.
pub(super) fn no_cookie() -> HeaderValue {
    HeaderValue::from_static("__Host-hv=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()));
        let mut headers = HeaderMap::new();
        pairs.for_each(|(name, value)| {
            headers.append(name, value);
        });
        headers
    }

    #[test]
    fn our_cookie_is_found_among_others_and_never_taken_twice() {
        let found = |text: &str| match cookie(&headers(&[(header::COOKIE, text)])) {
            Ok(found) => found.map(str::to_owned),
            Err(_) => Some("refused".to_owned()),
        };
        assert_eq!(found("a=b; __Host-hv=x; c"), Some("x".to_owned()));
        assert_eq!(found("__host-hv=x; hv=y; x__Host-hv=z"), None);
        assert_eq!(
            found("__Host-hv=x; __Host-hv=y"),
            Some("refused".to_owned())
        );
        let twice = headers(&[
            (header::COOKIE, "__Host-hv=x"),
            (header::COOKIE, "__Host-hv=x"),
        ]);
        assert!(cookie(&twice).is_err());
    }

    #[test]
    fn only_bearers_are_taken_and_only_one() {
        let of = |text: &str| {
            bearer(&headers(&[(header::AUTHORIZATION, text)])).map(|found| found.map(str::to_owned))
        };
        assert_eq!(of("Bearer hvs_x").unwrap().as_deref(), Some("hvs_x"));
        assert_eq!(of("bearer hvs_x").unwrap().as_deref(), Some("hvs_x"));
        for bad in ["Basic YWRhOnBhc3N3b3Jk", "hvs_x", "Bearer"] {
            assert!(of(bad).is_err(), "{bad}");
        }
        let twice = headers(&[
            (header::AUTHORIZATION, "Bearer a"),
            (header::AUTHORIZATION, "Bearer b"),
        ]);
        assert!(bearer(&twice).is_err());
    }

    proptest! {
        #[test]
        fn no_header_makes_reading_it_fail(bytes in proptest::collection::vec(32_u8..=255, 0..200)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let mut map = HeaderMap::new();
                map.append(header::COOKIE, value.clone());
                map.append(header::AUTHORIZATION, value);
                let _ = (cookie(&map), bearer(&map));
            }
        }
    }
}
