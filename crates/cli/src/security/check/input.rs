// SPDX-License-Identifier: GPL-3.0-or-later
//! What may be asked of this host at all, and what already got past that.

use std::path::Path;

use hv_model::security::{Category::InputValidation, Objective, Severity};

use super::{
    Answer, Check, System, Unreadable,
    files::changeable,
    in_force::{HOOK, HOOK_FOLDER},
    observation::{Offenders, fail, not_applicable, pass, seen},
};
use crate::security::system::product::Policy;

/// Folders of which no part may be a pool: whoever writes a volume there changes the host.
const SYSTEM_FOLDERS: [&str; 16] = [
    "/etc", "/root", "/home", "/usr", "/bin", "/sbin", "/lib", "/boot", "/dev", "/proc", "/sys",
    "/run", "/nix", "/tmp", "/var/tmp", "/var/log",
];
/// Features that reach past a VM.
const WIDE_FEATURES: [&str; 2] = ["shared-memory", "no-spoof-filter"];
/// How much of a file tells whether it is a qcow2 image and what it points to.
const HEADER: u64 = 64 << 10;
const EXTERNAL_DATA: u64 = 1 << 2;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "input.policy",
        category: InputValidation,
        title: "The host has a policy",
        severity: Severity::Medium,
        why: "Without a policy that can be read the broker refuses everything. Nothing is open, and \
              nothing works; the next thing that somebody tries is to go around it.",
        fix: &[
            "Write /etc/hyper-nixos/host-policy.toml: the pools, networks and limits of this host.",
        ],
        objectives: &[Objective::LeastPrivilege],
        look: policy,
    },
    Check {
        id: "input.policy-pools",
        category: InputValidation,
        title: "No pool lies in a folder of the system",
        severity: Severity::Critical,
        why: "Every file in a pool can become a VM's disk. In /etc or /home that is the host.",
        fix: &[
            "In the host's policy: a folder of its own for each pool, such as /var/lib/hyper-nixos/disks",
        ],
        objectives: &[Objective::LeastPrivilege, Objective::Isolation],
        look: policy_pools,
    },
    Check {
        id: "input.policy-limits",
        category: InputValidation,
        title: "The policy limits how large a VM may be",
        severity: Severity::Medium,
        why: "One VM with all the memory stops every other.",
        fix: &["In the host's policy: [limits] with vcpus, memory and disk"],
        objectives: &[Objective::Capacity, Objective::LeastPrivilege],
        look: policy_limits,
    },
    Check {
        id: "input.policy-features",
        category: InputValidation,
        title: "The policy allows nothing that reaches past a VM",
        severity: Severity::Medium,
        why: "Shared memory reaches programs of the host; without the spoof filter a VM takes another's \
              address; a device can write the host's memory where no IOMMU is in between.",
        fix: &["In the host's policy: take out what no VM needs from features and devices"],
        objectives: &[Objective::Isolation, Objective::LeastPrivilege],
        look: policy_features,
    },
    Check {
        id: "input.hook",
        category: InputValidation,
        title: "libvirt's hook judges what starts, whoever defined it",
        severity: Severity::High,
        why: "The broker judges what it is asked for. What somebody defines past it is judged by the hook \
              alone.",
        fix: &[
            "install -m 0755 $(command -v hv-guard) /etc/libvirt/hooks/qemu",
            "systemctl restart libvirtd",
        ],
        objectives: &[Objective::Isolation, Objective::LeastPrivilege],
        look: hook,
    },
    Check {
        id: "input.raw-arguments",
        category: InputValidation,
        title: "No VM hands arguments of its own to QEMU",
        severity: Severity::Critical,
        why: "Such arguments go past every check of libvirt's and ours: any file, any device.",
        fix: &["virsh edit NAME, and remove <qemu:commandline>"],
        objectives: &[Objective::NoRawOverrides, Objective::Isolation],
        look: raw_arguments,
    },
    Check {
        id: "input.host-paths",
        category: InputValidation,
        title: "No VM reaches files of the host",
        severity: Severity::Critical,
        why: "A shared folder is the host's folder, and a serial port on a file is written by root.",
        fix: &["virsh edit NAME, and remove the device"],
        objectives: &[Objective::Isolation, Objective::LeastPrivilege],
        look: host_paths,
    },
    Check {
        id: "input.disk-sources",
        category: InputValidation,
        title: "Every disk lies in a pool that the policy names",
        severity: Severity::Critical,
        why: "A disk may be any file of the host, the shadow file included. The pools are what keeps them \
              apart.",
        fix: &[
            "virsh domblklist NAME",
            "Move the disk into a pool, or remove the VM.",
        ],
        objectives: &[Objective::Isolation, Objective::LeastPrivilege],
        look: disk_sources,
    },
    Check {
        id: "input.image-references",
        category: InputValidation,
        title: "No volume points to a file outside the pools",
        severity: Severity::High,
        why: "A qcow2 image can name another file as its base or its data. Whoever uploads one that names \
              /etc/shadow reads it inside his VM.",
        fix: &["qemu-img info FILE", "hv image delete NAME"],
        objectives: &[Objective::Isolation, Objective::ImageSources],
        look: image_references,
    },
    Check {
        id: "input.image-sums",
        category: InputValidation,
        title: "Each image has a checksum",
        severity: Severity::Low,
        why: "Without it nobody can say whether an image is still what was added.",
        fix: &["hv image delete NAME, and hv image add NAME FILE"],
        objectives: &[Objective::ImageSources],
        look: image_sums,
    },
];

