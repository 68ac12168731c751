// SPDX-License-Identifier: GPL-3.0-or-later
//! Who somebody is, when the kernel does not say it.
//!
//! ```text
//!  name, password, code ──▶ lockout ──▶ hash ──▶ second factor ──▶ session (its secret, once)
//!  session's secret ──┐
//!  token ─────────────┴──▶ BLAKE3 ──▶ store: known, not over, account usable ──▶ principal
//!  password or code, anew ──▶ proof, good for five minutes
//! ```
//!
//! What is kept of secrets does not give them away, and all of it is in the store: if that is lost,
//! nobody is known any more.

use std::{net::IpAddr, path::Path, sync::Arc, time::Duration};

use hv_model::{
    document::Fault,
    name::UserName,
    problem::{Problem, ProblemKind},
    secret::Secret,
};
use zeroize::Zeroizing;

use super::{
    PasswordHash,
    cut::Cutters,
    key::SealingKey,
    lockout::Lockout,
    password::Passwords,
    proof::Proofs,
    recovery,
    totp::{self, TotpSecret},
};
use crate::{
    clock::Clock,
    config::SessionsConfig,
    store::{AccountRow, Result as StoreResult, Store, StoreError, TotpRow, WriteTransaction},
};

/// How often sessions and tokens that are over are looked for.
const SWEEP: Duration = Duration::from_secs(60);
/// How much of what a client calls itself is kept.
const AGENT: usize = 120;
/// How much of a code is looked at.
const CODE: usize = 64;

/// Knows people and programs by what they show. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Authenticator(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) limits: SessionsConfig,
    pub(super) key: SealingKey,
    pub(super) proofs: Proofs,
    pub(super) cutters: Cutters,
    passwords: Passwords,
    lockout: Lockout,
}

/// Where somebody comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Whence {
    /// Their address; none on the unix socket.
    pub address: Option<IpAddr>,
    /// What their client calls itself.
    pub agent: Option<String>,
}

impl Whence {
    /// The address as it is kept.
    pub(super) fn address_text(&self) -> String {
        self.address.map_or_else(
            || "local".to_owned(),
            |address| address.to_canonical().to_string(),
        )
    }

    /// What the client calls itself, as far as it is kept.
    pub(super) fn agent_text(&self) -> Option<String> {
        let agent = self.agent.as_deref()?;
        let kept = agent.chars().filter(|letter| !letter.is_control());
        Some(kept.take(AGENT).collect()).filter(|agent: &String| !agent.is_empty())
    }
}

/// What somebody shows of who they are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shown<'a> {
    /// Everything that is asked for: the code of a second factor, if there is one; else the
    /// password.
    All {
        password: Option<&'a Secret>,
        code: Option<&'a Secret>,
    },
    /// The password alone, which is enough.
    Password(&'a Secret),
}

impl Authenticator {
    /// One that keeps what it knows in this store, and its key in this folder.
    pub(crate) fn new(
        folder: &Path,
        store: Store,
        clock: Clock,
        limits: SessionsConfig,
    ) -> StoreResult<Self> {
        Ok(Self(Arc::new(Inner {
            store,
            clock,
            limits,
            key: SealingKey::load(folder)?,
            passwords: Passwords::new(),
            lockout: Lockout::default(),
            proofs: Proofs::default(),
            cutters: Cutters::default(),
        })))
    }

    /// Forgets what is over from now on, and cuts off who used it.
    pub(crate) fn run(&self) {
        let authenticator = self.clone();
        tokio::spawn(async move {
            let inner = &authenticator.0;
            while !inner.store.has_ended() {
                match authenticator.sweep().await {
                    Ok(()) | Err(StoreError::Ended) => {}
                    Err(error) => tracing::error!(%error, "old sessions cannot be forgotten"),
                }
                inner.clock.sleep(SWEEP).await;
            }
        });
    }

    /// The account that this name, password and code are of.
    pub async fn check_login(
        &self,
        name: &str,
        password: &Secret,
        code: Option<&Secret>,
        whence: &Whence,
    ) -> Result<AccountRow, Problem> {
        self.check(
            name,
            Shown::All {
                password: Some(password),
                code,
            },
            whence,
        )
        .await
    }

