// SPDX-License-Identifier: GPL-3.0-or-later
//! Whether somebody who is not root can become root.

use hv_model::security::{Category::Privileges, Objective, Severity};

use super::{
    Answer, Check, System, Unreadable,
    observation::{Offenders, fail, not_applicable, pass, seen, warn},
};

/// Groups whose members reach libvirt.
const LIBVIRT_GROUPS: [&str; 2] = ["libvirt", "libvirtd"];
/// Accounts that may: the broker's.
const BROKERS: [&str; 1] = ["hv-broker"];
/// Groups whose members can become root.
const ROOT_GROUPS: [&str; 9] = [
    "disk",
    "docker",
    "lxd",
    "incus-admin",
    "podman",
    "kmem",
    "shadow",
    "root",
    "systemd-journal-remote",
];
/// Groups that our services must not be in.
const NOT_FOR_SERVICES: [&str; 7] = [
    "libvirt", "libvirtd", "disk", "docker", "sudo", "wheel", "root",
];
/// Accounts of services that nobody logs in with.
const SERVICES: [&str; 5] = ["hvd", "hv-broker", "libvirt-qemu", "libvirtdbus", "qemu"];
/// Programs that give root to whoever may run them as root.
const ROOT_PROGRAMS: [&str; 9] = [
    "virsh",
    "virt-",
    "qemu-",
    "hv-broker",
    "mount",
    "nsenter",
    "systemctl",
    "nix-env",
    "nixos-rebuild",
];
const POLKIT: [&str; 3] = [
    "/etc/polkit-1/rules.d",
    "/usr/share/polkit-1/rules.d",
    "/run/polkit-1/rules.d",
];
const PAM: &str = "/etc/pam.d";
/// Modules of PAM that ask for a second proof.
const SECOND_FACTORS: [&str; 8] = [
    "pam_google_authenticator",
    "pam_oath",
    "pam_u2f",
    "pam_pkcs11",
    "pam_sss",
    "pam_yubico",
    "pam_duo",
    "pam_p11",
];
/// How many failed logons the STIG allows.
const MOST_FAILURES: u32 = 3;
/// How many sessions the STIG allows.
const MOST_SESSIONS: u32 = 10;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "privileges.sudo-passwordless",
        category: Privileges,
        title: "sudo asks for a password",
        severity: Severity::High,
        why: "Without it whoever takes over that account, a browser or a script in it included, is root.",
        fix: &[
            "visudo, and remove NOPASSWD:",
            "On NixOS: security.sudo.wheelNeedsPassword = true;",
        ],
        objectives: &[Objective::LeastPrivilege, Objective::AdministratorMfa],
        look: sudo_passwordless,
    },
    Check {
        id: "privileges.sudo-programs",
        category: Privileges,
        title: "sudo lets nobody run what gives root away",
        severity: Severity::High,
        why: "A rule for virsh or mount looks small and is all of root.",
        fix: &[
            "visudo, and remove the rule",
            "hv does the same without root",
        ],
        objectives: &[Objective::LeastPrivilege],
        look: sudo_programs,
    },
    Check {
        id: "privileges.libvirt-group",
        category: Privileges,
        title: "Nobody but the broker is in libvirt's group",
        severity: Severity::Critical,
        why: "Members of that group read and write every file of the host, by three known ways.",
        fix: &[
            "gpasswd --delete NAME libvirt",
            "Give a role instead: hv access list",
        ],
        objectives: &[Objective::LeastPrivilege, Objective::Isolation],
        look: libvirt_group,
    },
    Check {
        id: "privileges.polkit",
        category: Privileges,
        title: "polkit gives libvirt to nobody",
        severity: Severity::Critical,
        why: "A rule that answers YES to org.libvirt.unix.manage gives root to whoever it means.",
        fix: &[
            "Remove the rule from /etc/polkit-1/rules.d",
            "gpasswd --delete NAME GROUP",
        ],
        objectives: &[Objective::LeastPrivilege, Objective::Isolation],
        look: polkit,
    },
    Check {
        id: "privileges.root-groups",
        category: Privileges,
        title: "Nobody is in a group that is as good as root",
        severity: Severity::High,
        why: "disk reads every device, docker and lxd start containers that own the host.",
        fix: &["gpasswd --delete NAME GROUP"],
        objectives: &[Objective::LeastPrivilege],
        look: root_groups,
    },
    Check {
        id: "privileges.second-root",
        category: Privileges,
        title: "root alone has the number 0",
        severity: Severity::Critical,
        why: "A second account with that number is root by another name, and how somebody stays.",
        fix: &["userdel NAME"],
        objectives: &[Objective::UniqueUsers, Objective::LeastPrivilege],
        look: second_root,
    },
    Check {
        id: "privileges.services",
        category: Privileges,
        title: "The daemons are in no group that is as good as root",
        severity: Severity::Critical,
        why: "hvd must have no way to libvirt but the broker's. In libvirt's group a taken-over hvd is \
              root.",
        fix: &[
            "gpasswd --delete hvd libvirt",
            "In hvd.service: no SupplementaryGroups=",
        ],
        objectives: &[Objective::LeastPrivilege, Objective::Isolation],
        look: services,
    },
    Check {
        id: "privileges.shells",
        category: Privileges,
        title: "Nobody logs in as a service",
        severity: Severity::Low,
        why: "An account that logs in can be guessed, and what it does has no person's name.",
        fix: &["usermod --shell /usr/sbin/nologin NAME"],
        objectives: &[Objective::UniqueUsers],
        look: shells,
    },
    Check {
        id: "privileges.libvirt-authentication",
        category: Privileges,
        title: "libvirt asks who comes, or lets in only its group",
        severity: Severity::High,
        why: "With auth_unix_rw = none the socket's mode alone keeps people out.",
        fix: &[
            "In /etc/libvirt/libvirtd.conf: auth_unix_rw = \"polkit\", or unix_sock_rw_perms = \"0770\"",
        ],
        objectives: &[Objective::LeastPrivilege],
        look: libvirt_authentication,
    },
    Check {
        id: "privileges.lockout",
        category: Privileges,
        title: "Three failed logons lock an account",
        severity: Severity::Medium,
        why: "Without it a password can be guessed for as long as it takes.",
        fix: &[
            "pam-auth-update --enable faillock",
            "In /etc/security/faillock.conf: deny = 3",
        ],
        objectives: &[Objective::FailedLogons, Objective::LockoutAndIdle],
        look: lockout,
    },
    Check {
        id: "privileges.second-factor",
        category: Privileges,
        title: "Who logs in proves it in two ways",
        severity: Severity::Medium,
        why: "A password that was read over somebody's shoulder is then not enough.",
        fix: &[
            "apt-get install libpam-oath",
            "In /etc/ssh/sshd_config: AuthenticationMethods publickey,keyboard-interactive",
        ],
        objectives: &[Objective::AdministratorMfa],
        look: second_factor,
    },
    Check {
        id: "privileges.sessions",
        category: Privileges,
        title: "A person has ten sessions at most",
        severity: Severity::Low,
        why: "Somebody with a stolen password is seen sooner, and uses up less.",
        fix: &["In /etc/security/limits.conf: * hard maxlogins 10"],
        objectives: &[Objective::ConcurrentSessions],
        look: sessions,
    },
];

