// SPDX-License-Identifier: GPL-3.0-or-later
//! A host laid out in a folder, on which nothing is wrong until a case says so.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::PathBuf,
    time::{Duration, SystemTime},
};

use hv_model::{
    health::{Check as HealthCheck, CheckStatus, Freshness, Health},
    host::ServerVersion,
    inventory::VmSummary,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::security::system::{Hvd, Programs, Root, System};

/// When hosts are looked at: 2026-06-01.
const NOW: i64 = 1_780_272_000;
/// When they were booted.
const BOOTED: i64 = NOW - 86_400;

/// A host laid out in a folder.
pub(super) struct Host {
    folder: TempDir,
    owners: BTreeMap<String, (u32, u32)>,
    told: BTreeMap<String, String>,
    hvd: Hvd,
}

impl Host {
    /// A host with root, the first process, and a hvd that answers and has nothing to tell.
    pub(super) fn new() -> Self {
        let fresh = Freshness {
            live: true,
            seen: None,
            why: None,
        };
        let health = Health {
            status: CheckStatus::Pass,
            checks: Vec::new(),
            freshness: fresh,
        };
        let hvd = Hvd {
            version: Ok(ServerVersion {
                version: env!("CARGO_PKG_VERSION").into(),
                api: "v1".into(),
            }),
            health: Ok(health),
            host: Ok(None),
            vms: Ok(Vec::new()),
            pools: Ok(Vec::new()),
            images: Ok(Vec::new()),
            audit: Ok(Vec::new()),
            paths: Ok(["/v1/vms".to_owned()].into()),
            door: None,
        };
        let host = Self {
            folder: tempfile::tempdir().unwrap(),
            owners: BTreeMap::new(),
            told: BTreeMap::new(),
            hvd,
        };
        fs::set_permissions(host.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        host.file("/proc/stat", format!("cpu 1\nbtime {BOOTED}\n"))
            .file("/proc/net/tcp", "  sl  local_address\n")
            .file("/proc/self/mounts", "/dev/vda1 / ext4 rw 0 0\n")
            .file("/etc/passwd", "root:x:0:0::/root:/bin/sh\n")
            .file("/etc/group", "root:x:0:\n")
            .process(1, "systemd", 0)
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path.trim_start_matches('/'))
    }

    /// A file with this text, which only root writes.
    pub(super) fn file(self, path: &str, text: impl AsRef<[u8]>) -> Self {
        let at = self.at(path);
        self.folders(path);
        fs::write(&at, text).unwrap();
        fs::set_permissions(&at, fs::Permissions::from_mode(0o644)).unwrap();
        self
    }

    /// The folders above a path, which only root writes whatever this process's umask is.
    fn folders(&self, path: &str) {
        let mut at = self.folder.path().to_owned();
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        for part in &parts[..parts.len() - 1] {
            at.push(part);
            if !at.exists() {
                fs::create_dir(&at).unwrap();
                fs::set_permissions(&at, fs::Permissions::from_mode(0o755)).unwrap();
            }
        }
    }

    /// Gives a file, which is made if it is not there, these permissions.
    pub(super) fn mode(self, path: &str, mode: u32) -> Self {
        let host = if self.at(path).exists() {
            self
        } else {
            self.file(path, "")
        };
        fs::set_permissions(host.at(path), fs::Permissions::from_mode(mode)).unwrap();
        host
    }

    /// A folder with these permissions.
    pub(super) fn folder(self, path: &str, mode: u32) -> Self {
        self.folders(path);
        fs::create_dir_all(self.at(path)).unwrap();
        fs::set_permissions(self.at(path), fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    /// Gives a file to a user and a group.
    pub(super) fn owner(mut self, path: &str, user: u32, group: u32) -> Self {
        self.owners.insert(path.to_owned(), (user, group));
        self
    }

    /// A link.
    pub(super) fn link(self, path: &str, target: &str) -> Self {
        self.folders(path);
        let at = self.at(path);
        if at.is_symlink() {
            fs::remove_file(&at).unwrap();
        }
        symlink(target, at).unwrap();
        self
    }

    /// Makes a file as old as that, in days before the look.
    pub(super) fn days_old(self, path: &str, days: u64) -> Self {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs());
        let file = fs::File::open(self.at(path)).unwrap();
        file.set_modified(now - Duration::from_secs(days * 86_400))
            .unwrap();
        self
    }

    /// Adds lines to a file.
    pub(super) fn more(self, path: &str, lines: &str) -> Self {
        let text = fs::read_to_string(self.at(path)).unwrap_or_default();
        self.file(path, text + lines)
    }

    /// A process that can do little: it was started an hour after the host was.
    pub(super) fn process(self, id: u32, name: &str, user: u32) -> Self {
        let status = format!(
            "Name:\t{name}\nPPid:\t1\nUid:\t{user}\t{user}\t{user}\t{user}\nGid:\t{user}\t{user}\t{user}\t{user}\n\
             Groups:\t\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n"
        );
        let fields = (0..18).map(|_| " 0").collect::<String>();
        self.file(&format!("/proc/{id}/status"), status)
            .file(
                &format!("/proc/{id}/stat"),
                format!("{id} ({name}) S{fields} 360000 0\n"),
            )
            .file(&format!("/proc/{id}/environ"), "LANG=C\0")
            .file(
                &format!("/proc/{id}/limits"),
                "Max core file size        0       0     bytes\n",
            )
            .file(
                &format!("/proc/{id}/maps"),
                "7f00-7f01 r-xp 00000000 fe:01 7 /usr/lib/libc.so.6\n",
            )
            .file(&format!("/proc/{id}/cmdline"), format!("{name}\0"))
            .folder(&format!("/proc/{id}/fd"), 0o755)
            .link(&format!("/proc/{id}/exe"), &format!("/usr/bin/{name}"))
    }

    /// How a process was called.
    pub(super) fn arguments(self, id: u32, arguments: &str) -> Self {
        let arguments = arguments.split(' ').map(|word| format!("{word}\0"));
        self.file(
            &format!("/proc/{id}/cmdline"),
            arguments.collect::<String>(),
        )
    }

    /// Another line in a process's status.
    pub(super) fn status(self, id: u32, key: &str, value: &str) -> Self {
        let path = format!("/proc/{id}/status");
        let text = fs::read_to_string(self.at(&path)).unwrap();
        let lines = text
            .lines()
            .filter(|line| !line.starts_with(&format!("{key}:")));
        let kept = lines.collect::<Vec<_>>().join("\n");
        self.file(&path, format!("{kept}\n{key}:\t{value}\n"))
    }

    /// A socket on which a process listens: `0.0.0.0:22`.
    pub(super) fn listens(self, address: &str, id: u32) -> Self {
        let (ip, port) = address.rsplit_once(':').unwrap();
        let ip: std::net::Ipv4Addr = ip.parse().unwrap();
        let word = u32::from_ne_bytes(ip.octets());
        let port: u16 = port.parse().unwrap();
        let inode = 4000 + u32::from(port);
        self.more(
            "/proc/net/tcp",
            &format!("   0: {word:08X}:{port:04X} 00000000:0000 0A 0:0 00:0 0 0 0 {inode} 1\n"),
        )
        .link(
            &format!("/proc/{id}/fd/{port}"),
            &format!("socket:[{inode}]"),
        )
    }

    /// What a program says when it is called like this.
    pub(super) fn says(mut self, line: &str, output: &str) -> Self {
        self.told.insert(line.to_owned(), output.to_owned());
        self
    }

    /// A VM that libvirt has defined, with these devices.
    pub(super) fn defined(self, devices: &str) -> Self {
        self.file(
            "/etc/libvirt/qemu/web.xml",
            format!("<domain type='kvm'><name>web</name><devices>{devices}</devices></domain>"),
        )
    }

    /// A policy with one pool and these lines besides.
    pub(super) fn policy(self, lines: &str) -> Self {
        let pool = "[[pools]]\nname = 'disks'\npath = '/srv/disks'\n";
        self.file(
            "/etc/hyper-nixos/host-policy.toml",
            format!("{lines}\n{pool}"),
        )
    }

    /// hvd says something else.
    pub(super) fn hvd(mut self, change: impl FnOnce(&mut Hvd)) -> Self {
        change(&mut self.hvd);
        self
    }

    /// hvd's health has a check that came out like this.
    pub(super) fn health(self, id: &str, status: CheckStatus) -> Self {
        self.hvd(|hvd| {
            hvd.health.as_mut().unwrap().checks.push(HealthCheck {
                id: id.into(),
                status,
                observed: "it was seen".into(),
                why: String::new(),
                fixes: Vec::new(),
            });
        })
    }

    /// hvd's API has this path, too.
    pub(super) fn offers(self, path: &str) -> Self {
        self.hvd(|hvd| {
            hvd.paths.as_mut().unwrap().insert(path.into());
        })
    }

    /// hvd has a VM that runs, with so much memory.
    pub(super) fn vm(self, memory: &str) -> Self {
        let vm: VmSummary = from(json!({
            "id": "0198c1f0-1111-7222-8333-444455556666", "name": "web", "managed": "managed",
            "state": "running", "since": "2026-05-01T00:00:00Z", "cpus": 1, "memory": memory,
            "autostart": false, "generation": 1,
        }));
        self.hvd(|hvd| hvd.vms.as_mut().unwrap().push(vm))
    }

    /// The host as checks see it.
    pub(super) fn seen(self) -> (TempDir, System) {
        let root = Root::laid_out(self.folder.path(), self.owners);
        let now = Timestamp::from_second(NOW).unwrap();
        (
            self.folder,
            System::look(root, Programs::Told(self.told), self.hvd, now),
        )
    }
}

/// A value from its JSON.
pub(super) fn from<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}
