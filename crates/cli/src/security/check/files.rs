// SPDX-License-Identifier: GPL-3.0-or-later
//! Whether somebody can read or change a file that he must not.

use hv_model::security::{Category::Files, Objective, Severity};

use super::{
    Answer, Check, System, Unreadable,
    in_force::libvirt_daemons,
    observation::{Offenders, fail, not_applicable, pass, seen, warn},
};
use crate::security::system::{Status, if_there, root::Kind};

/// Where our files are, setuid bits on which nothing of ours has.
const OURS: [&str; 7] = [
    "/etc/hyper-nixos",
    "/run/hyper-nixos",
    "/run/hv-broker",
    "/usr/lib/hyper-nixos",
    "/usr/libexec/hyper-nixos",
    "/etc/libvirt/hooks",
    "/opt/hyper-nixos",
];
/// Our programs, wherever they are installed.
const PROGRAMS: [&str; 4] = ["hvd", "hv-broker", "hv", "hv-guard"];
const PROGRAM_FOLDERS: [&str; 5] = [
    "/usr/bin",
    "/usr/sbin",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/run/current-system/sw/bin",
];
/// Where everybody may put files.
const SHARED: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];
const LIBVIRT_SOCKETS: [&str; 2] = ["/run/libvirt/libvirt-sock", "/run/libvirt/virtqemud-sock"];
const READ_ONLY_SOCKETS: [&str; 2] = [
    "/run/libvirt/libvirt-sock-ro",
    "/run/libvirt/virtqemud-sock-ro",
];
const SETUID: u32 = 0o6000;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "files.policy",
        category: Files,
        title: "Only root can change the host's policy",
        severity: Severity::Critical,
        why: "The policy says which files and devices of the host VMs may have. Whoever writes it gives \
              himself any of them.",
        fix: &[
            "chown root: /etc/hyper-nixos/host-policy.toml",
            "chmod 0644 /etc/hyper-nixos/host-policy.toml",
        ],
        objectives: &[Objective::LeastPrivilege, Objective::Drift],
        look: policy,
    },
    Check {
        id: "files.configuration",
        category: Files,
        title: "Only root can change the daemons' configuration",
        severity: Severity::Critical,
        why: "The configuration says who may reach the broker, and which policy it reads.",
        fix: &[
            "chown -R root: /etc/hyper-nixos",
            "chmod -R go-w /etc/hyper-nixos",
        ],
        objectives: &[Objective::LeastPrivilege, Objective::Drift],
        look: configuration,
    },
    Check {
        id: "files.state",
        category: Files,
        title: "Only hvd reads its state",
        severity: Severity::High,
        why: "The database holds who may do what, and what everybody did.",
        fix: &["chmod 0700 /var/lib/hvd"],
        objectives: &[Objective::TamperEvidentLog, Objective::LeastPrivilege],
        look: state,
    },
    Check {
        id: "files.broker-socket",
        category: Files,
        title: "Only hvd reaches the broker's socket",
        severity: Severity::Critical,
        why: "Behind it there are no roles and no audit log, only the host's policy.",
        fix: &[
            "In the broker's configuration: allow_users = [\"hvd\"]",
            "systemctl restart hv-broker",
        ],
        objectives: &[Objective::LeastPrivilege],
        look: broker_socket,
    },
    Check {
        id: "files.libvirt-socket",
        category: Files,
        title: "Not everybody reaches libvirt's socket",
        severity: Severity::Critical,
        why: "Whoever may define a VM with libvirt reads and writes every file of the host: it is root.",
        fix: &[
            "In /etc/libvirt/libvirtd.conf: unix_sock_rw_perms = \"0770\" and unix_sock_group = \"hv-broker\"",
            "systemctl restart libvirtd",
        ],
        objectives: &[Objective::LeastPrivilege, Objective::Isolation],
        look: libvirt_socket,
    },
    Check {
        id: "files.libvirt-read-only-socket",
        category: Files,
        title: "Not everybody looks at VMs through libvirt",
        severity: Severity::Low,
        why: "Through it every account sees each VM, its owner's name and its addresses, which hvd would \
              not show to it.",
        fix: &[
            "In /etc/libvirt/libvirtd.conf: unix_sock_ro_perms = \"0770\"",
            "systemctl restart libvirtd",
        ],
        objectives: &[Objective::LeastPrivilege],
        look: libvirt_read_only_socket,
    },
    Check {
        id: "files.setuid",
        category: Files,
        title: "Nothing of ours runs with its owner's rights",
        severity: Severity::Critical,
        why: "No program of Hyper-NixOS needs setuid. One that has it was made by somebody else.",
        fix: &[
            "chmod ug-s FILE",
            "Compare the file with the package it came from.",
        ],
        objectives: &[Objective::LeastPrivilege],
        look: setuid,
    },
    Check {
        id: "files.setuid-in-shared-folders",
        category: Files,
        title: "Nothing with its owner's rights lies where everybody writes",
        severity: Severity::High,
        why: "A setuid program in /tmp is how somebody who once was root comes back.",
        fix: &["ls -l FILE", "rm FILE"],
        objectives: &[Objective::LeastPrivilege],
        look: setuid_in_shared_folders,
    },
    Check {
        id: "files.pools",
        category: Files,
        title: "Only QEMU and root reach the disks of VMs",
        severity: Severity::High,
        why: "A disk that others read shows all that is in the VM; one that others write is the VM.",
        fix: &["chmod 0711 FOLDER", "chmod 0600 FOLDER/*"],
        objectives: &[Objective::Isolation, Objective::LeastPrivilege],
        look: pools,
    },
    Check {
        id: "files.shadow",
        category: Files,
        title: "Only root reads the hashes of passwords",
        severity: Severity::Critical,
        why: "Whoever reads the hashes can guess the passwords without being noticed.",
        fix: &[
            "chmod 0640 /etc/shadow /etc/gshadow",
            "chown root:shadow /etc/shadow /etc/gshadow",
        ],
        objectives: &[Objective::HashedPasswords, Objective::LeastPrivilege],
        look: shadow,
    },
    Check {
        id: "files.nixos",
        category: Files,
        title: "Root owns the system's configuration",
        severity: Severity::High,
        why: "Whoever writes /etc/nixos is root after the next rebuild.",
        fix: &["chown -R root:root /etc/nixos", "chmod -R go-w /etc/nixos"],
        objectives: &[Objective::SystemConfigurationOwner, Objective::Drift],
        look: nixos,
    },
    Check {
        id: "files.programs",
        category: Files,
        title: "Only root can change the programs",
        severity: Severity::Critical,
        why: "Whoever writes a program has the rights of everybody who runs it, root included.",
        fix: &["chown root: FILE", "chmod go-w FILE"],
        objectives: &[Objective::LeastPrivilege, Objective::Drift],
        look: programs,
    },
];

