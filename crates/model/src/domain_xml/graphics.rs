// SPDX-License-Identifier: GPL-3.0-or-later
//! The display, what one points and types with, and sound.

use super::element::Element;
use crate::{
    device::{Audio, GraphicsKind},
    vm::VmSpec,
};

/// The display listens on a socket that libvirt makes, and never on a network.
pub(super) fn render(spec: &VmSpec) -> Vec<Element> {
    let mut elements = Vec::new();
    if spec.graphics.kind != GraphicsKind::None {
        let input = |kind| Element::new("input").with("type", kind).with("bus", "usb");
        let listen = Element::new("listen").with("type", "socket");
        let model = Element::new("model")
            .with("type", "virtio")
            .with("heads", spec.graphics.heads)
            .with("primary", "yes");
        elements.extend([
            input("tablet"),
            input("keyboard"),
            Element::new("graphics")
                .with("type", "vnc")
                .containing([listen]),
            Element::new("video").containing([model]),
        ]);
    }
    if spec.audio != Audio::None {
        // What is heard goes with the display; the host's own loudspeaker is not reached.
        elements.extend([
            Element::new("sound").with("model", "ich9"),
            Element::new("audio").with("id", 1).with("type", "none"),
        ]);
    }
    elements
}
