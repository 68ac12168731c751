// SPDX-License-Identifier: GPL-3.0-or-later
//! What an actor knows of the host. It is assumed that they know everything but the secrets.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::http::Door;

/// What an actor knows of the host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arena {
    /// The program `hv`.
    pub program: PathBuf,
    /// hvd's socket.
    pub socket: PathBuf,
    /// hvd's address on the loopback interface, if it has one.
    pub address: Option<String>,
    /// Whether it speaks TLS there.
    pub tls: bool,
    /// The broker's socket.
    pub port: PathBuf,
    /// libvirt's sockets, the one for changes first.
    pub libvirt: Vec<PathBuf>,
    /// Files that decide what may be done on the host.
    pub rules: Vec<PathBuf>,
    /// The folder of hvd's database.
    pub state: PathBuf,
    /// The pools' folders.
    pub pools: Vec<PathBuf>,
    /// A file that only root may read.
    pub canary: PathBuf,
    /// A folder that only root may enter.
    pub cellar: PathBuf,
    /// A network that VMs may be plugged into.
    pub network: Option<String>,
    /// An image to make VMs from.
    pub image: String,
    /// The actor's own VM, which runs.
    pub own: Known,
    /// The own VM of who may make VMs, which is off.
    pub made: Known,
    /// A VM of somebody else, which runs.
    pub victim: Known,
    /// Whose that is.
    pub victims_owner: String,
    /// A VM whose guest is Linux with a shell on its serial console, if there is one.
    pub linux: Option<Known>,
}

/// A VM that is known by name and id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
}

/// What one attempt was told besides, by its own names.
pub type Facts = BTreeMap<String, String>;

impl Arena {
    /// hvd, by its socket.
    pub fn hvd(&self) -> Door {
        Door::Unix(self.socket.clone())
    }
}
