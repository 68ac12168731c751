// SPDX-License-Identifier: GPL-3.0-or-later
//! One rule for every name that a person may choose.
//!
//! A name has 1 to 63 characters, starts with a letter or a digit, and goes on with letters,
//! digits, `.`, `_` or `-`. So it is safe in a URL, in XML, in a file name and on a command line,
//! and can never be mistaken for an option or climb out of a folder.

use std::{borrow::Borrow, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// How many characters a name may have.
pub const MAX_LENGTH: usize = 63;

/// What a name may look like, in words that go into every message about a bad one.
pub const RULE: &str =
    "1 to 63 letters, digits, '.', '_' or '-', of which the first is a letter or a digit";

/// A text that is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not {what}: allowed are {RULE}")]
pub struct NameError {
    /// What was to be named.
    pub what: &'static str,
    /// The text that was given, shortened.
    pub value: String,
}

fn check(text: &str, what: &'static str) -> Result<(), NameError> {
    let mut characters = text.chars();
    let starts_well = characters
        .next()
        .is_some_and(|first| first.is_ascii_alphanumeric());
    let goes_on_well =
        characters.all(|other| other.is_ascii_alphanumeric() || matches!(other, '.' | '_' | '-'));
    if starts_well && goes_on_well && text.len() <= MAX_LENGTH {
        Ok(())
    } else {
        Err(NameError {
            what,
            value: text.chars().take(MAX_LENGTH + 1).collect(),
        })
    }
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident = $what:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schema(value_type = String, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", example = "web")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                check(text, $what).map(|()| Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                check(&text, $what).map(|()| Self(text))
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    )*};
}

names! {
    /// The name of a VM.
    VmName = "a VM name";
    /// The name of an image.
    ImageName = "an image name";
    /// The name of a storage pool.
    PoolName = "a pool name";
    /// The name of a volume in a pool: a file's name, never a path.
    VolumeName = "a volume name";
    /// The name of a virtual network.
    NetworkName = "a network name";
    /// The name of a bridge of the host.
    BridgeName = "a bridge name";
    /// A device's name within a VM, such as `vda`.
    DeviceName = "a device name";
    /// A tag that groups VMs.
    Tag = "a tag";
    /// A group whose VMs start together.
    GroupName = "a group name";
    /// A user as the host knows them.
    UserName = "a user name";
    /// A group of users as the host knows it.
    UserGroupName = "a group of users";
    /// A grant of a role.
    GrantName = "a grant name";
    /// A token of the API.
    TokenName = "a token name";
    /// What a host is called by whoever reaches it from elsewhere.
    HostName = "a name of a host";
    /// A CPU model or feature in QEMU's spelling, such as `Skylake-Server` or `ibt`.
    CpuName = "a CPU model or feature";
    /// A machine type in QEMU's spelling, such as `q35` or `virt`.
    MachineName = "a machine type";
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_plain_name_is_taken_as_it_is() {
        assert_eq!(
            "web-01.prod_a".parse::<VmName>().unwrap().as_str(),
            "web-01.prod_a"
        );
    }

    #[test]
    fn names_that_could_be_an_option_a_path_or_nothing_are_refused() {
        for bad in [
            "",
            "-rf",
            ".hidden",
            "../x",
            "a/b",
            "a b",
            "a\n",
            "naïve",
            &"x".repeat(64),
        ] {
            assert!(bad.parse::<VmName>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn every_accepted_name_is_one_plain_file_name(text in "\\PC{0,70}") {
            if let Ok(name) = text.parse::<VolumeName>() {
                prop_assert!(!name.as_str().contains('/') && !name.as_str().starts_with('.'));
                prop_assert!(name.as_str().len() <= MAX_LENGTH && !name.as_str().is_empty());
            }
        }
    }
}
