// SPDX-License-Identifier: GPL-3.0-or-later
//! What the format of specs knows, and the host's policy does not allow.

use serde_json::{Value, json};

use super::spec_text::try_spec;
use crate::{
    Actor, Arena, Attempt, Facts, Frames, Layer, Loot, Off, Stage, Trouble, stage::PREFIX,
};

/// Who makes VMs, by hvd or past it.
const MAKERS: &[Actor] = &[Actor::Creator, Actor::Admin, Actor::Hvd];

macro_rules! wishes {
    ($($name:literal, $actors:expr, $off:expr, $goal:literal, $success:literal, $element:literal, $more:expr;)*) => {
        pub(super) const ATTEMPTS: &[Attempt] = &[$(Attempt {
            name: $name,
            goal: $goal,
            success: $success,
            actors: $actors,
            layer: Layer::Policy,
            off: &[$off],
            run: |arena, _| {
                let more: fn(&Arena) -> Value = $more;
                wish(arena, &more(arena))
            },
            evidence: |stage, _, _| defined_with(stage, $element),
            clear: remove,
            ..Attempt::PLAIN
        }),*];
    };
}

wishes! {
    "no-spoof-filter", MAKERS, Off::Policy, "make a VM that may send packets in the name of others",
        "a VM is defined with an interface without a filter", "<interface type='network'>",
        |arena| json!({"nics": [{"network": arena.network, "spoof_filter": "off"}]});
    "bridge-of-the-host", MAKERS, Off::Policy, "plug a VM into a bridge of the host that is not for VMs",
        "a VM is defined on that bridge", "<source bridge='virbr0'",
        |_| json!({"nics": [{"bridge": "virbr0"}]});
    "too-much-memory", MAKERS, Off::Policy, "make a VM with more memory than the host's policy allows",
        "a VM is defined with a tebibyte", "<memory unit='KiB'>1073741824</memory>",
        |_| json!({"memory": "1TiB"});
    "pinned-cpus", MAKERS, Off::Policy, "take a CPU of the host for a VM alone",
        "a VM is defined with a CPU of the host's", "<vcpupin",
        |_| json!({"cpus": {"count": 1, "pinning": {"0": "0"}}});
    "huge-pages", MAKERS, Off::Policy, "take the host's reserve of huge pages",
        "a VM is defined with huge pages", "<hugepages",
        |_| json!({"memory": {"size": "64MiB", "huge_pages": "2MiB"}});
    "usb-device", &[Actor::Hvd], Off::Past, "give a VM a USB device of the host",
        "a VM is defined with the device", "<hostdev",
        |_| json!({"passthrough": [{"usb": "1234:5678"}]});
    "pci-device", &[Actor::Hvd], Off::Past, "give a VM a PCI device of the host",
        "a VM is defined with the device", "<hostdev",
        |_| json!({"passthrough": [{"pci": "0000:00:1f.2"}]});
    "shared-memory", &[Actor::Hvd], Off::Past, "share memory between a VM and a program of the host",
        "a VM is defined with the memory", "<shmem",
        |_| json!({"shared_memory": [{"name": "hv-attack", "size": "4MiB"}]});
}

/// Asks for such a VM: of hvd, and, for whom it is open, of the port.
fn wish(arena: &Arena, more: &Value) -> Result<Loot, Trouble> {
    let mut loot = Loot::default();
    if rustix::fs::access(&arena.port, rustix::fs::Access::WRITE_OK).is_ok() {
        let mut spec = json!({"name": format!("{PREFIX}-new"), "memory": "64MiB"});
        if let (Some(spec), Some(more)) = (spec.as_object_mut(), more.as_object()) {
            spec.extend(more.clone());
        }
        let definition = json!({"id": some_id()?, "generation": 1, "spec": spec, "disks": []});
        let call = json!({"define": {"definition": definition}}).to_string();
        loot.frame(&Frames::call(&arena.port, &call)?);
        return Ok(loot);
    }
    try_spec(arena, more)
}

impl Loot {
    /// Keeps what the port answered, and notes how it refuses.
    pub(super) fn frame(&mut self, answer: &str) {
        let said: Value = serde_json::from_str(answer).unwrap_or(Value::Null);
        if let Some(why) = said.pointer("/Err/message").and_then(Value::as_str) {
            self.told(why);
        }
        self.take(answer);
    }
}

/// An id that no VM has.
pub(super) fn some_id() -> Result<String, Trouble> {
    let path = std::path::Path::new("/proc/sys/kernel/random/uuid");
    let text = std::fs::read_to_string(path).map_err(Trouble::at(path))?;
    Ok(text.trim().to_owned())
}

/// A domain of the actors' that has this in its definition.
fn defined_with(stage: &Stage, element: &str) -> Option<String> {
    let xml = stage
        .root
        .virsh(&["dumpxml", "--inactive", &format!("{PREFIX}-new")])
        .ok()?;
    let has = match element {
        // An interface that has a filter names it.
        "<interface type='network'>" => xml.contains(element) && !xml.contains("<filterref"),
        _ => xml.contains(element),
    };
    has.then(|| format!("a VM is defined with {element}"))
}

fn remove(stage: &Stage, _: &Facts) -> Result<(), Trouble> {
    stage.remove_vm_named(&format!("{PREFIX}-new"))
}
