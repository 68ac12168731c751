// SPDX-License-Identifier: GPL-3.0-or-later
//! Grants that were given while the daemon ran.

use hv_model::{access::Grant, name::GrantName};
use rusqlite::params;

use super::{
    ReadTransaction, Result, WriteTransaction,
    transaction::{from_json, to_column, to_json},
};

impl ReadTransaction<'_> {
    /// Every grant that was given while the daemon ran, by name.
    pub fn grants(&self) -> Result<Vec<Grant>> {
        let mut statement = self
            .sql
            .prepare_cached("SELECT grant_json FROM access_grant WHERE host = ?1 ORDER BY name")?;
        let rows = statement.query_map([self.host_text()], |row| row.get::<_, String>(0))?;
        rows.map(|row| from_json("grant", &row?)).collect()
    }
}

impl WriteTransaction<'_> {
    /// Keeps a grant, in place of one of its name. `by` is who gives it.
    pub fn put_grant(&self, grant: &Grant, by: &str) -> Result<()> {
        self.sql
            .prepare_cached(
                "INSERT OR REPLACE INTO access_grant (host, name, grant_json, given_by, given)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                self.host_text(),
                grant.name.as_str(),
                to_json("grant", grant)?,
                by,
                to_column(self.now()),
            ])?;
        Ok(())
    }

    /// Forgets a grant. Returns whether there was one of this name.
    pub fn remove_grant(&self, name: &GrantName) -> Result<bool> {
        let removed = self
            .sql
            .prepare_cached("DELETE FROM access_grant WHERE host = ?1 AND name = ?2")?
            .execute(params![self.host_text(), name.as_str()])?;
        Ok(removed > 0)
    }
}
