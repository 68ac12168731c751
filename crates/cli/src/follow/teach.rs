// SPDX-License-Identifier: GPL-3.0-or-later
//! What `--explain` tells: what happens and why, and the plain commands that do the same.

use hv_model::operation::{Operation, OperationKind, StepState};

use crate::output::{Look, Paint, shown, text::wrapped};

/// What is going to happen, and why so.
pub(crate) fn before(kind: OperationKind, look: Look) -> String {
    let mut page = String::new();
    for line in wrapped(why(kind), look.prose()) {
        page.push_str(&line);
        page.push('\n');
    }
    page.push('\n');
    page
}

/// What was done, step by step, with the plain commands.
pub(crate) fn after(operation: &Operation, look: Look) -> String {
    if operation.steps.is_empty() {
        return String::new();
    }
    let mut page = format!(
        "\n{}\n",
        look.paint(
            Paint::Heading,
            "What was done, and the plain commands for it"
        )
    );
    for (number, step) in operation.steps.iter().enumerate() {
        let end = match step.state {
            StepState::Done => "",
            StepState::Running => " (under way)",
            StepState::Failed => " (failed)",
            StepState::Undone => " (undone)",
        };
        let number = (number + 1).to_string();
        page.extend(["  ", &number, ". ", &shown(&step.name), end, "\n"]);
        if let Some(command) = &step.command {
            let command = look.paint(Paint::Command, &shown(command));
            page.extend(["     ", &command, "\n"]);
        }
    }
    page
}

const fn why(kind: OperationKind) -> &'static str {
    match kind {
        OperationKind::VmCreate => {
            "A VM is made in two parts: its disks, as volumes in a managed pool, and its definition, \
             which libvirt keeps. A disk made from an image stores only what differs from it, so \
             it is made at once. If a step fails, those before it are undone."
        }
        OperationKind::VmStart => {
            "libvirt runs a QEMU process for the VM, under a user of its own without rights on the \
             host. A VM whose memory was saved goes on where it was."
        }
        OperationKind::VmShutDown => {
            "The guest is asked, first through its agent, then by the power button, so that it can \
             write what it has in memory and end its services. It may need a while, or ignore it; \
             nothing is cut off here."
        }
        OperationKind::VmForceOff => {
            "The QEMU process is ended, as if the power were cut. What the guest had not written \
             to its disks is lost, and its file systems are checked at the next boot."
        }
        OperationKind::VmReboot => {
            "The guest is asked to reboot. The QEMU process stays, so changes that wait for the \
             next boot go on waiting until the VM was off."
        }
        OperationKind::VmReset => {
            "The machine is reset as by its button. The guest is not asked, and what it had not \
             written is lost."
        }
        OperationKind::VmPause => {
            "The VM's processors are stopped. It keeps its memory, and connections to it wait; its \
             clock stands still until it goes on."
        }
        OperationKind::VmResume => "The VM's processors go on where they were stopped.",
        OperationKind::VmSave => {
            "The VM's memory is written to disk and its process ends. The next start reads it back, \
             and the guest does not notice but by its clock."
        }
        OperationKind::VmRename => {
            "Only the name changes. The VM is known by its id, so its disks, its history and its \
             network address stay."
        }
        OperationKind::VmChange => {
            "The spec is changed first, then the definition that libvirt keeps, then, as far as it \
             can be done, the running VM. The rest waits for the next boot: nothing is restarted."
        }
        OperationKind::VmDelete => {
            "The VM moves to the trash: it leaves the lists and cannot be started, and its disks \
             stay for some days. Until then it can be brought back whole."
        }
        OperationKind::VmUndelete => {
            "The VM is defined again from the spec that was kept with its disks."
        }
        OperationKind::VmPurge => {
            "The disks are deleted from their pool, and the definition with them. There is no way \
             back but a backup."
        }
        OperationKind::VmAdopt => {
            "The definition that another tool made is read as a spec and defined anew from it. It \
             is refused, if something of it would be lost."
        }
        OperationKind::ImageAdd => {
            "The file is copied into the images' pool and examined there as something hostile: one \
             that refers to other files is refused, since a disk made from it could read the host."
        }
        OperationKind::ImageDelete => {
            "The image's volume is deleted. It is refused while disks made from it exist, since \
             they store only what differs."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_operation_is_explained_in_plain_words() {
        let pages = OperationKind::ALL
            .iter()
            .map(|kind| format!("{}:\n{}", kind.as_str(), before(*kind, Look::plain())));
        insta::assert_snapshot!(pages.collect::<String>());
    }
}
