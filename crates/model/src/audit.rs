// SPDX-License-Identifier: GPL-3.0-or-later
//! The record of who did what.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    access::{Action, Decision, Principal},
    id::{AuditId, OperationId},
};

/// One entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditEntry {
    /// Its id.
    pub id: AuditId,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    /// Who.
    pub principal: Principal,
    /// What.
    pub action: Action,
    /// On what: `vm/web`.
    pub target: String,
    /// Whether they might, and by which policy.
    pub decision: Decision,
    /// The operation that it became.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<OperationId>,
}
