// SPDX-License-Identifier: GPL-3.0-or-later
//! Every difference between two specs.
//!
//! Both are written as JSON and compared value by value, so a field that is added to the spec is
//! compared without being named here.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::{
    device::{Disk, ImageSource, Nic},
    name::DeviceName,
    vm::VmSpec,
};

/// How many characters of a value are shown.
const SHOWN: usize = 80;

/// One difference.
#[derive(Debug)]
pub(super) struct Difference {
    /// Its path: `disks.vda.limits.iops`.
    pub(super) field: String,
    /// What it was; empty, if it was not there.
    pub(super) from: String,
    /// What it is to be; empty, if it is to go.
    pub(super) to: String,
}

/// Every difference, in the order of the fields' names.
pub(super) fn differences(old: &VmSpec, new: &VmSpec) -> Vec<Difference> {
    let (old_values, new_values) = values(old, new);
    let mut found = Vec::new();
    compare("", old_values.as_ref(), new_values.as_ref(), &mut found);
    devices(
        "disks",
        &old.disks,
        old.disk_names(),
        &new.disks,
        new.disk_names(),
        &mut found,
    );
    devices(
        "nics",
        &old.nics,
        old.nic_names(),
        &new.nics,
        new.nic_names(),
        &mut found,
    );
    found.sort_by(|one, other| one.field.cmp(&other.field));
    found
}

/// The specs without their disks and interfaces. A maximum that only one of them gives is compared
/// with the value that the other one has without giving it.
fn values(old: &VmSpec, new: &VmSpec) -> (Option<Value>, Option<Value>) {
    let has_max_cpus = old.cpus.max.is_some() || new.cpus.max.is_some();
    let has_max_memory = old.memory.max.is_some() || new.memory.max.is_some();
    let value = |spec: &VmSpec| {
        let mut spec = spec.clone();
        if has_max_cpus {
            spec.cpus.max = Some(spec.cpus.most());
        }
        if has_max_memory {
            spec.memory.max = Some(spec.memory.most());
        }
        spec.disks.clear();
        spec.nics.clear();
        serde_json::to_value(spec).ok()
    };
    (value(old), value(new))
}

/// A device that has a name.
trait Device: Clone + serde::Serialize {
    /// The device in a few words.
    fn summary(&self) -> String;
    /// Without its name, which is its path; and with what `other` leaves to be as it is here.
    fn comparable(&self, other: &Self) -> Self;
}

impl Device for Disk {
    fn summary(&self) -> String {
        let size = self
            .size
            .map(|size| format!(", {size}"))
            .unwrap_or_default();
        match (&self.image, self.source) {
            (Some(image), ImageSource::Clone) => format!("clone of {image}{size}"),
            (Some(image), ImageSource::Copy) => format!("copy of {image}{size}"),
            (Some(image), ImageSource::Cdrom) => format!("CD {image}"),
            (None, _) => format!("blank{size}"),
        }
    }

    fn comparable(&self, _other: &Self) -> Self {
        Self {
            name: None,
            ..self.clone()
        }
    }
}

impl Device for Nic {
    fn summary(&self) -> String {
        match (&self.network, &self.bridge) {
            (Some(network), _) => format!("on network {network}"),
            (None, Some(bridge)) => format!("on bridge {bridge}"),
            (None, None) => "on nothing".to_owned(),
        }
    }

    /// An address that is no longer given stays as it is.
    fn comparable(&self, other: &Self) -> Self {
        let mac = if other.mac.is_some() { self.mac } else { None };
        Self {
            name: None,
            mac,
            ..self.clone()
        }
    }
}

fn devices<D: Device>(
    field: &str,
    old: &[D],
    old_names: Vec<DeviceName>,
    new: &[D],
    new_names: Vec<DeviceName>,
    found: &mut Vec<Difference>,
) {
    let mut pairs: BTreeMap<DeviceName, (Option<&D>, Option<&D>)> = BTreeMap::new();
    for (name, device) in old_names.into_iter().zip(old) {
        pairs.entry(name).or_default().0 = Some(device);
    }
    for (name, device) in new_names.into_iter().zip(new) {
        pairs.entry(name).or_default().1 = Some(device);
    }
    for (name, pair) in pairs {
        let field = format!("{field}.{name}");
        match pair {
            (Some(old), Some(new)) => {
                let (was, is) = (old.comparable(new), new.comparable(new));
                let (was, is) = (
                    serde_json::to_value(was).ok(),
                    serde_json::to_value(is).ok(),
                );
                compare(&field, was.as_ref(), is.as_ref(), found);
            }
            (old, new) => found.push(Difference {
                field,
                from: old.map(Device::summary).unwrap_or_default(),
                to: new.map(Device::summary).unwrap_or_default(),
            }),
        }
    }
}

fn compare(field: &str, old: Option<&Value>, new: Option<&Value>, found: &mut Vec<Difference>) {
    let nothing = Map::new();
    match (old, new) {
        (old, new) if old == new => {}
        (Some(Value::Object(old)), Some(Value::Object(new))) => members(field, old, new, found),
        (Some(Value::Object(old)), None) if !old.is_empty() => members(field, old, &nothing, found),
        (None, Some(Value::Object(new))) if !new.is_empty() => members(field, &nothing, new, found),
        (Some(Value::Array(old)), Some(Value::Array(new))) if holds_groups(old, new) => {
            items(field, old, new, found);
        }
        (Some(Value::Array(old)), None) if holds_groups(old, &[]) => items(field, old, &[], found),
        (None, Some(Value::Array(new))) if holds_groups(&[], new) => items(field, &[], new, found),
        (old, new) => found.push(Difference {
            field: field.to_owned(),
            from: shown(old),
            to: shown(new),
        }),
    }
}

fn members(
    field: &str,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    found: &mut Vec<Difference>,
) {
    let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
    keys.sort();
    keys.dedup();
    for key in keys {
        let path = if field.is_empty() {
            key.clone()
        } else {
            format!("{field}.{key}")
        };
        compare(&path, old.get(key), new.get(key), found);
    }
}

fn holds_groups(old: &[Value], new: &[Value]) -> bool {
    old.iter().chain(new).any(Value::is_object)
}

fn items(field: &str, old: &[Value], new: &[Value], found: &mut Vec<Difference>) {
    for index in 0..old.len().max(new.len()) {
        compare(
            &format!("{field}[{index}]"),
            old.get(index),
            new.get(index),
            found,
        );
    }
}

/// A value in one line; nothing for one that is not there.
fn shown(value: Option<&Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| shown(Some(item)))
            .collect::<Vec<_>>()
            .join(", "),
        Some(other) => other.to_string(),
    };
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(SHOWN)
        .collect();
    if text.chars().nth(SHOWN).is_some() {
        format!("{line}…")
    } else {
        line
    }
}
