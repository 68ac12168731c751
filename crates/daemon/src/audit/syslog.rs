// SPDX-License-Identifier: GPL-3.0-or-later
//! Telling the system's log, which is kept by somebody else and perhaps on another machine.
//!
//! A message is one datagram to the socket on which journald or syslogd listens, in the form of
//! RFC 3164 as programs on the same machine send it: priority, time, name, text.

use std::{
    io,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;

/// The name under which messages stand in the system's log.
pub(super) const NAME: &str = "hvd-audit";

/// The facility for what concerns security and is not for everybody's eyes.
const AUTHPRIV: u8 = 10;
/// How long the system's log may take to accept a message.
const PATIENCE: Duration = Duration::from_secs(1);

/// How loud a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    /// Somebody must look at it.
    Critical,
    /// It is worth keeping.
    Notice,
}

impl Severity {
    const fn number(self) -> u8 {
        match self {
            Self::Critical => 2,
            Self::Notice => 5,
        }
    }
}

/// Where the system's log listens.
#[derive(Debug, Clone)]
pub(super) struct Syslog(PathBuf);

impl Syslog {
    pub(super) const fn at(path: PathBuf) -> Self {
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Sends a message. It waits at most a second.
    pub(super) fn send(&self, severity: Severity, now: Timestamp, text: &str) -> io::Result<()> {
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        socket.connect(&self.0)?;
        socket
            .send(message(severity, now, text).as_bytes())
            .map(drop)
    }
}

fn message(severity: Severity, now: Timestamp, text: &str) -> String {
    let priority = AUTHPRIV * 8 + severity.number();
    let process = std::process::id();
    // The time is UTC. Those who receive it on the same machine put their own in its place.
    let time = now.strftime("%b %e %H:%M:%S");
    format!("<{priority}>{time} {NAME}[{process}]: {text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_datagram_as_syslog_knows_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let log = UnixDatagram::bind(&path).unwrap();
        let now = "2026-01-02T03:04:05Z".parse().unwrap();
        Syslog::at(path)
            .send(Severity::Notice, now, "hello")
            .unwrap();
        let mut buffer = [0; 200];
        let length = log.recv(&mut buffer).unwrap();
        let got = std::str::from_utf8(&buffer[..length]).unwrap();
        let process = std::process::id();
        assert_eq!(
            got,
            format!("<85>Jan  2 03:04:05 hvd-audit[{process}]: hello")
        );
    }

    #[test]
    fn where_nobody_listens_that_is_told() {
        let nowhere = Syslog::at("/nonexistent/log".into());
        let error = nowhere
            .send(Severity::Critical, Timestamp::UNIX_EPOCH, "hello")
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
