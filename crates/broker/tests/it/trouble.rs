// SPDX-License-Identifier: GPL-3.0-or-later
//! libvirtd stopped, killed and hung under the broker.

use std::time::{Duration, Instant};

use hv_model::{
    hypervisor::{Fact, Hypervisor, HypervisorErrorKind, Takeover},
    vm::VmState,
};

use crate::{
    host::{TestHost, is_skipped, wait_for},
    virtual_machine::{Console, boot, state_of, upload_demo, wait_for_agent, wait_for_state},
};

/// Longer than it takes to notice a libvirtd that hangs.
const SOON: Duration = Duration::from_secs(20);

#[test]
fn whatever_happens_to_libvirtd_calls_fail_soon_and_work_again_afterwards() {
    if is_skipped() {
        return;
    }
    let host = TestHost::start();
    let client = &host.client;
    upload_demo(&host);
    let facts = client.subscribe().unwrap();
    let lost = || {
        wait_for(&facts, "libvirt is lost", |fact| {
            matches!(fact, Fact::Lost { .. }).then_some(())
        });
    };
    let found = || {
        wait_for(&facts, "libvirt is found", |fact| {
            (*fact == Fact::Found).then_some(())
        });
    };
    let vm = boot(&host, &facts, 1, "web");

    host.libvirtd("stop");
    lost();
    assert_eq!(
        client.vms().unwrap_err().kind,
        HypervisorErrorKind::Unavailable
    );
    let late = client.subscribe().unwrap();
    assert!(
        matches!(late.recv(), Ok(Fact::Lost { .. })),
        "who comes late is told as well"
    );
    host.libvirtd("start");
    found();
    assert_eq!(state_of(&host, vm), Some(VmState::Running), "QEMU went on");

    host.libvirtd("kill");
    lost();
    host.libvirtd("start");
    found();
    wait_for_agent_or_have_it(&host, &facts, vm);
    let mut console = Console::new(client.console(vm, Takeover::Force).unwrap());
    console.ask("echo $((6 * 7))-answers", "42-answers");

    host.libvirtd("freeze");
    let begun = Instant::now();
    let error = client.vms().unwrap_err();
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    assert!(
        matches!(
            error.kind,
            HypervisorErrorKind::Unavailable | HypervisorErrorKind::TimedOut
        ),
        "{error:?}"
    );
    lost();
    let begun = Instant::now();
    assert!(client.vms().is_err() && client.start(vm).is_err());
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    host.libvirtd("thaw");
    found();
    assert_eq!(state_of(&host, vm), Some(VmState::Running));

    let events = client.subscribe().unwrap();
    client.force_off(vm).unwrap();
    assert_eq!(wait_for_state(&events, vm, VmState::Off), "destroyed");
}

fn wait_for_agent_or_have_it(
    host: &TestHost,
    facts: &std::sync::mpsc::Receiver<Fact>,
    vm: hv_model::id::VmId,
) {
    let details = host.client.details(&[vm]).unwrap();
    if details[0].agent != Some(hv_model::hypervisor::AgentLink::Connected) {
        wait_for_agent(facts, vm);
    }
}

#[test]
fn a_qemu_that_is_killed_is_told_as_a_crash() {
    if is_skipped() {
        return;
    }
    let host = TestHost::start();
    let client = &host.client;
    upload_demo(&host);
    let facts = client.subscribe().unwrap();
    let vm = boot(&host, &facts, 1, "web");
    host.exec(&["pkill", "-KILL", "-f", "guest=web"]);
    assert_eq!(wait_for_state(&facts, vm, VmState::Crashed), "crashed");
    assert_eq!(state_of(&host, vm), Some(VmState::Crashed));
    client.start(vm).unwrap();
    wait_for_state(&facts, vm, VmState::Running);
}
