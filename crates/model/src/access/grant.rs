// SPDX-License-Identifier: GPL-3.0-or-later
//! Grants: who has which role, and where.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Role;
use crate::name::{GrantName, NameError, PoolName, Tag, UserGroupName, UserName, VmName};

/// A role that somebody has somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Its name: decisions that it makes name the policy `grant:NAME`.
    pub name: GrantName,
    /// Who has it.
    pub to: Grantee,
    /// What they may do.
    pub role: Role,
    /// Where.
    #[serde(default)]
    pub on: Scope,
    /// Until when; without end, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
}

impl Grant {
    /// Whether it gives nothing any more at this time.
    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// Where a grant comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GrantSource {
    /// The daemon's configuration: only root changes it.
    Configuration,
    /// It was given while the daemon ran.
    RunTime,
}

/// Which destructive acts need more than a grant.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// They need a fresh proof of identity.
    #[default]
    Production,
    /// They need a second person, and libvirt judges each change, too.
    Strict,
}

/// Who has a grant: `user:ada` or `group:staff`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Grantee {
    /// A person.
    User(UserName),
    /// The members of a group of the host.
    Group(UserGroupName),
}

/// Where a grant holds: `everything`, `own`, `vm:web`, `tag:prod`, `owner:ada` or `pool:fast`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Scope {
    /// Everywhere.
    #[default]
    Everything,
    /// On the VMs that the grantee owns.
    Own,
    /// On the VM of this name.
    Vm(VmName),
    /// On the VMs with this tag.
    Tag(Tag),
    /// On the VMs of this owner.
    Owner(UserName),
    /// On the VMs all of whose disks are in this pool.
    Pool(PoolName),
}

/// A text that names nobody, or no place, that a grant could be for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// It does not say what it names.
    #[error("{value:?} is not {what}: allowed are {allowed}")]
    Form {
        /// What was to be named.
        what: &'static str,
        /// The text, shortened.
        value: String,
        /// What it may look like.
        allowed: &'static str,
    },
    /// It names something by a name that nothing can have.
    #[error(transparent)]
    Name(#[from] NameError),
}

fn form(what: &'static str, value: &str, allowed: &'static str) -> GrantError {
    GrantError::Form {
        what,
        value: value.chars().take(64).collect(),
        allowed,
    }
}

impl FromStr for Grantee {
    type Err = GrantError;
    fn from_str(text: &str) -> Result<Self, GrantError> {
        match text.split_once(':') {
            Some(("user", name)) => Ok(Self::User(name.parse()?)),
            Some(("group", name)) => Ok(Self::Group(name.parse()?)),
            _ => Err(form("a grantee", text, "user:NAME and group:NAME")),
        }
    }
}

impl fmt::Display for Grantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "user:{name}"),
            Self::Group(name) => write!(f, "group:{name}"),
        }
    }
}

impl FromStr for Scope {
    type Err = GrantError;
    fn from_str(text: &str) -> Result<Self, GrantError> {
        match (text, text.split_once(':')) {
            ("everything", _) => Ok(Self::Everything),
            ("own", _) => Ok(Self::Own),
            (_, Some(("vm", name))) => Ok(Self::Vm(name.parse()?)),
            (_, Some(("tag", name))) => Ok(Self::Tag(name.parse()?)),
            (_, Some(("owner", name))) => Ok(Self::Owner(name.parse()?)),
            (_, Some(("pool", name))) => Ok(Self::Pool(name.parse()?)),
            _ => Err(form(
                "a place",
                text,
                "everything, own, vm:NAME, tag:TAG, owner:NAME and pool:NAME",
            )),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("everything"),
            Self::Own => f.write_str("own"),
            Self::Vm(name) => write!(f, "vm:{name}"),
            Self::Tag(tag) => write!(f, "tag:{tag}"),
            Self::Owner(name) => write!(f, "owner:{name}"),
            Self::Pool(name) => write!(f, "pool:{name}"),
        }
    }
}

macro_rules! as_text {
    ($($type:ident, $example:literal;)*) => {$(
        impl TryFrom<String> for $type {
            type Error = GrantError;
            fn try_from(text: String) -> Result<Self, GrantError> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }

        impl utoipa::ToSchema for $type {}

        impl utoipa::PartialSchema for $type {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .examples([$example])
                    .into()
            }
        }
    )*};
}

as_text! {
    Grantee, "user:ada";
    Scope, "tag:prod";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_and_where_are_written_as_they_are_read() {
        for text in ["user:ada", "group:staff"] {
            assert_eq!(text.parse::<Grantee>().unwrap().to_string(), text);
        }
        for text in [
            "everything",
            "own",
            "vm:web",
            "tag:prod",
            "owner:ada",
            "pool:fast",
        ] {
            assert_eq!(text.parse::<Scope>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_with_what_is_allowed() {
        for text in ["", "ada", "root:ada", "user:", "user:../x", "group:a b"] {
            assert!(text.parse::<Grantee>().is_err(), "{text}");
        }
        for text in ["", "all", "vm:", "tag:\"", "everything:x", "own:x"] {
            let error = text.parse::<Scope>().unwrap_err().to_string();
            assert!(error.contains("allowed"), "{error}");
        }
    }
}
