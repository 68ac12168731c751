// SPDX-License-Identifier: GPL-3.0-or-later
//! Hosts for what other machines reach, and for what is recorded and sent away.

use hv_model::security::FindingResult::{NotApplicable, Unknown, Warn};

use super::{Case, Host, case, fails, passes};

const NFT: &str = "nft --json list ruleset";
const SSHD: &str = "/etc/ssh/sshd_config";

fn ruleset(host: Host, hook: &str, policy: &str, last: &str) -> Host {
    host.says(
        NFT,
        &format!(
            r#"{{"nftables": [{{"metainfo": {{}}}},
            {{"chain": {{"family": "inet", "table": "filter", "name": "c", "hook": "{hook}", "policy": "{policy}"}}}},
            {{"rule": {{"family": "inet", "table": "filter", "chain": "c", "expr": [{{"match": {{}}}}, {{"accept": null}}]}}}},
            {{"rule": {{"family": "inet", "table": "filter", "chain": "c", "expr": [{last}]}}}}]}}"#
        ),
    )
}

fn kernel(host: Host, redirects: &str) -> Host {
    let folder = "/proc/sys/net/ipv4/conf/all";
    host.file(&format!("{folder}/accept_redirects"), redirects)
        .file(&format!("{folder}/accept_source_route"), "0\n")
        .file(&format!("{folder}/secure_redirects"), "1\n")
}

