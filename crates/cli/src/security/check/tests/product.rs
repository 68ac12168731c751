// SPDX-License-Identifier: GPL-3.0-or-later
//! Hosts for what hvd says and does, and for what is asked of it.

use hv_model::{
    health::CheckStatus,
    security::FindingResult::{NotApplicable, Unknown, Warn},
};
use serde_json::json;

use super::{Case, Host, case, fails, host::from, passes};
use crate::security::system::{
    Unreadable,
    hvd::{Door, Reply},
};

const HVD: &str = "/etc/hyper-nixos/hvd.toml";

fn door(host: Host, address: &str, nameless: Reply, foreign: Reply) -> Host {
    // What this version of the audit does not know must not keep it from reading the rest.
    let more = "tls = 'off'\n[access]\nprofile = 'strict'\n";
    host.file(HVD, format!("[listen]\naddress = '{address}'\n{more}"))
        .hvd(|hvd| {
            hvd.door = Some(Door {
                address: address.into(),
                nameless: Ok(nameless),
                foreign: Ok(foreign),
            });
        })
}

fn pool(host: Host, available: &str) -> Host {
    let pool = from(json!({
        "name": "disks", "purpose": "disks", "active": true, "capacity": "100 GiB", "available": available,
    }));
    host.hvd(|hvd| hvd.pools = Ok(vec![pool]))
}

fn memory(host: Host, memory: &str) -> Host {
    let node = from(json!({
        "hostname": "node-1", "acceleration": {"kind": "kvm"}, "arch": "x86_64", "cpu_model": "EPYC",
        "cpus": 8, "memory": memory, "memory_available": "1 GiB", "libvirt_version": "9.0.0",
        "qemu_version": "7.2.0", "guest_archs": ["x86_64"],
    }));
    host.hvd(|hvd| hvd.host = Ok(Some(node)))
}

fn image(host: Host, sum: &str) -> Host {
    let image = from(json!({
        "id": "0198c1f0-1111-7222-8333-444455556666", "name": "debian",
        "volume": {"pool": "images", "name": "debian.qcow2"}, "format": "qcow2",
        "virtual_size": "1 GiB", "size": "1 GiB", "blake3": sum, "created": "2026-05-01T00:00:00Z",
    }));
    host.hvd(|hvd| hvd.images = Ok(vec![image]))
}

fn recorded(host: Host) -> Host {
    let entry = from(json!({
        "format": 1, "sequence": 2, "previous": "0".repeat(64), "hash": "0".repeat(64),
        "id": "0198c1f0-1111-7222-8333-444455556666", "time": "2026-05-01T00:00:00Z",
        "event": {
            "kind": "decided", "principal": {"kind": "system"}, "action": "vm.start",
            "target": "vm/web", "decision": {"decision": "allow", "policy": "system"},
        },
    }));
    host.hvd(|hvd| hvd.audit = Ok(vec![entry]))
}

/// A qcow2 image whose base is this.
fn based_on(base: &str) -> Vec<u8> {
    let mut image = vec![0; 512];
    image[..4].copy_from_slice(b"QFI\xfb");
    image[7] = 3;
    if !base.is_empty() {
        image[14] = 1;
        image[19] = u8::try_from(base.len()).unwrap();
        image[256..256 + base.len()].copy_from_slice(base.as_bytes());
    }
    image
}

fn with_data_elsewhere() -> Vec<u8> {
    let mut image = based_on("");
    image[79] = 4;
    image
}

