// SPDX-License-Identifier: GPL-3.0-or-later
//! Whether somebody is told when something breaks.

use hv_model::{
    health::CheckStatus,
    security::{Category::Alerts, Objective, Severity},
};

use super::{
    Answer, Check, System,
    observation::{Offenders, fail, not_applicable, pass, seen, warn},
};

/// Programs that watch a host and tell somebody; the kernel keeps fifteen bytes of a name.
const MONITORS: [&str; 12] = [
    "alertmanager",
    "monit",
    "netdata",
    "zabbix_agentd",
    "zabbix_agent2",
    "icinga2",
    "nagios",
    "nrpe",
    "cmk-agent-ctl",
    "vmalert",
    "grafana",
    "telegraf",
];
const MAILERS: [&str; 4] = [
    "/usr/sbin/sendmail",
    "/usr/lib/sendmail",
    "/run/wrappers/bin/sendmail",
    "/run/current-system/sw/bin/sendmail",
];

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "alerts.route",
        category: Alerts,
        title: "Something watches this host and tells somebody",
        severity: Severity::Medium,
        why: "A VM that crashed or a disk that fills is noticed by whoever looks. At night nobody does.",
        fix: &[
            "Install what watches and tells: prometheus with alertmanager, monit, or a Zabbix agent.",
        ],
        objectives: &[Objective::AlertRoute],
        look: route,
    },
    Check {
        id: "alerts.daemon-failure",
        category: Alerts,
        title: "systemd tells somebody when hvd or the broker fails",
        severity: Severity::Medium,
        why: "What watches the VMs can fail itself. Then only systemd knows.",
        fix: &[
            "systemctl edit hvd.service hv-broker.service",
            "In [Unit]: OnFailure=tell-the-owner@%n.service",
        ],
        objectives: &[Objective::AlertRoute],
        look: daemon_failure,
    },
    Check {
        id: "alerts.mail",
        category: Alerts,
        title: "Mail to root reaches a person",
        severity: Severity::Low,
        why: "cron, smartd, mdadm and unattended upgrades tell what broke in mails to root.",
        fix: &[
            "Install a mailer such as msmtp-mta, and write to /etc/aliases: root: you@example.org",
        ],
        objectives: &[Objective::AlertRoute],
        look: mail,
    },
    Check {
        id: "alerts.open",
        category: Alerts,
        title: "hvd's health has nothing broken",
        severity: Severity::Medium,
        why: "Something broken that stays hides the next thing that breaks.",
        fix: &["hv"],
        objectives: &[Objective::AlertRoute],
        look: open,
    },
    Check {
        id: "alerts.live",
        category: Alerts,
        title: "hvd hears what happens on the host",
        severity: Severity::Medium,
        why: "While hvd does not hear the host, a VM that crashes is neither started again nor told.",
        fix: &["systemctl status hv-broker libvirtd"],
        objectives: &[Objective::AlertRoute],
        look: live,
    },
];

fn route(system: &System) -> Answer {
    let processes = system.processes()?;
    let running = processes
        .iter()
        .find(|process| MONITORS.contains(&process.name.as_str()));
    if let Some(monitor) = running {
        return seen(
            pass(format!("{} watches.", monitor.name)),
            [monitor.to_string()],
        );
    }
    if system.hvd.has("/v1/alerts")? {
        return warn("hvd has alerts; whether they reach somebody is not visible from here.");
    }
    fail("This version of hvd sends no alerts, and no program that does was found.")
}

fn daemon_failure(system: &System) -> Answer {
    let mut silent = Offenders::default();
    for (name, process) in [("hvd.service", "hvd"), ("hv-broker.service", "hv-broker")] {
        match system.unit(name)? {
            Some(unit) => silent.look(Ok(unit
                .value("Unit.OnFailure")
                .is_none()
                .then(|| format!("{}: no OnFailure", unit.path)))),
            None if !system.called(process)?.is_empty() => {
                silent.look(Ok(Some(format!(
                    "{process} runs, and not as a unit of systemd"
                ))));
            }
            None => {}
        }
    }
    if silent.saw_nothing() {
        return not_applicable(
            "Neither hvd nor the broker is installed as a unit, and neither runs.",
        );
    }
    silent.answer(
        "Both units name what is started when they fail.",
        "Their failure tells nobody.",
    )
}

fn mail(system: &System) -> Answer {
    let mut mailer = None;
    for path in MAILERS {
        if mailer.is_none() {
            mailer = system.root.status_if_there(path)?.map(|status| status.path);
        }
    }
    let Some(mailer) = mailer else {
        return fail("No mailer is installed: mail to root is lost.");
    };
    let aliases = system
        .root
        .text_if_there("/etc/aliases")?
        .unwrap_or_default();
    let root = aliases
        .lines()
        .find_map(|line| line.trim().strip_prefix("root:"));
    match root
        .map(str::trim)
        .filter(|to| !to.is_empty() && *to != "root")
    {
        Some(to) => seen(pass(format!("Mail to root goes to {to}.")), [mailer]),
        None => seen(
            fail("Mail to root stays on this host: /etc/aliases sends it to nobody."),
            [mailer],
        ),
    }
}

fn open(system: &System) -> Answer {
    let health = system.hvd.health.clone()?;
    let broken = health
        .checks
        .iter()
        .filter(|check| check.status == CheckStatus::Fail);
    Offenders::of(broken.map(|check| format!("{}: {}", check.id, check.observed)))
        .answer("Nothing is broken.", "Something is broken.")
}

fn live(system: &System) -> Answer {
    let freshness = system.hvd.health.clone()?.freshness;
    if freshness.live {
        return pass("The host is being listened to.");
    }
    let why = freshness
        .why
        .unwrap_or_else(|| "no reason is known".to_owned());
    fail(format!("The host is not being listened to: {why}."))
}
