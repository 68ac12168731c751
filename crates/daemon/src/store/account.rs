// SPDX-License-Identifier: GPL-3.0-or-later
//! Accounts, their second factors and recovery codes.

use hv_model::{
    access::{Grant, Grantee, Role, Scope},
    account::{Account, AccountState, SecondFactor},
    name::{GrantName, UserName},
    problem::{Problem, ProblemKind},
};
use rusqlite::{OptionalExtension, Row, params};

use super::{
    ReadTransaction, Result, WriteTransaction,
    transaction::{from_text, to_column, to_time},
};
use crate::access::PasswordHash;

/// An account with what is kept of its secrets.
#[derive(Debug, Clone)]
pub struct AccountRow {
    /// What may be shown of it.
    pub account: Account,
    /// What is kept of its password.
    pub password: PasswordHash,
    /// Its second factor, or one that waits for its first code.
    pub totp: Option<TotpRow>,
}

/// A second factor.
#[derive(Debug, Clone)]
pub struct TotpRow {
    /// Its sealed secret.
    pub sealed: Vec<u8>,
    /// Whether a code has shown that the secret has arrived.
    pub confirmed: bool,
    /// The last step whose code was used.
    pub step: Option<i64>,
}

impl AccountRow {
    /// Whether somebody can log in with it.
    pub fn is_enabled(&self) -> bool {
        self.account.state == AccountState::Enabled
    }

    /// The second factor that a login must show.
    pub fn second_factor(&self) -> Option<&TotpRow> {
        self.totp.as_ref().filter(|totp| totp.confirmed)
    }
}

const COLUMNS: &str = "name, enabled, created, password, password_set, last_login, totp_sealed,
    totp_confirmed, totp_step,
    (SELECT count(*) FROM recovery_code WHERE account = name)";

struct Raw {
    name: String,
    enabled: bool,
    created: i64,
    password: String,
    password_set: i64,
    last_login: Option<i64>,
    sealed: Option<Vec<u8>>,
    confirmed: bool,
    step: Option<i64>,
    codes: u32,
}

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    Ok(Raw {
        name: row.get(0)?,
        enabled: row.get(1)?,
        created: row.get(2)?,
        password: row.get(3)?,
        password_set: row.get(4)?,
        last_login: row.get(5)?,
        sealed: row.get(6)?,
        confirmed: row.get(7)?,
        step: row.get(8)?,
        codes: row.get(9)?,
    })
}

fn read(raw: Raw) -> Result<AccountRow> {
    let totp = raw.sealed.map(|sealed| TotpRow {
        sealed,
        confirmed: raw.confirmed,
        step: raw.step,
    });
    let account = Account {
        name: from_text("account", raw.name)?,
        state: if raw.enabled {
            AccountState::Enabled
        } else {
            AccountState::Disabled
        },
        second_factor: if totp.as_ref().is_some_and(|totp| totp.confirmed) {
            SecondFactor::Totp
        } else {
            SecondFactor::None
        },
        recovery_codes: raw.codes,
        created: to_time(raw.created)?,
        password_set: to_time(raw.password_set)?,
        last_login: raw.last_login.map(to_time).transpose()?,
    };
    Ok(AccountRow {
        account,
        password: PasswordHash::stored(raw.password),
        totp,
    })
}

impl ReadTransaction<'_> {
    /// Every account, by name.
    pub fn accounts(&self) -> Result<Vec<Account>> {
        let sql = format!("SELECT {COLUMNS} FROM account ORDER BY name");
        let mut statement = self.sql.prepare_cached(&sql)?;
        let rows = statement.query_map([], raw)?;
        rows.map(|row| Ok(read(row?)?.account)).collect()
    }

    /// The account with this name.
    pub fn account(&self, name: &UserName) -> Result<Option<AccountRow>> {
        let sql = format!("SELECT {COLUMNS} FROM account WHERE name = ?1");
        let found = self
            .sql
            .prepare_cached(&sql)?
            .query_row([name.as_str()], raw)
            .optional()?;
        found.map(read).transpose()
    }

    /// Whether there is any account.
    pub fn has_accounts(&self) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM account)";
        Ok(self.sql.query_row(sql, [], |row| row.get(0))?)
    }
}

