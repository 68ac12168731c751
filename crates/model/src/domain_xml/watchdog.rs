// SPDX-License-Identifier: GPL-3.0-or-later
//! The watchdog.

use super::element::Element;
use crate::{device::WatchdogAction, vm::VmSpec};

/// A timer on the PCI bus, which the guest must feed.
pub(super) fn render(spec: &VmSpec) -> Option<Element> {
    let action = match spec.watchdog?.action {
        WatchdogAction::Reset => "reset",
        WatchdogAction::Poweroff => "poweroff",
        WatchdogAction::Pause => "pause",
        WatchdogAction::None => "none",
    };
    Some(
        Element::new("watchdog")
            .with("model", "i6300esb")
            .with("action", action),
    )
}
