// SPDX-License-Identifier: GPL-3.0-or-later
//! The broker's configuration file.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;

/// How the broker is set up. Every key but `socket` has a default.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where it listens.
    pub socket: PathBuf,
    /// Which libvirt it reaches.
    #[serde(default = "libvirt_uri")]
    pub libvirt_uri: String,
    /// The host's policy.
    #[serde(default = "policy")]
    pub policy: PathBuf,
    /// The folder where the guard's refusals wait to be told.
    #[serde(default = "refusals")]
    pub refusals: PathBuf,
    /// Who may use it besides root and its own user: names or numbers.
    #[serde(default)]
    pub allow_users: BTreeSet<Account>,
    /// The group that can reach its socket. With one user allowed and no group, the socket is
    /// that user's.
    #[serde(default)]
    pub socket_group: Option<Account>,
}

/// A user or a group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(untagged)]
pub enum Account {
    /// By number.
    Number(u32),
    /// By name.
    Name(String),
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("the configuration {} can't be read: {error}", .path.display())]
    Read {
        /// Where it was looked for.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// It says nothing that could be understood.
    #[error("the configuration {} is wrong: {error}", .path.display())]
    Wrong {
        /// Where it is.
        path: PathBuf,
        /// What is wrong, with the line.
        error: Box<toml::de::Error>,
    },
}

impl Config {
    /// Reads the file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|error| ConfigError::Read {
            path: path.to_owned(),
            error,
        })?;
        toml::from_str(&text).map_err(|error| ConfigError::Wrong {
            path: path.to_owned(),
            error: Box::new(error),
        })
    }
}

fn libvirt_uri() -> String {
    "qemu:///system".to_owned()
}

fn policy() -> PathBuf {
    "/etc/hyper-nixos/host-policy.toml".into()
}

fn refusals() -> PathBuf {
    hv_guard::spool::FOLDER.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_socket_must_be_given() {
        let config: Config = toml::from_str("socket = '/run/x.sock'").unwrap();
        assert_eq!(config.libvirt_uri, "qemu:///system");
        assert_eq!(
            config.policy,
            Path::new("/etc/hyper-nixos/host-policy.toml")
        );
        assert!(config.allow_users.is_empty() && config.socket_group.is_none());
    }

    #[test]
    fn accounts_are_names_or_numbers_and_unknown_keys_are_errors() {
        let text = "socket = '/x'\nallow_users = ['hvd', 990]\nsocket_group = 'hvd'";
        let config: Config = toml::from_str(text).unwrap();
        let hvd = Account::Name("hvd".to_owned());
        assert_eq!(config.allow_users, [Account::Number(990), hvd].into());
        let error = toml::from_str::<Config>("socket = '/x'\nsoket = 1").unwrap_err();
        assert!(error.to_string().contains("soket"), "{error}");
    }
}
