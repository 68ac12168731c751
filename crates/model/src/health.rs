// SPDX-License-Identifier: GPL-3.0-or-later
//! Whether all is well, and what needs attention.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The answer to one health question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Check {
    /// Its id: `host.acceleration`.
    pub id: String,
    /// The answer.
    pub status: CheckStatus,
    /// What was seen.
    pub observed: String,
    /// Why it matters; empty when all is well.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// Commands or words that mend it.
    #[serde(default, rename = "try", skip_serializing_if = "Vec::is_empty")]
    pub fixes: Vec<String>,
}

/// How a check came out, from best to worst.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum CheckStatus {
    /// All is well.
    Pass,
    /// It could not be found out.
    Unknown,
    /// It needs attention.
    Warn,
    /// It is broken.
    Fail,
}

/// The health of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Health {
    /// The worst of the checks.
    pub status: CheckStatus,
    /// The checks, the worst first.
    pub checks: Vec<Check>,
    /// How old what is known of the VMs is.
    pub freshness: Freshness,
}

/// How old what is known of the VMs is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Freshness {
    /// Whether the host is being listened to now.
    pub live: bool,
    /// When the host last answered.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub seen: Option<Timestamp>,
    /// Why it is not live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}
