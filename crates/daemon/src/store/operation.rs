// SPDX-License-Identifier: GPL-3.0-or-later
//! Operations, with what would undo what they did so far.

use hv_model::{
    access::Principal,
    event::{EventKind, Subject},
    id::{OperationId, VmId},
    operation::{Operation, OperationState, StepState, Target},
    page::Page,
};
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};
use serde_json::json;

use super::{
    ReadTransaction, Result, WriteTransaction,
    transaction::{from_json, from_text, to_column, to_integer, to_json, to_time, to_unsigned},
};
use crate::engine::PendingUndo;

/// An operation, and what the engine keeps beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationRow {
    /// Its place in the order in which operations were asked for.
    pub sequence: u64,
    /// The operation.
    pub operation: Operation,
    /// What would undo what was done so far, the latest last.
    pub undo: Vec<PendingUndo>,
    /// How often it was begun.
    pub attempts: u32,
    /// Whether somebody asked to stop it.
    pub cancelling: bool,
}

/// Which operations are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OperationFilter {
    /// Only those in one of these states; in any, if none is named.
    pub states: Vec<OperationState>,
    /// Only those that work on what has this id.
    pub target: Option<String>,
}

const COLUMNS: &str = "sequence, id, kind, target_kind, target_id, target_name, parameters_json,
    actor_json, idempotency_key, state, steps_json, progress_json, result_json, problem_json,
    created, started, ended, undo_json, attempts, cancelling";

struct Raw {
    sequence: i64,
    id: String,
    kind: String,
    target: Target,
    parameters: String,
    actor: String,
    idempotency_key: Option<String>,
    state: String,
    steps: String,
    progress: Option<String>,
    result: String,
    problem: Option<String>,
    created: i64,
    started: Option<i64>,
    ended: Option<i64>,
    undo: String,
    attempts: u32,
    cancelling: bool,
}

impl Raw {
    fn new(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            sequence: row.get(0)?,
            id: row.get(1)?,
            kind: row.get(2)?,
            target: Target {
                kind: row.get(3)?,
                id: row.get(4)?,
                name: row.get(5)?,
            },
            parameters: row.get(6)?,
            actor: row.get(7)?,
            idempotency_key: row.get(8)?,
            state: row.get(9)?,
            steps: row.get(10)?,
            progress: row.get(11)?,
            result: row.get(12)?,
            problem: row.get(13)?,
            created: row.get(14)?,
            started: row.get(15)?,
            ended: row.get(16)?,
            undo: row.get(17)?,
            attempts: row.get(18)?,
            cancelling: row.get(19)?,
        })
    }

    fn read(self) -> Result<OperationRow> {
        let operation = Operation {
            id: from_text("operation id", self.id)?,
            kind: from_text("operation kind", self.kind)?,
            target: self.target,
            parameters: from_json("operation", &self.parameters)?,
            actor: from_json("principal", &self.actor)?,
            idempotency_key: self.idempotency_key,
            state: from_text("operation state", self.state)?,
            steps: from_json("operation", &self.steps)?,
            progress: self
                .progress
                .map(|text| from_json("operation", &text))
                .transpose()?,
            result: from_json("operation", &self.result)?,
            problem: self
                .problem
                .map(|text| from_json("problem", &text))
                .transpose()?,
            created: to_time(self.created)?,
            started: self.started.map(to_time).transpose()?,
            ended: self.ended.map(to_time).transpose()?,
        };
        Ok(OperationRow {
            sequence: to_unsigned(self.sequence),
            operation,
            undo: from_json("undo", &self.undo)?,
            attempts: self.attempts,
            cancelling: self.cancelling,
        })
    }
}

impl ReadTransaction<'_> {
    /// An operation.
    pub fn operation(&self, id: OperationId) -> Result<Option<OperationRow>> {
        let sql = format!("SELECT {COLUMNS} FROM operation WHERE host = ?1 AND id = ?2");
        let mut statement = self.sql.prepare_cached(&sql)?;
        let found = statement
            .query_row([self.host_text(), id.to_string()], Raw::new)
            .optional()?;
        found.map(Raw::read).transpose()
    }

    /// The operation that this actor asked for with this key.
    pub fn operation_with_key(&self, actor: &Principal, key: &str) -> Result<Option<OperationRow>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM operation
             WHERE host = ?1 AND actor = ?2 AND idempotency_key = ?3"
        );
        let mut statement = self.sql.prepare_cached(&sql)?;
        let found = statement
            .query_row([&self.host_text(), actor.label(), key], Raw::new)
            .optional()?;
        found.map(Raw::read).transpose()
    }

    /// Every operation that is not over, in the order in which they were asked for.
    pub fn unfinished_operations(&self) -> Result<Vec<OperationRow>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM operation WHERE ended IS NULL AND host = ?1 ORDER BY sequence"
        );
        let mut statement = self.sql.prepare_cached(&sql)?;
        let rows = statement.query_map([self.host_text()], Raw::new)?;
        rows.map(|row| row?.read()).collect()
    }

    /// A page of operations, the latest first: those asked for before `page` says, at most
    /// `limit`.
    pub fn operations(
        &self,
        filter: &OperationFilter,
        page: Option<u64>,
        limit: u32,
    ) -> Result<Page<Operation>> {
        let states: Vec<&str> = filter.states.iter().map(|state| state.as_str()).collect();
        let sql = format!(
            "SELECT {COLUMNS} FROM operation
             WHERE host = ?1 AND sequence < ?2
             AND (?3 = '[]' OR state IN (SELECT value FROM json_each(?3)))
             AND (?4 IS NULL OR target_id = ?4)
             ORDER BY sequence DESC LIMIT ?5"
        );
        let mut statement = self.sql.prepare_cached(&sql)?;
        let parameters = params![
            self.host_text(),
            page.map_or(i64::MAX, to_integer),
            to_json("filter", &states)?,
            filter.target,
            limit,
        ];
        let rows = statement
            .query_map(parameters, Raw::new)?
            .map(|row| row?.read())
            .collect::<Result<Vec<_>>>()?;
        let full = rows.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
        let next_page = rows
            .last()
            .filter(|_| full)
            .map(|row| row.sequence.to_string());
        Ok(Page {
            items: rows.into_iter().map(|row| row.operation).collect(),
            next_page,
        })
    }

    /// The last operation, of these kinds, that worked on what has this id.
    pub fn last_operation_on(&self, target: &str) -> Result<Option<OperationRow>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM operation WHERE host = ?1 AND target_id = ?2
             ORDER BY sequence DESC LIMIT 1"
        );
        let mut statement = self.sql.prepare_cached(&sql)?;
        let found = statement
            .query_row([&self.host_text(), target], Raw::new)
            .optional()?;
        found.map(Raw::read).transpose()
    }
}

