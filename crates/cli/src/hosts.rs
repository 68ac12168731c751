// SPDX-License-Identifier: GPL-3.0-or-later
//! The hosts that somebody has logged in to: where they are, how they are known, and the session.
//!
//! They are in `hyper-nixos/hosts.toml` in the user's folder for configuration, which nobody else
//! may read.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::PathBuf,
};

use hv_client::{Client, Fingerprint, RemoteAddress, Trust};
use hv_model::{name::HostName, secret::Secret};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::failure::Failure;

/// The hosts that are known.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Hosts {
    hosts: BTreeMap<HostName, KnownHost>,
}

/// A host that somebody has logged in to.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KnownHost {
    /// Where it is: `https://host.example.org:8443`.
    pub address: String,
    /// The fingerprint of its certificate; none, if an authority of the system vouches for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Who has logged in.
    pub user: String,
    /// The secret of their session, or a token; none once they have logged out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Secret>,
}

impl KnownHost {
    /// The daemon of this host, which is asked as whoever has logged in.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let damaged = |why: String| {
            let fix = "Log in again: hv login ADDRESS.";
            Failure::usage(format!("what is known of {}: {why}", self.address), fix)
        };
        let remote: RemoteAddress = self
            .address
            .parse()
            .map_err(|error| damaged(format!("{error}")))?;
        let trust = match &self.fingerprint {
            None => Trust::System,
            Some(text) => {
                let known: Result<Fingerprint, _> = text.parse();
                Trust::Fingerprint(known.map_err(|error| damaged(error.to_string()))?)
            }
        };
        let client = Client::tls(remote, trust)?;
        Ok(match &self.session {
            Some(session) => client.with_bearer(session.clone()),
            None => client,
        })
    }
}

impl Hosts {
    /// Reads them; without a file there are none.
    pub(crate) fn load() -> Result<Self, Failure> {
        let path = path()?;
        let shown = path.display().to_string();
        let text = match fs::read_to_string(&path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Failure::local(format!("cannot read {shown}"))(error)),
        };
        let mode = fs::metadata(&path).map_err(Failure::local(format!("cannot read {shown}")))?;
        if mode.mode() & 0o077 != 0 {
            let fix = format!("End what was seen and log in again: chmod 600 {shown}; hv logout.");
            return Err(Failure::usage(format!("others may read {shown}"), fix));
        }
        toml::from_str(&text).map_err(|error| {
            // The text itself may hold a secret, so only the place is told.
            let place = error.span().map_or(0, |span| span.start);
            let line = text.get(..place).unwrap_or_default().lines().count().max(1);
            let fix = format!("Mend it, or remove it and log in again: {shown}.");
            Failure::usage(format!("{shown} is damaged near line {line}"), fix)
        })
    }

    /// The host of this name.
    pub(crate) fn named(&self, name: &HostName) -> Result<&KnownHost, Failure> {
        self.hosts.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.hosts.keys().map(HostName::as_str).collect();
            let fix = if known.is_empty() {
                "Log in first: hv login https://HOST:PORT.".to_owned()
            } else {
                format!(
                    "Known are: {}. For another one: hv login ADDRESS.",
                    known.join(", ")
                )
            };
            Failure::usage(format!("no host {name} is known"), fix)
        })
    }

    /// The one of this name, whatever it is.
    pub(crate) fn get(&self, name: &HostName) -> Option<&KnownHost> {
        self.hosts.get(name)
    }

    /// The only host with a session, if there is just one.
    pub(crate) fn only(&self) -> Option<&HostName> {
        let mut with_session = self.hosts.iter().filter(|(_, host)| host.session.is_some());
        let (name, _) = with_session.next()?;
        with_session.next().is_none().then_some(name)
    }

    /// Keeps a host.
    pub(crate) fn keep(&mut self, name: HostName, host: KnownHost) -> Result<(), Failure> {
        self.hosts.insert(name, host);
        self.save()
    }

    /// Forgets the session with a host, and keeps how the host is known.
    pub(crate) fn forget_session(&mut self, name: &HostName) -> Result<(), Failure> {
        if let Some(host) = self.hosts.get_mut(name) {
            host.session = None;
        }
        self.save()
    }

    fn save(&self) -> Result<(), Failure> {
        let path = path()?;
        let failed = || Failure::local(format!("cannot write {}", path.display()));
        let text = toml::to_string(self).map_err(io::Error::other);
        let text = Zeroizing::new(text.map_err(failed())?);
        let folder = path.parent().map(PathBuf::from).unwrap_or_default();
        let write = || {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&folder)?;
            let draft = path.with_extension(format!("new-{}", std::process::id()));
            let mut options = fs::OpenOptions::new();
            let mut file = options
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&draft)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&draft, &path)
        };
        write().map_err(failed())
    }
}

fn path() -> Result<PathBuf, Failure> {
    let folder = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let folder = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")));
    let folder = folder.ok_or_else(|| {
        let fix = "Set HOME, or XDG_CONFIG_HOME.";
        Failure::usage("it is not known where your configuration is", fix)
    })?;
    Ok(folder.join("hyper-nixos/hosts.toml"))
}
