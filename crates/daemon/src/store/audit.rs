// SPDX-License-Identifier: GPL-3.0-or-later
//! The record of who did what, as the chain that the model describes.
//!
//! The end of the chain is also held in memory, so that an entry which somebody puts into or takes
//! out of the file while the daemon runs breaks the chain in place of becoming part of it.

use hv_model::{
    access::{Action, Decision, Origin, Principal},
    audit::{
        AuditEntry, AuditEvent, Cut, Decided, Digest, Draft, Ended, FirstFault, Line, Misfit,
        Unwritable, WantedEntries, line,
    },
    id::{AuditId, HostId, OperationId},
    operation::Operation,
    page::Page,
};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Value, json};

use super::{
    ReadTransaction, Result, StoreError, WriteTransaction,
    error::AUDIT_ENTRY,
    transaction::{from_json, from_text, to_integer, to_time, to_unsigned},
};
use crate::{audit::HostKey, clock::Ids};

/// How many entries are looked at for one page of those that are wanted.
const LOOKED_AT: u32 = 100_000;

/// Where the chain ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tip {
    sequence: u64,
    hash: Digest,
}

impl From<Unwritable> for StoreError {
    fn from(error: Unwritable) -> Self {
        Self::Unreadable {
            what: AUDIT_ENTRY,
            why: error.to_string(),
        }
    }
}

impl Tip {
    /// The entry that comes next.
    const fn next(self, id: AuditId, time: Timestamp, event: AuditEvent) -> Draft {
        Draft {
            sequence: self.sequence.saturating_add(1),
            previous: self.hash,
            id,
            time,
            event,
        }
    }
}

