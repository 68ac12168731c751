// SPDX-License-Identifier: GPL-3.0-or-later
//! Whether what happens is recorded, where nobody can undo it, for long enough.

use hv_model::security::{Category::Logs, Objective, Severity};

use super::{
    Answer, Check, System, Unreadable,
    observation::{Offenders, fail, not_applicable, pass, seen, warn},
};

/// Daemons that keep the clock right; the kernel keeps fifteen bytes of a name.
const CLOCKS: [&str; 6] = [
    "chronyd",
    "ntpd",
    "ntpd-rs",
    "ntp-daemon",
    "systemd-timesyn",
    "openntpd",
];
const LOG_FOLDERS: [&str; 5] = [
    "/var/log/libvirt",
    "/var/log/libvirt/qemu",
    "/var/log/audit",
    "/var/log/journal",
    "/var/log/hyper-nixos",
];
/// What the year needs that PCI-DSS asks for.
const YEAR_DAYS: u64 = 365;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "logs.audit-log",
        category: Logs,
        title: "hvd records who asked for what",
        severity: Severity::High,
        why: "Without a record nobody can say who deleted a VM, or that nobody did.",
        fix: &["hv audit list"],
        objectives: &[Objective::AdministratorActionsAudited],
        look: audit_log,
    },
    Check {
        id: "logs.audit-chain",
        category: Logs,
        title: "Nobody can change hvd's record unseen",
        severity: Severity::Medium,
        why: "Whoever did something wrong and reaches the record takes it out. A chain of hashes shows \
              the gap.",
        fix: &["hv audit list --json, copied each day to where this host's root does not reach"],
        objectives: &[Objective::TamperEvidentLog],
        look: audit_chain,
    },
    Check {
        id: "logs.auditd",
        category: Logs,
        title: "The kernel's audit is recorded",
        severity: Severity::Medium,
        why: "What somebody does who is root already is seen by the kernel alone.",
        fix: &[
            "apt-get install auditd",
            "On NixOS: security.auditd.enable = true;",
        ],
        objectives: &[
            Objective::AuditDaemon,
            Objective::AdministratorActionsAudited,
        ],
        look: auditd,
    },
    Check {
        id: "logs.audit-exec",
        category: Logs,
        title: "Programs that run with more rights are recorded",
        severity: Severity::Low,
        why: "How somebody became root is the first question afterwards.",
        fix: &[
            "In /etc/audit/rules.d: -a always,exit -F arch=b64 -S execve -C uid!=euid -F euid=0 -k execpriv",
        ],
        objectives: &[Objective::AuditExec],
        look: audit_exec,
    },
    Check {
        id: "logs.audit-mount",
        category: Logs,
        title: "Mounts are recorded",
        severity: Severity::Low,
        why: "A disk of a VM that is mounted on the host is read without a trace in the VM.",
        fix: &["In /etc/audit/rules.d: -a always,exit -F arch=b64 -S mount -F auid>=1000 -k mount"],
        objectives: &[Objective::AuditMount],
        look: audit_mount,
    },
    Check {
        id: "logs.remote",
        category: Logs,
        title: "Logs are sent to another machine",
        severity: Severity::Medium,
        why: "Whoever is root here changes every log that lies here.",
        fix: &[
            "apt-get install rsyslog-gnutls, and in /etc/rsyslog.d: *.* @@logs.example.org:6514",
        ],
        objectives: &[Objective::RemoteLogs, Objective::TamperEvidentLog],
        look: remote,
    },
    Check {
        id: "logs.persistent",
        category: Logs,
        title: "Logs survive a reboot",
        severity: Severity::Medium,
        why: "A log in memory is gone with the crash that it should explain.",
        fix: &["mkdir -p /var/log/journal && systemctl restart systemd-journald"],
        objectives: &[Objective::LogRetention],
        look: persistent,
    },
    Check {
        id: "logs.retention",
        category: Logs,
        title: "Logs are kept for a year",
        severity: Severity::Low,
        why: "Break-ins are found after months, on average.",
        fix: &[
            "In /etc/systemd/journald.conf: MaxRetentionSec=400day",
            "In /etc/logrotate.conf: rotate 400",
        ],
        objectives: &[Objective::LogRetention],
        look: retention,
    },
    Check {
        id: "logs.clock",
        category: Logs,
        title: "The clock is kept right",
        severity: Severity::Medium,
        why: "Without the right time logs of several machines cannot be put together, and certificates \
              seem valid that are not.",
        fix: &[
            "apt-get install chrony",
            "On NixOS: services.timesyncd.enable = true;",
        ],
        objectives: &[Objective::TimeSynchronization],
        look: clock,
    },
    Check {
        id: "logs.ssh",
        category: Logs,
        title: "sshd records which key was used",
        severity: Severity::Low,
        why: "Where several people share an account, the key is what tells them apart.",
        fix: &["In /etc/ssh/sshd_config: LogLevel VERBOSE"],
        objectives: &[Objective::SshVerbose],
        look: ssh,
    },
    Check {
        id: "logs.permissions",
        category: Logs,
        title: "Nobody else changes logs",
        severity: Severity::High,
        why: "Who can write a log can write into it what never happened.",
        fix: &["chmod o-w FILE"],
        objectives: &[Objective::TamperEvidentLog],
        look: permissions,
    },
];

