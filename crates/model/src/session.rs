// SPDX-License-Identifier: GPL-3.0-or-later
//! Logging in, and the sessions that come of it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    access::{Principal, TokenScope},
    id::SessionId,
    name::UserName,
    secret::Secret,
};

/// Who wants to log in.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The account's name.
    pub name: String,
    /// Its password.
    pub password: Secret,
    /// The code of its second factor, or a recovery code, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Secret>,
    /// How the session's secret is to be carried.
    #[serde(default)]
    pub carry: Carry,
}

/// How a session's secret is carried.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Carry {
    /// By a browser, in a cookie that no script can read.
    #[default]
    Cookie,
    /// By a program, in the header `Authorization`.
    Bearer,
}

/// A session that was opened.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LoggedIn {
    /// The session.
    pub session: Session,
    /// What the header `HV-CSRF` of each change must say, when a cookie carries the session.
    pub csrf: Secret,
    /// The session's secret, when a program carries it. It is shown this once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<Secret>,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Session {
    /// Its id, which is not its secret.
    pub id: SessionId,
    /// Whose it is.
    pub account: UserName,
    /// How its secret is carried.
    pub carry: Carry,
    /// From which address it was opened.
    pub from: String,
    /// What opened it, as it called itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// When it was opened.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// When it was last used, to the minute.
    #[schema(value_type = String, format = DateTime)]
    pub last_used: Timestamp,
    /// When it ends, however much it is used.
    #[schema(value_type = String, format = DateTime)]
    pub expires: Timestamp,
}

/// Who the daemon takes somebody for.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WhoAmI {
    /// Who.
    pub principal: Principal,
    /// The session by which they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Session>,
    /// What the token by which they are known is narrowed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<TokenScope>,
    /// What the header `HV-CSRF` of each change must say, when a cookie carries the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csrf: Option<Secret>,
}

/// What shows, once more, that somebody is who they are.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Prove {
    /// Their account's password: enough where there is no second factor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// A code of their second factor, where there is one, or a recovery code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Secret>,
}

/// A proof of who somebody is, good for a short while.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Proof {
    /// What the header `HV-Proof` must say.
    pub proof: Secret,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    pub expires: Timestamp,
}