/// Finds where the chain ends. Where there is none it begins, with what an earlier version wrote.
pub(super) fn open(
    connection: &mut Connection,
    host: HostId,
    now: Timestamp,
    ids: &Ids,
) -> Result<Tip> {
    let last: Option<(i64, String)> = connection
        .query_row(
            "SELECT sequence, line FROM audit WHERE host = ?1 ORDER BY sequence DESC LIMIT 1",
            [host.to_string()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let Some((sequence, line)) = last else {
        return begin(connection, host, now, ids);
    };
    // Behind a line that was spoilt the log goes on. Verifying it names that line.
    let hash = line::read(&line).map_or(Digest::NONE, |entry| entry.hash);
    Ok(Tip {
        sequence: to_unsigned(sequence),
        hash,
    })
}

fn begin(connection: &mut Connection, host: HostId, now: Timestamp, ids: &Ids) -> Result<Tip> {
    let transaction = connection.transaction()?;
    let carried: i64 = transaction.query_row(
        "SELECT count(*) FROM audit_unchained WHERE host = ?1",
        [host.to_string()],
        |row| row.get(0),
    )?;
    let mut tip = Tip {
        sequence: 0,
        hash: Digest::NONE,
    };
    let append = |draft: Draft| insert(&transaction, host, &draft.seal()?);
    let began = AuditEvent::Began {
        host,
        carried: to_unsigned(carried),
    };
    tip = append(tip.next(AuditId::new(ids.next()), now, began))?;
    let mut statement = transaction.prepare(
        "SELECT id, time, principal_json, action, target, decision_json, operation
         FROM audit_unchained WHERE host = ?1 ORDER BY sequence",
    )?;
    let mut rows = statement.query([host.to_string()])?;
    while let Some(row) = rows.next()? {
        let event = json!({
            "kind": "decided",
            "principal": from_json::<Value>("principal", &row.get::<_, String>(2)?)?,
            "action": row.get::<_, String>(3)?,
            "target": row.get::<_, String>(4)?,
            "decision": from_json::<Value>("decision", &row.get::<_, String>(5)?)?,
            "operation": row.get::<_, Option<String>>(6)?,
        });
        let event: AuditEvent = from_json(AUDIT_ENTRY, &event.to_string())?;
        let id = from_text("audit id", row.get(0)?)?;
        tip = append(tip.next(id, to_time(row.get(1)?)?, event.bounded()))?;
    }
    drop(rows);
    drop(statement);
    transaction.execute(
        "DELETE FROM audit_unchained WHERE host = ?1",
        [host.to_string()],
    )?;
    transaction.commit()?;
    Ok(tip)
}

fn insert(connection: &Connection, host: HostId, line: &Line) -> Result<Tip> {
    let Line { entry, text } = line;
    connection
        .prepare_cached("INSERT INTO audit (host, sequence, line) VALUES (?1, ?2, ?3)")?
        .execute(params![host.to_string(), to_integer(entry.sequence), text])?;
    Ok(Tip {
        sequence: entry.sequence,
        hash: entry.hash,
    })
}

fn entry(line: &str) -> Result<AuditEntry> {
    line::read(line).map_err(|error| StoreError::Unreadable {
        what: AUDIT_ENTRY,
        why: error.to_string(),
    })
}

impl ReadTransaction<'_> {
    /// A page of the record, the latest entries first: of those older than `page` says the ones
    /// that are wanted, at most `limit`. So many are looked at and no more, so a page can have fewer,
    /// or none, and another one behind it.
    pub fn audit(
        &self,
        wanted: &WantedEntries,
        page: Option<u64>,
        limit: u32,
    ) -> Result<Page<AuditEntry>> {
        let mut statement = self.sql.prepare_cached(
            "SELECT line, sequence FROM audit WHERE host = ?1 AND sequence < ?2
             ORDER BY sequence DESC LIMIT ?3",
        )?;
        let before = page.map_or(i64::MAX, to_integer);
        let mut rows = statement.query(params![self.host_text(), before, LOOKED_AT])?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let (mut items, mut looked_at) = (Vec::new(), 0);
        let words = wanted.words();
        while let Some(row) = rows.next()? {
            let (line, sequence): (String, i64) = (row.get(0)?, row.get(1)?);
            looked_at += 1;
            // To read a line costs much more than to see that it can't be one of them.
            if words.iter().all(|word| line.contains(word)) {
                let entry = entry(&line)?;
                items.extend(wanted.fits(&entry).then_some(entry));
            }
            if items.len() >= limit || looked_at >= LOOKED_AT {
                let next_page = Some(to_unsigned(sequence).to_string());
                return Ok(Page { items, next_page });
            }
        }
        Ok(Page::whole(items))
    }

    /// An entry of the record, by its place.
    pub fn audit_entry(&self, sequence: u64) -> Result<Option<AuditEntry>> {
        let line = self.audit_line(sequence)?;
        line.map(|line| entry(&line)).transpose()
    }

    /// The line of an entry, as it is stored.
    pub fn audit_line(&self, sequence: u64) -> Result<Option<String>> {
        let lines = self.audit_lines(sequence.saturating_sub(1), sequence, 1)?;
        Ok(lines.into_iter().next().map(|(_, line)| line))
    }

    /// The lines behind this place and up to that one, with their places, the oldest first, at most
    /// so many, as they are stored.
    pub fn audit_lines(&self, after: u64, up_to: u64, limit: u32) -> Result<Vec<(u64, String)>> {
        let mut statement = self.sql.prepare_cached(
            "SELECT sequence, line FROM audit WHERE host = ?1 AND sequence > ?2 AND sequence <= ?3
             ORDER BY sequence LIMIT ?4",
        )?;
        let (after, up_to) = (to_integer(after), to_integer(up_to));
        let rows = statement.query_map(params![self.host_text(), after, up_to, limit], |row| {
            Ok((to_unsigned(row.get(0)?), row.get(1)?))
        })?;
        rows.map(|row| Ok(row?)).collect()
    }

    /// The first place of the record and the last; 0 where there is none.
    pub fn audit_range(&self) -> Result<(u64, u64)> {
        let range = self.sql.query_row(
            "SELECT min(sequence), max(sequence) FROM audit WHERE host = ?1",
            [self.host_text()],
            |row| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?)),
        )?;
        Ok((
            to_unsigned(range.0.unwrap_or(0)),
            to_unsigned(range.1.unwrap_or(0)),
        ))
    }

    /// The last line that looks signed.
    pub fn last_signed_audit_line(&self) -> Result<Option<String>> {
        let found = self.sql.query_row(
            "SELECT line FROM audit WHERE host = ?1 AND instr(line, '\"signature\":\"') > 0
             ORDER BY sequence DESC LIMIT 1",
            [self.host_text()],
            |row| row.get(0),
        );
        Ok(found.optional()?)
    }
}

