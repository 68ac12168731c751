// SPDX-License-Identifier: GPL-3.0-or-later
//! The record of who did what.

use hv_model::{
    access::{Action, Decision, Principal},
    audit::AuditEntry,
    id::{AuditId, OperationId},
    page::Page,
};
use rusqlite::params;

use super::{
    ReadTransaction, Result, WriteTransaction,
    transaction::{from_json, from_text, to_column, to_integer, to_json, to_time, to_unsigned},
};

impl ReadTransaction<'_> {
    /// A page of the record, the latest entries first: those older than `page` says, at most
    /// `limit`.
    pub fn audit(&self, page: Option<u64>, limit: u32) -> Result<Page<AuditEntry>> {
        let mut statement = self.sql.prepare_cached(
            "SELECT sequence, id, time, principal_json, action, target, decision_json, operation
             FROM audit WHERE host = ?1 AND sequence < ?2 ORDER BY sequence DESC LIMIT ?3",
        )?;
        let before = page.map_or(i64::MAX, to_integer);
        let mut rows = statement.query(params![self.host_text(), before, limit])?;
        let mut items = Vec::new();
        let mut last = None;
        while let Some(row) = rows.next()? {
            last = Some(to_unsigned(row.get(0)?));
            items.push(AuditEntry {
                id: from_text("audit id", row.get(1)?)?,
                time: to_time(row.get(2)?)?,
                principal: from_json("principal", &row.get::<_, String>(3)?)?,
                action: from_text("action", row.get(4)?)?,
                target: row.get(5)?,
                decision: from_json("decision", &row.get::<_, String>(6)?)?,
                operation: row
                    .get::<_, Option<String>>(7)?
                    .map(|id| from_text("operation id", id))
                    .transpose()?,
            });
        }
        let full = items.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(Page {
            items,
            next_page: last.filter(|_| full).map(|last| last.to_string()),
        })
    }
}

impl WriteTransaction<'_> {
    /// Adds an entry to the record.
    pub fn append_audit(
        &self,
        principal: &Principal,
        action: Action,
        target: &str,
        decision: &Decision,
        operation: Option<OperationId>,
    ) -> Result<AuditEntry> {
        let entry = AuditEntry {
            id: AuditId::new(self.next_id()),
            time: self.now(),
            principal: principal.clone(),
            action,
            target: target.to_owned(),
            decision: decision.clone(),
            operation,
        };
        self.sql
            .prepare_cached(
                "INSERT INTO audit (id, host, time, principal_json, action, target, decision_json,
                 operation) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                entry.id.to_string(),
                self.host_text(),
                to_column(entry.time),
                to_json("principal", &entry.principal)?,
                entry.action.as_str(),
                entry.target,
                to_json("decision", &entry.decision)?,
                entry.operation.map(|id| id.to_string()),
            ])?;
        Ok(entry)
    }
}