fn audit_log(system: &System) -> Answer {
    let entries = system.hvd.audit.clone()?;
    match entries.first() {
        Some(entry) => pass(format!("The newest entry is of {}.", entry.time)),
        None if system.hvd.vms.clone()?.is_empty() => {
            not_applicable("The record is empty, and there are no VMs: nothing was asked for yet.")
        }
        None => fail("There are VMs, and the record is empty."),
    }
}

fn audit_chain(system: &System) -> Answer {
    // What verifies it is part of the API of versions that chain it.
    if !system.hvd.has("/v1/audit/verification")? {
        let version = system.hvd.version.clone()?.version;
        return fail(format!("hvd {version} does not chain its record."));
    }
    let health = system.hvd.health.clone()?;
    let broken = health
        .checks
        .iter()
        .filter(|check| check.id.contains("audit"));
    let broken = broken.filter(|check| check.status > hv_model::health::CheckStatus::Unknown);
    Offenders::of(broken.map(|check| format!("{}: {}", check.id, check.observed))).answer(
        "Entries are chained, and hvd's health knows of no break. `hv audit verify` looks at each.",
        "hvd's health knows of a break.",
    )
}

fn auditd(system: &System) -> Answer {
    match system.called("auditd")?.first() {
        Some(process) => seen(pass("auditd runs."), [process.to_string()]),
        None => fail("auditd does not run."),
    }
}

/// Whether a rule of the kernel's audit names this system call.
fn rule(system: &System, call: &str) -> Answer {
    let mut files = system.root.paths("/etc/audit/rules.d", ".rules")?;
    files.push("/etc/audit/audit.rules".to_owned());
    for path in files {
        let Some(text) = system.root.text_if_there(&path)? else {
            continue;
        };
        let watches = |line: &&str| {
            let mut words = line.split_whitespace();
            !line.trim_start().starts_with('#')
                && words.any(|word| word == "-S")
                && line.split([' ', ',']).any(|word| word == call)
        };
        if let Some(line) = text.lines().find(watches) {
            return seen(pass("A rule says so."), [format!("{path}: {line}")]);
        }
    }
    fail(format!("No rule names {call}."))
}

fn audit_exec(system: &System) -> Answer {
    rule(system, "execve")
}

fn audit_mount(system: &System) -> Answer {
    rule(system, "mount")
}

fn remote(system: &System) -> Answer {
    let mut files = system.root.paths("/etc/rsyslog.d", ".conf")?;
    files.push("/etc/rsyslog.conf".to_owned());
    for path in files {
        let Some(text) = system.root.text_if_there(&path)? else {
            continue;
        };
        let sends = |line: &&str| {
            let line = line.trim();
            !line.starts_with('#')
                && (line.contains(" @")
                    || line.contains("\t@")
                    || line.contains("omfwd")
                    || line.contains("omrelp"))
        };
        if let Some(line) = text.lines().find(sends) {
            return seen(
                pass("rsyslog sends them."),
                [format!("{path}: {}", line.trim())],
            );
        }
    }
    for name in [
        "systemd-journal-u",
        "audisp-remote",
        "vector",
        "promtail",
        "fluent-bit",
        "filebeat",
    ] {
        // The kernel keeps fifteen bytes of a name.
        let cut = name.get(..15).unwrap_or(name);
        if let Some(process) = system.called(cut)?.first() {
            return seen(
                pass("A program that sends them runs."),
                [process.to_string()],
            );
        }
    }
    fail("Neither rsyslog nor another known program sends them.")
}

