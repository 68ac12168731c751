// SPDX-License-Identifier: GPL-3.0-or-later
//! Whether what is written down is also in force, and is ever held against reality.

use hv_model::security::{Category::Tests, Objective, Severity};
use jiff::SignedDuration;

use super::{
    Answer, Check, System,
    observation::{Offenders, fail, not_applicable, pass, seen, warn},
};
use crate::security::system::{LIBVIRTD, Process, QEMU};

/// After how long a baseline of files says little.
const BASELINE_DAYS: i64 = 90;
/// How exactly the kernel tells when a process was started.
const SLACK: SignedDuration = SignedDuration::from_secs(2);
const BASELINES: [&str; 4] = [
    "/var/lib/aide/aide.db",
    "/var/lib/aide/aide.db.gz",
    "/var/lib/tripwire",
    "/var/ossec/queue/fim/db/fim.db",
];
/// libvirt's hook for QEMU.
pub(super) const HOOK: &str = "/etc/libvirt/hooks/qemu";
/// More of them, which newer versions of libvirt run as well.
pub(super) const HOOK_FOLDER: &str = "/etc/libvirt/hooks/qemu.d";

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "tests.configuration",
        category: Tests,
        title: "hvd and the broker run with the configuration that is written",
        severity: Severity::Medium,
        why: "A rule that was written after the daemon started protects nothing yet, and nobody knows \
              whether the daemon would take it.",
        fix: &[
            "hvd check-config /etc/hyper-nixos/hvd.toml",
            "systemctl restart hv-broker hvd",
        ],
        objectives: &[Objective::Drift],
        look: configuration,
    },
    Check {
        id: "tests.libvirt-configuration",
        category: Tests,
        title: "libvirt runs with the configuration that is written",
        severity: Severity::Medium,
        why: "libvirtd reads its files once. What this audit reads in them is only what will be.",
        fix: &["systemctl restart libvirtd"],
        objectives: &[Objective::Drift],
        look: libvirt_configuration,
    },
    Check {
        id: "tests.hook",
        category: Tests,
        title: "libvirt calls the guard's hook",
        severity: Severity::High,
        why: "libvirtd looks for hooks when it starts. One that was put there later is never called, \
              and VMs start unjudged.",
        fix: &["systemctl restart libvirtd"],
        objectives: &[Objective::Isolation, Objective::Drift],
        look: hook,
    },
    Check {
        id: "tests.integrity",
        category: Tests,
        title: "The system's files are compared with a baseline",
        severity: Severity::Medium,
        why: "Whoever got in changes files in order to stay. Without a baseline nobody notices.",
        fix: &[
            "apt-get install aide && aideinit",
            "On NixOS: environment.systemPackages = [ pkgs.aide ];",
        ],
        objectives: &[Objective::FileIntegrity, Objective::Drift],
        look: integrity,
    },
];

/// The libvirt daemons that run VMs: the one for everything, and the one for QEMU alone.
pub(super) fn libvirt_daemons(system: &System) -> Result<Vec<&Process>, super::Unreadable> {
    Ok([system.called("libvirtd")?, system.called("virtqemud")?].concat())
}

/// What of a process's files was changed after it started.
fn newer<'a>(
    system: &System,
    processes: impl IntoIterator<Item = (&'a Process, String)>,
) -> Offenders {
    let mut newer = Offenders::default();
    for (process, file) in processes {
        newer.look(system.root.status_if_there(&file).and_then(|status| {
            let Some(status) = status else {
                return Ok(None);
            };
            let started = process.started()?;
            Ok((status.modified > started + SLACK).then(|| {
                format!(
                    "{file} was changed at {}, and {process} started at {started}",
                    status.modified
                )
            }))
        }));
    }
    newer
}

fn configuration(system: &System) -> Answer {
    let product = system.product();
    let mut used = Vec::new();
    for process in system.called("hvd")? {
        used.push((process, product.hvd_file.clone()));
    }
    for process in system.called("hv-broker")? {
        used.push((process, product.broker_file.clone()));
    }
    if used.is_empty() {
        return not_applicable("Neither hvd nor the broker runs.");
    }
    newer(system, used).answer(
        "Both started after their configuration was written.",
        "What is written is not what runs.",
    )
}

fn libvirt_configuration(system: &System) -> Answer {
    let daemons = libvirt_daemons(system)?;
    if daemons.is_empty() {
        return not_applicable("libvirt does not run.");
    }
    let files = [LIBVIRTD, QEMU];
    let used = daemons
        .iter()
        .flat_map(|daemon| files.map(|file| (*daemon, file.to_owned())));
    newer(system, used).answer(
        "libvirt started after its configuration was written.",
        "What is written is not what runs.",
    )
}

fn hook(system: &System) -> Answer {
    let daemons = libvirt_daemons(system)?;
    if daemons.is_empty() {
        return not_applicable("libvirt does not run.");
    }
    let mut hooks: Vec<String> = system.root.paths(HOOK_FOLDER, "")?;
    hooks.extend(system.root.status_if_there(HOOK)?.map(|status| status.path));
    if hooks.is_empty() {
        return fail(format!(
            "There is no hook: neither {HOOK} nor anything in {HOOK_FOLDER}."
        ));
    }
    let used = daemons
        .iter()
        .flat_map(|daemon| hooks.iter().map(|hook| (*daemon, hook.clone())));
    newer(system, used).answer(
        "libvirt started after its hook was put there.",
        "The hook is newer than libvirt's start, so it may never have been called.",
    )
}

fn integrity(system: &System) -> Answer {
    for path in BASELINES {
        let Some(status) = system.root.status_if_there(path)? else {
            continue;
        };
        let age = system.now.duration_since(status.modified);
        let days = age.as_hours() / 24;
        if age > SignedDuration::from_hours(24 * BASELINE_DAYS) {
            return seen(
                warn(format!("The baseline is {days} days old.")),
                [status.to_string()],
            );
        }
        return seen(
            pass(format!("There is a baseline, {days} days old.")),
            [status.to_string()],
        );
    }
    fail("There is no baseline of AIDE, Tripwire or Wazuh.")
}
