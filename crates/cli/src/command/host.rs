// SPDX-License-Identifier: GPL-3.0-or-later
//! `hv host`: what the host is and can do.

use clap::Subcommand;
use hv_model::{
    host::{Acceleration, Host, HostView, ServerVersion},
    problem::{Problem, ProblemKind},
    storage::{Pool, PoolPurpose},
};
use jiff::Timestamp;

use crate::{
    arguments::examples,
    failure::Failure,
    output::{Facts, Look, Paint, moment, shown, text::wrapped},
    session::{Form, Session},
};

/// How wide a reason is set beside its word.
const REASON: usize = 76;

/// What to do with the host.
#[derive(Debug, Subcommand)]
pub(crate) enum HostCommand {
    /// Show what the host is and can do, and how full it is.
    #[command(after_help = examples!(
        "hv host show" => "CPUs, memory, pools, versions, and whether KVM truly works",
        "hv host show --json" => "the same for a program",
    ))]
    Show,
}

/// Runs a command about the host.
pub(crate) async fn run(session: &Session, command: HostCommand) -> Result<(), Failure> {
    match command {
        HostCommand::Show => show(session).await,
    }
}

async fn show(session: &Session) -> Result<(), Failure> {
    let client = &session.client;
    let (hosts, pools, version) = tokio::join!(client.hosts(), client.pools(), client.version());
    let Some(view) = hosts?.items.into_iter().next() else {
        return Err(Problem::new(ProblemKind::HostUnavailable, "no host was reached yet").into());
    };
    if session.form == Form::Json {
        return session.print_json(&view);
    }
    let (pools, version) = (pools?, version?);
    session.print(&page(
        &view,
        &pools.items,
        &version,
        session.now(),
        session.look,
    ))
}

fn page(
    view: &HostView,
    pools: &[Pool],
    version: &ServerVersion,
    now: Timestamp,
    look: Look,
) -> String {
    let mut facts = Facts::default();
    match &view.host {
        Some(host) => describe(host, &mut facts),
        None if view.freshness.live => {
            let trying = "it is being looked at, and whether KVM works is being tried";
            facts.add_painted("host", Paint::Warning, trying);
        }
        None => {
            facts.add_painted("host", Paint::Bad, "it was never reached");
        }
    }
    for pool in pools {
        facts.add("pools", pool_line(pool));
    }
    facts.add(
        "hvd",
        format!(
            "{} (API {}), hv {}",
            version.version,
            version.api,
            env!("CARGO_PKG_VERSION")
        ),
    );
    let freshness = &view.freshness;
    match (freshness.live, freshness.seen) {
        (true, _) => facts.add_painted("seen", Paint::Good, "now: the host is being listened to"),
        (false, Some(seen)) => facts.add_painted("seen", Paint::Bad, moment::ago(seen, now)),
        (false, None) => facts.add_painted("seen", Paint::Bad, "never"),
    };
    facts.add_known("why", freshness.why.as_deref().map(shown));
    facts.add_known("audit key", view.audit_key.map(|key| key.to_string()));
    facts.render(look)
}

fn describe(host: &Host, facts: &mut Facts) {
    facts.add("host", shown(&host.hostname));
    match &host.acceleration {
        Acceleration::Kvm => facts.add_painted("VMs run", Paint::Good, "on the CPU itself (KVM)"),
        Acceleration::Tcg { why } => {
            facts.add_painted(
                "VMs run",
                Paint::Warning,
                "emulated (TCG), 10 to 50 times slower",
            );
            let why = format!("since {}", shown(why));
            facts.add("VMs run", wrapped(&why, REASON).join("\n"))
        }
    };
    facts.add(
        "CPUs",
        format!(
            "{} × {} ({})",
            host.cpus,
            shown(&host.cpu_model),
            host.arch.as_str()
        ),
    );
    let (all, free) = (host.memory.rounded(), host.memory_available.rounded());
    facts.add("memory", format!("{all}, of which {free} are free"));
    let archs: Vec<&str> = host.guest_archs.iter().map(|arch| arch.as_str()).collect();
    facts.add("guests", archs.join(", "));
    facts.add("libvirt", shown(&host.libvirt_version));
    facts.add("QEMU", shown(&host.qemu_version));
}

fn pool_line(pool: &Pool) -> String {
    let purpose = match pool.purpose {
        PoolPurpose::Disks => "disks",
        PoolPurpose::Images => "images",
    };
    if !pool.active {
        return format!("{} ({purpose}): not active", pool.name);
    }
    let (free, all) = (pool.available.rounded(), pool.capacity.rounded());
    format!("{} ({purpose}): {free} free of {all}", pool.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hv_model::{audit::PublicKey, health::Freshness, size::Size, vm::Arch};

    #[test]
    fn a_host_says_what_it_is_and_how_its_vms_run() {
        let host = Host {
            hostname: "node-1".into(),
            acceleration: Acceleration::Tcg {
                why: "QEMU could not run a VM with KVM".into(),
            },
            arch: Arch::X86_64,
            cpu_model: "AMD EPYC 7B13".into(),
            cpus: 8,
            memory: Size::from_gib(64),
            memory_available: Size::from_bytes(52_345_678_901),
            libvirt_version: "9.0.0".into(),
            qemu_version: "7.2.0".into(),
            guest_archs: vec![Arch::X86_64, Arch::Aarch64],
        };
        let now = Timestamp::from_second(1_780_000_000).unwrap();
        let view = HostView {
            host: Some(host),
            freshness: Freshness {
                live: true,
                seen: Some(now),
                why: None,
            },
            audit_key: Some(PublicKey::new([0xab; 32])),
        };
        let pool = Pool {
            name: "hyper-disks".parse().unwrap(),
            purpose: PoolPurpose::Disks,
            active: true,
            capacity: Size::from_gib(500),
            available: Size::from_gib(123),
        };
        let version = ServerVersion {
            version: "0.1.0".into(),
            api: "v1".into(),
        };
        insta::assert_snapshot!(page(
            &view,
            std::slice::from_ref(&pool),
            &version,
            now,
            Look::plain()
        ));
        let not_yet = HostView { host: None, ..view };
        let page = page(&not_yet, &[pool], &version, now, Look::plain());
        assert!(page.contains("whether KVM works is being tried"), "{page}");
    }
}