pub(super) const CASES: &[Case] = &[
    fails("dashboard.cleartext", "0.0.0.0:80", |host| {
        door(host, "0.0.0.0:80", Reply::Status(200), Reply::Status(403))
    }),
    fails("dashboard.cleartext", "does not say so", |host| {
        host.process(7, "hvd", 990).listens("0.0.0.0:8006", 7)
    }),
    passes("dashboard.cleartext", |host| host),
    passes("dashboard.cleartext", |host| {
        door(
            host,
            "127.0.0.1:8006",
            Reply::Status(200),
            Reply::Status(403),
        )
    }),
    passes("dashboard.cleartext", |host| {
        door(host, "0.0.0.0:443", Reply::NoHttp, Reply::NoHttp)
    }),
    case("dashboard.cleartext", Unknown, "refused", |host| {
        door(host, "0.0.0.0:80", Reply::NoHttp, Reply::NoHttp).hvd(|hvd| {
            let door = hvd.door.as_mut().unwrap();
            door.nameless = Err(Unreadable::Unsaid("connection refused".into()));
        })
    }),
    fails("dashboard.nameless", "200", |host| {
        door(host, "127.0.0.1:80", Reply::Status(200), Reply::Status(403))
    }),
    passes("dashboard.nameless", |host| {
        door(host, "127.0.0.1:80", Reply::Status(401), Reply::Status(403))
    }),
    case(
        "dashboard.nameless",
        NotApplicable,
        "not served on TCP",
        |host| host,
    ),
    fails("dashboard.foreign-host", "rebound.invalid", |host| {
        door(host, "127.0.0.1:80", Reply::Status(200), Reply::Status(200))
    }),
    passes("dashboard.foreign-host", |host| {
        door(host, "127.0.0.1:80", Reply::Status(200), Reply::Status(403))
    }),
    fails("dashboard.socket", "0666", |host| {
        host.mode("/run/hyper-nixos/hvd.sock", 0o666)
    }),
    passes("dashboard.socket", |host| {
        host.mode("/run/hyper-nixos/hvd.sock", 0o660)
    }),
    case("dashboard.socket", NotApplicable, "does not run", |host| {
        host
    }),
    fails("dashboard.socket-group", "users", |host| {
        host.more("/etc/group", "users:x:100:\n")
            .mode("/run/hyper-nixos/hvd.sock", 0o660)
            .owner("/run/hyper-nixos/hvd.sock", 0, 100)
    }),
    passes("dashboard.socket-group", |host| {
        host.more("/etc/group", "hyper-nixos:x:700:ann\n")
            .mode("/run/hyper-nixos/hvd.sock", 0o660)
            .owner("/run/hyper-nixos/hvd.sock", 0, 700)
    }),
    fails("alerts.route", "sends no alerts", |host| host),
    passes("alerts.route", |host| host.process(9, "alertmanager", 900)),
    case("alerts.route", Warn, "not visible", |host| {
        host.offers("/v1/alerts")
    }),
    fails("alerts.daemon-failure", "not as a unit", |host| {
        host.process(7, "hvd", 990)
    }),
    fails("alerts.daemon-failure", "no OnFailure", |host| {
        host.file("/etc/systemd/system/hvd.service", "[Service]\nUser=hvd\n")
    }),
    passes("alerts.daemon-failure", |host| {
        host.file(
            "/etc/systemd/system/hvd.service",
            "[Unit]\nOnFailure=tell@%n.service\n",
        )
    }),
    case(
        "alerts.daemon-failure",
        NotApplicable,
        "neither runs",
        |host| host,
    ),
    fails("alerts.mail", "No mailer", |host| host),
    fails("alerts.mail", "stays on this host", |host| {
        host.mode("/usr/sbin/sendmail", 0o755)
    }),
    passes("alerts.mail", |host| {
        host.mode("/usr/sbin/sendmail", 0o755)
            .file("/etc/aliases", "root: ann@example.org\n")
    }),
    fails("alerts.open", "storage.pools: it was seen", |host| {
        host.health("storage.pools", CheckStatus::Fail)
    }),
    passes("alerts.open", |host| {
        host.health("storage.pools", CheckStatus::Warn)
    }),
    fails("alerts.live", "libvirt hangs", |host| {
        host.hvd(|hvd| {
            let freshness = &mut hvd.health.as_mut().unwrap().freshness;
            freshness.live = false;
            freshness.why = Some("libvirt hangs".into());
        })
    }),
    passes("alerts.live", |host| host),
    fails("tests.configuration", "/srv/hvd.toml was changed", |host| {
        host.process(7, "hvd", 990)
            .arguments(7, "hvd --config /srv/hvd.toml")
            .file("/srv/hvd.toml", "")
            .days_old("/srv/hvd.toml", 0)
    }),
    passes("tests.configuration", |host| {
        host.process(7, "hvd", 990).file(HVD, "").days_old(HVD, 9)
    }),
    case("tests.configuration", NotApplicable, "runs", |host| host),
    fails(
        "tests.libvirt-configuration",
        "qemu.conf was changed",
        |host| {
            host.process(5, "libvirtd", 0)
                .file("/etc/libvirt/qemu.conf", "")
                .days_old("/etc/libvirt/qemu.conf", 0)
        },
    ),
    passes("tests.libvirt-configuration", |host| {
        host.process(5, "libvirtd", 0)
            .file("/etc/libvirt/qemu.conf", "")
            .days_old("/etc/libvirt/qemu.conf", 3)
    }),
    fails("tests.hook", "There is no hook", |host| {
        host.process(5, "libvirtd", 0)
    }),
    fails("tests.hook", "may never have been called", |host| {
        host.process(5, "virtqemud", 0)
            .mode("/etc/libvirt/hooks/qemu", 0o755)
            .days_old("/etc/libvirt/hooks/qemu", 0)
    }),
    passes("tests.hook", |host| {
        host.process(5, "libvirtd", 0)
            .mode("/etc/libvirt/hooks/qemu.d/hv-guard", 0o755)
            .days_old("/etc/libvirt/hooks/qemu.d/hv-guard", 3)
    }),
    fails("tests.integrity", "no baseline", |host| host),
    passes("tests.integrity", |host| {
        host.file("/var/lib/aide/aide.db", "")
            .days_old("/var/lib/aide/aide.db", 3)
    }),
    case("tests.integrity", Warn, "200 days", |host| {
        host.file("/var/lib/aide/aide.db", "")
            .days_old("/var/lib/aide/aide.db", 200)
    }),
    fails("backups.vms", "There are 1 VMs", |host| host.vm("1 GiB")),
    fails("backups.vms", "backup.age", |host| {
        host.vm("1 GiB")
            .offers("/v1/backups")
            .health("backup.age", CheckStatus::Fail)
    }),
    passes("backups.vms", |host| {
        host.vm("1 GiB")
            .offers("/v1/backups")
            .health("backup.age", CheckStatus::Pass)
    }),
    case("backups.vms", NotApplicable, "no VMs", |host| host),
    case("backups.vms", Unknown, "says nothing", |host| {
        host.vm("1 GiB").offers("/v1/backups")
    }),
    fails("backups.verified", "nothing was brought back", |host| {
        host.vm("1 GiB")
    }),
    passes("backups.verified", |host| {
        host.vm("1 GiB")
            .offers("/v1/backups")
            .health("backup.verdict", CheckStatus::Pass)
    }),
    fails("backups.host", "No timer", |host| {
        host.file("/usr/lib/systemd/system/dpkg-db-backup.timer", "")
    }),
    passes("backups.host", |host| {
        host.file("/etc/systemd/system/restic-backups-host.timer", "")
    }),
    passes("backups.host", |host| {
        host.file("/etc/cron.daily/borgmatic", "")
    }),
    fails("metrics.exporters", "the node exporter", |host| {
        host.listens("0.0.0.0:9100", 1)
    }),
    passes("metrics.exporters", |host| {
        host.listens("127.0.0.1:9100", 1)
    }),
    fails("metrics.pool-space", "5 % free", |host| pool(host, "5 GiB")),
    passes("metrics.pool-space", |host| pool(host, "50 GiB")),
    case("metrics.pool-space", NotApplicable, "No pool", |host| host),
    fails("metrics.memory", "16 GiB of the host's 8 GiB", |host| {
        memory(host, "8 GiB").vm("16 GiB")
    }),
    passes("metrics.memory", |host| memory(host, "8 GiB").vm("2 GiB")),
    case("metrics.memory", Warn, "7.5 GiB", |host| {
        memory(host, "8 GiB").vm("7680 MiB")
    }),
    fails("metrics.history", "keeps no figures", |host| host),
    passes("metrics.history", |host| host.process(9, "collectd", 0)),
    passes("metrics.history", |host| host.offers("/v1/metrics")),
    fails("input.policy", "is not there", |host| {
        host.process(6, "hv-broker", 991)
    }),
    fails("input.policy", "no good", |host| host.policy("pools = 4")),
    passes("input.policy", |host| host.policy("")),
    case("input.policy", NotApplicable, "no broker", |host| host),
    fails("input.policy-pools", "/etc/libvirt", |host| {
        host.file(
            "/etc/hyper-nixos/host-policy.toml",
            "[[pools]]\nname = 'a'\npath = '/etc/libvirt'\n",
        )
    }),
    fails("input.policy-pools", "/var/lib", |host| {
        host.file(
            "/etc/hyper-nixos/host-policy.toml",
            "[[pools]]\nname = 'a'\npath = '/var/lib'\n",
        )
    }),
    passes("input.policy-pools", |host| host.policy("")),
    fails("input.policy-limits", "limits.memory", |host| {
        host.policy("limits = { vcpus = 4 }")
    }),
    passes("input.policy-limits", |host| {
        host.policy("limits = { vcpus = 4, memory = '8 GiB', disk = '1 TiB' }")
    }),
    fails("input.policy-features", "no-spoof-filter", |host| {
        host.policy("features = ['no-spoof-filter', 'huge-pages']")
    }),
    fails("input.policy-features", "0000:01:00.0", |host| {
        host.policy("devices = { pci = ['0000:01:00.0'] }")
    }),
    passes("input.policy-features", |host| {
        host.policy("features = ['huge-pages']")
    }),
    fails("input.hook", "There is no hook", |host| {
        host.folder("/etc/libvirt", 0o755)
    }),
    fails("input.hook", "There is no hook", |host| {
        host.mode("/etc/libvirt/hooks/qemu", 0o777)
    }),
    fails("input.hook", "There is no hook", |host| {
        host.mode("/etc/libvirt/hooks/qemu", 0o644)
    }),
    passes("input.hook", |host| {
        host.mode("/etc/libvirt/hooks/qemu", 0o755)
    }),
    fails("input.raw-arguments", "-device ivshmem", |host| {
        host.file(
            "/etc/libvirt/qemu/web.xml",
            "<domain xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><name>web</name><qemu:commandline>\
             <qemu:arg value='-device ivshmem'/></qemu:commandline></domain>",
        )
    }),
    passes("input.raw-arguments", |host| host.defined("")),
    case("input.raw-arguments", Unknown, "web.xml", |host| {
        host.file("/etc/libvirt/qemu/web.xml", "<domain>")
    }),
    fails("input.host-paths", "/home/ann", |host| {
        host.defined("<filesystem><source dir='/home/ann'/></filesystem>")
    }),
    passes("input.host-paths", |host| host.defined("")),
    fails("input.disk-sources", "/etc/shadow", |host| {
        host.policy("")
            .defined("<disk><source file='/etc/shadow'/></disk>")
    }),
    fails("input.disk-sources", "/srv/disks/../x", |host| {
        host.policy("")
            .defined("<disk><source file='/srv/disks/../x'/></disk>")
    }),
    passes("input.disk-sources", |host| {
        host.policy("")
            .defined("<disk><source file='/srv/disks/a.qcow2'/></disk>")
    }),
    case("input.disk-sources", Unknown, "host-policy.toml", |host| {
        host.defined("<disk><source file='/srv/disks/a.qcow2'/></disk>")
    }),
    fails("input.image-references", "points to /etc/shadow", |host| {
        host.policy("")
            .file("/srv/disks/a.qcow2", based_on("/etc/shadow"))
    }),
    fails("input.image-references", "a data file of its own", |host| {
        host.policy("")
            .file("/srv/disks/a.qcow2", with_data_elsewhere())
    }),
    fails("input.image-references", "../../etc/shadow", |host| {
        host.policy("")
            .file("/srv/disks/a.qcow2", based_on("../../etc/shadow"))
    }),
    passes("input.image-references", |host| {
        host.policy("")
            .file("/srv/disks/a.qcow2", based_on("/srv/disks/base.qcow2"))
            .file("/srv/disks/base.qcow2", based_on(""))
            .file("/srv/disks/disk.raw", "not an image")
    }),
    fails("input.image-sums", "debian", |host| image(host, "")),
    passes("input.image-sums", |host| image(host, "af1349b9")),
    fails("logs.audit-log", "the record is empty", |host| {
        host.vm("1 GiB")
    }),
    passes("logs.audit-log", recorded),
    case(
        "logs.audit-log",
        NotApplicable,
        "nothing was asked for",
        |host| host,
    ),
    fails("logs.audit-chain", "does not chain", |host| host),
    fails("logs.audit-chain", "audit.chain", |host| {
        host.offers("/v1/audit/verification")
            .health("audit.chain", CheckStatus::Fail)
    }),
    passes("logs.audit-chain", |host| {
        host.offers("/v1/audit/verification")
    }),
    fails("dependencies.versions", "0.0.9", |host| {
        host.hvd(|hvd| hvd.version.as_mut().unwrap().version = "0.0.9".into())
    }),
    passes("dependencies.versions", |host| host),
];