/// Why others than root can change what is at this path, if they can: the file itself, what its links
/// point to, or a folder above it. The rule is hv-guard's.
pub(super) fn changeable(system: &System, path: &str) -> Result<Option<String>, Unreadable> {
    let real = system.root.resolved(path)?;
    for part in std::path::Path::new(&real).ancestors() {
        let status = system.root.status(&part.to_string_lossy())?;
        if !status.only_root_writes() {
            return Ok(Some(status.to_string()));
        }
    }
    Ok(None)
}

/// The same for a file that need not exist.
fn changeable_if_there(system: &System, path: &str) -> Result<Option<String>, Unreadable> {
    match system.root.status_if_there(path)? {
        Some(_) => changeable(system, path),
        None => Ok(None),
    }
}

fn policy(system: &System) -> Answer {
    let path = system.product().policy_file()?;
    if system.root.status_if_there(&path)?.is_none() {
        return not_applicable(format!(
            "{path} is not there, so the broker refuses everything."
        ));
    }
    let mut offenders = Offenders::default();
    offenders.look(changeable(system, &path));
    offenders.answer(
        format!("Root alone can change {path} and the folders above it."),
        format!("Others than root can change {path}, or put another file in its place."),
    )
}

fn configuration(system: &System) -> Answer {
    let product = system.product();
    let mut offenders = Offenders::default();
    let mut there = 0;
    for path in [&product.hvd_file, &product.broker_file] {
        if system.root.status_if_there(path)?.is_some() {
            there += 1;
            offenders.look(changeable(system, path));
        }
    }
    if there == 0 {
        return not_applicable(
            "The daemons have no configuration file; each setting has its default.",
        );
    }
    offenders.answer(
        "Root alone can change it.",
        "Others than root can change it.",
    )
}

