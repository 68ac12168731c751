// SPDX-License-Identifier: GPL-3.0-or-later
//! Requests for approval.

use hv_model::{
    access::{Approval, ApprovalState, Principal, Wish},
    id::ApprovalId,
    problem::{Problem, ProblemKind},
};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{OptionalExtension, params};

use super::{
    ReadTransaction, Result, WriteTransaction,
    transaction::{from_json, from_text, to_column, to_json, to_time},
};

/// For how long a request can be approved and done.
const VALID: SignedDuration = SignedDuration::from_hours(1);
/// For how long it can be looked at.
const KEPT: SignedDuration = SignedDuration::from_hours(24 * 90);
/// How many requests of one person may wait at once.
const WAITING: u32 = 20;

const COLUMNS: &str =
    "id, wish_json, digest, asked_by_json, asked, expires, state, decided_by_json";

type Raw = (
    String,
    String,
    String,
    String,
    i64,
    i64,
    String,
    Option<String>,
);

fn read((id, wish, digest, asked_by, asked, expires, state, decided_by): Raw) -> Result<Approval> {
    Ok(Approval {
        id: from_text("approval id", id)?,
        wish: from_json("wish", &wish)?,
        digest,
        asked_by: from_json("principal", &asked_by)?,
        asked: to_time(asked)?,
        expires: to_time(expires)?,
        state: from_text("approval state", state)?,
        decided_by: decided_by
            .map(|text| from_json("principal", &text))
            .transpose()?,
    })
}

impl ReadTransaction<'_> {
    /// The requests for approval that are not over at this time, the latest first.
    pub fn open_approvals(&self, now: Timestamp) -> Result<Vec<Approval>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM approval WHERE host = ?1 AND expires > ?2
             AND state IN ('waiting', 'approved') ORDER BY sequence DESC"
        );
        let mut statement = self.sql.prepare_cached(&sql)?;
        let rows = statement.query_map(params![self.host_text(), to_column(now)], |row| {
            Raw::try_from(row)
        })?;
        rows.map(|row| read(row?)).collect()
    }

    /// The request for approval with this id.
    pub fn approval(&self, id: ApprovalId) -> Result<Option<Approval>> {
        let sql = format!("SELECT {COLUMNS} FROM approval WHERE host = ?1 AND id = ?2");
        let found = self
            .sql
            .prepare_cached(&sql)?
            .query_row(params![self.host_text(), id.to_string()], |row| {
                Raw::try_from(row)
            })
            .optional()?;
        found.map(read).transpose()
    }
}

impl WriteTransaction<'_> {
    /// Asks for approval; the same wish of the same person that still waits is the same request.
    pub fn ask_for_approval(&self, wish: &Wish, digest: &str, by: &Principal) -> Result<Approval> {
        let label = by.label();
        let now = self.now();
        let open = self.open_approvals(now)?;
        let theirs = || {
            open.iter()
                .filter(|other| other.asked_by.person() == by.person())
        };
        let same = theirs().find(|other| other.digest == digest);
        if let Some(same) = same {
            return Ok(same.clone());
        }
        if theirs().count() >= usize::try_from(WAITING).unwrap_or(usize::MAX) {
            let detail = format!("{WAITING} requests of {label} wait for approval already.");
            return Err(Problem::new(ProblemKind::Busy, detail)
                .with_try("hv approve list")
                .into());
        }
        let long_over = now.saturating_sub(KEPT).unwrap_or(Timestamp::MIN);
        self.sql.execute(
            "DELETE FROM approval WHERE host = ?1 AND expires < ?2",
            params![self.host_text(), to_column(long_over)],
        )?;
        let approval = Approval {
            id: ApprovalId::new(self.next_id()),
            wish: wish.clone(),
            digest: digest.to_owned(),
            asked_by: by.clone(),
            asked: now,
            expires: now.saturating_add(VALID).unwrap_or(Timestamp::MAX),
            state: ApprovalState::Waiting,
            decided_by: None,
        };
        self.sql
            .prepare_cached(
                "INSERT INTO approval (id, host, wish_json, digest, asked_by, asked_by_json, asked,
                 expires, state) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                approval.id.to_string(),
                self.host_text(),
                to_json("wish", wish)?,
                digest,
                label,
                to_json("principal", by)?,
                to_column(approval.asked),
                to_column(approval.expires),
                approval.state.as_str(),
            ])?;
        Ok(approval)
    }

    /// Decides a request that waits.
    pub fn decide_approval(
        &self,
        id: ApprovalId,
        state: ApprovalState,
        by: &Principal,
    ) -> Result<()> {
        self.sql
            .prepare_cached(
                "UPDATE approval SET state = ?3, decided_by_json = ?4
                 WHERE host = ?1 AND id = ?2 AND expires > ?5
                 AND (state = 'waiting' OR (state = 'approved' AND ?3 = 'refused'))",
            )?
            .execute(params![
                self.host_text(),
                id.to_string(),
                state.as_str(),
                to_json("principal", by)?,
                to_column(self.now()),
            ])
            .map_err(Into::into)
            .and_then(|changed| match changed {
                1 => Ok(()),
                _ => Err(over(id)),
            })
    }

    /// Uses an approval up: only who asked for it may, for just that, in time, and once.
    pub fn use_approval(&self, id: ApprovalId, digest: &str, by: &Principal) -> Result<()> {
        let found = self.approval(id)?;
        let fits = found.filter(|approval| {
            approval.asked_by.person() == by.person() && approval.digest == digest
        });
        if fits.is_none() {
            let detail = format!("{id} is no approval of what {} asks for.", by.label());
            return Err(Problem::new(ProblemKind::ApprovalNeeded, detail)
                .with_try("hv approve list")
                .into());
        }
        let used = self
            .sql
            .prepare_cached(
                "UPDATE approval SET state = 'used'
                 WHERE host = ?1 AND id = ?2 AND state = 'approved' AND expires > ?3",
            )?
            .execute(params![
                self.host_text(),
                id.to_string(),
                to_column(self.now())
            ])?;
        match used {
            1 => Ok(()),
            _ => Err(over(id)),
        }
    }
}

/// Nobody decided, it was refused or used, or its time is over.
fn over(id: ApprovalId) -> super::StoreError {
    let detail = format!("The request {id} is not approved, or its time is over.");
    Problem::new(ProblemKind::ApprovalNeeded, detail)
        .with_try(format!("hv approve show {id}"))
        .into()
}
