// SPDX-License-Identifier: GPL-3.0-or-later
//! The system's log, told of refusals with their fields.
//!
//! journald takes fields in its own form over a socket (`systemd.io/JOURNAL_NATIVE_PROTOCOL`); any
//! other system log takes one line (RFC 3164) at `/dev/log`.

use std::{io, os::unix::net::UnixDatagram, process};

use hv_model::refusal::{GuardEffect, GuardRefusal};

const JOURNAL: &str = "/run/systemd/journal/socket";
const SYSLOG: &str = "/dev/log";

/// Facility `authpriv`, severity `warning`.
const PRIORITY: u8 = 10 * 8 + 4;

/// Tells the system's log, whichever runs.
pub fn tell(refusal: &GuardRefusal) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    // A log that does not read must not hold up libvirt.
    socket.set_nonblocking(true)?;
    let sent = socket.send_to(&fields(refusal), JOURNAL);
    let sent = sent.or_else(|_| socket.send_to(line(refusal).as_bytes(), SYSLOG));
    sent.map(drop)
}

/// A refusal in one line.
pub fn message(refusal: &GuardRefusal) -> String {
    let effect = match refusal.effect {
        GuardEffect::Refused => "refused to",
        GuardEffect::Reported => "found running against the host's policy at",
    };
    let (operation, name) = (&refusal.operation, &refusal.name);
    let reasons = refusal.reasons.join("; ");
    format!("{effect} {operation:?} VM {name:?}: {reasons}").replace(char::is_control, "?")
}

fn line(refusal: &GuardRefusal) -> String {
    let (pid, message) = (process::id(), message(refusal));
    format!("<{PRIORITY}>hv-guard[{pid}]: {message}")
}

fn fields(refusal: &GuardRefusal) -> Vec<u8> {
    let mut fields = Vec::new();
    let id = refusal.id.map(|id| id.to_string());
    for (name, value) in [
        ("MESSAGE", message(refusal)),
        ("PRIORITY", "4".to_owned()),
        ("SYSLOG_FACILITY", "10".to_owned()),
        ("SYSLOG_IDENTIFIER", "hv-guard".to_owned()),
        ("HV_VM", refusal.name.clone()),
        ("HV_VM_ID", id.unwrap_or_default()),
        ("HV_OPERATION", refusal.operation.clone()),
        ("HV_REASONS", refusal.reasons.join("\n")),
    ] {
        // With its length, so that no value can begin another field.
        fields.extend_from_slice(name.as_bytes());
        fields.push(b'\n');
        fields.extend_from_slice(&(value.len() as u64).to_le_bytes());
        fields.extend_from_slice(value.as_bytes());
        fields.push(b'\n');
    }
    fields
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn refusal() -> GuardRefusal {
        GuardRefusal {
            time: Timestamp::UNIX_EPOCH,
            name: "a\nPRIORITY=0\u{1b}[2J".to_owned(),
            id: None,
            operation: "prepare".to_owned(),
            effect: GuardEffect::Refused,
            reasons: vec!["one".to_owned(), "two".to_owned()],
        }
    }

    #[test]
    fn a_line_stays_one_line_whatever_a_vm_is_called() {
        let line = line(&refusal());
        assert!(line.starts_with("<84>hv-guard["), "{line}");
        assert!(!line.contains(char::is_control), "{line}");
        assert!(line.ends_with("one; two"), "{line}");
    }

    #[test]
    fn each_field_says_its_length() {
        let fields = fields(&refusal());
        let name = refusal().name;
        let mut wanted = b"HV_VM\n".to_vec();
        wanted.extend((name.len() as u64).to_le_bytes());
        wanted.extend(name.as_bytes());
        wanted.push(b'\n');
        let found = fields
            .windows(wanted.len())
            .filter(|part| *part == wanted)
            .count();
        assert_eq!(found, 1);
    }
}
