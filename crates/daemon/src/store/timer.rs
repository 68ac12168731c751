// SPDX-License-Identifier: GPL-3.0-or-later
//! When each recurring task runs next.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::{
    ReadTransaction, Result, WriteTransaction,
    transaction::{to_column, to_time},
};

impl ReadTransaction<'_> {
    /// When this task runs next; `None`, if it never ran.
    pub fn next_run(&self, task: &str) -> Result<Option<Timestamp>> {
        let found: Option<i64> = self
            .sql
            .prepare_cached("SELECT next_run FROM timer WHERE host = ?1 AND task = ?2")?
            .query_row(params![self.host_text(), task], |row| row.get(0))
            .optional()?;
        found.map(to_time).transpose()
    }
}

impl WriteTransaction<'_> {
    /// Says when this task runs next.
    pub fn put_next_run(&self, task: &str, time: Timestamp) -> Result<()> {
        self.sql
            .prepare_cached(
                "INSERT OR REPLACE INTO timer (host, task, next_run) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![self.host_text(), task, to_column(time)])?;
        Ok(())
    }
}
