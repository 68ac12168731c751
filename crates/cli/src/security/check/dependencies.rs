// SPDX-License-Identifier: GPL-3.0-or-later
//! Whether what runs is up to date, and is what its makers signed.

use hv_model::security::{Category::Dependencies, Objective, Severity};
use jiff::civil::Date;

use super::{
    Answer, Check, System,
    in_force::libvirt_daemons,
    observation::{Offenders, fail, not_applicable, pass, seen},
};

/// Files that change when packages are brought up to date.
const UPDATES: [&str; 6] = [
    "/nix/var/nix/profiles/system",
    "/var/lib/dpkg/status",
    "/var/lib/rpm/rpmdb.sqlite",
    "/usr/lib/sysimage/rpm/rpmdb.sqlite",
    "/var/lib/pacman/local",
    "/lib/apk/db/installed",
];
/// Within how many days critical updates must be there (PCI-DSS 6.3.3).
const PATCH_DAYS: i64 = 30;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "dependencies.versions",
        category: Dependencies,
        title: "hv and hvd are of one version",
        severity: Severity::Low,
        why: "After half an update nobody tested what now runs together.",
        fix: &["systemctl restart hv-broker hvd"],
        objectives: &[Objective::PatchAge, Objective::Drift],
        look: versions,
    },
    Check {
        id: "dependencies.programs",
        category: Dependencies,
        title: "What runs is what is installed",
        severity: Severity::Medium,
        why: "A program that was updated while it ran is the old one until it starts again; for a VM that \
              is QEMU with its old holes.",
        fix: &[
            "systemctl restart hv-broker hvd libvirtd",
            "hv vm stop NAME && hv vm start NAME",
        ],
        objectives: &[Objective::PatchAge],
        look: programs,
    },
    Check {
        id: "dependencies.libraries",
        category: Dependencies,
        title: "The daemons use the libraries that are installed",
        severity: Severity::Medium,
        why: "An update of a library reaches a process when it starts again, not before.",
        fix: &[
            "systemctl restart hv-broker hvd libvirtd",
            "hv vm stop NAME && hv vm start NAME",
        ],
        objectives: &[Objective::PatchAge],
        look: libraries,
    },
    Check {
        id: "dependencies.age",
        category: Dependencies,
        title: "Packages were brought up to date within 30 days",
        severity: Severity::Medium,
        why: "Known holes are tried by everybody.",
        fix: &[
            "apt-get update && apt-get upgrade",
            "nixos-rebuild switch --upgrade",
        ],
        objectives: &[Objective::PatchAge],
        look: age,
    },
    Check {
        id: "dependencies.automatic",
        category: Dependencies,
        title: "Security updates come by themselves",
        severity: Severity::Low,
        why: "What somebody has to remember is forgotten.",
        fix: &[
            "apt-get install unattended-upgrades",
            "On NixOS: system.autoUpgrade.enable = true;",
        ],
        objectives: &[Objective::PatchAge],
        look: automatic,
    },
    Check {
        id: "dependencies.reboot",
        category: Dependencies,
        title: "No reboot is pending",
        severity: Severity::Medium,
        why: "The kernel that keeps VMs apart is the one that was booted, not the one that was installed.",
        fix: &["hv vm list", "reboot"],
        objectives: &[Objective::PatchAge],
        look: reboot,
    },
    Check {
        id: "dependencies.signatures",
        category: Dependencies,
        title: "Only signed packages are installed",
        severity: Severity::High,
        why: "Without the check whoever is on the way puts his own program into an update.",
        fix: &[
            "Remove trusted=yes and AllowUnauthenticated from /etc/apt",
            "In nix.conf: require-sigs = true",
        ],
        objectives: &[Objective::SignedComponents],
        look: signatures,
    },
    Check {
        id: "dependencies.support",
        category: Dependencies,
        title: "The system still gets updates",
        severity: Severity::High,
        why: "After the end of its support holes stay open for good.",
        fix: &["Upgrade to a release that is supported."],
        objectives: &[Objective::PatchAge],
        look: support,
    },
];

fn versions(system: &System) -> Answer {
    let version = system.hvd.version.clone()?;
    let own = env!("CARGO_PKG_VERSION");
    if version.version == own {
        return pass(format!("Both are {own}."));
    }
    fail(format!("hv is {own}, hvd is {}.", version.version))
}

fn programs(system: &System) -> Answer {
    let mut offenders = Offenders::default();
    for process in [
        system.daemons()?,
        libvirt_daemons(system)?,
        system.qemus()?,
        system.called("sshd")?,
    ]
    .concat()
    {
        let program = system.root.target(&format!("/proc/{}/exe", process.id));
        offenders.look_at_process(program.map(|path| {
            path.ends_with(" (deleted)")
                .then(|| format!("{process}: {path}"))
        }));
    }
    if offenders.saw_nothing() {
        return not_applicable("None of the programs that matter runs.");
    }
    offenders.answer(
        "Each program that runs is the one on disk.",
        "A program that runs is no longer on disk.",
    )
}

fn libraries(system: &System) -> Answer {
    let mut offenders = Offenders::default();
    for process in [system.daemons()?, libvirt_daemons(system)?, system.qemus()?].concat() {
        let maps = system.root.text(&format!("/proc/{}/maps", process.id));
        offenders.look_at_process(maps.map(|maps| {
            let gone = |line: &&str| {
                line.ends_with(" (deleted)") && line.contains(".so") && line.contains(" r-xp ")
            };
            let path = maps
                .lines()
                .find(gone)
                .and_then(|line| line.split_once('/'));
            path.map(|(_, path)| format!("{process}: /{path}"))
        }));
    }
    if offenders.saw_nothing() {
        return not_applicable("Neither the daemons nor VMs run.");
    }
    offenders.answer("They do.", "One uses a library that is no longer on disk.")
}