pub(super) const CASES: &[Case] = &[
    fails("network.libvirt", "16509", |host| {
        host.listens("0.0.0.0:16509", 1)
    }),
    passes("network.libvirt", |host| host.listens("0.0.0.0:22", 1)),
    fails("network.displays", "0.0.0.0:5900", |host| {
        host.listens("0.0.0.0:5900", 1)
    }),
    fails("network.displays", "vnc_listen = 0.0.0.0", |host| {
        host.file("/etc/libvirt/qemu.conf", "vnc_listen = \"0.0.0.0\"\n")
    }),
    fails("network.displays", "web.xml: 192.0.2.1", |host| {
        host.defined("<graphics type='vnc'><listen type='address' address='192.0.2.1'/></graphics>")
    }),
    passes("network.displays", |host| {
        host.listens("127.0.0.1:5900", 1)
            .defined("<graphics type='vnc'><listen type='address' address='127.0.0.1'/></graphics>")
    }),
    fails("network.firewall", "no chain", |host| host),
    fails("network.firewall", "lets the rest pass", |host| {
        ruleset(host, "input", "accept", r#"{"accept": null}"#)
    }),
    passes("network.firewall", |host| {
        ruleset(host, "input", "drop", r#"{"accept": null}"#)
    }),
    passes("network.firewall", |host| {
        ruleset(
            host,
            "input",
            "accept",
            r#"{"counter": {}}, {"reject": null}"#,
        )
    }),
    case("network.firewall", Unknown, "nft", |host| {
        host.says(NFT, "no JSON")
    }),
    fails("network.vm-firewall", "unlooked at", |host| {
        ruleset(host.defined(""), "input", "drop", r#"{"accept": null}"#)
    }),
    passes("network.vm-firewall", |host| {
        ruleset(host.defined(""), "forward", "drop", r#"{"accept": null}"#)
    }),
    case("network.vm-firewall", NotApplicable, "no VMs", |host| host),
    fails("network.spoof-filter", "52:54:00:00:00:01", |host| {
        host.defined("<interface type='network'><mac address='52:54:00:00:00:01'/></interface>")
    }),
    passes("network.spoof-filter", |host| {
        host.defined("<interface type='network'><filterref filter='clean-traffic'/></interface>")
    }),
    fails("network.cleartext", "telnet", |host| {
        host.listens("127.0.0.1:23", 1)
    }),
    passes("network.cleartext", |host| host.listens("0.0.0.0:22", 1)),
    fails(
        "network.ssh-passwords",
        "passwordauthentication yes",
        |host| host.file(SSHD, ""),
    ),
    fails(
        "network.ssh-passwords",
        "kbdinteractiveauthentication",
        |host| {
            host.says(
                "sshd -T",
                "passwordauthentication no\nkbdinteractiveauthentication yes\n",
            )
        },
    ),
    passes("network.ssh-passwords", |host| {
        host.file(
            SSHD,
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\n",
        )
    }),
    case(
        "network.ssh-passwords",
        NotApplicable,
        "no SSH server",
        |host| host,
    ),
    fails("network.ssh-root", "yes", |host| {
        host.file(SSHD, "PermitRootLogin yes\n")
    }),
    passes("network.ssh-root", |host| {
        host.file(SSHD, "PermitRootLogin no\n")
    }),
    case("network.ssh-root", Warn, "prohibit-password", |host| {
        host.file(SSHD, "")
    }),
    fails("network.ssh-ciphers", "aes128-cbc", |host| {
        host.file(SSHD, "Ciphers aes256-gcm@openssh.com,aes128-cbc\n")
    }),
    passes("network.ssh-ciphers", |host| {
        host.file(SSHD, "Ciphers aes256-gcm@openssh.com\n")
    }),
    case("network.ssh-ciphers", Unknown, "only to root", |host| {
        host.file(SSHD, "")
    }),
    fails("network.ssh-macs", "hmac-sha1", |host| {
        host.file(SSHD, "MACs hmac-sha2-512,hmac-sha1\n")
    }),
    passes("network.ssh-macs", |host| {
        host.file(SSHD, "MACs hmac-sha2-512-etm@openssh.com\n")
    }),
    fails("network.open-ports", "0.0.0.0:111 (rpcbind", |host| {
        host.process(9, "rpcbind", 0).listens("0.0.0.0:111", 9)
    }),
    passes("network.open-ports", |host| {
        host.process(9, "dnsmasq", 0)
            .listens("192.168.122.1:53", 9)
            .listens("0.0.0.0:22", 1)
    }),
    fails("network.kernel", "accept_redirects = 1", |host| {
        kernel(host, "1\n")
    }),
    passes("network.kernel", |host| kernel(host, "0\n")),
    fails("logs.auditd", "does not run", |host| host),
    passes("logs.auditd", |host| host.process(9, "auditd", 0)),
    fails("logs.audit-exec", "No rule", |host| {
        host.file(
            "/etc/audit/rules.d/a.rules",
            "# -a always,exit -S execve\n-a always,exit -S mount\n",
        )
    }),
    passes("logs.audit-exec", |host| {
        host.file(
            "/etc/audit/rules.d/a.rules",
            "-a always,exit -F arch=b64 -S execve -k exec\n",
        )
    }),
    fails("logs.audit-mount", "No rule", |host| {
        host.file(
            "/etc/audit/audit.rules",
            "-a always,exit -S umount2 -k mount\n".replace(" mount", " m"),
        )
    }),
    passes("logs.audit-mount", |host| {
        host.file(
            "/etc/audit/audit.rules",
            "-a always,exit -S open,mount -k m\n",
        )
    }),
    fails("logs.remote", "Neither rsyslog", |host| {
        host.file("/etc/rsyslog.conf", "#*.* @@logs\n")
    }),
    passes("logs.remote", |host| {
        host.file("/etc/rsyslog.d/a.conf", "*.* @@logs.example.org:6514\n")
    }),
    passes("logs.remote", |host| {
        host.process(9, "systemd-journal", 0)
            .process(10, "systemd-journal-u", 0)
    }),
    fails("logs.persistent", "Neither journald", |host| host),
    passes("logs.persistent", |host| {
        host.folder("/var/log/journal", 0o755)
    }),
    passes("logs.persistent", |host| {
        host.file(
            "/etc/systemd/journald.conf.d/a.conf",
            "[Journal]\nStorage=persistent\n",
        )
    }),
    fails("logs.retention", "30 days", |host| {
        host.file(
            "/etc/systemd/journald.conf",
            "[Journal]\nMaxRetentionSec=30day\n",
        )
    }),
    passes("logs.retention", |host| {
        host.file(
            "/etc/systemd/journald.conf",
            "[Journal]\nMaxRetentionSec=13month\n",
        )
    }),
    case("logs.retention", Warn, "space is used up", |host| host),
    fails("logs.clock", "No program", |host| host),
    passes("logs.clock", |host| host.process(9, "chronyd", 900)),
    fails("logs.ssh", "info", |host| host.file(SSHD, "")),
    passes("logs.ssh", |host| host.file(SSHD, "LogLevel VERBOSE\n")),
    fails("logs.permissions", "web.log: mode 0666", |host| {
        host.mode("/var/log/libvirt/qemu/web.log", 0o666)
    }),
    passes("logs.permissions", |host| {
        host.mode("/var/log/libvirt/qemu/web.log", 0o600)
    }),
];
