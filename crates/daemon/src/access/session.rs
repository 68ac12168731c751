// SPDX-License-Identifier: GPL-3.0-or-later
//! Sessions: opened by a login, known by a secret, ended by time or by somebody.

use std::time::Duration;

use hv_model::{
    id::SessionId,
    problem::Problem,
    secret::Secret,
    session::{Carry, Session},
};
use jiff::{SignedDuration, Timestamp};
use zeroize::Zeroizing;

use super::{
    Authenticator, Whence,
    authenticate::login_failed,
    cut::{Cutter, Tie},
    random,
};
use crate::{
    clock::later,
    config::SessionsConfig,
    store::{AccountRow, Result as StoreResult, StoreError},
};

/// What a session's secret begins with.
const KIND: &str = "hvs_";
/// How exactly the last use of a session or a token is noted.
pub(super) const NOTED: Duration = Duration::from_secs(60);

impl Authenticator {
    /// Opens a session for whoever has shown that this account is theirs. Its secret is not kept,
    /// so it is told this once.
    pub async fn open_session(
        &self,
        row: &AccountRow,
        carry: Carry,
        whence: &Whence,
    ) -> Result<(Session, Secret), Problem> {
        let inner = &self.0;
        let secret = random::secret(KIND)?;
        let digest = random::digest(secret.expose());
        let (account, shown) = (row.account.name.clone(), row.password.clone());
        let (from, agent) = (whence.address_text(), whence.agent_text());
        let lasts = inner.limits.lasts();
        let opened = inner.store.write("open a session", move |write| {
            // It may have been changed since it was looked at.
            let row = write.account(&account)?;
            if !row.is_some_and(|row| row.is_enabled() && row.password == shown) {
                return Err(login_failed().into());
            }
            let now = write.now();
            let session = Session {
                id: SessionId::new(write.next_id()),
                account: account.clone(),
                carry,
                from,
                agent,
                created: now,
                last_used: now,
                expires: later(now, lasts),
            };
            let ended = write.add_session(&session, &digest)?;
            write.note_login(&account)?;
            Ok((session, ended))
        });
        let (session, ended) = opened.await?;
        if !ended.is_empty() {
            self.sweep().await?;
        }
        Ok((session, secret))
    }

    /// The session with this secret, if it is still good.
    pub async fn session(&self, secret: &str) -> StoreResult<Option<Session>> {
        let inner = &self.0;
        if !secret.starts_with(KIND) {
            return Ok(None);
        }
        let digest = random::digest(secret);
        let found = inner.store.read(move |read| read.session(&digest)).await?;
        let now = inner.clock.now();
        let Some(session) = found.filter(|session| is_good(session, &inner.limits, now)) else {
            return Ok(None);
        };
        if later(session.last_used, NOTED) <= now {
            let id = session.id;
            let noted = inner
                .store
                .write("note a session's use", move |write| write.touch_session(id));
            if let Err(error) = noted.await {
                tracing::warn!(session = %id, %error, "the use of session {id} is not noted");
            }
        }
        Ok(Some(session))
    }

    /// Has a connection cut off once a session or token by which it is known is no longer good.
    pub(crate) fn tie(&self, tie: Tie, cutter: &Cutter) {
        self.0.cutters.tie(tie, cutter);
    }

    /// Forgets sessions and tokens that are over, and cuts off connections that were known by one
    /// that is gone. Whoever ends one calls this.
    pub async fn sweep(&self) -> StoreResult<()> {
        let inner = &self.0;
        let unused_since = earlier(inner.clock.now(), inner.limits.idle());
        inner
            .store
            .write("forget old sessions and tokens", move |write| {
                write.remove_old_sessions(unused_since)?;
                write.remove_old_tokens()?;
                Ok::<_, StoreError>(())
            })
            .await?;
        let ties = inner.cutters.ties();
        if ties.is_empty() {
            return Ok(());
        }
        let gone = inner.store.read(move |read| {
            let mut gone = Vec::new();
            for tie in ties {
                let is_there = match tie {
                    Tie::Session(id) => read.session_with_id(id)?.is_some(),
                    Tie::Token(id) => read.token(id)?.is_some(),
                };
                if !is_there {
                    gone.push(tie);
                }
            }
            Ok::<_, StoreError>(gone)
        });
        for tie in gone.await? {
            inner.cutters.cut(tie);
        }
        Ok(())
    }
}

/// What a page of ours must send with each change, and a page of somebody else cannot know. It is
/// drawn from the session's secret, so nothing more is kept.
pub fn csrf(secret: &str) -> Secret {
    let drawn = Zeroizing::new(blake3::derive_key(
        "hyper-nixos 2026 csrf of a session",
        secret.as_bytes(),
    ));
    Secret::from(random::lower(&*drawn).as_str())
}

fn is_good(session: &Session, limits: &SessionsConfig, now: Timestamp) -> bool {
    now < session.expires && now < later(session.last_used, limits.idle())
}

fn earlier(time: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    time.saturating_sub(by).unwrap_or(Timestamp::MIN)
}