/// The lines of sudo's rules, each with its file; what they include besides `sudoers.d` is not read.
fn sudo_rules(system: &System) -> Result<Option<Vec<(String, String)>>, Unreadable> {
    let main = "/etc/sudoers";
    if system.root.status_if_there(main)?.is_none() {
        return Ok(None);
    }
    let mut files = vec![main.to_owned()];
    for name in system.root.names("/etc/sudoers.d")? {
        // sudo itself skips these.
        if !name.contains('.') && !name.ends_with('~') {
            files.push(format!("/etc/sudoers.d/{name}"));
        }
    }
    let mut rules = Vec::new();
    for file in files {
        let text = system.root.text(&file)?.replace("\\\n", " ");
        let lines = text.lines().map(str::trim).filter(|line| {
            !line.is_empty() && !line.starts_with(['#', '@']) && !line.starts_with("Defaults")
        });
        rules.extend(lines.map(|line| (file.clone(), line.to_owned())));
    }
    Ok(Some(rules))
}

fn sudo_passwordless(system: &System) -> Answer {
    let Some(rules) = sudo_rules(system)? else {
        return not_applicable("sudo is not installed.");
    };
    let free = rules.iter().filter(|(_, line)| line.contains("NOPASSWD:"));
    let free = free.filter(|(_, line)| !line.starts_with("root"));
    Offenders::of(free.map(|(file, line)| format!("{file}: {line}")))
        .answer("It always does.", "For some it does not.")
}

fn sudo_programs(system: &System) -> Answer {
    let Some(rules) = sudo_rules(system)? else {
        return not_applicable("sudo is not installed.");
    };
    let gives = rules.iter().filter(|(_, line)| {
        let commands = line
            .split_once('=')
            .map(|(_, commands)| commands)
            .unwrap_or_default();
        let names = commands
            .split([',', ' ', ':', ')'])
            .filter_map(|word| word.rsplit_once('/'));
        let mut names = names.map(|(_, name)| name);
        names.any(|name| {
            ROOT_PROGRAMS
                .iter()
                .any(|program| name.starts_with(program))
        })
    });
    Offenders::of(gives.map(|(file, line)| format!("{file}: {line}")))
        .answer("It lets nobody.", "It lets somebody.")
}

