// SPDX-License-Identifier: GPL-3.0-or-later
//! The broker's configuration file.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use hv_model::name::{UserGroupName, VmName};
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
    /// How much libvirt itself judges.
    #[serde(default)]
    pub profile: Profile,
    /// Who may do what to which VMs in profile `strict`; libvirt learns it from the rules that
    /// `hv-broker polkit-rules` prints.
    #[serde(default)]
    pub operators: Vec<OperatorRule>,
}

/// How much libvirt itself judges.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Whether its socket can be opened: by the broker's user alone.
    #[default]
    Production,
    /// Besides, whether the person that a VM is started, stopped or used for may do that.
    Strict,
}

/// What the members of a group may do in libvirt's eyes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorRule {
    /// The group, as the host knows it.
    pub group: UserGroupName,
    /// To which VMs; to all, if not given.
    #[serde(default = "all_vms")]
    pub vms: Vec<VmPattern>,
    /// What; everything that a person can be allowed, if not given.
    #[serde(default = "all_rights")]
    pub may: BTreeSet<OperatorRight>,
}

/// Something that a person can be allowed to do to a VM, and that is no way to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OperatorRight {
    /// Start it.
    Start,
    /// Shut it down, reboot it, force it off.
    Stop,
    /// Press its reset button.
    Reset,
    /// Pause it and let it go on.
    Pause,
    /// Save its memory and forget what was saved.
    Save,
    /// Use its console.
    Console,
}

impl OperatorRight {
    /// Every right.
    pub const ALL: [Self; 6] = [
        Self::Start,
        Self::Stop,
        Self::Reset,
        Self::Pause,
        Self::Save,
        Self::Console,
    ];
}

/// A VM's name, or how it begins: `web-*`, `*`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct VmPattern(String);

impl VmPattern {
    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for VmPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let start = text.strip_suffix('*').unwrap_or(&text);
        let is_all = start.is_empty() && text == "*";
        if is_all || start.parse::<VmName>().is_ok() {
            Ok(Self(text))
        } else {
            let rule = "a VM's name, or how it begins with a * behind it";
            Err(format!("{text:?} names no VMs; allowed are {rule}"))
        }
    }
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

fn all_vms() -> Vec<VmPattern> {
    vec![VmPattern("*".to_owned())]
}

fn all_rights() -> BTreeSet<OperatorRight> {
    OperatorRight::ALL.into()
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
        assert_eq!(config.profile, Profile::Production);
    }

    #[test]
    fn operators_have_all_that_is_harmless_unless_less_is_said() {
        let text = "socket = '/x'\nprofile = 'strict'\n[[operators]]\ngroup = 'hv-users'\n\
                    [[operators]]\ngroup = 'web'\nvms = ['web-*', 'db']\nmay = ['start']\n";
        let config: Config = toml::from_str(text).unwrap();
        assert_eq!(config.operators[0].may.len(), OperatorRight::ALL.len());
        assert_eq!(config.operators[0].vms, all_vms());
        assert_eq!(config.operators[1].may, [OperatorRight::Start].into());
    }

    #[test]
    fn what_no_person_may_hold_or_names_no_vm_is_an_error() {
        for (line, words) in [
            ("may = ['write']", "write"),
            ("vms = ['../x']", "names no VMs"),
            ("vms = ['']", "names no VMs"),
            ("vms = ['w*b']", "names no VMs"),
            ("users = ['ada']", "users"),
        ] {
            let text = format!("socket = '/x'\n[[operators]]\ngroup = 'g'\n{line}\n");
            let error = toml::from_str::<Config>(&text).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn the_shipped_configuration_serves_hvd_and_its_policy_is_one() {
        let text = include_str!("../../../packaging/etc/broker.toml");
        let config: Config = toml::from_str(text).unwrap();
        let hvd = Account::Name("hvd".to_owned());
        assert_eq!(config.allow_users, [hvd.clone()].into());
        assert_eq!(config.socket_group, Some(hvd));
        let strict = text.replace("\n#[[", "\n[[").replace("\n#group", "\ngroup");
        let strict: Config = toml::from_str(&strict).unwrap();
        assert_eq!(strict.operators.len(), 1);
        let policy = include_str!("../../../packaging/etc/host-policy.toml");
        hv_guard::HostPolicy::parse(policy).unwrap();
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
