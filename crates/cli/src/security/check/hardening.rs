// SPDX-License-Identifier: GPL-3.0-or-later
//! What a service or a VM could do once it is taken over.

use hv_model::security::{Category::Hardening, Objective, Severity};

use super::{
    Answer, Check, System,
    observation::{Offenders, fail, not_applicable, pass, seen, warn},
};
use crate::security::system::{Definition, Process};

/// `CAP_NET_ADMIN`, which the broker may need for zones.
const NET_ADMIN: u64 = 1 << 12;
/// How exposed a unit may be, in tenths, as `systemd-analyze security` counts.
const EXPOSURE: u32 = 12;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "hardening.hvd-user",
        category: Hardening,
        title: "hvd is not root",
        severity: Severity::High,
        why: "hvd reads what the whole world sends. Whoever takes it over has its rights.",
        fix: &["In hvd.service: User=hvd"],
        objectives: &[Objective::LeastPrivilege],
        look: hvd_user,
    },
    Check {
        id: "hardening.broker-user",
        category: Hardening,
        title: "The broker is not root",
        severity: Severity::High,
        why: "The broker holds the way to libvirt. It needs nothing else of the host.",
        fix: &["In hv-broker.service: User=hv-broker"],
        objectives: &[Objective::LeastPrivilege],
        look: broker_user,
    },
    Check {
        id: "hardening.daemons",
        category: Hardening,
        title: "The daemons can do what they must and nothing else",
        severity: Severity::Medium,
        why: "A process without capabilities that cannot gain any, and with few system calls, is a poor \
              place to go on from.",
        fix: &[
            "In the units: NoNewPrivileges=yes, CapabilityBoundingSet=, SystemCallFilter=@system-service",
        ],
        objectives: &[Objective::LeastPrivilege],
        look: daemons,
    },
    Check {
        id: "hardening.units",
        category: Hardening,
        title: "The units' exposure is 1.2 at most",
        severity: Severity::Medium,
        why: "systemd can keep from a service all that it does not need: devices, homes, other processes.",
        fix: &["systemd-analyze security hvd.service hv-broker.service"],
        objectives: &[Objective::LeastPrivilege],
        look: units,
    },
    Check {
        id: "hardening.qemu-user",
        category: Hardening,
        title: "QEMU is not root",
        severity: Severity::Critical,
        why: "A VM that breaks out of QEMU has QEMU's rights.",
        fix: &[
            "In /etc/libvirt/qemu.conf: remove user = \"root\"",
            "systemctl restart libvirtd",
        ],
        objectives: &[Objective::QemuNotRoot, Objective::Isolation],
        look: qemu_user,
    },
    Check {
        id: "hardening.qemu-seccomp",
        category: Hardening,
        title: "QEMU's system calls are filtered",
        severity: Severity::High,
        why: "Most ways out of QEMU need a call that it has no use for.",
        fix: &[
            "In /etc/libvirt/qemu.conf: seccomp_sandbox = 1",
            "systemctl restart libvirtd",
        ],
        objectives: &[Objective::Seccomp, Objective::Isolation],
        look: qemu_seccomp,
    },
    Check {
        id: "hardening.qemu-capabilities",
        category: Hardening,
        title: "QEMU has no capabilities, and can gain none",
        severity: Severity::High,
        why: "A capability is a piece of root.",
        fix: &[
            "In /etc/libvirt/qemu.conf: clear_emulator_capabilities = 1",
            "systemctl restart libvirtd",
        ],
        objectives: &[Objective::QemuNotRoot, Objective::Isolation],
        look: qemu_capabilities,
    },
    Check {
        id: "hardening.ownership",
        category: Hardening,
        title: "libvirt gives no files away",
        severity: Severity::Medium,
        why: "With dynamic ownership libvirt, as root, gives QEMU whatever file a VM names as its disk.",
        fix: &[
            "In /etc/libvirt/qemu.conf: dynamic_ownership = 0",
            "systemctl restart libvirtd",
        ],
        objectives: &[Objective::Isolation],
        look: ownership,
    },
    Check {
        id: "hardening.mandatory",
        category: Hardening,
        title: "AppArmor or SELinux keeps each VM to its own files",
        severity: Severity::Medium,
        why: "All VMs run as one user. Without it a VM that breaks out has the disks of all the others.",
        fix: &[
            "apt-get install apparmor, and reboot",
            "In /etc/libvirt/qemu.conf: no security_driver = \"none\"",
        ],
        objectives: &[Objective::Isolation],
        look: mandatory,
    },
    Check {
        id: "hardening.cpu",
        category: Hardening,
        title: "The CPU's known leaks are closed",
        severity: Severity::High,
        why: "Through such a leak a VM reads memory of the host and of other VMs.",
        fix: &[
            "apt-get install intel-microcode or amd64-microcode",
            "Remove mitigations=off from the kernel's command line.",
        ],
        objectives: &[Objective::CpuMitigations, Objective::Isolation],
        look: cpu,
    },
    Check {
        id: "hardening.ksm",
        category: Hardening,
        title: "VMs share no memory pages",
        severity: Severity::Medium,
        why: "How long a write takes tells a VM whether another has the same page (KSM).",
        fix: &["echo 2 > /sys/kernel/mm/ksm/run"],
        objectives: &[Objective::Ksm, Objective::Isolation],
        look: ksm,
    },
    Check {
        id: "hardening.nested",
        category: Hardening,
        title: "VMs cannot run VMs",
        severity: Severity::Low,
        why: "Nested virtualization is much of the kernel's hardest code, open to each VM.",
        fix: &[
            "echo 'options kvm_intel nested=0' > /etc/modprobe.d/kvm.conf (kvm_amd on AMD), and reboot",
        ],
        objectives: &[Objective::NestedVirtualization],
        look: nested,
    },
    Check {
        id: "hardening.host-devices",
        category: Hardening,
        title: "No VM has a device of the host",
        severity: Severity::Medium,
        why: "A device writes memory by itself, and keeps its firmware when the VM is gone.",
        fix: &["virsh edit NAME, and remove <hostdev>"],
        objectives: &[Objective::HostDevices, Objective::Isolation],
        look: host_devices,
    },
    Check {
        id: "hardening.shared-disks",
        category: Hardening,
        title: "No disk belongs to two VMs",
        severity: Severity::Medium,
        why: "Two VMs that write one disk can harm each other, and break its file system.",
        fix: &["virsh edit NAME, and remove <shareable/>"],
        objectives: &[Objective::ShareableDisks, Objective::Isolation],
        look: shared_disks,
    },
    Check {
        id: "hardening.disk-errors",
        category: Hardening,
        title: "No VM ignores a failing disk",
        severity: Severity::Low,
        why: "A guest that is told that all was written, while nothing was, loses its data unseen.",
        fix: &["virsh edit NAME, and remove error_policy='ignore'"],
        objectives: &[Objective::DiskErrorPolicy],
        look: disk_errors,
    },
];

