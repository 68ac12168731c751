// SPDX-License-Identifier: GPL-3.0-or-later
//! The daemon's configuration: one TOML file, of which every part has a default.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use hv_model::{
    access::{Grant, Profile},
    audit::PublicKey,
    document::{self, Fault, Faults, Format},
};
use serde::{Deserialize, Serialize};

/// The daemon's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the database lives.
    pub state_dir: PathBuf,
    /// The socket on which the API is served.
    pub socket: PathBuf,
    /// The group whose members may open the socket; root's alone, if none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub socket_group: Option<String>,
    /// The socket on which the broker listens.
    pub broker_socket: PathBuf,
    /// A TCP address on which the API is served, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<Listen>,
    /// Who may do what.
    pub access: AccessConfig,
    /// What happens to deleted VMs.
    pub trash: TrashConfig,
    /// How much of the past is kept.
    pub history: HistoryConfig,
    /// How much is done at once.
    pub operations: OperationsConfig,
    /// How the audit log is kept.
    pub audit: AuditConfig,
}

/// A TCP address on which the API is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// An address of the loopback interface, with its port: `127.0.0.1:8080`.
    pub address: SocketAddr,
}

/// Who may do what. Root may everything; everybody else what they were granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccessConfig {
    /// Which acts need more than a grant: `production` asks for a fresh proof of identity before
    /// what is grave, `strict` for a second person.
    pub profile: Profile,
    /// The folder with the owner's own policies, `*.cedar`; one that is not there has none.
    pub policies: PathBuf,
    /// Who has which role, and where.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<Grant>,
}

/// What happens to deleted VMs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrashConfig {
    /// After how many days a deleted VM is destroyed: 0 to 3,650.
    pub keep_days: u32,
}

/// How much of the past is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HistoryConfig {
    /// For how many days operations that ended are kept: 1 to 3,650.
    pub operation_days: u32,
    /// For how many days events are kept: 1 to 3,650.
    pub event_days: u32,
    /// How many events are kept at most: 1,000 to 100,000,000.
    pub events: u64,
}

/// How much is done at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OperationsConfig {
    /// How many operations run at once, on different VMs: 1 to 64.
    pub at_once: u32,
}

/// How the audit log is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditConfig {
    /// For how many days entries are kept: 1 to 36,500.
    pub keep_days: u32,
    /// The socket on which the system's log listens, to which signed entries are copied; `none`, if
    /// they are not.
    pub syslog: SyslogSocket,
    /// The systemd credential that holds the key, 32 random bytes. If none is named, the key is in
    /// the state folder, and is made there at the first start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_credential: Option<String>,
    /// Public keys that this host had before, whose signatures in the log are right.
    pub former_keys: Vec<PublicKey>,
}

/// Where the system's log listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SyslogSocket {
    /// Nothing is sent to it.
    None,
    /// At this path.
    At(PathBuf),
}

impl TryFrom<String> for SyslogSocket {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self::None);
        }
        let path = PathBuf::from(&text);
        if path.is_absolute() {
            Ok(Self::At(path))
        } else {
            Err("is not a socket; allowed: a path that begins with /, or none".to_owned())
        }
    }
}

impl From<SyslogSocket> for String {
    fn from(socket: SyslogSocket) -> Self {
        match socket {
            SyslogSocket::None => "none".to_owned(),
            SyslogSocket::At(path) => path.display().to_string(),
        }
    }
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self {
            // A year, as those ask for who must keep a log, and some days to look at it.
            keep_days: 400,
            syslog: SyslogSocket::At("/dev/log".into()),
            key_credential: None,
            former_keys: Vec::new(),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            state_dir: "/var/lib/hvd".into(),
            socket: "/run/hyper-nixos/hvd.sock".into(),
            socket_group: None,
            broker_socket: "/run/hv-broker/broker.sock".into(),
            listen: None,
            access: AccessConfig::default(),
            trash: TrashConfig::default(),
            history: HistoryConfig::default(),
            operations: OperationsConfig::default(),
            audit: AuditConfig::default(),
        }
    }
}

impl Default for AccessConfig {
    fn default() -> Self {
        Self {
            profile: Profile::default(),
            policies: "/etc/hyper-nixos/policies".into(),
            grants: Vec::new(),
        }
    }
}

impl Default for TrashConfig {
    fn default() -> Self {
        Self { keep_days: 7 }
    }
}

impl Default for HistoryConfig {
    fn default() -> Self {
        Self {
            operation_days: 90,
            event_days: 90,
            events: 1_000_000,
        }
    }
}

impl Default for OperationsConfig {
    fn default() -> Self {
        Self { at_once: 8 }
    }
}