impl WriteTransaction<'_> {
    /// Adds to the record what somebody asked for and what the answer was.
    pub fn append_audit(
        &self,
        principal: &Principal,
        from: Option<Origin>,
        action: Action,
        target: &str,
        decision: &Decision,
        operation: Option<OperationId>,
    ) -> Result<AuditEntry> {
        self.append_event_to_audit(AuditEvent::Decided(Decided {
            principal: principal.clone(),
            from,
            action,
            target: target.to_owned(),
            decision: decision.clone(),
            operation,
        }))
    }

    /// Adds to the record how an operation ended.
    pub(super) fn append_end(&self, operation: &Operation) -> Result<()> {
        let target = &operation.target;
        self.append_event_to_audit(AuditEvent::Ended(Ended {
            principal: operation.actor.clone(),
            action: operation.kind.action(),
            target: format!("{}/{}", target.kind, target.name),
            operation: operation.id,
            outcome: operation.state,
            problem: operation.problem.as_ref().map(|problem| problem.kind),
        }))
        .map(drop)
    }

    /// Adds something to the record that needs no signature.
    pub fn append_event_to_audit(&self, event: AuditEvent) -> Result<AuditEntry> {
        let line = self.draft(event).seal()?;
        self.append_line(line).map(|line| line.entry)
    }

    /// Adds something to the record that the host signs.
    pub fn append_signed_audit(&self, key: &HostKey, event: AuditEvent) -> Result<Line> {
        let line = self.draft(event).seal_signed(|bytes| key.sign(bytes))?;
        self.append_line(line)
    }

    fn draft(&self, event: AuditEvent) -> Draft {
        let id = AuditId::new(self.next_id());
        self.audit_tip().next(id, self.now(), event.bounded())
    }

    fn append_line(&self, line: Line) -> Result<Line> {
        let tip = insert(self.sql, self.host, &line)?;
        self.put_audit_tip(tip);
        Ok(line)
    }

    /// Removes entries from before this time, at most so many, behind a signed checkpoint.
    /// Returns that; nothing, if none is that old. Entries that do not fit are not removed: they
    /// show what happened.
    pub fn cut_audit(
        &self,
        key: &HostKey,
        before: Timestamp,
        at_most: u32,
    ) -> Result<std::result::Result<Option<Line>, FirstFault>> {
        let mut first: Option<AuditEntry> = None;
        let mut last: Option<AuditEntry> = None;
        for (_, text) in self.audit_lines(0, u64::MAX, at_most)? {
            let place = last.as_ref().map_or(0, |last| last.sequence);
            let fault = |sequence, time, misfit| FirstFault {
                sequence,
                time,
                misfit,
            };
            let entry = match line::check(&text) {
                Ok(entry) => entry,
                Err(misfit) => return Ok(Err(fault(place.saturating_add(1), None, misfit))),
            };
            if let Some(last) = &last
                && entry.previous != last.hash
            {
                return Ok(Err(fault(entry.sequence, Some(entry.time), Misfit::Link)));
            }
            if entry.time >= before {
                break;
            }
            first.get_or_insert_with(|| entry.clone());
            last = Some(entry);
        }
        let (Some(first), Some(last)) = (first, last) else {
            return Ok(Ok(None));
        };
        let cut = Cut {
            key: key.public(),
            sequence: last.sequence,
            hash: last.hash,
            removed: last
                .sequence
                .saturating_sub(first.sequence)
                .saturating_add(1),
            first: first.time,
            last: last.time,
        };
        let line = self.append_signed_audit(key, AuditEvent::Cut(cut))?;
        let place = params![self.host_text(), to_integer(last.sequence)];
        self.sql.execute(
            "INSERT OR REPLACE INTO audit_cut (host, sequence) VALUES (?1, ?2)",
            place,
        )?;
        self.sql.execute(
            "DELETE FROM audit WHERE host = ?1 AND sequence <= ?2",
            place,
        )?;
        Ok(Ok(Some(line)))
    }
}
