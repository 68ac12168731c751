// SPDX-License-Identifier: GPL-3.0-or-later
//! Hosts for who reaches which file, and what stands in it.

use hv_model::security::FindingResult::{NotApplicable, Unknown, Warn};

use super::{Case, case, fails, passes};

const POLICY: &str = "/etc/hyper-nixos/host-policy.toml";
const LIBVIRT: &str = "/run/libvirt/libvirt-sock";
const BROKER: &str = "/run/hv-broker/broker.sock";

pub(super) const CASES: &[Case] = &[
    fails("files.policy", "0666", |host| {
        host.policy("").mode(POLICY, 0o666)
    }),
    fails("files.policy", "user 1000", |host| {
        host.policy("").owner(POLICY, 1000, 1000)
    }),
    fails("files.policy", "/etc/hyper-nixos: mode 0777", |host| {
        host.policy("").folder("/etc/hyper-nixos", 0o777)
    }),
    fails("files.policy", "/srv/real.toml: mode 0664", |host| {
        host.file("/srv/real.toml", "")
            .mode("/srv/real.toml", 0o664)
            .owner("/srv/real.toml", 0, 100)
            .folder("/etc/hyper-nixos", 0o755)
            .link(POLICY, "../../srv/real.toml")
    }),
    passes("files.policy", |host| host.policy("")),
    case(
        "files.policy",
        NotApplicable,
        "refuses everything",
        |host| host,
    ),
    fails("files.configuration", "hvd.toml: mode 0646", |host| {
        host.mode("/etc/hyper-nixos/hvd.toml", 0o646)
    }),
    fails("files.configuration", "/srv: mode 0777", |host| {
        host.process(6, "hv-broker", 991)
            .arguments(6, "hv-broker --config=/srv/broker.toml")
            .file("/srv/broker.toml", "socket = '/run/x'\n")
            .folder("/srv", 0o777)
    }),
    passes("files.configuration", |host| {
        host.mode("/etc/hyper-nixos/hvd.toml", 0o640)
    }),
    fails("files.state", "hvd.db: mode 0644", |host| {
        host.file("/var/lib/hvd/hvd.db", "")
    }),
    passes("files.state", |host| {
        host.file("/var/lib/hvd/hvd.db", "")
            .folder("/var/lib/hvd", 0o700)
    }),
    passes("files.state", |host| {
        host.mode("/var/lib/hvd/hvd.db", 0o600)
    }),
    fails("files.broker-socket", "0666", |host| {
        host.mode(BROKER, 0o666)
    }),
    fails("files.broker-socket", "ann", |host| {
        host.more("/etc/passwd", "ann:x:1000:1000::/home/ann:/bin/bash\n")
            .more("/etc/group", "ops:x:700:ann\n")
            .mode(BROKER, 0o660)
            .owner(BROKER, 0, 700)
    }),
    passes("files.broker-socket", |host| {
        host.more("/etc/passwd", "hvd:x:990:990::/:/usr/sbin/nologin\n")
            .more("/etc/group", "hvd:x:990:\n")
            .mode(BROKER, 0o660)
            .owner(BROKER, 991, 990)
    }),
    fails("files.libvirt-socket", "0777", |host| {
        host.mode(LIBVIRT, 0o777)
            .file("/etc/libvirt/libvirtd.conf", "auth_unix_rw = \"none\"\n")
    }),
    case("files.libvirt-socket", Warn, "polkit alone", |host| {
        host.mode(LIBVIRT, 0o777)
    }),
    passes("files.libvirt-socket", |host| host.mode(LIBVIRT, 0o770)),
    fails("files.libvirt-read-only-socket", "0777", |host| {
        host.mode("/run/libvirt/libvirt-sock-ro", 0o777)
    }),
    passes("files.libvirt-read-only-socket", |host| {
        host.mode("/run/libvirt/libvirt-sock-ro", 0o770)
    }),
    fails("files.setuid", "/usr/bin/hv: mode 4755", |host| {
        host.mode("/usr/bin/hv", 0o4755)
    }),
    fails("files.setuid", "2755", |host| {
        host.mode("/var/lib/hvd/x", 0o2755)
    }),
    passes("files.setuid", |host| host.mode("/usr/bin/hv", 0o755)),
    fails(
        "files.setuid-in-shared-folders",
        "/tmp/.x/sh: mode 4755",
        |host| host.folder("/tmp", 0o1777).mode("/tmp/.x/sh", 0o4755),
    ),
    passes("files.setuid-in-shared-folders", |host| {
        host.mode("/tmp/x", 0o755)
    }),
    fails("files.pools", "a.qcow2: mode 0644", |host| {
        host.policy("").mode("/srv/disks/a.qcow2", 0o644)
    }),
    fails("files.pools", "/srv/disks: mode 0777", |host| {
        host.policy("").folder("/srv/disks", 0o777)
    }),
    passes("files.pools", |host| {
        host.policy("").mode("/srv/disks/a.qcow2", 0o600)
    }),
    passes("files.pools", |host| {
        host.policy("")
            .mode("/srv/disks/a.qcow2", 0o644)
            .folder("/srv/disks", 0o700)
    }),
    case("files.pools", NotApplicable, "No folder", |host| {
        host.policy("")
    }),
    fails("files.shadow", "/etc/shadow-: mode 0644", |host| {
        host.mode("/etc/shadow", 0o640).mode("/etc/shadow-", 0o644)
    }),
    passes("files.shadow", |host| host.mode("/etc/shadow", 0o640)),
    fails("files.nixos", "user 1000", |host| {
        host.file("/etc/nixos/configuration.nix", "").owner(
            "/etc/nixos/configuration.nix",
            1000,
            100,
        )
    }),
    passes("files.nixos", |host| {
        host.file("/etc/nixos/configuration.nix", "")
    }),
    case("files.nixos", NotApplicable, "no /etc/nixos", |host| host),
    fails("files.programs", "/usr/bin/hvd: mode 0757", |host| {
        host.process(7, "hvd", 990).mode("/usr/bin/hvd", 0o757)
    }),
    fails("files.programs", "/opt: mode 0777", |host| {
        host.process(5, "libvirtd", 0)
            .link("/proc/5/exe", "/opt/libvirtd")
            .file("/opt/libvirtd", "")
            .folder("/opt", 0o777)
    }),
    passes("files.programs", |host| {
        host.process(7, "hvd", 990).mode("/usr/bin/hvd", 0o755)
    }),
    fails("secrets.environment", "HV_TOKEN", |host| {
        host.process(7, "hvd", 990)
            .file("/proc/7/environ", "LANG=C\0HV_TOKEN=abcd\0")
    }),
    passes("secrets.environment", |host| {
        host.process(7, "hvd", 990)
            .file("/proc/7/environ", "PASSWORD_FILE=/run/x\0LANG=C\0")
    }),
    fails("secrets.arguments", "password", |host| {
        host.process(8, "qemu-system-x86", 64055)
            .arguments(8, "qemu -vnc :0,password=abcd")
    }),
    passes("secrets.arguments", |host| {
        host.process(8, "qemu-system-x86", 64055)
            .arguments(8, "qemu -object secret,id=masterKey0,format=raw,file=/var/lib/x -vnc :0,password-secret=s0")
    }),
    fails("secrets.keys", "ssh_host_rsa_key: mode 0644", |host| {
        host.file("/etc/ssh/ssh_host_rsa_key", "")
    }),
    passes("secrets.keys", |host| {
        host.mode("/etc/ssh/ssh_host_rsa_key", 0o600)
            .file("/etc/ssh/ssh_host_rsa_key.pub", "")
    }),
    fails("secrets.units", "SMTP_PASSWORD", |host| {
        host.file(
            "/etc/systemd/system/hvd.service",
            "[Service]\nEnvironment=LANG=C SMTP_PASSWORD=abcd\n",
        )
    }),
    fails("secrets.units", "/etc/hvd.env", |host| {
        host.file(
            "/etc/systemd/system/hvd.service",
            "[Service]\nEnvironmentFile=-/etc/hvd.env\n",
        )
        .file("/etc/hvd.env", "SMTP_PASSWORD=abcd\n")
    }),
    passes("secrets.units", |host| {
        host.file(
            "/etc/systemd/system/hvd.service",
            "[Service]\nEnvironmentFile=-/etc/hvd.env\n",
        )
        .file("/etc/hvd.env", "SMTP_PASSWORD=abcd\n")
        .mode("/etc/hvd.env", 0o600)
    }),
    fails("secrets.configuration", "smtp_password", |host| {
        host.file("/etc/hyper-nixos/hvd.toml", "smtp_password = 'abcd'\n")
    }),
    passes("secrets.configuration", |host| {
        host.file(
            "/etc/hyper-nixos/hvd.toml",
            "smtp_password_file = '/run/secrets/smtp'\n",
        )
    }),
    passes("secrets.configuration", |host| {
        host.file("/etc/hyper-nixos/hvd.toml", "smtp_password = 'abcd'\n")
            .mode("/etc/hyper-nixos/hvd.toml", 0o640)
    }),
    fails("secrets.passwords", "ann: empty", |host| {
        host.file("/etc/shadow", "root:!:1::\nann::1::\n")
    }),
    fails("secrets.passwords", "ann: a weak hash", |host| {
        host.file("/etc/shadow", "ann:$1$abc$def:1::\n")
    }),
    passes("secrets.passwords", |host| {
        host.file("/etc/shadow", "root:*:1::\nann:$y$j9T$abc$def:1::\n")
    }),
    case("secrets.passwords", Unknown, "/etc/shadow", |host| host),
    fails("secrets.core-dumps", "unlimited", |host| {
        host.file("/proc/sys/kernel/core_pattern", "core\n")
            .process(7, "hvd", 990)
            .file(
                "/proc/7/limits",
                "Max core file size        unlimited     unlimited   bytes\n",
            )
    }),
    passes("secrets.core-dumps", |host| {
        host.file("/proc/sys/kernel/core_pattern", "core\n")
            .process(7, "hvd", 990)
    }),
    passes("secrets.core-dumps", |host| {
        host.file(
            "/proc/sys/kernel/core_pattern",
            "|/usr/lib/systemd/systemd-coredump %P\n",
        )
        .file("/etc/systemd/coredump.conf", "[Coredump]\nStorage=none\n")
        .process(7, "hvd", 990)
        .file(
            "/proc/7/limits",
            "Max core file size        unlimited     unlimited   bytes\n",
        )
    }),
    fails("secrets.displays", "vnc_password", |host| {
        host.file("/etc/libvirt/qemu.conf", "vnc_password = \"abcd\"\n")
    }),
    passes("secrets.displays", |host| {
        host.file("/etc/libvirt/qemu.conf", "vnc_password = \"abcd\"\n")
            .mode("/etc/libvirt/qemu.conf", 0o600)
    }),
    fails(
        "secrets.encryption",
        "/var/lib/hvd is on /dev/vda1",
        |host| host.folder("/sys/class/block/vda1", 0o755),
    ),
    passes("secrets.encryption", |host| {
        // LVM on LUKS.
        host.file("/proc/self/mounts", "/dev/dm-1 / ext4 rw 0 0\n")
            .file("/sys/class/block/dm-1/dm/uuid", "LVM-abc\n")
            .folder("/sys/class/block/dm-1/slaves/dm-0", 0o755)
            .file("/sys/class/block/dm-0/dm/uuid", "CRYPT-LUKS2-abc\n")
    }),
    case("secrets.encryption", Unknown, "overlay", |host| {
        host.file("/proc/self/mounts", "overlay / overlay rw 0 0\n")
    }),
    fails("temporary.sticky", "/tmp: mode 0777", |host| {
        host.folder("/tmp", 0o777)
    }),
    passes("temporary.sticky", |host| host.folder("/tmp", 0o1777)),
    fails("temporary.links", "fs.protected_symlinks", |host| {
        host.file("/proc/sys/fs/protected_symlinks", "0\n")
            .file("/proc/sys/fs/protected_hardlinks", "1\n")
            .file("/proc/sys/fs/protected_fifos", "1\n")
            .file("/proc/sys/fs/protected_regular", "1\n")
    }),
    passes("temporary.links", |host| {
        host.file("/proc/sys/fs/protected_symlinks", "1\n")
            .file("/proc/sys/fs/protected_hardlinks", "1\n")
            .file("/proc/sys/fs/protected_fifos", "1\n")
            .file("/proc/sys/fs/protected_regular", "2\n")
    }),
    case("temporary.links", Unknown, "protected_symlinks", |host| {
        host
    }),
    fails("temporary.mounts", "/tmp is part", |host| {
        host.folder("/tmp", 0o1777)
    }),
    passes("temporary.mounts", |host| {
        host.folder("/tmp", 0o1777).file(
            "/proc/self/mounts",
            "tmpfs /tmp tmpfs rw,nosuid,nodev 0 0\n",
        )
    }),
    fails("temporary.private", "no PrivateTmp", |host| {
        host.file("/etc/systemd/system/hvd.service", "[Service]\nUser=hvd\n")
    }),
    fails("temporary.private", "not as units", |host| {
        host.process(7, "hvd", 990)
    }),
    passes("temporary.private", |host| {
        host.file(
            "/etc/systemd/system/hvd.service",
            "[Service]\nPrivateTmp=yes\n",
        )
    }),
    fails("temporary.runtime", "/run/hv-broker: mode 0777", |host| {
        host.folder("/run/hv-broker", 0o777)
    }),
    passes("temporary.runtime", |host| {
        host.folder("/run/hv-broker", 0o755)
    }),
    fails("temporary.open", "/tmp/spool", |host| {
        host.process(7, "hvd", 990)
            .link("/proc/7/fd/3", "/tmp/spool")
    }),
    passes("temporary.open", |host| {
        host.process(7, "hvd", 990)
            .link("/proc/7/fd/3", "/var/lib/hvd/hvd.db")
    }),
];
