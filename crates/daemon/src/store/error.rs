// SPDX-License-Identifier: GPL-3.0-or-later
//! Why the store did not do what was asked.

use std::path::PathBuf;

use hv_model::problem::{Problem, ProblemKind};
use rusqlite::ErrorCode;

/// What a transaction comes to.
pub type Result<T> = std::result::Result<T, StoreError>;

/// What an entry of the audit log is called where it can't be read.
pub(super) const AUDIT_ENTRY: &str = "audit entry";

/// Why the store did not do what was asked. Nothing of the transaction was kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The transaction found that what was asked must not be done.
    #[error("{0}")]
    Refused(Box<Problem>),
    /// The store was closed, since the daemon ends.
    #[error("the store is closed")]
    Ended,
    /// There is no space left to write to.
    #[error("the disk under the database is full")]
    Full,
    /// The database cannot be used as it is.
    #[error("the database {} is damaged: {why}", path.display())]
    Damaged {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The database was written by a later version.
    #[error("the database {} has version {found}, and this program knows versions up to {known}", path.display())]
    TooNew {
        /// Its file.
        path: PathBuf,
        /// The version that it has.
        found: i64,
        /// The last version that this program knows.
        known: i64,
    },
    /// A file or folder beside the database cannot be used.
    #[error("{} cannot be used: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another daemon uses the same state.
    #[error("another hvd uses {}", .0.display())]
    InUse(PathBuf),
    /// Something stored does not read back.
    #[error("a stored {what} cannot be read: {why}")]
    Unreadable {
        /// What it was.
        what: &'static str,
        /// Why.
        why: String,
    },
    /// `SQLite` failed.
    #[error("the database failed: {0}")]
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            _ => Self::Sqlite(error),
        }
    }
}

impl From<Problem> for StoreError {
    fn from(problem: Problem) -> Self {
        Self::Refused(Box::new(problem))
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Refused(problem) => *problem,
            StoreError::Full => Self::new(
                ProblemKind::NoSpace,
                "The disk under hvd's database is full. Nothing can be recorded, so nothing is \
                 changed.",
            )
            .with_try("df -h"),
            StoreError::Ended => Self::new(ProblemKind::DaemonUnreachable, "hvd is ending."),
            error => {
                let problem = Self::new(ProblemKind::Internal, format!("{}.", capitalized(&error)));
                match error {
                    StoreError::Unreadable {
                        what: AUDIT_ENTRY, ..
                    } => problem.with_try("hv audit verify"),
                    _ => problem,
                }
            }
        }
    }
}

fn capitalized(error: &StoreError) -> String {
    let text = error.to_string();
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(characters).collect()
    })
}
