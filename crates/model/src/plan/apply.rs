// SPDX-License-Identifier: GPL-3.0-or-later
//! Changes to a spec, one by one, into the spec that they lead to.

use crate::{
    document::Fault,
    inventory::{ChangeAutostart, ChangeVm},
    name::DeviceName,
    vm::VmSpec,
};

/// The spec that a change leads to, or everything that is wrong with it.
///
/// A fault's path is the change's field where that names something that does not exist, else the
/// field of the spec that would break a rule.
pub fn apply(old: &VmSpec, change: &ChangeVm) -> Result<VmSpec, Vec<Fault>> {
    let mut spec = old.clone();
    let mut faults = Vec::new();
    if let Some(description) = &change.description {
        spec.description.clone_from(description);
    }
    for tag in change.add_tags.intersection(&change.remove_tags) {
        let mut fault = Fault::new("remove_tags", "is to be added as well as taken away");
        fault.value = Some(format!("{:?}", tag.as_str()));
        faults.push(fault.allowed("one or the other"));
    }
    change.assign(&mut spec.owner, &mut spec.tags);
    if let Some(count) = change.cpus {
        spec.cpus.count = count;
    }
    if change.max_cpus.is_some() {
        spec.cpus.max = change.max_cpus;
    }
    if let Some(size) = change.memory {
        spec.memory.size = size;
    }
    if change.max_memory.is_some() {
        spec.memory.max = change.max_memory;
    }
    if let Some(limits) = &change.limits {
        spec.limits = limits.clone();
    }
    if let Some((name, limits)) = &change.disk_limits {
        let names = spec.disk_names();
        match spec
            .disks
            .iter_mut()
            .zip(&names)
            .find(|(_, other)| *other == name)
        {
            Some((disk, _)) => disk.limits = *limits,
            None => faults.push(unknown("disk_limits", "disk", name, &names)),
        }
    }
    if let Some((name, limits)) = &change.nic_limits {
        let names = spec.nic_names();
        match spec
            .nics
            .iter_mut()
            .zip(&names)
            .find(|(_, other)| *other == name)
        {
            Some((nic, _)) => nic.limits = *limits,
            None => faults.push(unknown("nic_limits", "network interface", name, &names)),
        }
    }
    match &change.autostart {
        Some(ChangeAutostart::Off) => spec.autostart = None,
        Some(ChangeAutostart::On(autostart)) => spec.autostart = Some(autostart.clone()),
        None => {}
    }
    if let Some(on_crash) = change.on_crash {
        spec.on_crash = on_crash;
    }
    faults.extend(spec.validate());
    if faults.is_empty() {
        Ok(spec)
    } else {
        Err(faults)
    }
}

fn unknown(path: &str, what: &str, name: &DeviceName, names: &[DeviceName]) -> Fault {
    let mut fault = Fault::new(path, format!("is not a {what} of this VM"));
    fault.value = Some(format!("{:?}", name.as_str()));
    let known: Vec<&str> = names.iter().map(DeviceName::as_str).collect();
    if known.is_empty() {
        return fault.allowed(format!("nothing, since it has no {what}"));
    }
    let fault = fault.allowed(known.join(", "));
    match crate::document::nearest(name.as_str(), known) {
        Some(nearest) => fault.nearest(nearest),
        None => fault,
    }
}
