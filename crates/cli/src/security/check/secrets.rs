// SPDX-License-Identifier: GPL-3.0-or-later
//! Whether somebody can read a secret where it is kept or used.
//!
//! Evidence names where a secret is, never the secret.

use hv_model::security::{Category::Secrets, Objective, Severity};

use super::{
    Answer, Check, System, Unreadable,
    observation::{Offenders, fail, not_applicable, pass, seen, unknown},
};
use crate::security::system::{Process, QEMU, if_there, mount, root::Kind};

/// Words in the names of what is secret.
const WORDS: [&str; 7] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "api_key",
    "apikey",
];
const KEY_FOLDERS: [(&str, &str); 6] = [
    ("/etc/ssh", "_key"),
    ("/etc/pki/libvirt/private", ".pem"),
    ("/etc/pki/qemu", "-key.pem"),
    ("/etc/hyper-nixos", ".key"),
    ("/var/lib/hvd", ".key"),
    ("/etc/ssl/private", ""),
];
/// Beginnings of hashes that are too quick to compute: DES has none, MD5, Blowfish of old.
const STRONG: [&str; 6] = ["$y$", "$gy$", "$7$", "$6$", "$2b$", "$argon2id$"];

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "secrets.environment",
        category: Secrets,
        title: "No secret is in a daemon's environment",
        severity: Severity::High,
        why: "The environment is inherited by every child, and ends up in crash reports.",
        fix: &["Hand secrets over with LoadCredential= or a file of mode 0600."],
        objectives: &[Objective::LeastPrivilege],
        look: environment,
    },
    Check {
        id: "secrets.arguments",
        category: Secrets,
        title: "No secret is in a process's arguments",
        severity: Severity::High,
        why: "Every account of the host can list every process with its arguments.",
        fix: &["Hand secrets over in a file of mode 0600."],
        objectives: &[Objective::LeastPrivilege],
        look: arguments,
    },
    Check {
        id: "secrets.keys",
        category: Secrets,
        title: "Only their owners read private keys",
        severity: Severity::High,
        why: "With a host's private key somebody else is that host.",
        fix: &[
            "chmod 0600 FILE",
            "Make the key anew if others could read it.",
        ],
        objectives: &[Objective::EncryptionInTransit, Objective::LeastPrivilege],
        look: keys,
    },
    Check {
        id: "secrets.units",
        category: Secrets,
        title: "No secret is in a unit of systemd",
        severity: Severity::High,
        why: "Units can be read by everybody, on disk and over D-Bus.",
        fix: &["LoadCredential=NAME:FILE instead of Environment="],
        objectives: &[Objective::LeastPrivilege],
        look: units,
    },
    Check {
        id: "secrets.configuration",
        category: Secrets,
        title: "Configuration with secrets is not for everybody",
        severity: Severity::High,
        why: "A password in a file that everybody reads is no password.",
        fix: &[
            "chmod 0640 FILE",
            "Put the secret into a file of its own, of mode 0600.",
        ],
        objectives: &[Objective::LeastPrivilege],
        look: configuration,
    },
    Check {
        id: "secrets.passwords",
        category: Secrets,
        title: "Passwords are kept as strong hashes, and none is empty",
        severity: Severity::Critical,
        why: "An empty password lets everybody in. A weak hash is turned back into its password in hours.",
        fix: &[
            "passwd NAME",
            "passwd --lock NAME",
            "In /etc/login.defs: ENCRYPT_METHOD YESCRYPT",
        ],
        objectives: &[Objective::HashedPasswords],
        look: passwords,
    },
    Check {
        id: "secrets.core-dumps",
        category: Secrets,
        title: "The daemons leave no memory behind when they crash",
        severity: Severity::Medium,
        why: "A core dump holds every secret that the process knew, and the memory of a VM.",
        fix: &[
            "In the units: LimitCORE=0",
            "In /etc/systemd/coredump.conf: Storage=none",
        ],
        objectives: &[Objective::LeastPrivilege],
        look: core_dumps,
    },
    Check {
        id: "secrets.displays",
        category: Secrets,
        title: "No password of displays stands where everybody reads it",
        severity: Severity::Medium,
        why: "One password for the displays of all VMs, readable by every account, opens each of them.",
        fix: &["chmod 0600 /etc/libvirt/qemu.conf"],
        objectives: &[Objective::VncAccess],
        look: displays,
    },
    Check {
        id: "secrets.encryption",
        category: Secrets,
        title: "What VMs and hvd write is encrypted on disk",
        severity: Severity::Medium,
        why: "Who takes a disk out of the machine, or gets a broken one, reads all that is on it.",
        fix: &["Put /var/lib and the pools on LUKS: cryptsetup luksFormat DEVICE"],
        objectives: &[Objective::EncryptionAtRest],
        look: encryption,
    },
];

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    WORDS.iter().any(|word| name.contains(word))
}

fn watched(system: &System) -> Result<Vec<&Process>, Unreadable> {
    Ok([system.daemons()?, system.qemus()?].concat())
}

