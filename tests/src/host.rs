// SPDX-License-Identifier: GPL-3.0-or-later
//! A private host with real libvirt and QEMU.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::{
    binary, repository,
    users::{self, BROKER, is_root},
    wait_for,
};

/// libvirt in namespaces of its own. It ends when this value, or the process, does.
pub struct PrivateHost {
    holder: Child,
    values: BTreeMap<String, String>,
    folder: TempDir,
}

/// Who reaches libvirt, besides root.
#[derive(PartialEq, Eq)]
enum Reach {
    Broker,
    /// Everybody in the group that distributions make for that.
    ItsGroup,
}

/// How a host is to be.
struct Setup<'a> {
    hook: bool,
    reach: Reach,
    /// Lines before the others of `libvirtd.conf`.
    conf: &'a str,
    /// By which libvirt judges every call.
    rules: Option<&'a str>,
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Self {
            hook: true,
            reach: Reach::Broker,
            conf: "",
            rules: None,
        }
    }
}

impl PrivateHost {
    /// Starts a host whose libvirt asks `hv-guard` and answers nobody but the broker's user and
    /// root, and waits until it does.
    ///
    /// Nothing may run on it before it has a policy.
    pub fn start() -> Self {
        Self::launch(&Setup::default())
    }

    /// The same without the hook: what it alone refuses runs here.
    pub fn start_without_hook() -> Self {
        Self::launch(&Setup {
            hook: false,
            ..Setup::default()
        })
    }

    /// A host as distributions set libvirt up: without the hook, and open to a group of its own.
    pub fn start_as_distributed() -> Self {
        Self::launch(&Setup {
            hook: false,
            reach: Reach::ItsGroup,
            ..Setup::default()
        })
    }

    /// A host with these lines before the others of `libvirtd.conf`.
    pub fn start_with_conf(lines: &str) -> Self {
        Self::launch(&Setup {
            conf: lines,
            ..Setup::default()
        })
    }

    /// Starts a host whose libvirt judges every call by polkit, by these rules. Who is to be judged
    /// must run inside, since polkit looks their process up.
    pub fn start_judging(rules: &str) -> Self {
        Self::launch(&Setup {
            rules: Some(rules),
            ..Setup::default()
        })
    }

    /// Takes the hook away, and lets libvirt see that.
    pub fn remove_hook(&self) {
        self.exec(&["rm", "-r", "/etc/libvirt/hooks"]);
        self.libvirtd("stop");
        self.libvirtd("start");
        wait_for("libvirt to answer", || self.try_virsh(&["version"]).ok());
    }

    fn launch(setup: &Setup<'_>) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("hv-e2e-")
            .tempdir()
            .expect("a folder");
        Self::open_to_qemu(folder.path());
        let state = folder.path().join("host");
        let mut script = script();
        if setup.hook {
            script.env("HOST_HOOK", binary("hv-guard"));
        }
        if setup.reach == Reach::Broker && is_root() {
            script.env("HOST_SOCKET_GROUP", BROKER.id.to_string());
        }
        if let Some(rules) = setup.rules {
            let file = folder.path().join("polkit.rules");
            std::fs::write(&file, rules).expect("our own folder");
            script.env("HOST_POLKIT_RULES", file);
        }
        let mut holder = script
            .env("HOST_LIBVIRTD_CONF", setup.conf)
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

    /// Where the hook leaves what it refused.
    pub fn refusals(&self) -> PathBuf {
        self.value("REFUSALS").into()
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

    /// Makes this the policy of the hook.
    pub fn set_policy(&self, text: &str) {
        let mut child = script()
            .arg("policy")
            .arg(self.state())
            .stdin(Stdio::piped())
            .spawn()
            .expect("scripts/host.sh runs");
        let mut input = child.stdin.take().expect("it was piped");
        input.write_all(text.as_bytes()).expect("it reads");
        drop(input);
        assert!(child.wait().expect("it ends").success());
    }

    /// Runs virsh on this host, as somebody would who does not know of us.
    pub fn virsh(&self, arguments: &[&str]) -> String {
        let done = self.try_virsh(arguments);
        done.unwrap_or_else(|error| panic!("virsh {arguments:?}: {error}"))
    }

    /// The same, where it may fail: what it printed, or complained.
    pub fn try_virsh(&self, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new("virsh")
            .args(["-q", "-c", self.libvirt_uri()])
            .args(arguments)
            .output()
            .expect("virsh is installed");
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
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
