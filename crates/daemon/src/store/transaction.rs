// SPDX-License-Identifier: GPL-3.0-or-later
//! Transactions: one type to look, another to change.

use std::{
    cell::{Cell, RefCell},
    ops::Deref,
    sync::Arc,
};

use hv_model::{
    id::{HostId, OperationId, VmId},
    operation::OperationState,
};
use jiff::Timestamp;
use rusqlite::Transaction;
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::{Result, StoreError, VmRow, audit::Tip};
use crate::clock::Ids;

/// A look at the store as it is at one moment.
pub struct ReadTransaction<'a> {
    pub(super) sql: &'a Transaction<'a>,
    pub(super) host: HostId,
}

impl<'a> ReadTransaction<'a> {
    pub(super) const fn new(sql: &'a Transaction<'a>, host: HostId) -> Self {
        Self { sql, host }
    }

    /// The host's id, as rows have it.
    pub(super) fn host_text(&self) -> String {
        self.host.to_string()
    }
}

/// A change of the store. It can look at everything, too.
pub struct WriteTransaction<'a> {
    read: ReadTransaction<'a>,
    now: Timestamp,
    ids: &'a Ids,
    effects: RefCell<Effects>,
    /// Where the audit log ends, as far as this transaction has come.
    audit_tip: Cell<Tip>,
}

/// What a transaction changed of what is also held in memory.
#[derive(Default)]
pub(super) struct Effects {
    pub(super) vms: Vec<(VmId, Option<Arc<VmRow>>)>,
    pub(super) operations: Vec<(VmId, OperationId, OperationState)>,
    pub(super) seq: Option<u64>,
}

impl<'a> WriteTransaction<'a> {
    pub(super) fn new(
        sql: &'a Transaction<'a>,
        host: HostId,
        now: Timestamp,
        ids: &'a Ids,
        audit_tip: Tip,
    ) -> Self {
        let read = ReadTransaction::new(sql, host);
        Self {
            read,
            now,
            ids,
            effects: RefCell::default(),
            audit_tip: Cell::new(audit_tip),
        }
    }

    /// When the transaction began. Everything that it writes happened then.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// A new id.
    pub fn next_id(&self) -> Uuid {
        self.ids.next()
    }

    pub(super) fn effect(&self, change: impl FnOnce(&mut Effects)) {
        change(&mut self.effects.borrow_mut());
    }

    pub(super) const fn audit_tip(&self) -> Tip {
        self.audit_tip.get()
    }

    pub(super) fn put_audit_tip(&self, tip: Tip) {
        self.audit_tip.set(tip);
    }

    pub(super) fn into_effects(self) -> (Effects, Tip) {
        (self.effects.into_inner(), self.audit_tip.get())
    }
}

impl<'a> Deref for WriteTransaction<'a> {
    type Target = ReadTransaction<'a>;
    fn deref(&self) -> &ReadTransaction<'a> {
        &self.read
    }
}

/// A value as a JSON column has it.
pub(super) fn to_json<T: Serialize>(what: &'static str, value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| StoreError::Unreadable {
        what,
        why: error.to_string(),
    })
}

/// A value of a JSON column.
pub(super) fn from_json<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| StoreError::Unreadable {
        what,
        why: error.to_string(),
    })
}

/// A value of a column that holds a name or an id.
pub(super) fn from_text<T: DeserializeOwned>(what: &'static str, text: String) -> Result<T> {
    serde_json::from_value(serde_json::Value::String(text)).map_err(|error| {
        StoreError::Unreadable {
            what,
            why: error.to_string(),
        }
    })
}

/// A time as a column has it.
pub(super) fn to_column(time: Timestamp) -> i64 {
    time.as_millisecond()
}

/// A time of a column.
pub(super) fn to_time(milliseconds: i64) -> Result<Timestamp> {
    Timestamp::from_millisecond(milliseconds).map_err(|error| StoreError::Unreadable {
        what: "time",
        why: error.to_string(),
    })
}

/// An unsigned number as a column has it.
pub(super) fn to_integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// An unsigned number of a column.
pub(super) fn to_unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