/// The policy; nothing where there is none.
fn policy_if_there(system: &System) -> Result<Option<Policy>, Unreadable> {
    crate::security::system::if_there(system.product().policy(&system.root))
}

fn policy(system: &System) -> Answer {
    let path = system.product().policy_file()?;
    if system.root.status_if_there(&path)?.is_some() {
        return match system.product().policy(&system.root) {
            Ok(policy) => pass(format!("{path} names {} pools.", policy.pools.len())),
            Err(denied @ Unreadable::Denied(_)) => Err(denied),
            Err(wrong) => fail(format!("The policy is no good: {wrong}.")),
        };
    }
    if system.called("hv-broker")?.is_empty() {
        return not_applicable("There is no policy, and no broker that would need one.");
    }
    fail(format!(
        "{path} is not there; the broker refuses everything."
    ))
}

fn policy_pools(system: &System) -> Answer {
    let Some(policy) = policy_if_there(system)? else {
        return not_applicable("There is no policy.");
    };
    let inside = |pool: &Path| {
        let within = SYSTEM_FOLDERS.iter().any(|folder| pool.starts_with(folder));
        // A pool on a folder above one of these holds it, too.
        within
            || pool == Path::new("/")
            || pool == Path::new("/var")
            || pool == Path::new("/var/lib")
    };
    let wide = policy.pools.iter().filter(|pool| inside(&pool.path));
    Offenders::of(wide.map(|pool| format!("pool {}: {}", pool.name, pool.path.display()))).answer(
        "Each pool has a folder of its own.",
        "A pool lies in a folder of the system.",
    )
}

fn policy_limits(system: &System) -> Answer {
    let Some(policy) = policy_if_there(system)? else {
        return not_applicable("There is no policy.");
    };
    let limits = &policy.limits;
    let missing = [
        (limits.vcpus.is_none(), "vcpus"),
        (limits.memory.is_none(), "memory"),
        (limits.disk.is_none(), "disk"),
    ];
    let missing = missing.into_iter().filter(|(is_missing, _)| *is_missing);
    Offenders::of(missing.map(|(_, key)| format!("limits.{key} is not set"))).answer(
        "CPUs, memory and disks are limited.",
        "Something is limited by the host alone.",
    )
}

fn policy_features(system: &System) -> Answer {
    let Some(policy) = policy_if_there(system)? else {
        return not_applicable("There is no policy.");
    };
    let features = policy
        .features
        .iter()
        .filter(|name| WIDE_FEATURES.contains(&name.as_str()));
    let mut wide: Vec<String> = features.map(|name| format!("feature {name}")).collect();
    wide.extend(
        policy
            .devices
            .pci
            .iter()
            .map(|device| format!("PCI device {device}")),
    );
    wide.extend(
        policy
            .devices
            .usb
            .iter()
            .map(|device| format!("USB device {device}")),
    );
    Offenders::of(wide).answer("It allows none of that.", "It allows some of that.")
}

fn hook(system: &System) -> Answer {
    if system.root.status_if_there("/etc/libvirt")?.is_none() {
        return not_applicable("libvirt is not installed.");
    }
    let mut hooks = system.root.paths(HOOK_FOLDER, "")?;
    hooks.extend(system.root.status_if_there(HOOK)?.map(|status| status.path));
    let mut good = Vec::new();
    for path in hooks {
        let status = system.root.status(&path)?;
        if status.mode & 0o111 != 0 && changeable(system, &path)?.is_none() {
            good.push(status.to_string());
        }
    }
    if good.is_empty() {
        return fail("There is no hook that libvirt could run and that only root can change.");
    }
    seen(pass("There is a hook that only root can change."), good)
}