fn age(system: &System) -> Answer {
    let mut newest = None;
    for path in UPDATES {
        // The profile's link itself is what an update changes.
        if let Some(status) = crate::security::system::if_there(system.root.link_status(path))?
            && newest
                .as_ref()
                .is_none_or(|known: &crate::security::system::Status| {
                    known.modified < status.modified
                })
        {
            newest = Some(status);
        }
    }
    let Some(status) = newest else {
        return Err(super::Unreadable::other(
            "the packages",
            "no package manager that is known here was found",
        ));
    };
    let days = system.now.duration_since(status.modified).as_hours() / 24;
    let evidence = [format!(
        "{} was changed at {}",
        status.path, status.modified
    )];
    if days > PATCH_DAYS {
        return seen(
            fail(format!("Packages last changed {days} days ago.")),
            evidence,
        );
    }
    seen(
        pass(format!("Packages last changed {days} days ago.")),
        evidence,
    )
}

fn automatic(system: &System) -> Answer {
    for path in system.root.paths("/etc/apt/apt.conf.d", "")? {
        let text = system.root.text(&path)?;
        let on = |line: &&str| {
            !line.trim_start().starts_with("//")
                && line.contains("APT::Periodic::Unattended-Upgrade")
                && line.contains("\"1\"")
        };
        if let Some(line) = text.lines().find(on) {
            return seen(
                pass("Unattended upgrades are on."),
                [format!("{path}: {}", line.trim())],
            );
        }
    }
    for name in [
        "nixos-upgrade.timer",
        "dnf-automatic.timer",
        "dnf-automatic-install.timer",
    ] {
        if let Some(unit) = system.unit(name)? {
            return seen(pass("A timer brings updates."), [unit.path]);
        }
    }
    fail("Neither unattended upgrades nor a timer for updates is set up.")
}

fn reboot(system: &System) -> Answer {
    if system
        .root
        .status_if_there("/run/reboot-required")?
        .is_some()
    {
        let packages = system
            .root
            .text_if_there("/run/reboot-required.pkgs")?
            .unwrap_or_default();
        return seen(
            fail("An update waits for a reboot."),
            packages.lines().map(String::from),
        );
    }
    let kernel = |system_link: &str| {
        crate::security::system::if_there(system.root.resolved(&format!("{system_link}/kernel")))
    };
    if let (Some(booted), Some(current)) = (
        kernel("/run/booted-system")?,
        kernel("/run/current-system")?,
    ) && booted != current
    {
        return seen(
            fail("The kernel that runs is not the one that is installed."),
            [booted, current],
        );
    }
    pass("Nothing says so.")
}

fn signatures(system: &System) -> Answer {
    let mut files = vec![
        "/etc/apt/sources.list".to_owned(),
        "/etc/apt/apt.conf".to_owned(),
        "/etc/nix/nix.conf".to_owned(),
    ];
    for (folder, ending) in [
        ("/etc/apt/sources.list.d", ""),
        ("/etc/apt/apt.conf.d", ""),
        ("/etc/yum.repos.d", ".repo"),
    ] {
        files.extend(system.root.paths(folder, ending)?);
    }
    let mut offenders = Offenders::default();
    for path in files {
        let Some(text) = system.root.text_if_there(&path)? else {
            continue;
        };
        let mut lines = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.starts_with(['#', ';']) && !line.starts_with("//"));
        offenders.look(Ok(lines
            .find(|line| unsigned(line))
            .map(|line| format!("{path}: {line}"))));
    }
    if offenders.saw_nothing() {
        return not_applicable("No package manager that is known here has a configuration.");
    }
    offenders.answer(
        "Nothing switches the check off.",
        "Something switches the check off.",
    )
}

/// Whether a line switches the check of signatures off.
fn unsigned(line: &str) -> bool {
    let line: String = line.to_ascii_lowercase().split_whitespace().collect();
    let apt = line.contains("trusted=yes")
        || line.contains("trusted:yes")
        || line.contains("allow-insecure=yes");
    let on = |key: &str| {
        line.contains(key)
            && (line.contains("true") || line.contains("\"1\"") || line.contains("yes"))
    };
    let also = on("allowunauthenticated") || on("allowinsecurerepositories");
    apt || also || line == "require-sigs=false" || line == "gpgcheck=0"
}

fn support(system: &System) -> Answer {
    let text = system.root.text("/etc/os-release")?;
    let field = |key: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.map(|value| value.trim_matches('"').to_owned())
    };
    let name = field("PRETTY_NAME").unwrap_or_else(|| "The system".to_owned());
    let Some(end) = field("SUPPORT_END") else {
        return not_applicable(format!("{name} does not say until when."));
    };
    let date: Date = end
        .parse()
        .map_err(|_| super::Unreadable::other("SUPPORT_END", &format!("{end} is no date")))?;
    let today = system.now.to_zoned_datetime(jiff::tz::TimeZone::UTC).date();
    if date < today {
        return fail(format!("{name} was supported until {date}."));
    }
    pass(format!("{name} is supported until {date}."))
}
