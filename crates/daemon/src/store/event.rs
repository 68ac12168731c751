// SPDX-License-Identifier: GPL-3.0-or-later
//! The event log.

use hv_model::event::{Event, EventKind, Subject};
use jiff::Timestamp;
use rusqlite::params;
use serde_json::Value;

use super::{
    ReadTransaction, Result, WriteTransaction,
    transaction::{from_json, from_text, to_column, to_integer, to_json, to_time, to_unsigned},
};

/// Which events are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only those about what has this id: a VM, an image, a host. Operations are about their target.
    pub about: Option<String>,
}

type Raw = (i64, i64, String, String, String, String, String);

fn read((seq, time, kind, subject_kind, id, name, data): Raw) -> Result<Event> {
    Ok(Event {
        seq: to_unsigned(seq),
        time: to_time(time)?,
        kind: from_text("event kind", kind)?,
        subject: Subject {
            kind: subject_kind,
            id,
            name,
        },
        data: from_json("event", &data)?,
    })
}

impl ReadTransaction<'_> {
    /// The events after this one, the oldest first, at most so many.
    pub fn events_after(&self, seq: u64, limit: u32, filter: &EventFilter) -> Result<Vec<Event>> {
        let mut statement = self.sql.prepare_cached(
            "SELECT seq, time, kind, subject_kind, subject_id, subject_name, data_json FROM event
             WHERE host = ?1 AND seq > ?2 AND (?3 IS NULL OR about = ?3)
             ORDER BY seq LIMIT ?4",
        )?;
        let parameters = params![self.host_text(), to_integer(seq), filter.about, limit];
        statement
            .query_map(parameters, |row| Raw::try_from(row))?
            .map(|row| read(row?))
            .collect()
    }

    /// The last events, the oldest of them first, at most so many.
    pub fn last_events(&self, limit: u32, filter: &EventFilter) -> Result<Vec<Event>> {
        let mut statement = self.sql.prepare_cached(
            "SELECT seq, time, kind, subject_kind, subject_id, subject_name, data_json FROM event
             WHERE host = ?1 AND (?2 IS NULL OR about = ?2)
             ORDER BY seq DESC LIMIT ?3",
        )?;
        let rows = statement.query_map(params![self.host_text(), filter.about, limit], |row| {
            Raw::try_from(row)
        })?;
        let mut events = rows.map(|row| read(row?)).collect::<Result<Vec<_>>>()?;
        events.reverse();
        Ok(events)
    }

    /// The first event that is still kept, and the last one there ever was; 0 where there is none.
    pub fn event_range(&self) -> Result<(u64, u64)> {
        let first: Option<i64> = self
            .sql
            .query_row("SELECT min(seq) FROM event", [], |row| row.get(0))?;
        let last: Option<i64> = self.sql.query_row(
            "SELECT max(seq) FROM sqlite_sequence WHERE name = 'event'",
            [],
            |row| row.get(0),
        )?;
        Ok((
            to_unsigned(first.unwrap_or(0)),
            to_unsigned(last.unwrap_or(0)),
        ))
    }
}

impl WriteTransaction<'_> {
    /// Adds an event to the log, and returns its place.
    pub fn append_event(&self, kind: EventKind, subject: &Subject, data: &Value) -> Result<u64> {
        self.append_event_about(&subject.id, kind, subject, data)
    }

    /// The same, for an event that is about something else than its subject.
    pub(super) fn append_event_about(
        &self,
        about: &str,
        kind: EventKind,
        subject: &Subject,
        data: &Value,
    ) -> Result<u64> {
        self.sql
            .prepare_cached(
                "INSERT INTO event (host, time, kind, subject_kind, subject_id, subject_name,
                 about, data_json) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                self.host_text(),
                to_column(self.now()),
                kind.as_str(),
                subject.kind,
                subject.id,
                subject.name,
                about,
                to_json("event", data)?,
            ])?;
        let seq = to_unsigned(self.sql.last_insert_rowid());
        self.effect(|effects| effects.seq = Some(seq));
        Ok(seq)
    }

    /// Forgets events that are too old or too many, at most so many at once. Returns how many.
    pub fn prune_events(&self, before: Timestamp, keep: u64, at_most: u32) -> Result<usize> {
        let (_, last) = self.event_range()?;
        let removed = self.sql.execute(
            "DELETE FROM event WHERE seq IN (
                 SELECT seq FROM event WHERE time < ?1 OR seq <= ?2 ORDER BY seq LIMIT ?3)",
            params![
                to_column(before),
                to_integer(last.saturating_sub(keep)),
                at_most
            ],
        )?;
        Ok(removed)
    }
}