fn environment(system: &System) -> Answer {
    let mut offenders = Offenders::default();
    for process in watched(system)? {
        let path = format!("/proc/{}/environ", process.id);
        offenders.look_at_process(system.root.bytes(&path, 1 << 20).map(|bytes| {
            let names = bytes.split(|byte| *byte == 0).filter_map(|variable| {
                let text = String::from_utf8_lossy(variable);
                let (name, value) = text.split_once('=')?;
                // A path to a secret is none.
                let secret = is_secret(name) && !value.is_empty() && !value.starts_with('/');
                secret.then(|| name.to_owned())
            });
            let names: Vec<String> = names.collect();
            (!names.is_empty()).then(|| format!("{process}: {}", names.join(", ")))
        }));
    }
    if offenders.saw_nothing() {
        return not_applicable("Neither our daemons nor VMs run.");
    }
    offenders.answer("None is.", "One is.")
}

fn arguments(system: &System) -> Answer {
    let processes = watched(system)?;
    if processes.is_empty() {
        return not_applicable("Neither our daemons nor VMs run.");
    }
    let told = processes.iter().filter_map(|process| {
        let pairs = process
            .arguments
            .iter()
            .flat_map(|argument| argument.split(','));
        let names: Vec<&str> = pairs
            .filter_map(|pair| pair.split_once('='))
            // libvirt hands keys over encrypted, or as files.
            .filter(|(name, value)| {
                is_secret(name) && !value.starts_with(['/', '{']) && !name.contains("secretid")
            })
            .filter(|(name, _)| !matches!(*name, "password-secret" | "key-secret" | "secret"))
            .map(|(name, _)| name)
            .collect();
        (!names.is_empty()).then(|| format!("{process}: {}", names.join(", ")))
    });
    Offenders::of(told).answer("None is.", "One is.")
}

fn keys(system: &System) -> Answer {
    let mut offenders = Offenders::default();
    for (folder, ending) in KEY_FOLDERS {
        let paths = match system.root.paths(folder, ending) {
            Ok(paths) => paths,
            // What others cannot enter needs no look at the files in it.
            Err(why) => {
                let closed = system.root.status(folder)?.mode & 0o001 == 0;
                offenders.look(if closed { Ok(None) } else { Err(why) });
                continue;
            }
        };
        for path in paths {
            let status = system.root.status(&path);
            offenders.look(status.map(|status| {
                let open = status.kind == Kind::File
                    && (status.everybody_reads() || status.mode & 0o022 != 0);
                open.then(|| status.to_string())
            }));
        }
    }
    if offenders.saw_nothing() {
        return not_applicable("No private key was found where they usually are.");
    }
    offenders.answer(
        "Nobody else reads them.",
        "Others can read or change a private key.",
    )
}

fn units(system: &System) -> Answer {
    let mut offenders = Offenders::default();
    for name in ["hvd.service", "hv-broker.service", "libvirtd.service"] {
        let Some(unit) = system.unit(name)? else {
            continue;
        };
        let set = unit.values("Service.Environment").join(" ");
        let named = set
            .split_whitespace()
            .filter_map(|pair| pair.trim_matches('"').split_once('='));
        let mut secret = named.filter(|(name, value)| is_secret(name) && !value.starts_with('/'));
        offenders.look(Ok(secret
            .next()
            .map(|(name, _)| format!("{}: {name}", unit.path))));
        for file in unit.values("Service.EnvironmentFile") {
            let file = file.trim_start_matches('-');
            if let Some(status) = system.root.status_if_there(file)? {
                let text = system.root.text(file);
                let tells = |text: String| {
                    text.lines()
                        .filter_map(|line| line.split_once('='))
                        .any(|(name, _)| is_secret(name))
                };
                let open = status.everybody_reads() && tells(text?);
                offenders.look(Ok(open.then(|| status.to_string())));
            }
        }
    }
    if offenders.saw_nothing() {
        return not_applicable("None of the units is installed.");
    }
    offenders.answer("None is.", "One is.")
}

fn configuration(system: &System) -> Answer {
    let mut offenders = Offenders::default();
    let mut files = system.root.paths("/etc/hyper-nixos", ".toml")?;
    files.extend([
        system.product().hvd_file.clone(),
        system.product().broker_file.clone(),
    ]);
    files.sort();
    files.dedup();
    for path in files {
        let Some(status) = system.root.status_if_there(&path)? else {
            continue;
        };
        if !status.everybody_reads() {
            offenders.look(Ok(None));
            continue;
        }
        let text = system.root.text(&path)?;
        let keys = text.lines().filter_map(|line| line.split_once('='));
        let mut secret = keys.filter(|(key, value)| {
            let file = value.trim().trim_matches(['"', '\'']).starts_with('/');
            !key.trim_start().starts_with('#') && is_secret(key) && !file
        });
        offenders.look(Ok(secret
            .next()
            .map(|(key, _)| format!("{status}: {}", key.trim()))));
    }
    if offenders.saw_nothing() {
        return not_applicable("There is no configuration file of ours.");
    }
    offenders.answer("None with secrets is.", "One is.")
}