impl WriteTransaction<'_> {
    /// Makes an account.
    pub fn add_account(&self, name: &UserName, password: &PasswordHash) -> Result<AccountRow> {
        if self.account(name)?.is_some() {
            let detail = format!("There is an account {name} already.");
            return Err(Problem::new(ProblemKind::NameTaken, detail)
                .with_try("hv access account list")
                .into());
        }
        let now = to_column(self.now());
        self.sql.execute(
            "INSERT INTO account (name, enabled, created, password, password_set)
             VALUES (?1, 1, ?2, ?3, ?2)",
            params![name.as_str(), now, password.as_str()],
        )?;
        self.known_account(name)
    }

    /// Lets the holder of the first account do everything.
    pub fn grant_first_admin(&self, name: &UserName, given_as: GrantName) -> Result<()> {
        let grant = Grant {
            name: given_as,
            to: Grantee::User(name.clone()),
            role: Role::Admin,
            on: Scope::Everything,
            until: None,
        };
        self.put_grant(&grant, "bootstrap")
    }

    /// The account with this name, or the problem that there is none.
    pub fn known_account(&self, name: &UserName) -> Result<AccountRow> {
        self.account(name)?.ok_or_else(|| {
            let detail = format!("There is no account {name}.");
            Problem::new(ProblemKind::NotFound, detail)
                .with_try("hv access account list")
                .into()
        })
    }

    /// Sets an account's password.
    pub fn set_password(&self, name: &UserName, password: &PasswordHash) -> Result<()> {
        self.sql.execute(
            "UPDATE account SET password = ?2, password_set = ?3 WHERE name = ?1",
            params![name.as_str(), password.as_str(), to_column(self.now())],
        )?;
        Ok(())
    }

    /// Says whether an account can be used.
    pub fn set_account_state(&self, name: &UserName, state: AccountState) -> Result<()> {
        self.sql.execute(
            "UPDATE account SET enabled = ?2 WHERE name = ?1",
            params![name.as_str(), state == AccountState::Enabled],
        )?;
        Ok(())
    }

    /// Notes that somebody has logged in with an account.
    pub fn note_login(&self, name: &UserName) -> Result<()> {
        self.sql.execute(
            "UPDATE account SET last_login = ?2 WHERE name = ?1",
            params![name.as_str(), to_column(self.now())],
        )?;
        Ok(())
    }

    /// Removes an account with its codes and sessions, and the tokens of that name.
    pub fn remove_account(&self, name: &UserName) -> Result<()> {
        self.remove_tokens_of(name)?;
        self.sql
            .execute("DELETE FROM account WHERE name = ?1", [name.as_str()])?;
        Ok(())
    }

    /// Keeps the sealed secret of a second factor that is yet to be confirmed.
    pub fn begin_totp(&self, name: &UserName, sealed: &[u8]) -> Result<()> {
        self.sql.execute(
            "UPDATE account SET totp_sealed = ?2, totp_confirmed = 0, totp_step = NULL
             WHERE name = ?1",
            params![name.as_str(), sealed],
        )?;
        Ok(())
    }

    /// From now on the second factor counts; its recovery codes are those with these digests.
    pub fn confirm_totp(
        &self,
        name: &UserName,
        step: i64,
        codes: &[crate::access::Digest],
    ) -> Result<()> {
        self.sql.execute(
            "UPDATE account SET totp_confirmed = 1, totp_step = ?2 WHERE name = ?1",
            params![name.as_str(), step],
        )?;
        self.sql.execute(
            "DELETE FROM recovery_code WHERE account = ?1",
            [name.as_str()],
        )?;
        let mut insert = self
            .sql
            .prepare_cached("INSERT INTO recovery_code (account, digest) VALUES (?1, ?2)")?;
        for code in codes {
            insert.execute(params![name.as_str(), code.as_bytes()])?;
        }
        Ok(())
    }

    /// Forgets an account's second factor and its recovery codes.
    pub fn remove_totp(&self, name: &UserName) -> Result<()> {
        self.sql.execute(
            "UPDATE account SET totp_sealed = NULL, totp_confirmed = 0, totp_step = NULL
             WHERE name = ?1",
            [name.as_str()],
        )?;
        self.sql.execute(
            "DELETE FROM recovery_code WHERE account = ?1",
            [name.as_str()],
        )?;
        Ok(())
    }

    /// Uses a step of a second factor up; not if it, or a later one, was used already.
    pub fn use_totp_step(&self, name: &UserName, step: i64) -> Result<bool> {
        let used = self.sql.execute(
            "UPDATE account SET totp_step = ?2
             WHERE name = ?1 AND totp_confirmed = 1 AND (totp_step IS NULL OR totp_step < ?2)",
            params![name.as_str(), step],
        )?;
        Ok(used > 0)
    }

    /// Uses a recovery code up, if it is one.
    pub fn use_recovery_code(&self, name: &UserName, code: &crate::access::Digest) -> Result<bool> {
        let used = self.sql.execute(
            "DELETE FROM recovery_code WHERE account = ?1 AND digest = ?2",
            params![name.as_str(), code.as_bytes()],
        )?;
        Ok(used > 0)
    }
}