fn libvirt_group(system: &System) -> Answer {
    let accounts = system.accounts()?;
    let groups: Vec<_> = LIBVIRT_GROUPS
        .iter()
        .filter_map(|name| accounts.group(name))
        .collect();
    if groups.is_empty() {
        return not_applicable("There is no such group.");
    }
    let members = groups.iter().flat_map(|group| {
        let members = accounts.members(group).into_iter();
        members
            .filter(|name| !BROKERS.contains(&name.as_str()))
            .map(move |name| format!("{name} is in {}", group.name))
    });
    Offenders::of(members).answer("Nobody else is.", "Somebody else is, and is root by that.")
}

fn polkit(system: &System) -> Answer {
    let mut files = Vec::new();
    for folder in POLKIT {
        files.extend(system.root.paths(folder, ".rules")?);
    }
    let accounts = system.accounts()?;
    let mut offenders = Offenders::default();
    for file in files {
        let text = system.root.text(&file)?;
        let about_libvirt =
            text.contains("org.libvirt.unix.manage") || text.contains("org.libvirt.");
        if !about_libvirt || !text.contains("YES") {
            offenders.look(Ok(None));
            continue;
        }
        let groups = quoted_after(&text, "isInGroup(");
        let named = groups.iter().filter_map(|name| accounts.group(name));
        let members: Vec<String> = named
            .flat_map(|group| accounts.members(group))
            .filter(|name| !BROKERS.contains(&name.as_str()))
            .collect();
        // A rule that names no group means somebody by another way, or everybody.
        let means = match groups.as_slice() {
            [] if text.contains("hv-broker") => None,
            [] => Some("a rule that says YES, to no group in particular".to_owned()),
            _ if members.is_empty() => None,
            groups => Some(format!(
                "YES to {}, in which are {}",
                groups.join(", "),
                members.join(", ")
            )),
        };
        offenders.look(Ok(means.map(|means| format!("{file}: {means}"))));
    }
    offenders.answer("No rule does, or to groups that are empty.", "A rule does.")
}

/// The texts in quotes behind each such word.
fn quoted_after(text: &str, word: &str) -> Vec<String> {
    let parts = text.split(word).skip(1);
    let quoted = parts.filter_map(|rest| {
        let rest = rest.trim_start();
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        rest.get(1..)?.split(quote).next().map(String::from)
    });
    quoted.collect()
}

fn root_groups(system: &System) -> Answer {
    let accounts = system.accounts()?;
    let members = ROOT_GROUPS
        .iter()
        .filter_map(|name| accounts.group(name))
        .flat_map(|group| {
            let members = accounts.members(group).into_iter();
            let people = members.filter(|name| accounts.people().any(|user| user.name == *name));
            people.map(move |name| format!("{name} is in {}", group.name))
        });
    Offenders::of(members).answer("Nobody who logs in is.", "Somebody is.")
}

fn second_root(system: &System) -> Answer {
    let others = system
        .accounts()?
        .users
        .iter()
        .filter(|user| user.id == 0 && user.name != "root");
    Offenders::of(others.map(|user| user.name.clone()))
        .answer("No other account has it.", "Another account has it.")
}

fn services(system: &System) -> Answer {
    let accounts = system.accounts()?;
    let daemons = system.called("hvd")?;
    if daemons.is_empty() && !accounts.users.iter().any(|user| user.name == "hvd") {
        return not_applicable("hvd neither runs nor has an account.");
    }
    let mut offenders = Offenders::default();
    for name in NOT_FOR_SERVICES {
        let Some(group) = accounts.group(name) else {
            continue;
        };
        let named = accounts.members(group).iter().any(|member| member == "hvd");
        offenders.look(Ok(named.then(|| format!("hvd is in {name}"))));
        for daemon in &daemons {
            // One that is root needs no group; hardening.hvd-user tells of that.
            let has = daemon.user != 0 && daemon.groups.contains(&group.id);
            offenders.look(Ok(has.then(|| format!("{daemon} has the rights of {name}"))));
        }
    }
    offenders.answer("hvd is in none.", "hvd is in one.")
}