fn passwords(system: &System) -> Answer {
    let text = system.root.text("/etc/shadow")?;
    let fields = text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        Some((fields.next()?, fields.next()?))
    });
    let weak = fields.filter_map(|(name, hash)| match hash {
        "" => Some(format!("{name}: empty")),
        locked if locked.starts_with(['!', '*']) => None,
        hash if STRONG.iter().any(|beginning| hash.starts_with(beginning)) => None,
        _ => Some(format!("{name}: a weak hash")),
    });
    Offenders::of(weak).answer(
        "Each is locked or has a strong hash.",
        "One is empty or has a weak hash.",
    )
}

fn core_dumps(system: &System) -> Answer {
    let processes = watched(system)?;
    if processes.is_empty() {
        return not_applicable("Neither our daemons nor VMs run.");
    }
    let pattern = system.root.word("/proc/sys/kernel/core_pattern")?;
    if pattern.starts_with('|') && pattern.contains("systemd-coredump") {
        let settings = system
            .root
            .text_if_there("/etc/systemd/coredump.conf")?
            .unwrap_or_default();
        if settings.lines().any(|line| line.trim() == "Storage=none") {
            return pass("systemd-coredump keeps nothing.");
        }
    }
    let mut offenders = Offenders::default();
    for process in processes {
        let limits = system.root.text(&format!("/proc/{}/limits", process.id));
        offenders.look_at_process(limits.map(|limits| {
            let line = limits
                .lines()
                .find_map(|line| line.strip_prefix("Max core file size"));
            let soft = line.and_then(|line| line.split_whitespace().next());
            // Through a pipe the limit of 0 still dumps nothing; 1 is systemd's word for "ask".
            (soft != Some("0"))
                .then(|| format!("{process}: core file size {}", soft.unwrap_or("not known")))
        }));
    }
    seen(
        offenders.answer(
            "No process may dump its memory.",
            "A process may dump its memory.",
        ),
        [format!("kernel.core_pattern is {pattern}")],
    )
}

fn displays(system: &System) -> Answer {
    let Some(status) = system.root.status_if_there(QEMU)? else {
        return not_applicable("libvirt has no settings for QEMU.");
    };
    let settings = system.qemu()?;
    let set = ["vnc_password", "spice_password"]
        .into_iter()
        .find(|key| settings.get(key).is_some_and(|value| !value.is_empty()));
    match set {
        Some(key) if status.everybody_reads() => seen(
            fail(format!("{key} is set, and everybody reads it.")),
            [status.to_string()],
        ),
        Some(key) => seen(
            pass(format!("{key} is set, and only root reads it.")),
            [status.to_string()],
        ),
        None => pass("None is set."),
    }
}

fn encryption(system: &System) -> Answer {
    let mut paths = vec![system.product().state_folder()?];
    if let Some(policy) = if_there(system.product().policy(&system.root))? {
        paths.extend(
            policy
                .pools
                .iter()
                .map(|pool| pool.path.to_string_lossy().into_owned()),
        );
    }
    let mounts = system.mounts()?;
    let mut plain = Vec::new();
    for path in paths {
        let Some(on) = mount::holding(mounts, &path) else {
            return unknown(format!("Not known: on which file system {path} is."));
        };
        match encrypted(system, on)? {
            Some(true) => {}
            Some(false) => plain.push(format!("{path} is on {} ({})", on.source, on.kind)),
            None => {
                return unknown(format!(
                    "Not known: what {} ({}), on which {path} is, lies on.",
                    on.source, on.kind
                ));
            }
        }
    }
    if plain.is_empty() {
        return pass("hvd's state and every pool lie on encrypted devices.");
    }
    let swap = system
        .root
        .text_if_there("/proc/swaps")?
        .unwrap_or_default();
    if swap.lines().count() > 1 {
        plain.push("and there is swap, to which memory of VMs goes".to_owned());
    }
    seen(fail("Not all of it is encrypted."), plain)
}

/// Whether a file system lies on a device that the kernel encrypts; nothing if that cannot be said.
fn encrypted(system: &System, on: &mount::Mount) -> Result<Option<bool>, Unreadable> {
    if on.kind == "zfs" || !on.source.starts_with("/dev/") {
        return Ok(None);
    }
    let device = system
        .root
        .resolved(&on.source)
        .unwrap_or_else(|_| on.source.clone());
    let name = device.trim_start_matches("/dev/");
    encrypted_device(system, name, 4)
}

/// Whether a block device is one that the kernel encrypts, or lies on such (LVM on LUKS).
fn encrypted_device(system: &System, name: &str, depth: u32) -> Result<Option<bool>, Unreadable> {
    let folder = format!("/sys/class/block/{name}");
    if system.root.status_if_there(&folder)?.is_none() || depth == 0 {
        return Ok(None);
    }
    let uuid = system
        .root
        .text_if_there(&format!("{folder}/dm/uuid"))?
        .unwrap_or_default();
    if uuid.starts_with("CRYPT-") {
        return Ok(Some(true));
    }
    let below = system.root.names(&format!("{folder}/slaves"))?;
    if below.is_empty() {
        return Ok(Some(false));
    }
    for device in below {
        if encrypted_device(system, &device, depth - 1)? != Some(true) {
            return Ok(Some(false));
        }
    }
    Ok(Some(true))
}