fn journald(system: &System, key: &str) -> Result<Option<String>, Unreadable> {
    let mut files = vec!["/etc/systemd/journald.conf".to_owned()];
    files.extend(system.root.paths("/etc/systemd/journald.conf.d", ".conf")?);
    let mut value = None;
    for path in files {
        let text = system.root.text_if_there(&path)?.unwrap_or_default();
        let mut set = text.lines().filter_map(|line| line.trim().split_once('='));
        let last = set.rfind(|(known, _)| *known == key);
        value = last.map(|(_, value)| value.trim().to_owned()).or(value);
    }
    Ok(value)
}

fn persistent(system: &System) -> Answer {
    if journald(system, "Storage")?.as_deref() == Some("persistent") {
        return pass("journald keeps its logs on disk.");
    }
    if system.root.status_if_there("/var/log/journal")?.is_some() {
        return pass("/var/log/journal is there, so journald keeps its logs on disk.");
    }
    for name in ["rsyslogd", "syslog-ng"] {
        if !system.called(name)?.is_empty() {
            return pass(format!("{name} keeps logs on disk."));
        }
    }
    fail("Neither journald nor a syslog daemon keeps logs on disk.")
}

fn retention(system: &System) -> Answer {
    let Some(value) = journald(system, "MaxRetentionSec")? else {
        return warn(
            "journald keeps logs until its space is used up; how long that is nobody says.",
        );
    };
    match days(&value) {
        Some(0) => pass("journald has no limit of time."),
        Some(days) if days >= YEAR_DAYS => pass(format!("journald keeps logs for {days} days.")),
        Some(days) => fail(format!("journald keeps logs for {days} days.")),
        None => Err(Unreadable::other(
            "MaxRetentionSec",
            &format!("{value} is not understood"),
        )),
    }
}

/// systemd's spans of time, of one unit, in days.
fn days(text: &str) -> Option<u64> {
    let split = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(split)?;
    let number: u64 = number.parse().ok()?;
    let seconds: u64 = match unit.trim() {
        "" | "s" | "sec" | "second" | "seconds" => 1,
        "m" | "min" | "minute" | "minutes" => 60,
        "h" | "hr" | "hour" | "hours" => 3_600,
        "d" | "day" | "days" => 86_400,
        "w" | "week" | "weeks" => 7 * 86_400,
        "M" | "month" | "months" => 2_629_800,
        "y" | "year" | "years" => 31_557_600,
        _ => return None,
    };
    Some(number.checked_mul(seconds)?.div_ceil(86_400))
}

fn clock(system: &System) -> Answer {
    let processes = system.processes()?;
    let running = processes
        .iter()
        .find(|process| CLOCKS.contains(&process.name.as_str()));
    match running {
        Some(clock) => seen(pass(format!("{} does.", clock.name)), [clock.to_string()]),
        None => fail("No program that does is running."),
    }
}

fn ssh(system: &System) -> Answer {
    let Some(settings) = system.sshd()? else {
        return not_applicable("There is no SSH server.");
    };
    match settings.get("loglevel") {
        Some(level) if level == "verbose" || level.starts_with("debug") => {
            pass(format!("LogLevel is {level}."))
        }
        level => fail(format!("LogLevel is {}.", level.unwrap_or("not known"))),
    }
}

fn permissions(system: &System) -> Answer {
    let mut offenders = Offenders::default();
    for folder in LOG_FOLDERS {
        let Some(status) = system.root.status_if_there(folder)? else {
            continue;
        };
        offenders
            .look(Ok((status.everybody_writes() && status.mode & 0o1000 == 0)
                .then(|| status.to_string())));
        for path in system.root.paths(folder, "")? {
            let status = system.root.link_status(&path);
            offenders.look(status.map(|status| {
                let open = status.everybody_writes()
                    && status.kind == crate::security::system::root::Kind::File;
                open.then(|| status.to_string())
            }));
        }
    }
    if offenders.saw_nothing() {
        return not_applicable("None of the folders of logs is there.");
    }
    offenders.answer("Nobody else does.", "Others can.")
}