impl WriteTransaction<'_> {
    /// Keeps a new operation, with its event.
    pub fn insert_operation(&self, operation: Operation) -> Result<OperationRow> {
        self.sql
            .prepare_cached(
                "INSERT INTO operation (id, host, kind, target_kind, target_id, target_name,
                 parameters_json, actor, actor_json, idempotency_key, state, steps_json,
                 result_json, created, undo_json)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, '[]')",
            )?
            .execute(params![
                operation.id.to_string(),
                self.host_text(),
                operation.kind.as_str(),
                operation.target.kind,
                operation.target.id,
                operation.target.name,
                to_json("operation", &operation.parameters)?,
                operation.actor.label(),
                to_json("principal", &operation.actor)?,
                operation.idempotency_key,
                operation.state.as_str(),
                to_json("operation", &operation.steps)?,
                to_json("operation", &operation.result)?,
                to_column(operation.created),
            ])?;
        let sequence = to_unsigned(self.sql.last_insert_rowid());
        let row = OperationRow {
            sequence,
            operation,
            undo: Vec::new(),
            attempts: 0,
            cancelling: false,
        };
        self.tell(EventKind::OperationQueued, &row.operation)?;
        Ok(row)
    }

    /// Keeps an operation as it is now, with an event that says so, and its end in the record.
    pub fn put_operation(&self, row: &OperationRow) -> Result<()> {
        let operation = &row.operation;
        self.sql
            .prepare_cached(
                "UPDATE operation SET state = ?2, steps_json = ?3, progress_json = ?4,
                 result_json = ?5, problem_json = ?6, started = ?7, ended = ?8, undo_json = ?9,
                 attempts = ?10, cancelling = ?11, target_name = ?12 WHERE id = ?1",
            )?
            .execute(params![
                operation.id.to_string(),
                operation.state.as_str(),
                to_json("operation", &operation.steps)?,
                operation
                    .progress
                    .as_ref()
                    .map(|progress| to_json("operation", progress))
                    .transpose()?,
                to_json("operation", &operation.result)?,
                operation
                    .problem
                    .as_ref()
                    .map(|problem| to_json("problem", problem))
                    .transpose()?,
                operation.started.map(to_column),
                operation.ended.map(to_column),
                to_json("undo", &row.undo)?,
                row.attempts,
                row.cancelling,
                operation.target.name,
            ])?;
        let kind = if operation.state.is_final() {
            self.append_end(operation)?;
            EventKind::OperationEnded
        } else {
            EventKind::OperationChanged
        };
        self.tell(kind, operation)
    }

    fn tell(&self, kind: EventKind, operation: &Operation) -> Result<()> {
        if operation.target.kind == "vm"
            && let Ok(vm) = operation.target.id.parse::<VmId>()
        {
            let (id, state) = (operation.id, operation.state);
            self.effect(|effects| effects.operations.push((vm, id, state)));
        }
        let running = operation
            .steps
            .iter()
            .rfind(|step| step.state == StepState::Running);
        let mut data = json!({
            "kind": operation.kind,
            "state": operation.state,
            "target": operation.target,
            "actor": operation.actor.label(),
        });
        if let Some(data) = data.as_object_mut() {
            if let Some(step) = running {
                data.insert("step".to_owned(), step.name.clone().into());
            }
            if let Some(progress) = &operation.progress {
                data.insert("progress".to_owned(), json!(progress));
            }
            if let Some(problem) = &operation.problem {
                let told = json!({ "kind": problem.kind, "detail": problem.detail });
                data.insert("problem".to_owned(), told);
            }
        }
        let subject = Subject {
            kind: "operation".to_owned(),
            id: operation.id.to_string(),
            name: format!("{} {}", operation.kind.words(), operation.target.name),
        };
        self.append_event_about(&operation.target.id, kind, &subject, &data)?;
        Ok(())
    }

    /// Forgets operations that ended before this time, at most so many at once. Returns how many.
    pub fn prune_operations(&self, before: Timestamp, at_most: u32) -> Result<usize> {
        let removed = self.sql.execute(
            "DELETE FROM operation WHERE sequence IN (
                 SELECT sequence FROM operation WHERE ended IS NOT NULL AND ended < ?1
                 ORDER BY sequence LIMIT ?2)",
            params![to_column(before), at_most],
        )?;
        Ok(removed)
    }
}
