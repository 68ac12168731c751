// SPDX-License-Identifier: GPL-3.0-or-later
//! Whether a file can be swapped between a look at it and its use.

use hv_model::security::{Category::TemporaryFiles, Objective, Severity};

use super::{
    Answer, Check, System,
    observation::{Offenders, fail, not_applicable},
};
use crate::security::system::listener::targets;

/// Where everybody may put files.
const SHARED: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];
const RUNTIME: [&str; 4] = [
    "/run/hyper-nixos",
    "/run/hv-broker",
    "/run/libvirt",
    "/run/libvirt/qemu",
];

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "temporary.sticky",
        category: TemporaryFiles,
        title: "Nobody can replace others' files where everybody writes",
        severity: Severity::High,
        why: "Without the sticky bit everybody removes everybody's files, and puts links in their place.",
        fix: &["chmod 1777 /tmp /var/tmp /dev/shm"],
        objectives: &[Objective::LeastPrivilege],
        look: sticky,
    },
    Check {
        id: "temporary.links",
        category: TemporaryFiles,
        title: "The kernel does not follow planted links",
        severity: Severity::Medium,
        why: "A link in /tmp with a name that root's program is about to use makes it write elsewhere.",
        fix: &[
            "sysctl -w fs.protected_symlinks=1 fs.protected_hardlinks=1 fs.protected_fifos=1 fs.protected_regular=2",
        ],
        objectives: &[Objective::LeastPrivilege],
        look: links,
    },
    Check {
        id: "temporary.mounts",
        category: TemporaryFiles,
        title: "Where everybody writes there are neither devices nor setuid programs",
        severity: Severity::Low,
        why: "nosuid and nodev make what somebody plants there harmless.",
        fix: &[
            "mount -o remount,nosuid,nodev /tmp",
            "On NixOS: boot.tmp.useTmpfs = true;",
        ],
        objectives: &[Objective::LeastPrivilege],
        look: mounts,
    },
    Check {
        id: "temporary.private",
        category: TemporaryFiles,
        title: "The daemons have a /tmp of their own",
        severity: Severity::Medium,
        why: "What others cannot reach they cannot swap.",
        fix: &["In the units: PrivateTmp=yes"],
        objectives: &[Objective::LeastPrivilege],
        look: private,
    },
    Check {
        id: "temporary.runtime",
        category: TemporaryFiles,
        title: "Only root and the daemons write the folders of their sockets",
        severity: Severity::Critical,
        why: "Who may write there puts a socket of his own in the place of the daemon's, and is asked for \
              what was meant for it.",
        fix: &["chmod go-w FOLDER"],
        objectives: &[Objective::LeastPrivilege],
        look: runtime,
    },
    Check {
        id: "temporary.open",
        category: TemporaryFiles,
        title: "The daemons keep nothing where everybody writes",
        severity: Severity::Medium,
        why: "Neither hvd nor the broker has a use for such a file; whoever sees its name can wait for the \
              next one.",
        fix: &["ls -l /proc/PID/fd"],
        objectives: &[Objective::LeastPrivilege],
        look: open,
    },
];

fn sticky(system: &System) -> Answer {
    let mut offenders = Offenders::default();
    for folder in SHARED {
        if let Some(status) = system.root.status_if_there(folder)? {
            let open = status.everybody_writes() && status.mode & 0o1000 == 0 || status.user != 0;
            offenders.look(Ok(open.then(|| status.to_string())));
        }
    }
    if offenders.saw_nothing() {
        return not_applicable("There is no such folder.");
    }
    offenders.answer(
        "Each has the sticky bit.",
        "One has no sticky bit, or is not root's.",
    )
}

fn links(system: &System) -> Answer {
    let mut offenders = Offenders::default();
    for key in [
        "protected_symlinks",
        "protected_hardlinks",
        "protected_fifos",
        "protected_regular",
    ] {
        let value = system.root.word(&format!("/proc/sys/fs/{key}"));
        offenders.look(value.map(|value| (value == "0").then(|| format!("fs.{key} = {value}"))));
    }
    offenders.answer(
        "It protects links, pipes and files.",
        "It follows some of them.",
    )
}

fn mounts(system: &System) -> Answer {
    let mounts = system.mounts()?;
    let mut offenders = Offenders::default();
    for folder in SHARED {
        if system.root.status_if_there(folder)?.is_none() {
            continue;
        }
        // The last one mounted at a place is what is seen.
        let wrong = match mounts.iter().rfind(|mount| mount.path == folder) {
            None => Some(format!(
                "{folder} is part of a file system that is for more"
            )),
            Some(mount) => {
                let has = |option: &str| mount.options.iter().any(|set| set == option);
                (!has("nosuid") || !has("nodev"))
                    .then(|| format!("{folder}: {}", mount.options.join(",")))
            }
        };
        offenders.look(Ok(wrong));
    }
    offenders.answer(
        "Each is mounted with nosuid and nodev.",
        "One is not mounted with nosuid and nodev.",
    )
}

fn private(system: &System) -> Answer {
    let mut offenders = Offenders::default();
    for name in ["hvd.service", "hv-broker.service"] {
        if let Some(unit) = system.unit(name)? {
            let has = unit.is_on("Service.PrivateTmp")
                || unit.value("Service.PrivateTmp") == Some("disconnected")
                || unit.is_on("Service.DynamicUser");
            offenders.look(Ok((!has).then(|| format!("{}: no PrivateTmp", unit.path))));
        }
    }
    if !offenders.saw_nothing() {
        return offenders.answer("Both have.", "One has none.");
    }
    if system.daemons()?.is_empty() {
        return not_applicable("Neither daemon is installed as a unit, and neither runs.");
    }
    fail("They run, and not as units of systemd, so they share /tmp with everybody.")
}

fn runtime(system: &System) -> Answer {
    let product = system.product();
    let mut folders: Vec<String> = RUNTIME.map(String::from).into();
    for socket in [product.hvd_socket()?, product.broker_socket()?] {
        folders.extend(socket.rsplit_once('/').map(|(folder, _)| folder.to_owned()));
    }
    folders.sort();
    folders.dedup();
    let mut offenders = Offenders::default();
    for folder in folders {
        if let Some(status) = system.root.status_if_there(&folder)? {
            let open = status.everybody_writes() && status.mode & 0o1000 == 0;
            offenders.look(Ok(open.then(|| status.to_string())));
        }
    }
    if offenders.saw_nothing() {
        return not_applicable("None of these folders is there.");
    }
    offenders.answer("Nobody else writes there.", "Everybody writes there.")
}

fn open(system: &System) -> Answer {
    let daemons = system.daemons()?;
    if daemons.is_empty() {
        return not_applicable("Neither hvd nor the broker runs.");
    }
    let mut offenders = Offenders::default();
    for daemon in daemons {
        let shared = |target: &&String| {
            SHARED
                .iter()
                .any(|folder| target.starts_with(&format!("{folder}/")))
        };
        let files = targets(&system.root, daemon.id);
        offenders.look_at_process(files.map(|files| {
            files
                .iter()
                .find(shared)
                .map(|file| format!("{daemon}: {file}"))
        }));
    }
    offenders.answer("They have no such file open.", "One has such a file open.")
}