impl TrashConfig {
    /// How long a deleted VM is kept.
    pub const fn keep(&self) -> Duration {
        days(self.keep_days)
    }
}

impl HistoryConfig {
    /// How long operations that ended are kept.
    pub const fn keep_operations(&self) -> Duration {
        days(self.operation_days)
    }

    /// How long events are kept.
    pub const fn keep_events(&self) -> Duration {
        days(self.event_days)
    }
}

const fn days(days: u32) -> Duration {
    Duration::from_secs(days as u64 * 24 * 60 * 60)
}

/// Why a configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Its file can't be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It has faults.
    #[error("{}:\n{faults}", path.display())]
    Faulty {
        /// Which file.
        path: PathBuf,
        /// Each of them.
        faults: Faults,
    },
}

impl Config {
    /// Reads a configuration file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        Self::read(&text).map_err(|faults| ConfigError::Faulty {
            path: path.to_owned(),
            faults,
        })
    }

    /// Reads a configuration from the text of its file.
    pub fn read(text: &str) -> Result<Self, Faults> {
        let read = document::read::<Self>(text, Format::Toml)?;
        read.refuse(read.value.faults())?;
        Ok(read.value)
    }

    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if let Some(listen) = &self.listen
            && !listen.address.ip().is_loopback()
        {
            let what = "this address can be reached from other machines";
            faults.push(
                Fault::new("listen.address", what)
                    .allowed("an address of the loopback interface, such as 127.0.0.1:8080"),
            );
        }
        for (path, value) in [
            ("state_dir", &self.state_dir),
            ("socket", &self.socket),
            ("broker_socket", &self.broker_socket),
            ("access.policies", &self.access.policies),
        ] {
            if !value.is_absolute() {
                faults.push(
                    Fault::new(path, "this path depends on where hvd is started")
                        .allowed("a path that begins with /"),
                );
            }
        }
        for (place, grant) in self.access.grants.iter().enumerate() {
            let before = self.access.grants.iter().take(place);
            if before.into_iter().any(|other| other.name == grant.name) {
                let what = format!("there are two grants {}", grant.name);
                faults.push(Fault::new(format!("access.grants[{place}].name"), what));
            }
        }
        let mut range = |path: &str, value: u64, least: u64, most: u64| {
            if !(least..=most).contains(&value) {
                let what = format!("{value} is out of range");
                faults.push(Fault::new(path, what).allowed(format!("{least} to {most}")));
            }
        };
        range("trash.keep_days", self.trash.keep_days.into(), 0, 3_650);
        range(
            "history.operation_days",
            self.history.operation_days.into(),
            1,
            3_650,
        );
        range(
            "history.event_days",
            self.history.event_days.into(),
            1,
            3_650,
        );
        range("history.events", self.history.events, 1_000, 100_000_000);
        range("operations.at_once", self.operations.at_once.into(), 1, 64);
        range("audit.keep_days", self.audit.keep_days.into(), 1, 36_500);
        if let Some(name) = &self.audit.key_credential
            && (name.is_empty() || name.starts_with('.') || name.contains('/'))
        {
            let what = format!("{name:?} is not the name of a credential");
            faults.push(
                Fault::new("audit.key_credential", what)
                    .allowed("the name that LoadCredential= gives it"),
            );
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_gives_the_defaults() {
        assert_eq!(Config::read("").unwrap(), Config::default());
    }

    #[test]
    fn the_shipped_file_says_the_defaults_and_a_group() {
        let shipped = Config::read(include_str!("../../../packaging/etc/hvd.toml")).unwrap();
        let default = Config {
            socket_group: Some("hv-users".to_owned()),
            ..Config::default()
        };
        assert_eq!(shipped, default);
    }

    #[test]
    fn an_unknown_key_is_told_with_its_line_and_the_nearest_known_one() {
        let faults = Config::read("state_dir = '/x'\nsoket = '/y'\n")
            .unwrap_err()
            .to_string();
        assert!(
            faults.contains('2') && faults.contains("soket") && faults.contains("socket"),
            "{faults}"
        );
    }

    #[test]
    fn an_address_that_others_can_reach_is_refused() {
        let faults = Config::read("[listen]\naddress = '0.0.0.0:80'\n")
            .unwrap_err()
            .to_string();
        assert!(
            faults.contains("other machines") && faults.contains("127.0.0.1"),
            "{faults}"
        );
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let text = "socket = 'hvd.sock'\n[trash]\nkeep_days = 9999\n[operations]\nat_once = 0\n";
        let faults = Config::read(text).unwrap_err().to_string();
        for part in ["socket", "keep_days", "at_once"] {
            assert!(faults.contains(part), "{part}: {faults}");
        }
    }
}