fn state(system: &System) -> Answer {
    let folder = system.product().state_folder()?;
    let Some(status) = system.root.status_if_there(&folder)? else {
        return not_applicable(format!("{folder} is not there: hvd never ran here."));
    };
    if !status.others_reach() {
        return seen(
            pass("Nobody else reaches hvd's folder."),
            [status.to_string()],
        );
    }
    let mut offenders = Offenders::default();
    if status.mode & 0o022 != 0 {
        offenders.look(Ok(Some(status.to_string())));
    }
    for name in system.root.names(&folder)? {
        let file = system.root.link_status(&format!("{folder}/{name}"))?;
        let reached = file.kind == Kind::File && file.mode & 0o007 != 0;
        offenders.look(Ok(reached.then(|| file.to_string())));
    }
    offenders.answer(
        "Others can list hvd's folder and read nothing in it.",
        "Others reach hvd's state.",
    )
}

/// What a socket's mode lets everybody do, over the sockets that are there.
fn open_sockets(system: &System, paths: &[&str]) -> Result<(Vec<Status>, bool), Unreadable> {
    let mut open = Vec::new();
    let mut any = false;
    for path in paths {
        if let Some(status) = system.root.status_if_there(path)? {
            any = true;
            if status.everybody_writes() {
                open.push(status);
            }
        }
    }
    Ok((open, any))
}

fn broker_socket(system: &System) -> Answer {
    let path = system.product().broker_socket()?;
    let Some(status) = system.root.status_if_there(&path)? else {
        return not_applicable(format!("{path} is not there: the broker does not run."));
    };
    if status.everybody_writes() {
        return seen(
            fail("Every account of this host may open the broker's socket."),
            [status.to_string()],
        );
    }
    let accounts = system.accounts()?;
    let people: Vec<String> = accounts
        .groups
        .iter()
        .filter(|group| status.mode & 0o020 != 0 && group.id == status.group && group.id != 0)
        .flat_map(|group| accounts.members(group))
        .filter(|name| accounts.people().any(|user| user.name == *name))
        .collect();
    if !people.is_empty() {
        let text = format!(
            "People may open the broker's socket: {}.",
            people.join(", ")
        );
        return seen(fail(text), [status.to_string()]);
    }
    seen(
        pass("No account that logs in may open it, but for root."),
        [status.to_string()],
    )
}

fn libvirt_socket(system: &System) -> Answer {
    let (open, any) = open_sockets(system, &LIBVIRT_SOCKETS)?;
    if !any {
        return not_applicable("libvirt does not run.");
    }
    if open.is_empty() {
        return pass("Only its owner and its group may open it.");
    }
    let evidence = open.iter().map(ToString::to_string);
    let settings = system.libvirtd()?;
    // What it is where polkit was built in, as the systems that we know have it.
    if settings.get("auth_unix_rw").unwrap_or("polkit") == "polkit" {
        return seen(
            warn("Everybody may open it, and polkit alone decides who may go on."),
            evidence,
        );
    }
    seen(
        fail("Everybody may open it, and nobody decides who may go on."),
        evidence,
    )
}

fn libvirt_read_only_socket(system: &System) -> Answer {
    let (open, any) = open_sockets(system, &READ_ONLY_SOCKETS)?;
    if !any {
        return not_applicable("libvirt has no socket for looking only.");
    }
    let open = open.iter().map(ToString::to_string);
    Offenders::of(open).answer(
        "Only its owner and its group may open it.",
        "Everybody may open it.",
    )
}

fn setuid(system: &System) -> Answer {
    let mut folders: Vec<String> = OURS.map(String::from).into();
    folders.push(system.product().state_folder()?);
    let mut paths = Vec::new();
    let mut offenders = Offenders::default();
    for folder in folders {
        match system.root.paths(&folder, "") {
            Ok(found) => paths.extend(found),
            Err(why) => offenders.look(Err(why)),
        }
    }
    for folder in PROGRAM_FOLDERS {
        paths.extend(PROGRAMS.map(|name| format!("{folder}/{name}")));
    }
    for path in paths {
        let status = system.root.status_if_there(&path);
        offenders.look(status.map(|status| {
            let status =
                status.filter(|status| status.kind == Kind::File && status.mode & SETUID != 0);
            status.map(|status| status.to_string())
        }));
    }
    offenders.answer(
        "No file of ours has setuid or setgid.",
        "A file of ours has setuid or setgid.",
    )
}