fn not_root(processes: &[&Process], who: &str) -> Answer {
    if processes.is_empty() {
        return not_applicable(format!("{who} does not run."));
    }
    let root = processes.iter().filter(|process| process.user == 0);
    let root: Vec<String> = root.map(ToString::to_string).collect();
    let running = processes.iter().map(ToString::to_string);
    seen(
        Offenders::of(root).answer(
            format!("{who} runs as a user of its own."),
            format!("{who} runs as root."),
        ),
        running.filter(|line| !line.ends_with("user 0")),
    )
}

fn hvd_user(system: &System) -> Answer {
    not_root(&system.called("hvd")?, "hvd")
}

fn broker_user(system: &System) -> Answer {
    not_root(&system.called("hv-broker")?, "The broker")
}

fn daemons(system: &System) -> Answer {
    let daemons = system.daemons()?;
    if daemons.is_empty() {
        return not_applicable("Neither hvd nor the broker runs.");
    }
    let mut offenders = Offenders::default();
    for daemon in daemons {
        let allowed = if daemon.name == "hv-broker" {
            NET_ADMIN
        } else {
            0
        };
        let mut wrong = Vec::new();
        if daemon.capabilities & !allowed != 0 {
            wrong.push(format!(
                "capabilities {:#x}",
                daemon.capabilities & !allowed
            ));
        }
        if !daemon.no_new_privileges {
            wrong.push("can gain rights".to_owned());
        }
        if !daemon.filtered {
            wrong.push("every system call".to_owned());
        }
        offenders.look(Ok(
            (!wrong.is_empty()).then(|| format!("{daemon}: {}", wrong.join(", ")))
        ));
    }
    offenders.answer(
        "They can do little else.",
        "A daemon can do more than it must.",
    )
}

