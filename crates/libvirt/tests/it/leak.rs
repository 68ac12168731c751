// SPDX-License-Identifier: GPL-3.0-or-later
//! Lists and figures give all their memory back.

use hv_libvirt::{Connection, DomainFilter, StatsFlags, StatsGroups};

use crate::host;

/// Bytes of this process in memory.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        * 1024
}

fn turn(host: &Connection) {
    for domain in host.domains(DomainFilter::NONE).unwrap() {
        domain.xml(hv_libvirt::XmlFlags::NONE).unwrap();
    }
    host.all_domain_stats(StatsGroups::NONE, StatsFlags::NONE)
        .unwrap();
    host.domain_by_name("nobody").unwrap_err();
    host.networks().unwrap();
    host.pools().unwrap();
    drop(host.subscribe(|_| {}).unwrap());
}

#[test]
fn ten_thousand_turns_take_no_more_memory_than_a_thousand() {
    let host = host();
    for _ in 0..1_000 {
        turn(&host);
    }
    let before = resident();
    for _ in 0..9_000 {
        turn(&host);
    }
    let grown = resident().saturating_sub(before);
    // One forgotten string a turn would be half a megabyte.
    assert!(grown < 400_000, "9000 turns took {grown} bytes");
}