fn setuid_in_shared_folders(system: &System) -> Answer {
    let mut offenders = Offenders::default();
    for folder in SHARED {
        // The folder itself and one below: enough to find what was left, in bounded time.
        match system.root.names(folder) {
            Ok(names) => {
                for name in names {
                    look_for_setuid(&mut offenders, system, &format!("{folder}/{name}"), 1);
                }
            }
            Err(why) => offenders.look(Err(why)),
        }
    }
    offenders.answer(
        "Neither in /tmp, /var/tmp and /dev/shm nor one folder below.",
        "A program with its owner's rights lies where everybody writes.",
    )
}

fn look_for_setuid(offenders: &mut Offenders, system: &System, path: &str, depth: u32) {
    // What was removed meanwhile is nothing.
    let status = match if_there(system.root.link_status(path)) {
        Ok(Some(status)) => status,
        Ok(None) => return,
        Err(why) => return offenders.look(Err(why)),
    };
    let has = status.kind == Kind::File && status.mode & SETUID != 0;
    offenders.look(Ok(has.then(|| status.to_string())));
    if status.kind == Kind::Folder && depth > 0 {
        match system.root.names(path) {
            Ok(names) => {
                for name in names {
                    look_for_setuid(offenders, system, &format!("{path}/{name}"), depth - 1);
                }
            }
            Err(why) => offenders.look(Err(why)),
        }
    }
}

fn pools(system: &System) -> Answer {
    let policy = system.product().policy(&system.root)?;
    let mut offenders = Offenders::default();
    for pool in &policy.pools {
        let folder = pool.path.to_string_lossy().into_owned();
        let Some(status) = system.root.status_if_there(&folder)? else {
            continue;
        };
        if status.everybody_writes() {
            offenders.look(Ok(Some(status.to_string())));
        }
        // Behind a folder that others cannot enter, a file's own mode does not matter.
        if status.mode & 0o001 == 0 {
            offenders.look(Ok(None));
            continue;
        }
        match system.root.paths(&folder, "") {
            Ok(files) => {
                for file in files {
                    let status = system.root.link_status(&file);
                    offenders.look(status.map(|status| {
                        let open = status.kind == Kind::File && status.mode & 0o006 != 0;
                        open.then(|| status.to_string())
                    }));
                }
                offenders.look(Ok(None));
            }
            Err(why) => offenders.look(Err(why)),
        }
    }
    if offenders.saw_nothing() {
        return not_applicable("No folder of a pool is there.");
    }
    offenders.answer(
        "Nobody else reads or writes a volume.",
        "Others reach volumes.",
    )
}

fn shadow(system: &System) -> Answer {
    let mut offenders = Offenders::default();
    for path in [
        "/etc/shadow",
        "/etc/gshadow",
        "/etc/shadow-",
        "/etc/gshadow-",
    ] {
        if let Some(status) = system.root.status_if_there(path)? {
            let open = status.everybody_reads() || status.mode & 0o022 != 0;
            offenders.look(Ok(open.then(|| status.to_string())));
        }
    }
    if offenders.saw_nothing() {
        return not_applicable("There is no /etc/shadow.");
    }
    offenders.answer("Nobody else reads them.", "Others can read or change them.")
}

fn nixos(system: &System) -> Answer {
    let folder = "/etc/nixos";
    if system.root.status_if_there(folder)?.is_none() {
        return not_applicable("There is no /etc/nixos.");
    }
    let mut offenders = Offenders::default();
    offenders.look(changeable(system, folder));
    for file in system.root.paths(folder, "")? {
        let status = system.root.status(&file);
        offenders
            .look(status.map(|status| (!status.only_root_writes()).then(|| status.to_string())));
    }
    offenders.answer(
        "Root alone can change it.",
        "Others than root can change it.",
    )
}

fn programs(system: &System) -> Answer {
    let mut paths = Vec::new();
    for folder in PROGRAM_FOLDERS {
        paths.extend(PROGRAMS.map(|name| format!("{folder}/{name}")));
    }
    let mut offenders = Offenders::default();
    for process in [system.daemons()?, libvirt_daemons(system)?, system.qemus()?].concat() {
        match system.root.target(&format!("/proc/{}/exe", process.id)) {
            // One that was replaced has no path any more; dependencies.programs tells of it.
            Ok(path) if path.ends_with(" (deleted)") => {}
            Err(Unreadable::Missing(_)) => {}
            Ok(path) => paths.push(path),
            Err(why) => offenders.look(Err(why)),
        }
    }
    paths.sort();
    paths.dedup();
    for path in paths {
        offenders.look(changeable_if_there(system, &path));
    }
    offenders.answer(
        "Root alone can change them.",
        "Others than root can change a program.",
    )
}
