// SPDX-License-Identifier: GPL-3.0-or-later
//! The daemon's configuration: one TOML file, of which every part has a default.

use std::{
    collections::BTreeMap,
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use hv_model::{
    access::{Grant, Profile, QuotaLimits},
    document::{self, Fault, Faults, Format},
    name::UserName,
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
    /// How much of the host they may have.
    pub quotas: QuotasConfig,
}

/// How much of the host each user may have, and everybody together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QuotasConfig {
    /// Everybody together, all VMs of the host included. What is not said is 100 VMs of which 50
    /// run, and 5 TiB of disk. Nothing that is set while the daemon runs goes above it.
    pub total: QuotaLimits,
    /// Each user. What is not said is 20 VMs, 500 GiB of disk and 10 snapshots for one VM, and 10
    /// VMs made within an hour.
    pub each_user: QuotaLimits,
    /// Single users, in place of what each user may have.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub users: BTreeMap<UserName, QuotaLimits>,
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
        }
    }
}

impl Default for AccessConfig {
    fn default() -> Self {
        Self {
            profile: Profile::default(),
            policies: "/etc/hyper-nixos/policies".into(),
            grants: Vec::new(),
            quotas: QuotasConfig::default(),
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

impl QuotasConfig {
    /// What everybody together may have.
    pub fn total(&self) -> QuotaLimits {
        self.total.over(&QuotaLimits::of_host())
    }

    /// What each user may have for whom nothing else is said.
    pub fn each_user(&self) -> QuotaLimits {
        self.each_user.over(&QuotaLimits::of_user())
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
        faults
    }
}

#[cfg(test)]
mod tests {
    use hv_model::access::Measure;

    use super::*;

    #[test]
    fn an_empty_file_gives_the_defaults() {
        assert_eq!(Config::read("").unwrap(), Config::default());
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
    fn quotas_that_are_not_said_keep_their_defaults() {
        let text = "[access.quotas]\ntotal = { vms = 200, disk = 'none' }\n\
                    [access.quotas.users.ada]\nvms = 40\nmemory = '64 GiB'\n";
        let quotas = Config::read(text).unwrap().access.quotas;
        let total = quotas.total();
        assert_eq!(total.most(Measure::Vms), Some(200));
        assert_eq!(total.most(Measure::Running), Some(50));
        assert_eq!(total.most(Measure::Disk), None);
        assert_eq!(quotas.each_user().most(Measure::Vms), Some(20));
        let ada = quotas.users.values().next().unwrap();
        assert_eq!(ada.most(Measure::Memory), Some(64 << 30));
    }

    #[test]
    fn a_quota_that_makes_no_sense_is_told_with_what_does() {
        let text = "[access.quotas]\ntotal = { vm = 1 }\neach_user = { vms = -1, disk = 'lots' }\n";
        let faults = Config::read(text).unwrap_err().to_string();
        for part in ["vm", "vms", "or none", "500 GiB"] {
            assert!(faults.contains(part), "{part}: {faults}");
        }
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