    /// Whether this is the password of this account, whose second factor is not asked for.
    pub async fn check_password(
        &self,
        name: &UserName,
        password: &Secret,
        whence: &Whence,
    ) -> Result<(), Problem> {
        let shown = Shown::Password(password);
        self.check(name.as_str(), shown, whence).await.map(drop)
    }

    /// The account of this name, if what is shown is enough, and none of it wrong.
    pub(super) async fn check(
        &self,
        name: &str,
        shown: Shown<'_>,
        whence: &Whence,
    ) -> Result<AccountRow, Problem> {
        let inner = &self.0;
        let (password, code) = match shown {
            Shown::All { password, code } => (password, code),
            Shown::Password(password) => (Some(password), None),
        };
        let attempt = inner
            .lockout
            .begin(name, whence.address, inner.clock.now())
            .map_err(too_many_attempts)?;
        let row = match name.parse::<UserName>() {
            Ok(name) => inner.store.read(move |read| read.account(&name)).await?,
            Err(_) => None,
        };
        // Everything is looked at before anything is refused, so that all refusals take as long.
        let is_right = match password {
            Some(password) => {
                let hash = row.as_ref().map(|row| &row.password);
                inner.passwords.matches(password, hash).await?
            }
            None => true,
        };
        let Some(row) = row.filter(|row| is_right && row.is_enabled()) else {
            return Err(login_failed());
        };
        let factor = row
            .second_factor()
            .filter(|_| matches!(shown, Shown::All { .. }));
        match (factor, code) {
            (None, _) if password.is_none() => {
                attempt.withdrawn(inner.clock.now());
                return Err(faulty("password", "it is missing"));
            }
            (None, _) => {}
            (Some(_), None) => {
                attempt.withdrawn(inner.clock.now());
                let detail = format!("{name} has a second factor.");
                return Err(Problem::new(ProblemKind::CodeNeeded, detail));
            }
            (Some(totp), Some(code)) => {
                if !self.use_code(&row.account.name, totp, code).await? {
                    return Err(login_failed());
                }
            }
        }
        attempt.succeeded(inner.clock.now());
        Ok(row)
    }

    /// Uses a code up, if it is good: one of an app, or a recovery code.
    async fn use_code(
        &self,
        name: &UserName,
        totp: &TotpRow,
        code: &Secret,
    ) -> Result<bool, Problem> {
        let inner = &self.0;
        let name = name.clone();
        let code = typed(code);
        if totp::is_code(&code) {
            let secret = TotpSecret::kept(inner.key.open(name.as_str(), &totp.sealed)?);
            let Some(step) = secret.step_of(&code, inner.clock.now(), totp.step) else {
                return Ok(false);
            };
            let write = move |write: &WriteTransaction<'_>| write.use_totp_step(&name, step);
            return Ok(inner.store.write("use a code", write).await?);
        }
        let digest = recovery::digest(&inner.key, &code);
        let write = move |write: &WriteTransaction<'_>| write.use_recovery_code(&name, &digest);
        Ok(inner.store.write("use a recovery code", write).await?)
    }

    /// What is to be kept of a password that keeps the rules. The fault of one that does not names
    /// this field.
    pub async fn hash_password(
        &self,
        field: &str,
        password: &Secret,
        of: &UserName,
    ) -> Result<PasswordHash, Problem> {
        self.0.passwords.hash(field, password, of).await
    }
}

/// A code without the spaces that apps show in it.
pub(super) fn typed(code: &Secret) -> Zeroizing<String> {
    let letters = code
        .expose()
        .chars()
        .filter(|letter| !letter.is_whitespace());
    Zeroizing::new(letters.take(CODE).collect())
}

/// The same for whatever was wrong.
pub(super) fn login_failed() -> Problem {
    let detail = "The name, the password or the code is wrong.";
    Problem::new(ProblemKind::LoginFailed, detail)
}

/// A body with a fault whose value is not shown.
pub(super) fn faulty(field: &str, what: &str) -> Problem {
    let fault = Fault::new(field, what);
    let detail = format!("The body has a fault: {fault}.");
    Problem::new(ProblemKind::BadRequest, detail).with_faults(vec![fault])
}

fn too_many_attempts(wait: Duration) -> Problem {
    Problem::too_soon(ProblemKind::TooManyAttempts, wait, |seconds| {
        format!("There were too many failed attempts. The next may come in {seconds} s.")
    })
}
