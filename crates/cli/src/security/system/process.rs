// SPDX-License-Identifier: GPL-3.0-or-later
//! Processes, as procfs shows them.

use jiff::{SignedDuration, Timestamp};

use super::{Root, Unreadable, root::if_there};

/// How many ticks of procfs a second has: what the kernel shows to user space, whatever it counts in.
const TICKS: i64 = 100;

/// A process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Process {
    /// Its number.
    pub id: u32,
    /// Its name, of which the kernel keeps fifteen bytes. Whoever started it chose it.
    pub name: String,
    /// Its parent's number.
    pub parent: u32,
    /// The user whose rights it has.
    pub user: u32,
    /// The groups whose rights it has.
    pub groups: Vec<u32>,
    /// The capabilities that it uses now.
    pub capabilities: u64,
    /// Whether it can gain rights by running a program.
    pub no_new_privileges: bool,
    /// Whether its system calls are filtered.
    pub filtered: bool,
    /// How it was called.
    pub arguments: Vec<String>,
    /// When it was started, where that is known.
    pub started: Option<Timestamp>,
}

/// Every process.
pub(crate) fn all(root: &Root) -> Result<Vec<Process>, Unreadable> {
    // Where processes of others are hidden (hidepid), the first one is, too, and what is not seen
    // would look as if it did not run.
    if root.text_if_there("/proc/1/status")?.is_none() {
        return Err(Unreadable::Denied("/proc".to_owned()));
    }
    let mut processes = Vec::new();
    let booted = root.text("/proc/stat").ok().as_deref().and_then(booted);
    for name in root.names("/proc")? {
        let Ok(id) = name.parse() else { continue };
        // One that ended meanwhile is none.
        if let Some(status) = root.text_if_there(&format!("/proc/{id}/status"))? {
            let arguments = root.bytes(&format!("/proc/{id}/cmdline"), 1 << 20);
            let mut process = read(id, &status, &if_there(arguments)?.unwrap_or_default());
            let ticks = root.text_if_there(&format!("/proc/{id}/stat"))?;
            process.started = started(booted, ticks.as_deref().unwrap_or_default());
            processes.push(process);
        }
    }
    Ok(processes)
}

fn read(id: u32, status: &str, arguments: &[u8]) -> Process {
    let mut process = Process {
        id,
        arguments: arguments
            .split(|byte| *byte == 0)
            .filter(|part| !part.is_empty())
            .map(|part| String::from_utf8_lossy(part).into_owned())
            .collect(),
        ..Process::default()
    };
    for line in status.lines() {
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        let mut words = value.split_whitespace();
        match key {
            "Name" => value.trim().clone_into(&mut process.name),
            "PPid" => process.parent = number(words.next()),
            // Real, effective, saved, of files.
            "Uid" => process.user = number(words.nth(1)),
            "Gid" => process
                .groups
                .extend(words.nth(1).and_then(|word| word.parse::<u32>().ok())),
            "Groups" => process
                .groups
                .extend(words.filter_map(|word| word.parse::<u32>().ok())),
            "CapEff" => {
                // What is not understood counts as every capability.
                let word = words.next().unwrap_or_default();
                process.capabilities = u64::from_str_radix(word, 16).unwrap_or(u64::MAX);
            }
            "NoNewPrivs" => process.no_new_privileges = words.next() == Some("1"),
            "Seccomp" => process.filtered = words.next() == Some("2"),
            _ => {}
        }
    }
    process
}

/// When the host was started.
fn booted(stat: &str) -> Option<Timestamp> {
    let seconds = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    Timestamp::from_second(seconds.trim().parse().ok()?).ok()
}

/// When a process was started, from the ticks since the host was.
fn started(booted: Option<Timestamp>, stat: &str) -> Option<Timestamp> {
    // The name stands in brackets and may hold anything, brackets included.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: i64 = fields.split_whitespace().nth(19)?.parse().ok()?;
    booted?
        .checked_add(SignedDuration::from_secs(ticks / TICKS))
        .ok()
}

fn number(word: Option<&str>) -> u32 {
    word.and_then(|word| word.parse().ok()).unwrap_or_default()
}

impl Process {
    /// The value that follows an option: of `--config FILE` the file.
    pub(crate) fn option(&self, option: &str) -> Option<&str> {
        let mut arguments = self.arguments.iter().map(String::as_str);
        while let Some(argument) = arguments.next() {
            match argument.strip_prefix(option) {
                Some("") => return arguments.next(),
                Some(rest) if rest.starts_with('=') => return rest.get(1..),
                _ => {}
            }
        }
        None
    }

    /// When it was started.
    pub(crate) fn started(&self) -> Result<Timestamp, Unreadable> {
        let unknown = || Unreadable::other(self.to_string(), "when it was started is not known");
        self.started.ok_or_else(unknown)
    }

    /// Whether it is a VM's. A QEMU without a machine is libvirt asking what it can do.
    pub(crate) fn is_qemu(&self) -> bool {
        let is_qemu = self.name.starts_with("qemu-system") || self.name == "qemu-kvm";
        let machine = self.option("-machine").unwrap_or_default();
        is_qemu && machine.split(',').next() != Some("none")
    }
}

impl std::fmt::Display for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "process {} ({}), user {}", self.id, self.name, self.user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_what_its_status_says() {
        let status = "Name:\tqemu-system-x86\nPPid:\t1\nUid:\t0\t64055\t0\t0\nGid:\t103\t103\t103\t103\n\
                      Groups:\t103 64055 \nCapEff:\t0000000000001000\nNoNewPrivs:\t1\nSeccomp:\t2\n";
        let process = read(
            7,
            status,
            b"/usr/bin/qemu-system-x86_64\0-name\0guest=web\0--x=1\0",
        );
        assert_eq!(process.user, 64055);
        assert_eq!(process.groups, [103, 103, 64055]);
        assert_eq!(process.capabilities, 0x1000);
        assert!(process.no_new_privileges && process.filtered && process.is_qemu());
        assert_eq!(process.option("-name"), Some("guest=web"));
        assert_eq!(process.option("--x"), Some("1"));
        assert_eq!(process.option("--y"), None);
    }

    #[test]
    fn when_it_was_started_is_counted_from_the_hosts_start() {
        let booted = booted("cpu 1\nbtime 1000\n");
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 500 1 1";
        assert_eq!(started(booted, stat), Timestamp::from_second(1005).ok());
        assert_eq!(started(booted, "7 (a"), None);
    }

    #[test]
    fn capabilities_that_are_not_understood_are_all_there_are() {
        assert_eq!(read(7, "CapEff:\tmany\n", b"").capabilities, u64::MAX);
    }
}
