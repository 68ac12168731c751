// SPDX-License-Identifier: GPL-3.0-or-later
//! Hosts for who could become root, and for what is out of date.

use hv_model::security::FindingResult::{NotApplicable, Unknown, Warn};

use super::{Case, Host, case, fails, passes};

const SUDOERS: &str = "/etc/sudoers";
const RULES: &str = "/etc/polkit-1/rules.d/60-libvirt.rules";
const RULE: &str = "polkit.addRule(function(action, subject) { if (action.id == \"org.libvirt.unix.manage\" \
                    && subject.isInGroup(\"libvirt\")) { return polkit.Result.YES; } });\n";

/// Ann is a person, hvd and libvirt's group are there.
fn people(host: Host) -> Host {
    host.more(
        "/etc/passwd",
        "ann:x:1000:1000::/home/ann:/bin/bash\nhvd:x:990:990::/:/usr/sbin/nologin\n\
         hv-broker:x:991:991::/:/usr/sbin/nologin\n",
    )
}

fn group(host: Host, line: &str) -> Host {
    people(host).more("/etc/group", &format!("{line}\n"))
}

pub(super) const CASES: &[Case] = &[
    fails(
        "privileges.sudo-passwordless",
        "ann ALL=(ALL) NOPASSWD: ALL",
        |host| {
            host.file(SUDOERS, "")
                .file("/etc/sudoers.d/ann", "ann ALL=(ALL) NOPASSWD: ALL\n")
        },
    ),
    passes("privileges.sudo-passwordless", |host| {
        host.file(SUDOERS, "root ALL=(ALL:ALL) ALL\n# ann ALL=NOPASSWD: ALL\n")
            .file("/etc/sudoers.d/ann.bak", "ann ALL=NOPASSWD: ALL\n")
    }),
    case(
        "privileges.sudo-passwordless",
        NotApplicable,
        "not installed",
        |host| host,
    ),
    fails("privileges.sudo-programs", "virsh", |host| {
        host.file(
            SUDOERS,
            "%ops ALL=(root) /usr/bin/virsh list, /usr/bin/id\n",
        )
    }),
    passes("privileges.sudo-programs", |host| {
        host.file(SUDOERS, "%ops ALL=(root) /usr/bin/id\n")
    }),
    fails("privileges.libvirt-group", "ann is in libvirt", |host| {
        group(host, "libvirt:x:103:ann,hv-broker")
    }),
    fails("privileges.libvirt-group", "bob is in libvirt", |host| {
        group(host, "libvirt:x:103:").more("/etc/passwd", "bob:x:1001:103::/:/bin/sh\n")
    }),
    passes("privileges.libvirt-group", |host| {
        group(host, "libvirt:x:103:hv-broker")
    }),
    fails(
        "privileges.polkit",
        "YES to libvirt, in which are ann",
        |host| group(host, "libvirt:x:103:ann").file(RULES, RULE),
    ),
    fails("privileges.polkit", "to no group in particular", |host| {
        host.file(RULES, "polkit.addRule(function(a) { if (a.id == 'org.libvirt.unix.manage') return polkit.Result.YES; });")
    }),
    passes("privileges.polkit", |host| {
        group(host, "libvirt:x:103:").file(RULES, RULE)
    }),
    fails("privileges.root-groups", "ann is in docker", |host| {
        group(host, "docker:x:999:ann")
    }),
    passes("privileges.root-groups", |host| {
        group(host, "docker:x:999:")
    }),
    fails("privileges.second-root", "toor", |host| {
        host.more("/etc/passwd", "toor:x:0:0::/:/bin/sh\n")
    }),
    passes("privileges.second-root", people),
    fails("privileges.services", "hvd is in libvirt", |host| {
        group(host, "libvirt:x:103:hvd")
    }),
    fails("privileges.services", "has the rights of libvirt", |host| {
        group(host, "libvirt:x:103:")
            .process(7, "hvd", 990)
            .status(7, "Groups", "103")
    }),
    passes("privileges.services", |host| {
        group(host, "libvirt:x:103:").process(7, "hvd", 990)
    }),
    case("privileges.services", NotApplicable, "neither", |host| host),
    fails("privileges.shells", "hvd: /bin/sh", |host| {
        host.more("/etc/passwd", "hvd:x:990:990::/:\n")
    }),
    passes("privileges.shells", people),
    fails(
        "privileges.libvirt-authentication",
        "keeps nobody out",
        |host| {
            host.file(
                "/etc/libvirt/libvirtd.conf",
                "auth_unix_rw = \"none\"\nunix_sock_rw_perms = \"0777\"\n",
            )
        },
    ),
    passes("privileges.libvirt-authentication", |host| {
        host.file(
            "/etc/libvirt/libvirtd.conf",
            "auth_unix_rw = \"none\"\nunix_sock_rw_perms = \"0770\"\n",
        )
    }),
    passes("privileges.libvirt-authentication", |host| {
        host.file("/etc/libvirt/libvirtd.conf", "")
    }),
    fails("privileges.lockout", "counts no failures", |host| {
        host.file("/etc/pam.d/login", "auth required pam_unix.so\n")
    }),
    fails("privileges.lockout", "is 10", |host| {
        host.file(
            "/etc/pam.d/login",
            "auth required pam_faillock.so preauth\n",
        )
        .file("/etc/security/faillock.conf", "deny = 10\n")
    }),
    passes("privileges.lockout", |host| {
        host.file(
            "/etc/pam.d/login",
            "auth required pam_faillock.so preauth deny=3\n",
        )
    }),
    fails("privileges.second-factor", "Neither", |host| {
        host.file(
            "/etc/pam.d/sshd",
            "auth required pam_unix.so\n#auth required pam_oath.so\n",
        )
    }),
    passes("privileges.second-factor", |host| {
        host.file("/etc/pam.d/sshd", "auth required pam_oath.so\n")
    }),
    case("privileges.second-factor", Warn, "machine itself", |host| {
        host.file(
            "/etc/ssh/sshd_config",
            "AuthenticationMethods publickey,keyboard-interactive\n",
        )
    }),
    fails("privileges.sessions", "no limit", |host| host),
    fails("privileges.sessions", "100", |host| {
        host.file("/etc/security/limits.conf", "* hard maxlogins 100\n")
    }),
    passes("privileges.sessions", |host| {
        host.file("/etc/security/limits.d/a.conf", "* hard maxlogins 10\n")
    }),
    fails("dependencies.programs", "(deleted)", |host| {
        host.process(7, "hvd", 990)
            .link("/proc/7/exe", "/usr/bin/hvd (deleted)")
    }),
    passes("dependencies.programs", |host| host.process(7, "hvd", 990)),
    fails(
        "dependencies.libraries",
        "/usr/lib/libssl.so.3 (deleted)",
        |host| {
            host.process(7, "hvd", 990).file(
                "/proc/7/maps",
                "7f00-7f01 r-xp 00000000 fe:01 7    /usr/lib/libssl.so.3 (deleted)\n",
            )
        },
    ),
    passes("dependencies.libraries", |host| host.process(7, "hvd", 990)),
    fails("dependencies.age", "90 days", |host| {
        host.file("/var/lib/dpkg/status", "")
            .days_old("/var/lib/dpkg/status", 90)
    }),
    passes("dependencies.age", |host| {
        host.file("/var/lib/dpkg/status", "")
            .days_old("/var/lib/dpkg/status", 9)
    }),
    case("dependencies.age", Unknown, "no package manager", |host| {
        host
    }),
    fails("dependencies.automatic", "Neither", |host| {
        host.file(
            "/etc/apt/apt.conf.d/20auto-upgrades",
            "APT::Periodic::Unattended-Upgrade \"0\";\n",
        )
    }),
    passes("dependencies.automatic", |host| {
        host.file(
            "/etc/apt/apt.conf.d/20auto-upgrades",
            "APT::Periodic::Unattended-Upgrade \"1\";\n",
        )
    }),
    passes("dependencies.automatic", |host| {
        host.file("/etc/systemd/system/nixos-upgrade.timer", "")
    }),
    fails("dependencies.reboot", "linux-image", |host| {
        host.file("/run/reboot-required", "")
            .file("/run/reboot-required.pkgs", "linux-image-6\n")
    }),
    fails("dependencies.reboot", "/nix/store/a/kernel", |host| {
        host.file("/nix/store/a/kernel", "")
            .file("/nix/store/b/kernel", "")
            .link("/run/booted-system", "../nix/store/a")
            .link("/run/current-system", "../nix/store/b")
    }),
    passes("dependencies.reboot", |host| {
        host.file("/nix/store/a/kernel", "")
            .link("/run/booted-system", "../nix/store/a")
            .link("/run/current-system", "../nix/store/a")
    }),
    fails("dependencies.signatures", "trusted=yes", |host| {
        host.file(
            "/etc/apt/sources.list",
            "deb [trusted=yes] http://example.org stable main\n",
        )
    }),
    fails("dependencies.signatures", "require-sigs", |host| {
        host.file("/etc/nix/nix.conf", "require-sigs = false\n")
    }),
    passes("dependencies.signatures", |host| {
        host.file(
            "/etc/apt/sources.list",
            "# deb [trusted=yes] x\ndeb http://example.org stable main\n",
        )
        .file("/etc/nix/nix.conf", "require-sigs = true\n")
    }),
    fails("dependencies.support", "2025-12-31", |host| {
        host.file(
            "/etc/os-release",
            "PRETTY_NAME=\"NixOS 25.05\"\nSUPPORT_END=\"2025-12-31\"\n",
        )
    }),
    passes("dependencies.support", |host| {
        host.file(
            "/etc/os-release",
            "PRETTY_NAME=\"NixOS 26.05\"\nSUPPORT_END=2026-12-31\n",
        )
    }),
    case(
        "dependencies.support",
        NotApplicable,
        "does not say",
        |host| host.file("/etc/os-release", "PRETTY_NAME=\"Debian\"\n"),
    ),
];