fn raw_arguments(system: &System) -> Answer {
    let definitions = system.definitions()?;
    if definitions.is_empty() {
        return not_applicable("libvirt has no VM defined.");
    }
    let raw = definitions.iter().filter(|vm| !vm.raw.is_empty());
    Offenders::of(raw.map(|vm| format!("{}: {}", vm.file, vm.raw.join(" "))))
        .answer("No VM does.", "A VM does.")
}

fn host_paths(system: &System) -> Answer {
    let definitions = system.definitions()?;
    if definitions.is_empty() {
        return not_applicable("libvirt has no VM defined.");
    }
    let reached = definitions
        .iter()
        .flat_map(|vm| vm.host_paths.iter().map(move |path| (vm, path)));
    Offenders::of(reached.map(|(vm, path)| format!("{}: {path}", vm.file)))
        .answer("No VM does.", "A VM does.")
}

fn disk_sources(system: &System) -> Answer {
    let definitions = system.definitions()?;
    if definitions.is_empty() {
        return not_applicable("libvirt has no VM defined.");
    }
    let policy = system.product().policy(&system.root)?;
    let sources = definitions.iter().flat_map(|vm| {
        let disks = vm.disks.iter().filter_map(|disk| disk.source.as_deref());
        disks.map(move |source| (vm, source))
    });
    let outside = sources.filter(|(_, source)| !in_a_pool(&policy, source));
    Offenders::of(outside.map(|(vm, source)| format!("{}: {source}", vm.file)))
        .answer("Every disk does.", "A disk does not.")
}

/// Whether a path is a file directly in a pool's folder.
fn in_a_pool(policy: &Policy, path: &str) -> bool {
    let folder = Path::new(path).parent();
    folder.is_some_and(|folder| policy.pools.iter().any(|pool| pool.path == folder))
}

fn image_references(system: &System) -> Answer {
    let Some(policy) = policy_if_there(system)? else {
        return not_applicable("There is no policy, so there are no pools.");
    };
    let mut offenders = Offenders::default();
    for pool in &policy.pools {
        let folder = pool.path.to_string_lossy();
        match system.root.paths(&folder, "") {
            Err(why) => offenders.look(Err(why)),
            Ok(files) => {
                for file in files {
                    let header = system.root.bytes(&file, HEADER);
                    offenders.look(header.map(|header| {
                        let points = pointed_to(&header)?;
                        let whole = Path::new(&*folder).join(&points);
                        let fine =
                            in_a_pool(&policy, &whole.to_string_lossy()) && !points.contains("..");
                        (!fine).then(|| format!("{file} points to {points}"))
                    }));
                }
            }
        }
    }
    if offenders.saw_nothing() {
        return not_applicable("There are no volumes.");
    }
    offenders.answer("No volume does.", "A volume does.")
}

/// The file that a qcow2 image names as its base, or that its data is elsewhere; nothing for others.
/// Format: QEMU's `docs/interop/qcow2.txt`.
fn pointed_to(header: &[u8]) -> Option<String> {
    if header.get(..4)? != b"QFI\xfb" {
        return None;
    }
    let number = |at: usize, length: usize| {
        let bytes = header.get(at..at + length)?;
        Some(
            bytes
                .iter()
                .fold(0_u64, |number, byte| number << 8 | u64::from(*byte)),
        )
    };
    let version = number(4, 4)?;
    if version >= 3 && number(72, 8)? & EXTERNAL_DATA != 0 {
        return Some("a data file of its own, ../".to_owned());
    }
    let (at, length) = (number(8, 8)?, number(16, 4)?);
    if at == 0 {
        return None;
    }
    let at = usize::try_from(at).ok()?;
    let name = header.get(at..at.checked_add(usize::try_from(length).ok()?)?);
    // A name that is not where it can be is nobody's honest image.
    Some(name.map_or_else(
        || "a name beyond its header, ../".to_owned(),
        |name| String::from_utf8_lossy(name).into_owned(),
    ))
}

fn image_sums(system: &System) -> Answer {
    let images = system.hvd.images.clone()?;
    if images.is_empty() {
        return not_applicable("There are no images.");
    }
    let without = images.iter().filter(|image| image.blake3.is_empty());
    Offenders::of(without.map(|image| image.name.to_string())).answer(
        "Each image has the BLAKE3 of its bytes.",
        "An image has none.",
    )
}
