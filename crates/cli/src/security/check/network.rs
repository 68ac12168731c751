// SPDX-License-Identifier: GPL-3.0-or-later
//! Who can talk to this host and to its VMs.

use std::net::IpAddr;

use hv_model::security::{Category::Network, Objective, Severity};
use serde_json::Value;

use super::{
    Answer, Check, System, Unreadable,
    observation::{Offenders, fail, not_applicable, pass, seen, warn},
};
use crate::security::system::{SshSettings, listener::Program};

/// Ports of services that send passwords as they are.
const CLEARTEXT: [(u16, &str); 7] = [
    (21, "FTP"),
    (23, "telnet"),
    (79, "finger"),
    (512, "rexec"),
    (513, "rlogin"),
    (514, "rsh"),
    (2323, "telnet"),
];
/// Ciphers that sshd should not take.
const WEAK_CIPHERS: [&str; 5] = ["cbc", "arcfour", "3des", "blowfish", "none"];
/// Codes that sshd should not take.
const WEAK_MACS: [&str; 4] = ["md5", "sha1", "umac-64", "ripemd"];
const SPOOF_FILTERS: [&str; 5] = [
    "clean-traffic",
    "clean-traffic-gateway",
    "no-mac-spoofing",
    "no-ip-spoofing",
    "no-arp-spoofing",
];

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "network.libvirt",
        category: Network,
        title: "libvirt is not served to the network",
        severity: Severity::Critical,
        why: "Whoever reaches libvirt may define a VM, and is root on the host.",
        fix: &[
            "In /etc/libvirt/libvirtd.conf: listen_tcp = 0",
            "systemctl disable --now libvirtd-tcp.socket libvirtd-tls.socket",
        ],
        objectives: &[Objective::OpenPorts, Objective::LeastPrivilege],
        look: libvirt,
    },
    Check {
        id: "network.displays",
        category: Network,
        title: "Displays of VMs are not served to the network",
        severity: Severity::High,
        why: "VNC shows the screen and takes keys. Whoever reaches it sits before the VM.",
        fix: &[
            "In /etc/libvirt/qemu.conf: vnc_listen = \"127.0.0.1\"",
            "virsh edit NAME: <graphics listen='127.0.0.1'/>",
        ],
        objectives: &[Objective::VncAccess, Objective::OpenPorts],
        look: displays,
    },
    Check {
        id: "network.firewall",
        category: Network,
        title: "The host drops what nothing asks for",
        severity: Severity::High,
        why: "Without it every service that somebody starts is open to everybody.",
        fix: &[
            "On NixOS: networking.firewall.enable = true;",
            "nft add chain inet filter input '{ type filter hook input priority 0; policy drop; }'",
        ],
        objectives: &[Objective::Firewall, Objective::OpenPorts],
        look: firewall,
    },
    Check {
        id: "network.vm-firewall",
        category: Network,
        title: "What VMs send and get passes a firewall",
        severity: Severity::Medium,
        why: "Without it each VM reaches each other and the machines around the host.",
        fix: &[
            "virsh net-list --all",
            "nft list ruleset: a chain with `hook forward` that drops or rejects",
        ],
        objectives: &[Objective::VmFirewall, Objective::Isolation],
        look: vm_firewall,
    },
    Check {
        id: "network.spoof-filter",
        category: Network,
        title: "No VM can send with the address of another",
        severity: Severity::Medium,
        why: "Who takes another's address gets what is meant for it, and does things in its name.",
        fix: &["virsh edit NAME: <filterref filter='clean-traffic'/> in each interface"],
        objectives: &[Objective::SpoofFilter, Objective::Isolation],
        look: spoof_filter,
    },
    Check {
        id: "network.cleartext",
        category: Network,
        title: "No service takes passwords in clear",
        severity: Severity::High,
        why: "Everybody on the way reads them.",
        fix: &["Stop the service, and use SSH or SFTP."],
        objectives: &[Objective::NoTelnet, Objective::EncryptionInTransit],
        look: cleartext,
    },
    Check {
        id: "network.ssh-passwords",
        category: Network,
        title: "sshd takes keys only",
        severity: Severity::Medium,
        why: "Passwords are guessed, day and night, from everywhere.",
        fix: &[
            "In /etc/ssh/sshd_config: PasswordAuthentication no and KbdInteractiveAuthentication no",
        ],
        objectives: &[Objective::LockoutAndIdle],
        look: ssh_passwords,
    },
    Check {
        id: "network.ssh-root",
        category: Network,
        title: "Nobody logs in as root with a password",
        severity: Severity::High,
        why: "Who guesses that password has the host, and the log names nobody.",
        fix: &["In /etc/ssh/sshd_config: PermitRootLogin no"],
        objectives: &[Objective::UniqueUsers, Objective::LeastPrivilege],
        look: ssh_root,
    },
    Check {
        id: "network.ssh-ciphers",
        category: Network,
        title: "sshd takes strong ciphers only",
        severity: Severity::Medium,
        why: "A weak cipher lets somebody on the way read, or change, what is sent.",
        fix: &[
            "In /etc/ssh/sshd_config: Ciphers aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr",
        ],
        objectives: &[Objective::SshCiphers, Objective::EncryptionInTransit],
        look: ssh_ciphers,
    },
    Check {
        id: "network.ssh-macs",
        category: Network,
        title: "sshd takes strong message authentication only",
        severity: Severity::Low,
        why: "With a weak code somebody on the way can change what is sent.",
        fix: &[
            "In /etc/ssh/sshd_config: MACs hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com",
        ],
        objectives: &[Objective::SshMacs, Objective::EncryptionInTransit],
        look: ssh_macs,
    },
    Check {
        id: "network.open-ports",
        category: Network,
        title: "Other machines reach SSH and nothing else",
        severity: Severity::Low,
        why: "Each open port is one more program that anybody may try to break.",
        fix: &[
            "ss -tlnp",
            "Stop what is not needed, or let it listen on 127.0.0.1.",
        ],
        objectives: &[Objective::OpenPorts],
        look: open_ports,
    },
    Check {
        id: "network.kernel",
        category: Network,
        title: "The kernel takes no routes from strangers",
        severity: Severity::Low,
        why: "A redirect or a source route leads packets past the firewall or to somebody who listens.",
        fix: &[
            "sysctl -w net.ipv4.conf.all.accept_redirects=0 net.ipv4.conf.all.accept_source_route=0",
        ],
        objectives: &[Objective::Isolation],
        look: kernel,
    },
];

