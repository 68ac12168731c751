// SPDX-License-Identifier: GPL-3.0-or-later
//! What of a change is made while the VM runs.

use super::impact::Reach;
use crate::{
    hypervisor::LiveChange,
    id::VmId,
    vm::{VmSpec, VmState},
};

/// Everything of a change that a VM in this state is given now: all that [`plan`](super::plan) says
/// to be [`Live`](super::Impact::Live).
pub fn live_changes(vm: VmId, old: &VmSpec, new: &VmSpec, state: VmState) -> Vec<LiveChange> {
    let reach = Reach::of(state);
    let mut changes = Vec::new();
    if old.cpus.count != new.cpus.count && reach.allows_cpus(old, new) {
        changes.push(LiveChange::Cpus(new.cpus.count));
    }
    if old.memory.size != new.memory.size && reach.allows_memory(old, new) {
        changes.push(LiveChange::Memory(new.memory.size));
    }
    if !reach.allows_limits() {
        return changes;
    }
    if old.limits != new.limits {
        changes.push(LiveChange::Limits(new.limits.clone()));
    }
    let new_disks: Vec<_> = new.disk_names().into_iter().zip(&new.disks).collect();
    for (name, disk) in old.disk_names().into_iter().zip(&old.disks) {
        let new = new_disks.iter().find(|(other, _)| *other == name);
        if let Some((_, new)) = new.filter(|(_, new)| new.limits != disk.limits) {
            changes.push(LiveChange::DiskLimits {
                disk: name,
                limits: new.limits,
            });
        }
    }
    let new_nics: Vec<_> = new.nic_names().into_iter().zip(&new.nics).collect();
    let running = old
        .nic_names()
        .into_iter()
        .zip(old.mac_addresses(vm))
        .zip(&old.nics);
    for ((name, mac), nic) in running {
        let new = new_nics.iter().find(|(other, _)| *other == name);
        if let Some((_, new)) = new.filter(|(_, new)| new.limits != nic.limits) {
            changes.push(LiveChange::NicLimits {
                mac,
                limits: new.limits,
            });
        }
    }
    changes
}

/// The spec that a VM runs with after a change that was made to it.
#[must_use]
pub fn after_live_change(vm: VmId, booted: &VmSpec, change: &LiveChange) -> VmSpec {
    let mut spec = booted.clone();
    match change {
        // The maximum stays what it was at boot, whether it was given or not.
        LiveChange::Cpus(count) => {
            spec.cpus.max = Some(booted.cpus.most());
            spec.cpus.count = *count;
        }
        LiveChange::Memory(size) => {
            spec.memory.max = Some(booted.memory.most());
            spec.memory.size = *size;
        }
        LiveChange::Limits(limits) => spec.limits = limits.clone(),
        LiveChange::DiskLimits { disk, limits } => {
            let names = booted.disk_names();
            for (found, _) in spec
                .disks
                .iter_mut()
                .zip(names)
                .filter(|(_, name)| name == disk)
            {
                found.limits = *limits;
            }
        }
        LiveChange::NicLimits { mac, limits } => {
            let addresses = booted.mac_addresses(vm);
            for (nic, _) in spec
                .nics
                .iter_mut()
                .zip(addresses)
                .filter(|(_, own)| own == mac)
            {
                nic.limits = *limits;
            }
        }
    }
    spec
}
