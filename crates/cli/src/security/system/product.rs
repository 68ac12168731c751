// SPDX-License-Identifier: GPL-3.0-or-later
//! Our own configuration: what hvd, the broker and the host's policy are told.
//!
//! Read tolerantly: the daemons refuse what they do not know, the audit wants to see the rest.

use std::path::PathBuf;

use hv_model::document::{self, Format};
use serde::{Deserialize, de::DeserializeOwned};

use super::{Process, Root, Unreadable};

/// Where hvd's configuration is, if its process names no other.
const HVD: &str = "/etc/hyper-nixos/hvd.toml";
/// Where the broker's configuration is, if its process names no other.
const BROKER: &str = "/etc/hyper-nixos/broker.toml";
/// Where the host's policy is, if the broker's configuration names no other.
const POLICY: &str = "/etc/hyper-nixos/host-policy.toml";

/// Where our files are, and what they say.
#[derive(Debug, Clone)]
pub(crate) struct Product {
    /// hvd's configuration file.
    pub hvd_file: String,
    /// The broker's configuration file.
    pub broker_file: String,
    /// What hvd is told.
    pub hvd: Result<HvdSettings, Unreadable>,
    /// What the broker is told.
    pub broker: Result<BrokerSettings, Unreadable>,
}

/// What of hvd's configuration the audit looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct HvdSettings {
    pub state_dir: Option<String>,
    pub socket: Option<String>,
    pub socket_group: Option<String>,
    pub listen: Option<Listen>,
}

/// Where hvd listens on TCP.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Listen {
    pub address: String,
}

/// What of the broker's configuration the audit looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct BrokerSettings {
    pub socket: Option<String>,
    pub policy: Option<String>,
}

/// What of the host's policy the audit looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Policy {
    pub pools: Vec<Pool>,
    pub limits: Limits,
    pub devices: Devices,
    pub features: Vec<String>,
}

/// A folder where volumes live.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Pool {
    pub name: String,
    pub path: PathBuf,
}

/// How large a VM may be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Limits {
    pub vcpus: Option<u32>,
    pub memory: Option<String>,
    pub disk: Option<String>,
}

/// Devices of the host that VMs may be given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Devices {
    pub pci: Vec<String>,
    pub usb: Vec<String>,
}

impl Product {
    /// Finds and reads our files: where the running daemons say, else where they are by default.
    pub(crate) fn read(root: &Root, processes: &[Process]) -> Self {
        let file = |name: &str, default: &str| {
            let named = processes
                .iter()
                .filter(|process| process.name == name)
                .find_map(|process| process.option("--config"));
            named.unwrap_or(default).to_owned()
        };
        let hvd_file = file("hvd", HVD);
        let broker_file = file("hv-broker", BROKER);
        Self {
            hvd: read(root, &hvd_file),
            broker: read(root, &broker_file),
            hvd_file,
            broker_file,
        }
    }

    /// The folder of hvd's database.
    pub(crate) fn state_folder(&self) -> Result<String, Unreadable> {
        let folder = self.hvd.clone()?.state_dir;
        Ok(folder.unwrap_or_else(|| "/var/lib/hvd".to_owned()))
    }

    /// The socket of hvd's API.
    pub(crate) fn hvd_socket(&self) -> Result<String, Unreadable> {
        let socket = self.hvd.clone()?.socket;
        Ok(socket.unwrap_or_else(|| crate::arguments::SOCKET.to_owned()))
    }

    /// The socket of the port to libvirt.
    pub(crate) fn broker_socket(&self) -> Result<String, Unreadable> {
        let socket = self.broker.clone()?.socket;
        Ok(socket.unwrap_or_else(|| "/run/hv-broker/broker.sock".to_owned()))
    }

    /// The file of the host's policy.
    pub(crate) fn policy_file(&self) -> Result<String, Unreadable> {
        let policy = self.broker.clone()?.policy;
        Ok(policy.unwrap_or_else(|| POLICY.to_owned()))
    }

    /// The host's policy.
    pub(crate) fn policy(&self, root: &Root) -> Result<Policy, Unreadable> {
        let path = self.policy_file()?;
        let text = root.text(&path)?;
        parse(&path, &text)
    }
}

/// A file that need not exist: then everything has its default.
fn read<T: DeserializeOwned + Default>(root: &Root, path: &str) -> Result<T, Unreadable> {
    match root.text_if_there(path)? {
        Some(text) => parse(path, &text),
        None => Ok(T::default()),
    }
}

fn parse<T: DeserializeOwned>(path: &str, text: &str) -> Result<T, Unreadable> {
    let read = document::read(text, Format::Toml);
    read.map(|located| located.value)
        .map_err(|faults| Unreadable::other(path, &format!("it is not understood: {faults}")))
}
