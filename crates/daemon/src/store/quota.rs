// SPDX-License-Identifier: GPL-3.0-or-later
//! Quotas that were set while the daemon ran, and the VMs that were made lately.

use std::collections::BTreeMap;

use hv_model::{access::QuotaLimits, name::UserName};
use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::{
    ReadTransaction, Result, WriteTransaction,
    transaction::{from_json, from_text, to_column, to_json, to_time},
};

/// A VM that was made, be it gone, or that is being made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creation {
    /// Who was to own it.
    pub owner: Option<UserName>,
    /// When it was asked for.
    pub time: Timestamp,
}

impl ReadTransaction<'_> {
    /// What was set for a user.
    pub fn quota(&self, user: &UserName) -> Result<Option<QuotaLimits>> {
        let mut statement = self
            .sql
            .prepare_cached("SELECT limits_json FROM access_quota WHERE host = ?1 AND user = ?2")?;
        let found = statement
            .query_row([&self.host_text(), user.as_str()], |row| {
                row.get::<_, String>(0)
            })
            .optional()?;
        found.map(|json| from_json("quota", &json)).transpose()
    }

    /// What was set for each user for whom something was.
    pub fn quotas(&self) -> Result<BTreeMap<UserName, QuotaLimits>> {
        let mut statement = self
            .sql
            .prepare_cached("SELECT user, limits_json FROM access_quota WHERE host = ?1")?;
        let rows = statement.query_map([self.host_text()], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        })?;
        rows.map(|row| {
            let (user, json) = row?;
            Ok((from_text("user", user)?, from_json("quota", &json)?))
        })
        .collect()
    }

    /// The VMs that were asked for after this time, the oldest first; not those that could not be
    /// made.
    pub fn creations_after(&self, time: Timestamp) -> Result<Vec<Creation>> {
        let mut statement = self.sql.prepare_cached(
            "SELECT coalesce(json_extract(parameters_json, '$.spec.owner'),
                             json_extract(actor_json, '$.name')), created
             FROM operation
             WHERE kind = 'vm.create' AND created > ?2 AND host = ?1
             AND state NOT IN ('failed', 'cancelled', 'interrupted') ORDER BY created",
        )?;
        let rows = statement.query_map(params![self.host_text(), to_column(time)], |row| {
            Ok((row.get::<_, Option<String>>(0)?, row.get::<_, i64>(1)?))
        })?;
        rows.map(|row| {
            let (owner, created) = row?;
            Ok(Creation {
                owner: owner.map(|name| from_text("user", name)).transpose()?,
                time: to_time(created)?,
            })
        })
        .collect()
    }
}

impl WriteTransaction<'_> {
    /// Sets a user's quota, in place of what was set. `by` is who does.
    pub fn put_quota(&self, user: &UserName, limits: &QuotaLimits, by: &str) -> Result<()> {
        self.sql
            .prepare_cached(
                "INSERT OR REPLACE INTO access_quota (host, user, limits_json, set_by, set_at)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                self.host_text(),
                user.as_str(),
                to_json("quota", limits)?,
                by,
                to_column(self.now()),
            ])?;
        Ok(())
    }

    /// Forgets what was set for a user. Returns whether something was.
    pub fn remove_quota(&self, user: &UserName) -> Result<bool> {
        let removed = self
            .sql
            .prepare_cached("DELETE FROM access_quota WHERE host = ?1 AND user = ?2")?
            .execute([&self.host_text(), user.as_str()])?;
        Ok(removed > 0)
    }
}