fn shells(system: &System) -> Answer {
    let accounts = system.accounts()?;
    let services: Vec<_> = accounts
        .users
        .iter()
        .filter(|user| SERVICES.contains(&user.name.as_str()))
        .collect();
    if services.is_empty() {
        return not_applicable("There is no account of a service of ours or libvirt's.");
    }
    let open = services.iter().filter(|user| user.logs_in());
    Offenders::of(open.map(|user| format!("{}: {}", user.name, user.shell))).answer(
        "None of their accounts has a shell.",
        "An account of a service has a shell.",
    )
}

fn libvirt_authentication(system: &System) -> Answer {
    if system
        .root
        .status_if_there("/etc/libvirt/libvirtd.conf")?
        .is_none()
    {
        return not_applicable("libvirt is not installed.");
    }
    let settings = system.libvirtd()?;
    let open = |key: &str| {
        settings.get(key).is_none_or(|mode| {
            u32::from_str_radix(mode, 8).is_ok_and(|mode| mode & 0o002 != 0) || mode.is_empty()
        })
    };
    match settings.get("auth_unix_rw") {
        Some("none") if open("unix_sock_rw_perms") => {
            fail("auth_unix_rw is none, and unix_sock_rw_perms keeps nobody out.")
        }
        Some("none") => pass("It lets in its socket's group only."),
        Some(other) => pass(format!("auth_unix_rw is {other}.")),
        None => pass("auth_unix_rw is not set, so polkit is asked."),
    }
}

/// The lines of PAM that are in force, with their files.
fn pam(system: &System) -> Result<Vec<(String, String)>, Unreadable> {
    let mut lines = Vec::new();
    for file in system.root.paths(PAM, "")? {
        let text = system.root.text(&file)?;
        let used = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.extend(used.map(|line| (file.clone(), line.to_owned())));
    }
    Ok(lines)
}

fn lockout(system: &System) -> Answer {
    let lines = pam(system)?;
    let used = lines
        .iter()
        .find(|(_, line)| line.contains("pam_faillock") || line.contains("pam_tally"));
    let Some((file, line)) = used else {
        return fail("PAM counts no failures.");
    };
    let settings = system
        .root
        .text_if_there("/etc/security/faillock.conf")?
        .unwrap_or_default();
    let in_file = settings
        .lines()
        .filter(|line| !line.trim().starts_with('#'))
        .filter_map(|line| {
            let (key, value) = line.split_once('=')?;
            (key.trim() == "deny").then(|| value.trim().to_owned())
        });
    let in_line = line
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("deny=").map(String::from));
    let deny = in_line
        .chain(in_file)
        .next()
        .map_or(Some(MOST_FAILURES), |deny| deny.parse().ok());
    let evidence = [format!("{file}: {line}")];
    match deny {
        Some(deny @ 1..=MOST_FAILURES) => seen(
            pass(format!("After {deny} failures an account is locked.")),
            evidence,
        ),
        Some(deny) => seen(fail(format!("The limit of failures is {deny}.")), evidence),
        None => Err(Unreadable::other(
            file.clone(),
            "the limit of failures is no number",
        )),
    }
}

fn second_factor(system: &System) -> Answer {
    let lines = pam(system)?;
    let asks = lines
        .iter()
        .find(|(_, line)| SECOND_FACTORS.iter().any(|module| line.contains(module)));
    if let Some((file, line)) = asks {
        return seen(
            pass("PAM asks for a second proof."),
            [format!("{file}: {line}")],
        );
    }
    let sshd = system.sshd()?;
    let methods = sshd
        .as_ref()
        .and_then(|settings| settings.get("authenticationmethods"));
    // Each of the lists must ask for two.
    let two =
        methods.is_some_and(|methods| methods.split_whitespace().all(|list| list.contains(',')));
    if two {
        return warn("sshd asks for two proofs; who logs in at the machine itself gives one.");
    }
    fail("Neither PAM nor sshd asks for a second proof.")
}

fn sessions(system: &System) -> Answer {
    let mut files = system.root.paths("/etc/security/limits.d", ".conf")?;
    files.push("/etc/security/limits.conf".to_owned());
    for file in files {
        let text = system.root.text_if_there(&file)?.unwrap_or_default();
        for line in text
            .lines()
            .map(str::trim)
            .filter(|line| !line.starts_with('#'))
        {
            let words: Vec<&str> = line.split_whitespace().collect();
            if let ["*", "hard" | "-", "maxlogins", most] = words.as_slice() {
                let evidence = [format!("{file}: {line}")];
                return match most.parse::<u32>() {
                    Ok(most) if most <= MOST_SESSIONS => {
                        seen(pass(format!("{most} at most.")), evidence)
                    }
                    _ => seen(fail(format!("The limit is {most}.")), evidence),
                };
            }
        }
    }
    fail("There is no limit.")
}
