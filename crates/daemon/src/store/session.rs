// SPDX-License-Identifier: GPL-3.0-or-later
//! Sessions of people who have logged in. Only hashes of their secrets are kept.

use hv_model::{id::SessionId, name::UserName, session::Session};
use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::{
    ReadTransaction, Result, WriteTransaction,
    transaction::{from_json, from_text, to_column, to_json, to_time},
};
use crate::access::Digest;

/// How many sessions an account may have; the one that was unused the longest gives way.
const OF_ONE: u32 = 32;

type Raw = (String, i64);

fn read((json, last_used): Raw) -> Result<Session> {
    let mut session: Session = from_json("session", &json)?;
    session.last_used = to_time(last_used)?;
    Ok(session)
}

impl ReadTransaction<'_> {
    /// The session with this secret, if its account can be used.
    pub fn session(&self, secret: &Digest) -> Result<Option<Session>> {
        let found = self
            .sql
            .prepare_cached(
                "SELECT session_json, session.last_used FROM session
                 JOIN account ON account.name = session.account
                 WHERE digest = ?1 AND account.enabled = 1",
            )?
            .query_row([secret.as_bytes()], |row| Raw::try_from(row))
            .optional()?;
        found.map(read).transpose()
    }

    /// The session with this id.
    pub fn session_with_id(&self, id: SessionId) -> Result<Option<Session>> {
        let found = self
            .sql
            .prepare_cached("SELECT session_json, last_used FROM session WHERE id = ?1")?
            .query_row([id.to_string()], |row| Raw::try_from(row))
            .optional()?;
        found.map(read).transpose()
    }

    /// The sessions of this account, or of all; the one that was used last first.
    pub fn sessions(&self, of: Option<&UserName>) -> Result<Vec<Session>> {
        let mut statement = self.sql.prepare_cached(
            "SELECT session_json, last_used FROM session WHERE ?1 IS NULL OR account = ?1
             ORDER BY last_used DESC, id LIMIT 10000",
        )?;
        let rows = statement.query_map([of.map(UserName::as_str)], |row| Raw::try_from(row))?;
        rows.map(|row| read(row?)).collect()
    }
}

impl WriteTransaction<'_> {
    /// Keeps a session. Returns those that give way to it.
    pub fn add_session(&self, session: &Session, secret: &Digest) -> Result<Vec<SessionId>> {
        self.sql.execute(
            "INSERT INTO session (id, digest, account, session_json, last_used, expires)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                session.id.to_string(),
                secret.as_bytes(),
                session.account.as_str(),
                to_json("session", session)?,
                to_column(session.last_used),
                to_column(session.expires),
            ],
        )?;
        self.delete_sessions(
            "id IN (SELECT id FROM session WHERE account = ?1 AND id <> ?2
                    ORDER BY last_used DESC LIMIT -1 OFFSET ?3)",
            params![session.account.as_str(), session.id.to_string(), OF_ONE - 1],
        )
    }

    /// Notes that a session was used now.
    pub fn touch_session(&self, id: SessionId) -> Result<()> {
        self.sql
            .prepare_cached("UPDATE session SET last_used = ?2 WHERE id = ?1")?
            .execute(params![id.to_string(), to_column(self.now())])?;
        Ok(())
    }

    /// Ends a session, if there is one.
    pub fn remove_session(&self, id: SessionId) -> Result<bool> {
        let removed = self.delete_sessions("id = ?1", params![id.to_string()])?;
        Ok(!removed.is_empty())
    }

    /// Ends the sessions of an account but this one. Returns which.
    pub fn remove_sessions_of(
        &self,
        account: &UserName,
        but: Option<SessionId>,
    ) -> Result<Vec<SessionId>> {
        let but = but.map(|id| id.to_string());
        self.delete_sessions(
            "account = ?1 AND (?2 IS NULL OR id <> ?2)",
            params![account.as_str(), but],
        )
    }

    /// Forgets sessions that are over, or were not used since then. Returns which.
    pub fn remove_old_sessions(&self, unused_since: Timestamp) -> Result<Vec<SessionId>> {
        self.delete_sessions(
            "expires <= ?1 OR last_used <= ?2",
            params![to_column(self.now()), to_column(unused_since)],
        )
    }

    fn delete_sessions(
        &self,
        which: &str,
        parameters: &[&dyn rusqlite::ToSql],
    ) -> Result<Vec<SessionId>> {
        let sql = format!("DELETE FROM session WHERE {which} RETURNING id");
        let mut statement = self.sql.prepare_cached(&sql)?;
        let rows = statement.query_map(parameters, |row| row.get::<_, String>(0))?;
        rows.map(|id| from_text("session id", id?)).collect()
    }
}
