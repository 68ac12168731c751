// SPDX-License-Identifier: GPL-3.0-or-later
//! The serial console, the channel to the guest agent, the source of randomness and the TPM.

use super::{RNG_SOURCE, element::Element};
use crate::{
    device::{Rng, Serial, TpmModel},
    vm::{Agent, Arch, VmSpec},
};

/// The name by which every guest agent finds its channel.
const AGENT_CHANNEL: &str = "org.qemu.guest_agent.0";

/// What the guest talks to the host through.
pub(super) fn render(spec: &VmSpec) -> impl Iterator<Item = Element> {
    let serial = (spec.serial == Serial::On)
        .then(serial)
        .into_iter()
        .flatten();
    let agent = (spec.agent == Agent::On).then(agent);
    let rng = (spec.rng == Rng::On).then(rng);
    serial
        .chain(agent)
        .chain(tpm(spec))
        .chain(rng)
        .chain(panic_device(spec))
}

fn serial() -> [Element; 2] {
    let port = || Element::new("target").with("port", 0);
    [
        Element::new("serial")
            .with("type", "pty")
            .containing([port()]),
        Element::new("console")
            .with("type", "pty")
            .containing([port().with("type", "serial")]),
    ]
}

/// libvirt makes the socket where it alone decides, so no path is given.
fn agent() -> Element {
    let target = Element::new("target")
        .with("type", "virtio")
        .with("name", AGENT_CHANNEL);
    Element::new("channel")
        .with("type", "unix")
        .containing([target])
}

fn rng() -> Element {
    let backend = Element::text("backend", RNG_SOURCE).with("model", "random");
    Element::new("rng")
        .with("model", "virtio")
        .containing([backend])
}

fn tpm(spec: &VmSpec) -> Option<Element> {
    let model = match spec.tpm?.model {
        TpmModel::Crb => "tpm-crb",
        TpmModel::Tis => "tpm-tis",
    };
    let backend = Element::new("backend")
        .with("type", "emulator")
        .with("version", "2.0");
    Some(
        Element::new("tpm")
            .with("model", model)
            .containing([backend]),
    )
}

/// By this device a guest's kernel says that it gave up, so that a crash is seen as one.
fn panic_device(spec: &VmSpec) -> Option<Element> {
    (spec.arch == Arch::X86_64).then(|| Element::new("panic").with("model", "isa"))
}
