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
    audit::PublicKey,
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
    /// How long people stay logged in.
    pub sessions: SessionsConfig,
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
    /// The address with its port: `127.0.0.1:8080`, or `[::]:8443` for every one of the host's.
    pub address: SocketAddr,
    /// Whether it is served over TLS, and with which certificate, if none is given: `off` on the
    /// loopback interface, `self-made` elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// A file with the certificate and those up to its authority, as PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// A file with the certificate's private key, as PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// The names by which others reach this host; its own name, if none is given. Requests for
    /// other names are refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
}

/// Whether an address is served over TLS when no certificate is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tls {
    /// It is not: for the loopback interface only.
    Off,
    /// With a certificate that the daemon makes for itself.
    SelfMade,
}

/// How an address is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security<'a> {
    /// Without TLS.
    Plain,
    /// With a certificate that the daemon makes for itself.
    SelfMade,
    /// With a certificate that is given.
    Given {
        /// Its file.
        certificate: &'a Path,
        /// The file of its private key.
        key: &'a Path,
    },
}

impl Listen {
    /// Serves at this address, with all else as it is by itself.
    pub const fn at(address: SocketAddr) -> Self {
        Self {
            address,
            tls: None,
            certificate: None,
            key: None,
            names: Vec::new(),
        }
    }

    /// How the address is served.
    pub fn security(&self) -> Security<'_> {
        match (&self.certificate, &self.key, self.tls) {
            (Some(certificate), Some(key), _) => Security::Given { certificate, key },
            (_, _, Some(Tls::Off)) => Security::Plain,
            (_, _, None) if self.address.ip().is_loopback() => Security::Plain,
            _ => Security::SelfMade,
        }
    }

    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.security() == Security::Plain && !self.address.ip().is_loopback() {
            let what = "without TLS this address, which other machines can reach, is not served";
            faults.push(
                Fault::new("listen.tls", what)
                    .allowed("self-made; or an address of the loopback interface"),
            );
        }
        match (&self.certificate, &self.key) {
            (Some(_), None) => {
                faults.push(Fault::new("listen.key", "the certificate needs its key"));
            }
            (None, Some(_)) => {
                faults.push(Fault::new(
                    "listen.certificate",
                    "the key needs its certificate",
                ));
            }
            (Some(_), Some(_)) if self.tls.is_some() => {
                let what = "a certificate is given, so this has no meaning";
                faults.push(Fault::new("listen.tls", what));
            }
            _ => {}
        }
        let paths = [
            ("listen.certificate", &self.certificate),
            ("listen.key", &self.key),
        ];
        for (path, value) in paths {
            if value.as_ref().is_some_and(|value| !value.is_absolute()) {
                faults.push(
                    Fault::new(path, "this path depends on where hvd is started")
                        .allowed("a path that begins with /"),
                );
            }
        }
        for (place, name) in self.names.iter().enumerate() {
            if !is_host_name(name) {
                faults.push(
                    Fault::new(
                        format!("listen.names[{place}]"),
                        "this is no name of a host",
                    )
                    .allowed("a name such as host.example.org, without a port"),
                );
            }
        }
        faults
    }
}

/// Whether a text is a name that a host can have in DNS (RFC 1123, section 2.1).
fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

/// How long people stay logged in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SessionsConfig {
    /// After how many minutes without use a session ends: 1 to 1,440.
    pub idle_minutes: u32,
    /// After how many hours a session ends, however much it is used: 1 to 720.
    pub hours: u32,
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
            sessions: SessionsConfig::default(),
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
            quotas: QuotasConfig::default(),
        }
    }
}

impl Default for SessionsConfig {
    fn default() -> Self {
        Self {
            idle_minutes: 30,
            hours: 12,
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

impl SessionsConfig {
    /// After which time without use a session ends.
    pub const fn idle(&self) -> Duration {
        Duration::from_secs(self.idle_minutes as u64 * 60)
    }

    /// After which time a session ends.
    pub const fn lasts(&self) -> Duration {
        Duration::from_secs(self.hours as u64 * 60 * 60)
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
        if let Some(listen) = &self.listen {
            faults.extend(listen.faults());
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
        range(
            "sessions.idle_minutes",
            self.sessions.idle_minutes.into(),
            1,
            1_440,
        );
        range("sessions.hours", self.sessions.hours.into(), 1, 720);
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
    use hv_model::access::Measure;

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
    fn an_address_that_others_can_reach_is_not_served_without_tls() {
        let faults = Config::read("[listen]\naddress = '0.0.0.0:80'\ntls = 'off'\n")
            .unwrap_err()
            .to_string();
        assert!(
            faults.contains("other machines") && faults.contains("self-made"),
            "{faults}"
        );
    }

    #[test]
    fn an_address_is_served_as_safely_as_it_must_be() {
        let security = |text: &str| {
            let listen = Config::read(&format!("[listen]\n{text}")).unwrap().listen;
            format!("{:?}", listen.unwrap().security())
        };
        assert_eq!(security("address = '127.0.0.1:80'"), "Plain");
        assert_eq!(security("address = '0.0.0.0:443'"), "SelfMade");
        assert_eq!(
            security("address = '[::1]:443'\ntls = 'self-made'"),
            "SelfMade"
        );
        let given = "address = '[::]:443'\ncertificate = '/c.pem'\nkey = '/k.pem'";
        assert!(security(given).starts_with("Given"));
    }

    #[test]
    fn half_a_certificate_and_names_that_are_none_are_refused() {
        for (text, told) in [
            ("certificate = '/c.pem'", "listen.key"),
            ("key = '/k.pem'", "listen.certificate"),
            ("certificate = 'c.pem'\nkey = '/k.pem'", "begins with /"),
            (
                "certificate = '/c.pem'\nkey = '/k.pem'\ntls = 'off'",
                "listen.tls",
            ),
            ("names = ['host.example.org', 'a b']", "listen.names[1]"),
            ("names = ['host:80']", "listen.names[0]"),
        ] {
            let text = format!("[listen]\naddress = '0.0.0.0:443'\n{text}\n");
            let faults = Config::read(&text).unwrap_err().to_string();
            assert!(faults.contains(told), "{text}: {faults}");
        }
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