fn libvirt(system: &System) -> Answer {
    let listeners = system.listeners()?.iter();
    let open = listeners.filter(|listener| matches!(listener.address.port(), 16509 | 16514));
    Offenders::of(open.map(ToString::to_string)).answer(
        "Nothing listens on libvirt's ports.",
        "Something listens on libvirt's ports.",
    )
}

fn displays(system: &System) -> Answer {
    let everybody = |address: &str| {
        address
            .parse::<IpAddr>()
            .is_ok_and(|address| !address.is_loopback())
    };
    let mut open: Vec<String> = Vec::new();
    for key in ["vnc_listen", "spice_listen"] {
        if let Some(address) = system.qemu()?.get(key).filter(|address| everybody(address)) {
            open.push(format!("qemu.conf: {key} = {address}"));
        }
    }
    let listeners = system
        .listeners()?
        .iter()
        .filter(|listener| listener.is_open());
    open.extend(
        listeners
            .filter(|one| (5900..6000).contains(&one.address.port()))
            .map(ToString::to_string),
    );
    let mut offenders = Offenders::of(open);
    match system.definitions() {
        Ok(definitions) => {
            for vm in definitions {
                let open = vm.displays.iter().find(|address| everybody(address));
                offenders.look(Ok(open.map(|address| format!("{}: {address}", vm.file))));
            }
        }
        Err(why) => offenders.look(Err(why)),
    }
    offenders.answer("None is.", "One is.")
}

