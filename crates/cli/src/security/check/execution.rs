// SPDX-License-Identifier: GPL-3.0-or-later
//! Whether somebody can make this host run a program of his.

use hv_model::security::{Category::CodeExecution, Objective, Severity};

use super::{
    Answer, Check, System,
    files::changeable,
    observation::{Offenders, fail, not_applicable, pass, seen},
};

/// What the broker starts: it looks at images with QEMU's own tools, apart from itself.
const HELPERS: [&str; 4] = ["qemu-img", "qemu-nbd", "qemu-system-x86", "qemu-system-aar"];
/// Where programs that run VMs are installed.
const EMULATORS: [&str; 5] = [
    "/usr/bin/",
    "/usr/libexec/",
    "/usr/lib/",
    "/run/libvirt/nix-emulators/",
    "/nix/store/",
];
/// Where root looks for programs.
const PATH: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];
const HOOKS: [&str; 8] = [
    "daemon",
    "lxc",
    "libxl",
    "network",
    "qemu",
    "qemu.d",
    "network.d",
    "daemon.d",
];

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "execution.children",
        category: CodeExecution,
        title: "The daemons start no programs but those they need",
        severity: Severity::High,
        why: "hvd starts nothing, the broker starts QEMU's tools. A shell below one of them is somebody's.",
        fix: &[
            "ps -o pid,ppid,user,args --ppid PID",
            "Stop the daemon, and keep its logs.",
        ],
        objectives: &[Objective::LeastPrivilege],
        look: children,
    },
    Check {
        id: "execution.qemu-children",
        category: CodeExecution,
        title: "No VM's process has started another",
        severity: Severity::Critical,
        why: "QEMU starts nothing once it runs. What runs below it came out of the VM.",
        fix: &[
            "ps -o pid,ppid,user,args --ppid PID",
            "virsh suspend NAME, and look at it",
        ],
        objectives: &[Objective::ExecRestricted, Objective::Isolation],
        look: qemu_children,
    },
    Check {
        id: "execution.qemu-spawn",
        category: CodeExecution,
        title: "No VM's process can start another",
        severity: Severity::High,
        why: "Without spawn=deny a VM that breaks out runs a shell on the host.",
        fix: &[
            "In /etc/libvirt/qemu.conf: seccomp_sandbox = 1",
            "virsh shutdown NAME && virsh start NAME",
        ],
        objectives: &[Objective::ExecRestricted, Objective::Seccomp],
        look: qemu_spawn,
    },
    Check {
        id: "execution.writable-code",
        category: CodeExecution,
        title: "The daemons have no memory that is both written and run",
        severity: Severity::Medium,
        why: "Such memory turns a write past the end of a buffer into a program.",
        fix: &["In the units: MemoryDenyWriteExecute=yes"],
        objectives: &[Objective::LeastPrivilege],
        look: writable_code,
    },
    Check {
        id: "execution.emulators",
        category: CodeExecution,
        title: "VMs are run by the system's QEMU",
        severity: Severity::Critical,
        why: "A definition names the program that runs the VM; another one is started by libvirt, which \
              is root.",
        fix: &["virsh edit NAME: <emulator>/usr/bin/qemu-system-x86_64</emulator>"],
        objectives: &[Objective::NoRawOverrides, Objective::ExecRestricted],
        look: emulators,
    },
    Check {
        id: "execution.hooks",
        category: CodeExecution,
        title: "Only root can change what libvirt runs as root",
        severity: Severity::Critical,
        why: "libvirt runs its hooks as root at each start of a VM.",
        fix: &[
            "chown -R root: /etc/libvirt/hooks",
            "chmod -R go-w /etc/libvirt/hooks",
        ],
        objectives: &[Objective::LeastPrivilege],
        look: hooks,
    },
    Check {
        id: "execution.preload",
        category: CodeExecution,
        title: "No library is forced into programs",
        severity: Severity::High,
        why: "A preloaded library runs inside every program, root's included, and hides what it does.",
        fix: &["cat /etc/ld.so.preload", "rm /etc/ld.so.preload"],
        objectives: &[Objective::LeastPrivilege, Objective::Drift],
        look: preload,
    },
    Check {
        id: "execution.path",
        category: CodeExecution,
        title: "Only root puts programs where root looks for them",
        severity: Severity::High,
        why: "Somebody who may write there puts his own `ls` where root types it.",
        fix: &["chown root: FOLDER", "chmod go-w FOLDER"],
        objectives: &[Objective::LeastPrivilege],
        look: path,
    },
];

fn children(system: &System) -> Answer {
    let daemons = system.daemons()?;
    if daemons.is_empty() {
        return not_applicable("Neither hvd nor the broker runs.");
    }
    let mut found = Vec::new();
    for daemon in daemons {
        let below = system
            .processes()?
            .iter()
            .filter(|process| process.parent == daemon.id);
        let strange =
            below.filter(|child| daemon.name == "hvd" || !HELPERS.contains(&child.name.as_str()));
        found.extend(strange.map(|child| format!("{child}, below {daemon}")));
    }
    Offenders::of(found).answer(
        "Nothing else runs below them.",
        "Something else runs below one of them.",
    )
}

