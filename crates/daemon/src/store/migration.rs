// SPDX-License-Identifier: GPL-3.0-or-later
//! Bringing a database to the form that this program knows.

use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode};

use super::{Result, StoreError};

/// Every migration, in order. One that was released is never edited.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_start.sql"),
    include_str!("migrations/0002_access.sql"),
    include_str!("migrations/0003_audit_chain.sql"),
    include_str!("migrations/0004_account.sql"),
    include_str!("migrations/0005_quota.sql"),
];

/// Checks a database, and brings it up to date.
pub(super) fn prepare(connection: &mut Connection, path: &Path, now: Timestamp) -> Result<()> {
    set_up(connection).map_err(|error| unusable(error, path))?;
    let verdict: String = connection
        .pragma_query_value(None, "quick_check", |row| row.get(0))
        .map_err(|error| unusable(error, path))?;
    if verdict != "ok" {
        return Err(StoreError::Damaged {
            path: path.to_owned(),
            why: verdict,
        });
    }
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(StoreError::TooNew {
            path: path.to_owned(),
            found,
            known,
        });
    }
    for (version, migration) in (1_i64..).zip(MIGRATIONS) {
        if version <= found {
            continue;
        }
        let transaction = connection.transaction()?;
        transaction.execute_batch(migration)?;
        if version == 1 {
            // Places in the event log are never used twice, not even after the database was lost:
            // those of a new one begin behind all that an older one can have used.
            transaction.execute(
                "INSERT INTO sqlite_sequence (name, seq) VALUES ('event', ?1)",
                [now.as_second().max(0)],
            )?;
        }
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Why this database can't be used.
pub(super) fn unusable(error: rusqlite::Error, path: &Path) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => StoreError::Damaged {
            path: path.to_owned(),
            why: error.to_string(),
        },
        _ => error.into(),
    }
}

fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "wal")?;
    // An undo must be on the disk before what it undoes is done.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "journal_size_limit", 4 << 20)
}
