// SPDX-License-Identifier: GPL-3.0-or-later
//! API tokens. Only hashes of their secrets are kept.

use hv_model::{
    access::ApiToken,
    id::TokenId,
    name::{TokenName, UserName},
    problem::{Problem, ProblemKind},
};
use rusqlite::{OptionalExtension, params};

use super::{
    ReadTransaction, Result, WriteTransaction,
    transaction::{from_json, from_text, to_column, to_json, to_time},
};
use crate::access::Digest;

/// How many tokens a person may have.
const OF_ONE: u32 = 100;

type Raw = (String, Option<i64>, Option<String>);

fn read((json, last_used, last_from): Raw) -> Result<ApiToken> {
    let mut token: ApiToken = from_json("token", &json)?;
    token.last_used = last_used.map(to_time).transpose()?;
    token.last_from = last_from;
    Ok(token)
}

impl ReadTransaction<'_> {
    /// The token with this id and what is kept of its secret, unless its owner has an account that
    /// can't be used.
    pub fn token(&self, id: TokenId) -> Result<Option<(ApiToken, Digest)>> {
        let found = self
            .sql
            .prepare_cached(
                "SELECT token_json, last_used, last_from, digest FROM token WHERE id = ?1
                 AND NOT EXISTS (SELECT 1 FROM account WHERE name = owner AND enabled = 0)",
            )?
            .query_row([id.to_string()], |row| {
                Ok((Raw::try_from(row)?, row.get::<_, [u8; 32]>(3)?))
            })
            .optional()?;
        found
            .map(|(token, digest)| Ok((read(token)?, Digest::from_bytes(digest))))
            .transpose()
    }

    /// The token with this id, whoever has it.
    pub fn token_with_id(&self, id: TokenId) -> Result<Option<ApiToken>> {
        let found = self
            .sql
            .prepare_cached("SELECT token_json, last_used, last_from FROM token WHERE id = ?1")?
            .query_row([id.to_string()], |row| Raw::try_from(row))
            .optional()?;
        found.map(read).transpose()
    }

    /// The token of this person with this name.
    pub fn token_named(&self, owner: &UserName, name: &TokenName) -> Result<Option<ApiToken>> {
        let found = self
            .sql
            .prepare_cached(
                "SELECT token_json, last_used, last_from FROM token WHERE owner = ?1 AND name = ?2",
            )?
            .query_row([owner.as_str(), name.as_str()], |row| Raw::try_from(row))
            .optional()?;
        found.map(read).transpose()
    }

    /// The tokens of this person, or of all, by owner and name.
    pub fn tokens(&self, of: Option<&UserName>) -> Result<Vec<ApiToken>> {
        let mut statement = self.sql.prepare_cached(
            "SELECT token_json, last_used, last_from FROM token WHERE ?1 IS NULL OR owner = ?1
             ORDER BY owner, name LIMIT 10000",
        )?;
        let rows = statement.query_map([of.map(UserName::as_str)], |row| Raw::try_from(row))?;
        rows.map(|row| read(row?)).collect()
    }
}

impl WriteTransaction<'_> {
    /// Keeps a token.
    pub fn add_token(&self, token: &ApiToken, secret: &Digest) -> Result<()> {
        let conflict = |kind, detail: String| Problem::new(kind, detail);
        if self.token_named(&token.owner, &token.name)?.is_some() {
            let detail = format!("{} has a token {} already.", token.owner, token.name);
            let mut problem = conflict(ProblemKind::NameTaken, detail);
            "Take another name, or revoke the one that has it.".clone_into(&mut problem.hint);
            return Err(problem.with_try("hv access token list").into());
        }
        let count: u32 = self.sql.query_row(
            "SELECT count(*) FROM token WHERE owner = ?1",
            [token.owner.as_str()],
            |row| row.get(0),
        )?;
        if count >= OF_ONE {
            let detail = format!("{} has {count} tokens already.", token.owner);
            let mut problem = conflict(ProblemKind::TooLarge, detail);
            "Revoke those that are not used.".clone_into(&mut problem.hint);
            return Err(problem.with_try("hv access token list").into());
        }
        self.sql.execute(
            "INSERT INTO token (id, digest, owner, name, token_json, expires)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                token.id.to_string(),
                secret.as_bytes(),
                token.owner.as_str(),
                token.name.as_str(),
                to_json("token", token)?,
                to_column(token.expires),
            ],
        )?;
        Ok(())
    }

    /// Notes that a token was used now, and from where.
    pub fn touch_token(&self, id: TokenId, from: &str) -> Result<()> {
        self.sql
            .prepare_cached("UPDATE token SET last_used = ?2, last_from = ?3 WHERE id = ?1")?
            .execute(params![id.to_string(), to_column(self.now()), from])?;
        Ok(())
    }

    /// Revokes a token, if there is one.
    pub fn remove_token(&self, id: TokenId) -> Result<bool> {
        let removed = self.delete_tokens("id = ?1", &[&id.to_string()])?;
        Ok(!removed.is_empty())
    }

    /// Revokes every token of a person. Returns which.
    pub fn remove_tokens_of(&self, owner: &UserName) -> Result<Vec<TokenId>> {
        self.delete_tokens("owner = ?1", &[&owner.as_str()])
    }

    /// Forgets tokens that are over. Returns which.
    pub fn remove_old_tokens(&self) -> Result<Vec<TokenId>> {
        self.delete_tokens("expires <= ?1", &[&to_column(self.now())])
    }

    fn delete_tokens(
        &self,
        which: &str,
        parameters: &[&dyn rusqlite::ToSql],
    ) -> Result<Vec<TokenId>> {
        let sql = format!("DELETE FROM token WHERE {which} RETURNING id");
        let mut statement = self.sql.prepare_cached(&sql)?;
        let rows = statement.query_map(parameters, |row| row.get::<_, String>(0))?;
        rows.map(|id| from_text("token id", id?)).collect()
    }
}
