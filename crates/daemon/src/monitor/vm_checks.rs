// SPDX-License-Identifier: GPL-3.0-or-later
//! Checks of VMs.

use hv_model::{
    health::{Check, CheckStatus},
    vm::{OnCrash, VmState},
};

use super::health::{Facts, bad, count, listed, pass};
use crate::store::VmRecord;

/// How many VMs a check gives commands for.
const COMMANDS: usize = 3;

pub(super) fn all(facts: &Facts) -> Vec<Check> {
    vec![
        crashed(facts),
        given_up(facts),
        write_error(facts),
        autostart(facts),
    ]
}

/// The VMs in use that a check finds.
fn found(facts: &Facts, wanted: impl Fn(&VmRecord) -> bool) -> Vec<&VmRecord> {
    let in_use = facts.snapshot.vms.iter().filter(|vm| !vm.row.is_trashed());
    in_use.map(|vm| &**vm).filter(|vm| wanted(vm)).collect()
}

fn names(vms: &[&VmRecord]) -> String {
    listed(vms.iter().map(|vm| vm.row.name.as_str()))
}

fn commands(vms: &[&VmRecord], command: &str) -> Vec<String> {
    vms.iter()
        .take(COMMANDS)
        .map(|vm| format!("hv vm {command} {}", vm.row.name))
        .collect()
}

fn is_given_up(vm: &VmRecord) -> bool {
    vm.row.state == VmState::Crashed
        && vm.row.managed().is_some_and(|managed| {
            managed.spec.on_crash == OnCrash::Restart
                && managed.restart_at.is_none()
                && !managed.crashes.is_empty()
        })
}

fn crashed(facts: &Facts) -> Check {
    let id = "vm.crashed";
    let vms = found(facts, |vm| {
        vm.row.state == VmState::Crashed && !is_given_up(vm)
    });
    if vms.is_empty() {
        return pass(id, "No VM lies crashed.");
    }
    bad(
        id,
        CheckStatus::Warn,
        format!("{} crashed: {}.", count(vms.len(), "VM"), names(&vms)),
        "They ended without being told to. What their guests had not written is lost.",
        commands(&vms, "show")
            .into_iter()
            .chain(commands(&vms, "start")),
    )
}

fn given_up(facts: &Facts) -> Check {
    let id = "vm.restart";
    let vms = found(facts, is_given_up);
    if vms.is_empty() {
        return pass(id, "No VM crashed too often to be started again.");
    }
    bad(
        id,
        CheckStatus::Fail,
        format!("Crashed too often to be started again: {}.", names(&vms)),
        "They crashed more than ten times within an hour, so starting them again would not help.",
        commands(&vms, "events")
            .into_iter()
            .chain(commands(&vms, "start")),
    )
}

fn write_error(facts: &Facts) -> Check {
    let id = "vm.write-error";
    let vms = found(facts, |vm| {
        vm.row.state == VmState::Paused && matches!(vm.row.reason.as_str(), "ioerror" | "io-error")
    });
    if vms.is_empty() {
        return pass(id, "No VM is stopped by a disk that can't be written to.");
    }
    bad(
        id,
        CheckStatus::Fail,
        format!(
            "Stopped, since their disks can't be written to: {}.",
            names(&vms)
        ),
        "The pool is full or its disk is failing. They go on where they are once that is mended.",
        ["df -h".to_owned()]
            .into_iter()
            .chain(commands(&vms, "resume")),
    )
}

fn autostart(facts: &Facts) -> Check {
    let id = "vm.autostart";
    let vms = found(facts, |vm| {
        vm.summary.autostart && matches!(vm.row.state, VmState::Off | VmState::Saved)
    });
    if vms.is_empty() {
        return pass(id, "Every VM that starts with the host runs.");
    }
    bad(
        id,
        CheckStatus::Warn,
        format!("Start with the host and do not run: {}.", names(&vms)),
        "Somebody stopped them, or they could not be started.",
        commands(&vms, "start"),
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hv_model::{
        hypervisor::Definition,
        id::VmId,
        inventory::{Management, VmSummary},
        size::Size,
        vm::{Autostart, VmSpec},
    };
    use jiff::Timestamp;

    use super::*;
    use crate::{
        monitor::health::tests::facts,
        store::{Managed, Origin, VmRow},
    };

    fn vm(state: VmState, reason: &str, change: impl FnOnce(&mut Managed)) -> Facts {
        let id = VmId::new(uuid::Uuid::from_u128(7));
        let spec = VmSpec::new("web".parse().unwrap());
        let definition = Definition {
            id,
            generation: 1,
            spec,
            disks: Vec::new(),
        };
        let mut managed = Managed::new(definition, Timestamp::UNIX_EPOCH);
        change(&mut managed);
        let summary = VmSummary {
            id,
            name: "web".to_owned(),
            managed: Management::Managed,
            state,
            reason: reason.to_owned(),
            since: Timestamp::UNIX_EPOCH,
            cpus: 1,
            memory: Size::from_gib(1),
            owner: None,
            tags: std::collections::BTreeSet::new(),
            agent: None,
            autostart: managed.spec.autostart.is_some(),
            generation: 1,
            operation: None,
            purged_after: None,
        };
        let row = VmRow {
            id,
            name: "web".to_owned(),
            state,
            reason: reason.to_owned(),
            since: Timestamp::UNIX_EPOCH,
            cpus: 1,
            memory: Size::from_gib(1),
            agent: None,
            origin: Origin::Managed(Box::new(managed)),
        };
        let record = VmRecord {
            row: Arc::new(row),
            summary,
            traits: Arc::default(),
            pending: Vec::new(),
            guest: None,
            agent_losses: 0,
            version: 1,
        };
        facts(|snapshot| snapshot.vms.push(Arc::new(record)))
    }

    #[test]
    fn a_crashed_vm_is_worth_a_warning_and_one_that_is_given_up_is_a_failure() {
        let once = vm(VmState::Crashed, "crashed", |managed| {
            managed.crashes = vec![Timestamp::UNIX_EPOCH];
            managed.restart_at = Some(Timestamp::UNIX_EPOCH);
        });
        assert_eq!(crashed(&once).status, CheckStatus::Warn);
        assert_eq!(given_up(&once).status, CheckStatus::Pass);
        let often = vm(VmState::Crashed, "crashed", |managed| {
            managed.crashes = vec![Timestamp::UNIX_EPOCH; 11];
        });
        assert_eq!(crashed(&often).status, CheckStatus::Pass);
        assert_eq!(given_up(&often).status, CheckStatus::Fail);
    }

    #[test]
    fn a_vm_that_can_t_write_fails_and_one_that_somebody_paused_does_not() {
        assert_eq!(
            write_error(&vm(VmState::Paused, "ioerror", |_| {})).status,
            CheckStatus::Fail
        );
        assert_eq!(
            write_error(&vm(VmState::Paused, "user", |_| {})).status,
            CheckStatus::Pass
        );
    }

    #[test]
    fn a_vm_that_starts_with_the_host_and_is_off_is_told() {
        let with_host = |managed: &mut Managed| {
            managed.spec.autostart = Some(Autostart::default());
        };
        assert_eq!(
            autostart(&vm(VmState::Off, "", with_host)).status,
            CheckStatus::Warn
        );
        assert_eq!(
            autostart(&vm(VmState::Running, "", with_host)).status,
            CheckStatus::Pass
        );
        assert_eq!(
            autostart(&vm(VmState::Off, "", |_| {})).status,
            CheckStatus::Pass
        );
    }
}
