// SPDX-License-Identifier: GPL-3.0-or-later
//! A host with what must stay out of reach.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::PathBuf,
    process::Command,
};

use hv_e2e::{PrivateHost, policy};
use serde_json::Value;

use super::ways::Reach;

/// A host with a pool, a file that is root's alone, and a folder that is.
pub(crate) struct Place {
    pub(crate) host: PrivateHost,
}

impl Place {
    pub(crate) fn on(host: PrivateHost) -> Self {
        let place = Self { host };
        for folder in ["hyper-disks", "hyper-images"] {
            let folder = place.host.pools().join(folder);
            fs::create_dir_all(&folder).unwrap();
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o711)).unwrap();
        }
        fs::create_dir_all(place.cellar()).unwrap();
        fs::set_permissions(place.cellar(), fs::Permissions::from_mode(0o700)).unwrap();
        place.make_canary();
        place
    }

    pub(super) fn guarded() -> Self {
        let place = Self::on(PrivateHost::start());
        place.host.set_policy(&policy(&place.host.pools()));
        place
    }

    /// A file that only root may read.
    pub(crate) fn canary(&self) -> PathBuf {
        self.host.folder().join("canary")
    }

    /// A folder that only root may enter.
    pub(crate) fn cellar(&self) -> PathBuf {
        self.host.folder().join("cellar")
    }

    pub(super) fn disk(&self, name: &str) -> PathBuf {
        self.host.pools().join("hyper-disks").join(name)
    }

    pub(crate) fn make_canary(&self) {
        fs::write(self.canary(), vec![b'c'; 1 << 20]).unwrap();
        fs::set_permissions(self.canary(), fs::Permissions::from_mode(0o600)).unwrap();
        chown(self.canary(), Some(0), Some(0)).unwrap();
        let _ = fs::remove_file(self.cellar().join("made"));
    }

    /// Whether the canary is root's alone, as it was made.
    pub(crate) fn canary_is_safe(&self) -> bool {
        let status = fs::metadata(self.canary()).unwrap();
        status.uid() == 0 && status.gid() == 0 && status.mode() & 0o7777 == 0o600
    }

    pub(crate) fn define(&self, name: &str, xml: &str) {
        let file = self.host.folder().join("domain.xml");
        fs::write(&file, xml).unwrap();
        self.host.virsh(&["define", &file.to_string_lossy()]);
        assert!(xml.contains(name));
    }

    /// A disk in the pool; its path.
    pub(super) fn make_disk(&self, name: &str) -> String {
        let path = self.disk(name).display().to_string();
        let format = name.rsplit('.').next().unwrap();
        let made = Command::new("qemu-img")
            .args(["create", "-q", "-f", format, &path, "1M"])
            .status();
        assert!(made.expect("qemu-img is installed").success());
        path
    }

    /// A path in the host's folder.
    pub(super) fn at(&self, name: &str) -> String {
        self.host.folder().join(name).display().to_string()
    }

    /// Starts a domain that is not defined.
    pub(super) fn try_create(&self, xml: &str) -> Result<String, String> {
        let file = self.at("domain.xml");
        fs::write(&file, xml).unwrap();
        self.host.try_virsh(&["create", &file])
    }

    /// What the guard has on record.
    pub(super) fn record(&self) -> Vec<Value> {
        let text = self
            .host
            .exec(&["sh", "-c", "cat /run/hv-guard/refusals.jsonl 2>&-"]);
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    pub(super) fn proc(&self, name: &str, file: &str) -> String {
        let look = format!("tr '\\0' ' ' </proc/$(cat '/run/libvirt/qemu/{name}.pid')/{file}");
        self.host.exec(&["sh", "-c", &look])
    }

    pub(crate) fn runs_as_root(&self, name: &str) -> bool {
        let status = self.proc(name, "status");
        let user = status.lines().find_map(|line| line.strip_prefix("Uid:"));
        user.is_some_and(|users| users.split_whitespace().all(|user| user == "0"))
    }

    pub(super) fn is_reached(&self, name: &str, reach: &Reach) -> bool {
        match reach {
            Reach::Canary => !self.canary_is_safe(),
            Reach::MakesFile => {
                let made = fs::metadata(self.cellar().join("made"));
                made.is_ok_and(|status| status.uid() == 0)
            }
            Reach::RunsAsRoot => self.runs_as_root(name),
            Reach::CommandLine(words) => self.proc(name, "cmdline").contains(words),
            Reach::Absent => false,
        }
    }
}

/// A small VM with this in its `<os>` and among its devices.
pub(crate) fn domain(name: &str, os: &str, devices: &str) -> String {
    format!(
        "<domain type='qemu'><name>{name}</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>\
         <os><type arch='x86_64' machine='q35'>hvm</type>{os}</os>\
         <devices>{devices}</devices></domain>"
    )
}

/// A small VM with a disk in this file.
pub(crate) fn disk(name: &str, path: &str, format: &str) -> String {
    let disk = format!(
        "<disk type='file' device='disk'><driver name='qemu' type='{format}'/>\
         <source file='{path}'/><target dev='vda' bus='virtio'/></disk>"
    );
    domain(name, "", &disk)
}
