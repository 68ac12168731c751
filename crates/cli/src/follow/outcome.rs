// SPDX-License-Identifier: GPL-3.0-or-later
//! What an operation came to, in a sentence, and the next sensible command.

use hv_model::operation::{Operation, OperationKind};

use super::title;
use crate::output::{Look, Paint, shown, text::quoted};

/// A sentence about an operation that did what was asked.
pub(crate) fn succeeded(operation: &Operation, look: Look) -> String {
    let name = shown(&operation.target.name);
    let command =
        |verb: &str| look.paint(Paint::Command, &format!("hv vm {verb} {}", quoted(&name)));
    let text = match operation.kind {
        OperationKind::VmCreate if was_started(operation) => {
            format!(
                "{name} is made and runs. Its console: {}",
                command("console")
            )
        }
        OperationKind::VmCreate => format!("{name} is made. Start it: {}", command("start")),
        OperationKind::VmStart => format!("{name} runs."),
        OperationKind::VmShutDown => format!("{name} is off."),
        OperationKind::VmForceOff => format!("{name} is off; its power was cut."),
        OperationKind::VmReboot if operation.result.get("seen") == Some(&false.into()) => {
            // Without an agent nobody can tell whether the guest obeys.
            format!(
                "{name} was asked to reboot. See whether it does: {}",
                command("console")
            )
        }
        OperationKind::VmReboot => format!("{name} reboots."),
        OperationKind::VmReset => format!("{name} was reset."),
        OperationKind::VmPause => format!("{name} is paused. Let it go on: {}", command("resume")),
        OperationKind::VmResume => format!("{name} goes on."),
        OperationKind::VmSave => {
            format!(
                "{name} is saved. It goes on where it was: {}",
                command("start")
            )
        }
        OperationKind::VmRename => match new_name(operation) {
            Some(new) => format!("{name} is now called {}.", shown(new)),
            None => format!("{name} has its new name."),
        },
        OperationKind::VmChange => format!("{name} is changed."),
        OperationKind::VmDelete => {
            format!(
                "{name} is in the trash. Bring it back: {}",
                command("undelete")
            )
        }
        OperationKind::VmUndelete => format!("{name} is back, and off."),
        OperationKind::VmPurge => format!("{name} and its disks are destroyed."),
        OperationKind::VmAdopt => format!("{name} is adopted: it can be changed here now."),
        OperationKind::ImageAdd => {
            let create = format!("hv vm create NAME --image {}", quoted(&name));
            format!(
                "{name} is in the library. Use it: {}",
                look.paint(Paint::Command, &create)
            )
        }
        OperationKind::ImageDelete => format!("{name} is deleted."),
    };
    text + "\n"
}

/// A sentence about an operation that is not waited for.
pub(crate) fn queued(operation: &Operation, look: Look) -> String {
    let watch = look.paint(Paint::Command, &format!("hv op watch {}", operation.id));
    format!(
        "{} is {}. Watch it: {watch}\n",
        title(operation),
        operation.state.as_str()
    )
}

/// Whether a VM was started once it was made: the request said so.
fn was_started(operation: &Operation) -> bool {
    operation
        .parameters
        .get("then")
        .and_then(|then| then.as_str())
        == Some("start")
}

fn new_name(operation: &Operation) -> Option<&str> {
    operation
        .parameters
        .get("name")
        .and_then(|name| name.as_str())
}