/// The chains of nftables at a hook, and whether each drops what no rule lets pass.
fn chains(system: &System, hook: &str) -> Result<Vec<(String, bool)>, Unreadable> {
    let ruleset = system
        .programs
        .ask(&system.root, "nft", &["--json", "list", "ruleset"])?;
    let Some(ruleset) = ruleset else {
        return Ok(Vec::new());
    };
    let ruleset: Value =
        serde_json::from_str(&ruleset).map_err(|error| Unreadable::other("nft", &error))?;
    let objects = ruleset.get("nftables").and_then(Value::as_array);
    let text = |value: &Value, key: &str| {
        value
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let name = |value: &Value, key: &str| {
        [
            text(value, "family"),
            text(value, "table"),
            text(value, key),
        ]
        .join(" ")
    };
    let mut chains = Vec::new();
    for chain in objects
        .into_iter()
        .flatten()
        .filter_map(|object| object.get("chain"))
    {
        if text(chain, "hook") != hook {
            continue;
        }
        let own = name(chain, "name");
        let rules = objects
            .into_iter()
            .flatten()
            .filter_map(|object| object.get("rule"));
        let mut of_chain = rules.filter(|rule| name(rule, "chain") == own);
        // A jump leads to chains of drops and rejects, such as libvirt's.
        let stops = of_chain.next_back().is_some_and(ends_in_a_drop);
        chains.push((own, text(chain, "policy") == "drop" || stops));
    }
    Ok(chains)
}

/// Whether a rule drops or rejects whatever reaches it.
fn ends_in_a_drop(rule: &Value) -> bool {
    let parts = rule.get("expr").and_then(Value::as_array);
    let mut parts = parts.into_iter().flatten();
    let decides = |part: &Value| part.get("drop").is_some() || part.get("reject").is_some();
    parts.all(|part| decides(part) || part.get("counter").is_some() || part.get("log").is_some())
}

fn firewall(system: &System) -> Answer {
    let chains = chains(system, "input")?;
    if chains.is_empty() {
        return fail("nftables has no chain for what comes in.");
    }
    let evidence = chains.iter().map(|(name, drops)| {
        format!(
            "{name}: {}",
            if *drops {
                "drops the rest"
            } else {
                "lets the rest pass"
            }
        )
    });
    if chains.iter().any(|(_, drops)| *drops) {
        return seen(pass("What no rule lets pass is dropped."), evidence);
    }
    seen(fail("What no rule lets pass is let in."), evidence)
}

fn vm_firewall(system: &System) -> Answer {
    let ruleset = system
        .programs
        .ask(&system.root, "nft", &["--json", "list", "ruleset"])?;
    if system.qemus()?.is_empty() && system.definitions()?.is_empty() {
        return not_applicable("There are no VMs.");
    }
    let forward = chains(system, "forward")?;
    let drops = forward.iter().any(|(_, drops)| *drops);
    // libvirt's own chains end in rejects for each of its networks, behind jumps.
    let libvirts = ruleset
        .is_some_and(|text| text.contains("LIBVIRT_FWI") || text.contains("\"guest_input\""));
    let evidence = forward.into_iter().map(|(name, _)| name);
    if drops || libvirts {
        return seen(
            pass("What is forwarded passes chains that drop or reject."),
            evidence,
        );
    }
    seen(fail("What VMs send is forwarded unlooked at."), evidence)
}

fn spoof_filter(system: &System) -> Answer {
    let definitions = system.definitions()?;
    let nics: Vec<_> = definitions
        .iter()
        .flat_map(|vm| vm.nics.iter().map(move |nic| (vm, nic)))
        .collect();
    if nics.is_empty() {
        return not_applicable("No VM has a network interface.");
    }
    let without = nics.iter().filter(|(_, nic)| {
        !nic.filter
            .as_deref()
            .is_some_and(|name| SPOOF_FILTERS.contains(&name))
    });
    Offenders::of(
        without.map(|(vm, nic)| format!("{}: {} has no such filter", vm.file, nic.address)),
    )
    .answer(
        "Each interface has a filter against it.",
        "An interface has no filter against it.",
    )
}

fn cleartext(system: &System) -> Answer {
    let served = system.listeners()?.iter().filter_map(|listener| {
        let (_, what) = CLEARTEXT
            .iter()
            .find(|(port, _)| *port == listener.address.port())?;
        Some(format!("{listener}: {what}"))
    });
    Offenders::of(served).answer(
        "Nothing listens on the ports of such services.",
        "Such a service runs.",
    )
}

fn sshd(system: &System, judge: impl FnOnce(&SshSettings) -> Answer) -> Answer {
    match system.sshd()? {
        Some(settings) => judge(&settings),
        None => not_applicable("There is no SSH server."),
    }
}

fn ssh_passwords(system: &System) -> Answer {
    sshd(system, |settings| {
        let on = ["passwordauthentication", "kbdinteractiveauthentication"]
            .into_iter()
            .filter(|key| settings.get(key) == Some("yes"));
        Offenders::of(on.map(|key| format!("{key} yes")))
            .answer("It takes keys only.", "It takes passwords.")
    })
}

fn ssh_root(system: &System) -> Answer {
    sshd(system, |settings| match settings.get("permitrootlogin") {
        Some("no") => pass("root does not log in."),
        Some(value @ ("prohibit-password" | "without-password" | "forced-commands-only")) => warn(
            format!("root logs in with a key (PermitRootLogin {value}); the log names no person."),
        ),
        value => fail(format!(
            "PermitRootLogin is {}.",
            value.unwrap_or("not known")
        )),
    })
}

/// Which of the algorithms that sshd is told to take are weak. Without being told it takes its own,
/// which are named by `sshd -T` alone.
fn weak(settings: &SshSettings, key: &str, weak: &[&str]) -> Answer {
    let Some(list) = settings.get(key) else {
        return Err(Unreadable::other(
            key,
            "sshd names its own list only to root",
        ));
    };
    let found = list
        .split(',')
        .filter(|name| weak.iter().any(|word| name.contains(word)));
    Offenders::of(found.map(String::from))
        .answer(format!("It takes {list}."), "It takes weak ones.")
}

fn ssh_ciphers(system: &System) -> Answer {
    sshd(system, |settings| weak(settings, "ciphers", &WEAK_CIPHERS))
}

fn ssh_macs(system: &System) -> Answer {
    sshd(system, |settings| weak(settings, "macs", &WEAK_MACS))
}

fn open_ports(system: &System) -> Answer {
    let mut offenders = Offenders::default();
    for listener in system
        .listeners()?
        .iter()
        .filter(|listener| listener.is_open())
    {
        // dnsmasq serves names and addresses to VMs, on their networks' own addresses.
        let fine = listener.address.port() == 22 || listener.is_of("dnsmasq");
        offenders.look(match &listener.program {
            _ if fine => Ok(None),
            Program::Hidden => Err(Unreadable::Unsaid(format!(
                "whose {listener} is, is not visible to the user who looks; run it as root"
            ))),
            Program::Named(_) | Program::None => Ok(Some(listener.to_string())),
        });
    }
    offenders.answer(
        "Nothing else listens for them.",
        "Something else listens for them.",
    )
}

fn kernel(system: &System) -> Answer {
    let mut offenders = Offenders::default();
    for key in [
        "accept_redirects",
        "accept_source_route",
        "secure_redirects",
    ] {
        let path = format!("/proc/sys/net/ipv4/conf/all/{key}");
        let value = system.root.word(&path);
        // Secure ones come from the gateway alone.
        let wrong = |value: String| {
            (key != "secure_redirects" && value != "0")
                .then(|| format!("net.ipv4.conf.all.{key} = {value}"))
        };
        offenders.look(value.map(wrong));
    }
    offenders.answer(
        "It takes neither redirects nor source routes.",
        "It takes what strangers say.",
    )
}
