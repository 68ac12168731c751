// SPDX-License-Identifier: GPL-3.0-or-later
//! What root finds out about the host before anybody tries anything.

use std::{
    fs,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};

use crate::Trouble;

/// Where the suite finds the host, and what it may use.
#[derive(Debug, Clone)]
pub struct Places {
    /// hvd's socket.
    pub socket: PathBuf,
    /// A folder that is the suite's own: the canary lies in it.
    pub folder: PathBuf,
    /// An image whose guest is Linux with a shell on its serial console, for what a guest tries.
    pub linux_image: Option<String>,
    /// The program `hv`, which children of the suite are.
    pub program: PathBuf,
}

/// A daemon that runs.
#[derive(Debug, Clone)]
pub(crate) struct Daemon {
    /// Its process.
    pub(crate) process: i32,
    /// Its user.
    pub(crate) user: u32,
    /// Its group.
    pub(crate) group: u32,
    /// Its other groups.
    pub(crate) groups: Vec<u32>,
    /// Its configuration, and where that is.
    pub(crate) config: toml::Table,
    pub(crate) config_file: Option<PathBuf>,
}

impl Daemon {
    /// The daemon that serves this socket.
    pub(crate) fn behind(socket: &Path) -> Result<Self, Trouble> {
        let stream = UnixStream::connect(socket).map_err(Trouble::at(socket))?;
        let peer = rustix::net::sockopt::socket_peercred(&stream);
        let peer = peer.map_err(|error| Trouble::at(socket)(error.into()))?;
        let process = peer.pid.as_raw_nonzero().get();
        let proc = PathBuf::from(format!("/proc/{process}"));
        let read = |name: &str| {
            let path = proc.join(name);
            fs::read_to_string(&path).map_err(Trouble::at(&path))
        };
        let status = read("status")?;
        let groups = numbers(&status, "Groups:");
        let arguments = read("cmdline")?;
        let mut arguments = arguments.split('\0');
        let config_file = arguments
            .find(|argument| *argument == "--config")
            .and_then(|_| arguments.next())
            .map(PathBuf::from);
        let config = match &config_file {
            Some(path) => fs::read_to_string(path)
                .map_err(Trouble::at(path))?
                .parse()
                .map_err(|error| Trouble(format!("{}: {error}", path.display())))?,
            None => toml::Table::new(),
        };
        Ok(Self {
            process,
            user: peer.uid.as_raw(),
            group: peer.gid.as_raw(),
            groups,
            config,
            config_file,
        })
    }

    /// A path in its configuration.
    pub(crate) fn path(&self, key: &str, otherwise: &str) -> PathBuf {
        let given = self.config.get(key).and_then(toml::Value::as_str);
        given.unwrap_or(otherwise).into()
    }

    /// How much memory it had at most, in bytes.
    pub(crate) fn peak(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process));
        let kib = status.map(|status| numbers(&status, "VmHWM:").first().copied());
        u64::from(kib.ok().flatten().unwrap_or(0)) << 10
    }
}

/// The numbers of a line of `/proc/PID/status`.
pub(crate) fn numbers(status: &str, key: &str) -> Vec<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let words = line.unwrap_or_default().split_whitespace();
    words.filter_map(|word| word.parse().ok()).collect()
}
