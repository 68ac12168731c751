// SPDX-License-Identifier: GPL-3.0-or-later
//! Whether there are backups, and whether one was ever brought back.
//!
//! A version of hvd that makes backups tells of them in its health; one that has no `/v1/backups`
//! makes none, and the audit says that.

use hv_model::{
    health::{Check as HealthCheck, CheckStatus},
    security::{Category::BackupVerification, Objective, Severity},
};

use super::{
    Answer, Check, System, Unreadable,
    observation::{Offenders, fail, not_applicable, pass, seen, unknown},
};
use crate::security::system::settings::unit_names;

/// Words in the names of jobs that copy a host.
const TOOLS: [&str; 11] = [
    "restic",
    "borg",
    "rsnapshot",
    "duplicity",
    "kopia",
    "bacula",
    "bareos",
    "urbackup",
    "rdiff-backup",
    "sanoid",
    "syncoid",
];
const CRON: [&str; 4] = [
    "/etc/cron.d",
    "/etc/cron.daily",
    "/etc/cron.weekly",
    "/etc/cron.hourly",
];

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "backups.vms",
        category: BackupVerification,
        title: "Each VM has a backup that is new enough",
        severity: Severity::High,
        why: "A disk that dies, an attacker who encrypts, a command that was meant for another VM: \
              what is not copied elsewhere is gone.",
        fix: &[
            "Copy each VM's disks while it is off, or from inside with restic, to another machine.",
        ],
        objectives: &[Objective::BackupObjective],
        look: vms,
    },
    Check {
        id: "backups.verified",
        category: BackupVerification,
        title: "Backups were brought back and looked at",
        severity: Severity::High,
        why: "A backup that was never brought back is a hope.",
        fix: &[
            "Bring a copy back into a new VM, boot it, and look at what matters; then again each month.",
        ],
        objectives: &[Objective::RestoreTested],
        look: verified,
    },
    Check {
        id: "backups.host",
        category: BackupVerification,
        title: "Something copies this host's own files",
        severity: Severity::Medium,
        why: "The host's policy, the keys and the audit log are on no VM's disk.",
        fix: &["Schedule restic or borg for /etc, /var/lib/hvd and /var/log, to another machine."],
        objectives: &[Objective::BackupObjective],
        look: host,
    },
];

fn vms(system: &System) -> Answer {
    told_by_health(system, "none of them has a backup that it knows", |id| {
        id.starts_with("backup")
    })
}

fn verified(system: &System) -> Answer {
    let is_verdict =
        |id: &str| id.starts_with("backup") && (id.contains("verdict") || id.contains("verif"));
    told_by_health(system, "nothing was brought back", is_verdict)
}

/// What hvd's health says of backups, if this hvd makes any.
fn told_by_health(system: &System, none: &str, concerns: impl Fn(&str) -> bool) -> Answer {
    let vms = system.hvd.vms.clone()?.len();
    if vms == 0 {
        return not_applicable("There are no VMs.");
    }
    if !system.hvd.has("/v1/backups")? {
        let version = system.hvd.version.clone()?.version;
        return fail(format!(
            "There are {vms} VMs. hvd {version} makes no backups, so {none}."
        ));
    }
    let health = system.hvd.health.clone()?;
    let told: Vec<&HealthCheck> = health
        .checks
        .iter()
        .filter(|check| concerns(&check.id))
        .collect();
    if told.is_empty() {
        return unknown("hvd makes backups; its health says nothing of this.");
    }
    if let Some(check) = told
        .iter()
        .find(|check| check.status == CheckStatus::Unknown)
    {
        return Err(Unreadable::other(check.id.clone(), &check.observed));
    }
    let bad = told
        .iter()
        .filter(|check| check.status != CheckStatus::Pass);
    Offenders::of(bad.map(|check| format!("{}: {}", check.id, check.observed))).answer(
        "hvd's health says that all is well.",
        "hvd's health says that it is not so.",
    )
}

fn host(system: &System) -> Answer {
    let mut names = unit_names(&system.root)?;
    for folder in CRON {
        names.extend(system.root.paths(folder, "")?);
    }
    let copies = |name: &&String| TOOLS.iter().any(|tool| name.contains(tool));
    match names.iter().find(copies) {
        Some(name) => seen(
            pass("A job that copies this host is installed."),
            [name.clone()],
        ),
        None => fail("No timer, unit or cron job of a known backup program is installed."),
    }
}