fn units(system: &System) -> Answer {
    let mut offenders = Offenders::default();
    let mut evidence = Vec::new();
    for name in ["hvd.service", "hv-broker.service"] {
        let Some(unit) = system.unit(name)? else {
            continue;
        };
        let arguments = ["security", "--offline=true", "--no-pager", &unit.path];
        let Some(output) = system
            .programs
            .ask(&system.root, "systemd-analyze", &arguments)?
        else {
            return Err(super::Unreadable::other(
                name,
                "systemd-analyze is not installed",
            ));
        };
        let Some(exposure) = exposure(&output) else {
            return Err(super::Unreadable::other(
                name,
                "systemd-analyze gave no figure",
            ));
        };
        let text = format!(
            "{}: exposure {}.{}",
            unit.path,
            exposure / 10,
            exposure % 10
        );
        evidence.push(text.clone());
        offenders.look(Ok((exposure > EXPOSURE).then_some(text)));
    }
    if offenders.saw_nothing() {
        return not_applicable("Neither is installed as a unit of systemd.");
    }
    let answer = offenders.answer("Both are hardened.", "A unit is more exposed than that.");
    match answer {
        Ok(observation) if observation.evidence.is_empty() => seen(Ok(observation), evidence),
        other => other,
    }
}

/// The figure in `Overall exposure level for hvd.service: 1.2 OK`, in tenths.
fn exposure(output: &str) -> Option<u32> {
    let line = output
        .lines()
        .find(|line| line.contains("Overall exposure level"))?;
    let figure = line.rsplit_once(": ")?.1.split_whitespace().next()?;
    let (whole, tenths) = figure.split_once('.')?;
    Some(whole.parse::<u32>().ok()? * 10 + tenths.parse::<u32>().ok()?)
}

fn qemu_user(system: &System) -> Answer {
    let settings = system.qemu()?;
    let user = settings
        .get("user")
        .map(|user| user.trim_start_matches('+'));
    if matches!(user, Some("root" | "0")) {
        return fail("qemu.conf makes VMs run as root.");
    }
    let qemus = system.qemus()?;
    if qemus.is_empty() {
        return pass("No VM runs; qemu.conf does not make them run as root.");
    }
    not_root(&qemus, "QEMU")
}

fn qemu_seccomp(system: &System) -> Answer {
    if system.qemu()?.get("seccomp_sandbox") == Some("0") {
        return fail("qemu.conf switches the filter off.");
    }
    let qemus = system.qemus()?;
    if qemus.is_empty() {
        return pass("No VM runs; qemu.conf does not switch the filter off.");
    }
    let open = qemus.iter().filter(|qemu| !qemu.filtered);
    Offenders::of(open.map(ToString::to_string)).answer("Each VM's are.", "A VM's are not.")
}

fn qemu_capabilities(system: &System) -> Answer {
    if system.qemu()?.get("clear_emulator_capabilities") == Some("0") {
        return fail("qemu.conf leaves QEMU its capabilities.");
    }
    let qemus = system.qemus()?;
    if qemus.is_empty() {
        return pass("No VM runs; qemu.conf leaves QEMU no capabilities.");
    }
    let strong = qemus
        .iter()
        .filter(|qemu| qemu.capabilities != 0 || !qemu.no_new_privileges);
    let strong = strong.map(|qemu| {
        format!(
            "{qemu}: capabilities {:#x}, can gain rights: {}",
            qemu.capabilities, !qemu.no_new_privileges
        )
    });
    Offenders::of(strong).answer("No VM's process has or can.", "A VM's process has or can.")
}

