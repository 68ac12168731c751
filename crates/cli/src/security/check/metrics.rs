// SPDX-License-Identifier: GPL-3.0-or-later
//! Whether there is room left, whether that is watched, and who else can watch.

use hv_model::{
    security::{Category::Metrics, Objective, Severity},
    size::Size,
};

use super::{
    Answer, Check, System,
    observation::{Offenders, fail, not_applicable, pass, seen, warn},
};

/// Ports on which programs serve figures of a host, and what they are.
const EXPORTERS: [(u16, &str); 10] = [
    (3000, "Grafana"),
    (4194, "cAdvisor"),
    (9090, "Prometheus or Cockpit"),
    (9091, "a push gateway"),
    (9093, "Alertmanager"),
    (9100, "the node exporter"),
    (9177, "the libvirt exporter"),
    (10050, "the Zabbix agent"),
    (19999, "Netdata"),
    (44321, "Performance Co-Pilot"),
];
/// Programs that keep figures; the kernel keeps fifteen bytes of a name.
const COLLECTORS: [&str; 10] = [
    "prometheus",
    "node_exporter",
    "prometheus-node",
    "collectd",
    "netdata",
    "telegraf",
    "pmcd",
    "zabbix_agentd",
    "munin-node",
    "victoria-metric",
];
/// Below what percentage of free space a pool is nearly full.
const NEARLY_FULL: u64 = 10;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "metrics.exporters",
        category: Metrics,
        title: "Figures of this host are not served to the network",
        severity: Severity::Medium,
        why: "Exporters answer everybody: names of VMs, versions, when nobody works. That is the first \
              thing that an attacker reads.",
        fix: &[
            "Let the exporter listen on 127.0.0.1, or on an address that only the collector reaches.",
        ],
        objectives: &[Objective::OpenPorts],
        look: exporters,
    },
    Check {
        id: "metrics.pool-space",
        category: Metrics,
        title: "No pool is nearly full",
        severity: Severity::Medium,
        why: "VMs whose disk cannot grow stop all at once.",
        fix: &["hv host show", "hv vm list --trash"],
        objectives: &[Objective::Capacity],
        look: pool_space,
    },
    Check {
        id: "metrics.memory",
        category: Metrics,
        title: "The VMs that run fit into the host's memory",
        severity: Severity::Medium,
        why: "A VM that takes all that it was promised makes the kernel kill another.",
        fix: &["hv vm list", "hv vm set NAME --memory SIZE"],
        objectives: &[Objective::MemoryOvercommit, Objective::Capacity],
        look: memory,
    },
    Check {
        id: "metrics.history",
        category: Metrics,
        title: "Figures of this host are kept",
        severity: Severity::Low,
        why: "That something is unusual is seen only beside what was usual.",
        fix: &[
            "apt-get install prometheus-node-exporter",
            "On NixOS: services.prometheus.exporters.node.enable = true;",
        ],
        objectives: &[Objective::Capacity],
        look: history,
    },
];

fn exporters(system: &System) -> Answer {
    let open = system
        .listeners()?
        .iter()
        .filter(|listener| listener.is_open());
    let served = open.filter_map(|listener| {
        let (_, what) = EXPORTERS
            .iter()
            .find(|(port, _)| *port == listener.address.port())?;
        Some(format!("{listener}: the port of {what}"))
    });
    Offenders::of(served).answer(
        "No known exporter listens on an address that other machines reach.",
        "Other machines can ask for figures of this host.",
    )
}

fn pool_space(system: &System) -> Answer {
    let pools = system.hvd.pools.clone()?;
    let pools: Vec<_> = pools
        .iter()
        .filter(|pool| pool.active && pool.capacity > Size::from_bytes(0))
        .collect();
    if pools.is_empty() {
        return not_applicable("No pool is active.");
    }
    let full = pools.iter().filter_map(|pool| {
        let (free, all) = (pool.available.bytes(), pool.capacity.bytes());
        let percent = free.saturating_mul(100) / all.max(1);
        (percent < NEARLY_FULL).then(|| format!("{}: {percent} % free", pool.name))
    });
    Offenders::of(full).answer("Every pool has room.", "A pool is nearly full.")
}

fn memory(system: &System) -> Answer {
    let Some(host) = system.hvd.host.clone()? else {
        return Err(super::Unreadable::other("hvd", "it never reached the host"));
    };
    let vms = system.hvd.vms.clone()?;
    let running = vms.iter().filter(|vm| vm.state.is_active());
    let promised = running
        .map(|vm| vm.memory.bytes())
        .fold(0, u64::saturating_add);
    let text = format!(
        "VMs that run have {} of the host's {}.",
        Size::from_bytes(promised).rounded(),
        host.memory.rounded()
    );
    match promised {
        promised if promised > host.memory.bytes() => fail(text),
        promised if promised > host.memory.bytes() / 10 * 9 => warn(text),
        _ => pass(text),
    }
}

fn history(system: &System) -> Answer {
    let processes = system.processes()?;
    let running = processes
        .iter()
        .find(|process| COLLECTORS.contains(&process.name.as_str()));
    if let Some(collector) = running {
        return seen(
            pass(format!("{} keeps figures or serves them.", collector.name)),
            [collector.to_string()],
        );
    }
    if system.hvd.has("/v1/metrics")? {
        return pass("hvd keeps figures.");
    }
    fail("This version of hvd keeps no figures, and no program that does was found.")
}
