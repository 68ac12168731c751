// SPDX-License-Identifier: GPL-3.0-or-later
//! A private host with real libvirt and QEMU.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::{
    repository,
    users::{self, BROKER, is_root},
};

/// libvirt in namespaces of its own. It ends when this value, or the process, does.
pub struct PrivateHost {
    holder: Child,
    values: BTreeMap<String, String>,
    folder: TempDir,
}

impl PrivateHost {
    /// Starts a host and waits until libvirt answers: to the broker's user, and root.
    pub fn start() -> Self {
        Self::start_with(None)
    }

    /// Starts a host whose libvirt judges every call by polkit, by these rules. Who is to be judged
    /// must run inside, since polkit looks their process up.
    pub fn start_judging(rules: &str) -> Self {
        Self::start_with(Some(rules))
    }

    fn start_with(rules: Option<&str>) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("hv-e2e-")
            .tempdir()
            .expect("a folder");
        Self::open_to_qemu(folder.path());
        let state = folder.path().join("host");
        let mut script = script();
        if is_root() {
            script.env("HOST_SOCKET_GROUP", BROKER.id.to_string());
        }
        if let Some(rules) = rules {
            let file = folder.path().join("polkit.rules");
            std::fs::write(&file, rules).expect("our own folder");
            script.env("HOST_POLKIT_RULES", file);
        }
        let mut holder = script
            .env("HOST_PASSWD", users::passwd())
            .env("HOST_GROUPS", users::group())
            .arg("hold")
            .arg(&state)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("scripts/host.sh runs");
        let mut values = BTreeMap::new();
        let output = BufReader::new(holder.stdout.take().expect("it was piped"));
        for line in output.lines().map_while(Result::ok) {
            if let Some((name, value)) = line.split_once('=') {
                values.insert(name.to_owned(), value.to_owned());
            }
            if values.contains_key("PID") {
                break;
            }
        }
        assert!(
            values.contains_key("PID"),
            "the private host did not start: {values:?}"
        );
        Self {
            holder,
            values,
            folder,
        }
    }

    /// QEMU runs as another user and has to reach its disks.
    fn open_to_qemu(folder: &Path) {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).expect("our own");
    }

    /// The libvirt URI for clients outside.
    pub fn libvirt_uri(&self) -> &str {
        self.value("LIBVIRT_URI")
    }

    /// The libvirt URI for those inside.
    pub const URI_INSIDE: &str = "qemu:///system";

    /// Where pools may lie.
    pub fn pools(&self) -> PathBuf {
        self.value("POOL_DIR").into()
    }

    /// A folder for what else belongs to this host; it goes with it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Does something to libvirtd: `stop`, `start`, `kill`, `freeze` or `thaw`.
    pub fn libvirtd(&self, verb: &str) {
        let status = script()
            .arg("libvirtd")
            .arg(self.state())
            .arg(verb)
            .status();
        assert!(
            status.expect("scripts/host.sh runs").success(),
            "libvirtd {verb} failed"
        );
    }

    /// Runs virsh on this host, as somebody would who does not know of us.
    pub fn virsh(&self, arguments: &[&str]) -> String {
        let output = Command::new("virsh")
            .args(["-q", "-c", self.libvirt_uri()])
            .args(arguments)
            .output()
            .expect("virsh is installed");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "virsh {arguments:?}: {error}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The start of a command that runs inside the host's namespaces.
    pub fn inside(&self) -> Command {
        let mut command = script();
        command.arg("exec").arg(self.state());
        command
    }

    /// Runs a command inside the host's namespaces.
    pub fn exec(&self, command: &[&str]) -> String {
        let output = self.inside().args(command).output();
        let output = output.expect("scripts/host.sh runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The folder of the host's own state.
    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("host")
    }

    fn value(&self, name: &str) -> &str {
        self.values
            .get(name)
            .unwrap_or_else(|| panic!("the private host did not print {name}"))
    }
}

impl Drop for PrivateHost {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
        let _ = script()
            .arg("purge")
            .arg(self.state())
            .stdout(Stdio::null())
            .status();
    }
}

fn script() -> Command {
    Command::new(repository().join("scripts/host.sh"))
}
