// SPDX-License-Identifier: GPL-3.0-or-later
//! Accounts of our own, for people who come over the network.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{name::UserName, secret::Secret};

/// An account, as whoever may see accounts sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Account {
    /// Whose it is. The user of the host with this name is the same person.
    pub name: UserName,
    /// Whether it can be used.
    pub state: AccountState,
    /// Whether logging in takes a code besides the password.
    pub second_factor: SecondFactor,
    /// How many recovery codes are left.
    pub recovery_codes: u32,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// When its password was set.
    #[schema(value_type = String, format = DateTime)]
    pub password_set: Timestamp,
    /// When somebody last logged in with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_login: Option<Timestamp>,
}

/// Whether an account can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AccountState {
    /// It can.
    Enabled,
    /// Nobody can log in with it, and its tokens are refused.
    Disabled,
}

impl AccountState {
    /// The state's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
        }
    }
}

/// Whether an account needs more than a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SecondFactor {
    /// It does not.
    None,
    /// A code that changes every 30 seconds (RFC 6238), or a recovery code.
    Totp,
}

impl SecondFactor {
    /// The factor's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Totp => "totp",
        }
    }
}

/// An account to make.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    /// Whose it is.
    pub name: UserName,
    /// Its password: 12 to 256 characters.
    pub password: Secret,
}

/// Whether an account is to be usable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeAccount {
    /// What it is to be.
    pub state: AccountState,
}

/// A password to set.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetPassword {
    /// The one that it is to be: 12 to 256 characters.
    pub password: Secret,
    /// The one that it is; whoever sets their own must know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_password: Option<Secret>,
}

/// A second factor that waits for its first code.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TotpEnrolment {
    /// The secret that makes codes, in base 32. It is shown this once.
    pub secret: Secret,
    /// The same as an address that apps understand, often by way of a QR code.
    pub uri: Secret,
}

/// The first code of a second factor, which shows that its secret has arrived.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmTotp {
    /// The code.
    pub code: Secret,
}

/// Codes that each stand in for a lost second factor, once.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RecoveryCodes {
    /// The codes. They are shown this once.
    pub codes: Vec<Secret>,
}