fn qemu_children(system: &System) -> Answer {
    let qemus = system.qemus()?;
    if qemus.is_empty() {
        return not_applicable("No VM runs.");
    }
    let mut found = Vec::new();
    for qemu in qemus {
        let below = system
            .processes()?
            .iter()
            .filter(|process| process.parent == qemu.id);
        found.extend(below.map(|child| format!("{child}, below {qemu}")));
    }
    Offenders::of(found).answer("None has.", "One has.")
}

fn qemu_spawn(system: &System) -> Answer {
    let qemus = system.qemus()?;
    if qemus.is_empty() {
        return not_applicable("No VM runs.");
    }
    let can = qemus.iter().filter(|qemu| {
        let sandbox = qemu.option("-sandbox").unwrap_or_default();
        !sandbox.split(',').any(|word| word == "spawn=deny")
    });
    Offenders::of(can.map(|qemu| format!("{qemu}: no spawn=deny"))).answer("None can.", "One can.")
}

fn writable_code(system: &System) -> Answer {
    let daemons = system.daemons()?;
    if daemons.is_empty() {
        return not_applicable("Neither hvd nor the broker runs.");
    }
    let mut offenders = Offenders::default();
    for daemon in daemons {
        let maps = system.root.text(&format!("/proc/{}/maps", daemon.id));
        offenders.look_at_process(maps.map(|maps| {
            let mut both = maps.lines().filter(|line| {
                let rights = line.split(' ').nth(1).unwrap_or_default();
                rights.contains('w') && rights.contains('x')
            });
            both.next().map(|line| format!("{daemon}: {line}"))
        }));
    }
    offenders.answer("None has.", "One has.")
}

fn emulators(system: &System) -> Answer {
    let definitions = system.definitions()?;
    let named: Vec<(&str, &str)> = definitions
        .iter()
        .filter_map(|vm| Some((vm.file.as_str(), vm.emulator.as_deref()?)))
        .collect();
    if named.is_empty() {
        return not_applicable("libvirt has no VM defined that names one.");
    }
    let mut offenders = Offenders::default();
    for (file, emulator) in named {
        let known = EMULATORS.iter().any(|folder| emulator.starts_with(folder))
            && !emulator.contains("/../");
        if !known {
            offenders.look(Ok(Some(format!("{file}: {emulator}"))));
        } else if system.root.status_if_there(emulator)?.is_some() {
            let wrong = changeable(system, emulator);
            offenders.look(wrong.map(|wrong| wrong.map(|why| format!("{file}: {why}"))));
        }
    }
    offenders.answer("Each VM's is the system's.", "A VM's is not.")
}

fn hooks(system: &System) -> Answer {
    let mut offenders = Offenders::default();
    for name in HOOKS {
        let path = format!("/etc/libvirt/hooks/{name}");
        let mut paths = system.root.paths(&path, "")?;
        paths.push(path);
        for path in paths {
            if system.root.status_if_there(&path)?.is_some() {
                let wrong = changeable(system, &path);
                offenders.look(wrong);
            }
        }
    }
    if offenders.saw_nothing() {
        return not_applicable("libvirt has no hooks.");
    }
    offenders.answer(
        "Root alone can change them.",
        "Others than root can change one.",
    )
}

fn preload(system: &System) -> Answer {
    let preloaded = system
        .root
        .text_if_there("/etc/ld.so.preload")?
        .unwrap_or_default();
    let mut libraries = preloaded.split_whitespace().peekable();
    if libraries.peek().is_some() {
        let named = libraries.map(String::from);
        return seen(fail("/etc/ld.so.preload names libraries."), named);
    }
    let mut offenders = Offenders::default();
    for daemon in system.daemons()? {
        let environment = system
            .root
            .bytes(&format!("/proc/{}/environ", daemon.id), 1 << 20);
        offenders.look_at_process(environment.map(|bytes| {
            let mut variables = bytes.split(|byte| *byte == 0);
            let forced = variables.any(|variable| variable.starts_with(b"LD_PRELOAD="));
            forced.then(|| format!("{daemon}: LD_PRELOAD is set"))
        }));
    }
    if offenders.saw_nothing() {
        return pass("/etc/ld.so.preload names none.");
    }
    offenders.answer(
        "Neither for all programs nor for the daemons.",
        "One is, for a daemon.",
    )
}

fn path(system: &System) -> Answer {
    let mut offenders = Offenders::default();
    for folder in PATH {
        if system.root.status_if_there(folder)?.is_some() {
            offenders.look(changeable(system, folder));
        }
    }
    offenders.answer("Root alone does.", "Others can put programs there.")
}