fn ownership(system: &System) -> Answer {
    if system.root.status_if_there("/etc/libvirt")?.is_none() {
        return not_applicable("libvirt is not installed.");
    }
    match system.qemu()?.get("dynamic_ownership") {
        Some("0") => pass("dynamic_ownership is 0."),
        _ => fail("dynamic_ownership is on, as it is by default."),
    }
}

fn mandatory(system: &System) -> Answer {
    if system.qemu()?.get("security_driver") == Some("none") {
        return fail("qemu.conf switches confinement off: security_driver = none.");
    }
    let apparmor = system
        .root
        .text_if_there("/sys/module/apparmor/parameters/enabled")?;
    if apparmor.is_some_and(|enabled| enabled.trim() == "Y") {
        return pass("AppArmor is on.");
    }
    match system.root.text_if_there("/sys/fs/selinux/enforce")? {
        Some(enforces) if enforces.trim() == "1" => pass("SELinux enforces."),
        Some(_) => warn("SELinux is on and only warns."),
        None => fail("Neither AppArmor nor SELinux is on."),
    }
}

fn cpu(system: &System) -> Answer {
    let folder = "/sys/devices/system/cpu/vulnerabilities";
    let mut offenders = Offenders::default();
    for path in system.root.paths(folder, "")? {
        let state = system.root.word(&path);
        offenders.look(state.map(|state| {
            state
                .starts_with("Vulnerable")
                .then(|| format!("{path}: {state}"))
        }));
    }
    if offenders.saw_nothing() {
        return Err(super::Unreadable::Missing(folder.to_owned()));
    }
    offenders.answer(
        "The kernel knows of none that is open.",
        "The kernel knows of one that is open.",
    )
}

fn ksm(system: &System) -> Answer {
    match system.root.text_if_there("/sys/kernel/mm/ksm/run")? {
        None => not_applicable("The kernel cannot share pages."),
        Some(run) if run.trim() == "1" => fail("KSM runs."),
        Some(run) if run.trim() == "0" && shared_pages(system)? => {
            fail("KSM is stopped, and pages that it made common still are.")
        }
        Some(_) => pass("KSM does not run."),
    }
}

fn shared_pages(system: &System) -> Result<bool, super::Unreadable> {
    let shared = system
        .root
        .text_if_there("/sys/kernel/mm/ksm/pages_shared")?;
    Ok(shared.is_some_and(|pages| pages.trim() != "0"))
}

fn nested(system: &System) -> Answer {
    for module in ["kvm_intel", "kvm_amd"] {
        let path = format!("/sys/module/{module}/parameters/nested");
        if let Some(value) = system.root.text_if_there(&path)? {
            return match value.trim() {
                "N" | "0" => pass(format!("{path} is off.")),
                value => fail(format!("{path} is {value}.")),
            };
        }
    }
    not_applicable("KVM is not loaded.")
}

fn in_definitions(system: &System, wrong: impl Fn(&Definition) -> Vec<String>) -> Answer {
    let definitions = system.definitions()?;
    if definitions.is_empty() {
        return not_applicable("libvirt has no VM defined.");
    }
    let found = definitions.iter().flat_map(|vm| {
        wrong(vm)
            .into_iter()
            .map(|what| format!("{}: {what}", vm.file))
            .collect::<Vec<_>>()
    });
    Offenders::of(found).answer("It is so for every VM.", "It is not so for every VM.")
}

fn host_devices(system: &System) -> Answer {
    in_definitions(system, |vm| vm.host_devices.clone())
}

fn shared_disks(system: &System) -> Answer {
    in_definitions(system, |vm| {
        let shared = vm.disks.iter().filter(|disk| disk.shareable);
        shared
            .map(|disk| format!("disk {} is shareable", disk.target))
            .collect()
    })
}

fn disk_errors(system: &System) -> Answer {
    in_definitions(system, |vm| {
        let ignoring = vm
            .disks
            .iter()
            .filter(|disk| disk.error_policy.as_deref() == Some("ignore"));
        ignoring
            .map(|disk| format!("disk {} ignores errors", disk.target))
            .collect()
    })
}
