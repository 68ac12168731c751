// SPDX-License-Identifier: GPL-3.0-or-later
//! A private host with a broker in front of it.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, mpsc::Receiver},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use hv_broker::{Broker, Judging};
use hv_model::hypervisor::{Fact, Hypervisor};
use hv_port::{Client, Server, SocketOwner, Stop};
use tempfile::TempDir;

/// libvirt in namespaces of its own, and a broker that serves it.
pub(crate) struct TestHost {
    pub(crate) client: Client,
    stop: Stop,
    server: Option<JoinHandle<()>>,
    holder: Child,
    values: BTreeMap<String, String>,
    folder: TempDir,
}

/// Whether tests on real hosts are to be left out.
pub(crate) fn is_skipped() -> bool {
    let skipped = std::env::var_os("HV_SKIP_REAL").is_some_and(|value| value == "1");
    if skipped {
        eprintln!("left out, since HV_SKIP_REAL is 1");
    }
    skipped
}

impl TestHost {
    /// Starts a host, and a broker with the usual policy.
    pub(crate) fn start() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("hv-broker-")
            .tempdir()
            .unwrap();
        // QEMU runs as another user and has to reach its disks.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let mut holder = script("host.sh")
            .arg("hold")
            .arg(folder.path().join("host"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(holder.stdout.take().unwrap());
        let mut values = BTreeMap::new();
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
            "no private host started; it needs root, libvirt and QEMU (HV_SKIP_REAL=1 leaves these tests out)"
        );
        let pools = &values["POOL_DIR"];
        let policy = folder.path().join("policy.toml");
        let text = format!(
            "networks = ['default']\n\
             [[pools]]\nname = 'disks'\npath = '{pools}/disks'\npurpose = 'disks'\n\
             [[pools]]\nname = 'images'\npath = '{pools}/images'\npurpose = 'images'\n\
             [limits]\nvcpus = 4\nmemory = '1 GiB'\ndisk = '2 GiB'\n"
        );
        fs::write(&policy, text).unwrap();
        let broker = Broker::new(&values["LIBVIRT_URI"], &policy, Judging::by_policy()).unwrap();
        let socket = folder.path().join("broker.sock");
        let user = rustix::process::geteuid().as_raw();
        let server = Server::bind(&socket, [user].into(), SocketOwner::default()).unwrap();
        let stop = server.stopper();
        let host: Arc<dyn Hypervisor> = Arc::new(broker);
        let server = Some(thread::spawn(move || server.run(&host).unwrap()));
        let client = Client::new(&socket);
        Self {
            client,
            stop,
            server,
            holder,
            values,
            folder,
        }
    }

    /// The policy's file.
    pub(crate) fn policy(&self) -> PathBuf {
        self.folder.path().join("policy.toml")
    }

    /// A folder for other things; it goes with the host.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where the pools are.
    pub(crate) fn pools(&self) -> PathBuf {
        self.values["POOL_DIR"].clone().into()
    }

    /// Does something to libvirtd: `stop`, `start`, `kill`, `freeze` or `thaw`.
    pub(crate) fn libvirtd(&self, verb: &str) {
        let state = self.folder.path().join("host");
        let status = script("host.sh")
            .arg("libvirtd")
            .arg(state)
            .arg(verb)
            .status();
        assert!(status.unwrap().success(), "libvirtd {verb} failed");
    }

    /// Runs a command inside the host's namespaces.
    pub(crate) fn exec(&self, command: &[&str]) {
        let state = self.folder.path().join("host");
        let status = script("host.sh")
            .arg("exec")
            .arg(state)
            .args(command)
            .status();
        assert!(status.unwrap().success(), "{command:?} failed");
    }

    /// Runs virsh, as somebody would who does not know of us.
    pub(crate) fn virsh(&self, arguments: &[&str]) -> String {
        let command = Command::new("virsh")
            .args(["-q", "-c", &self.values["LIBVIRT_URI"]])
            .args(arguments)
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&command.stderr);
        assert!(command.status.success(), "virsh {arguments:?}: {error}");
        String::from_utf8_lossy(&command.stdout).into_owned()
    }
}

impl Drop for TestHost {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(server) = self.server.take() {
            let _ = server.join();
        }
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
        let state = self.folder.path().join("host");
        let _ = script("host.sh")
            .arg("purge")
            .arg(state)
            .stdout(Stdio::null())
            .status();
    }
}

/// A script of the repository.
pub(crate) fn script(name: &str) -> Command {
    Command::new(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../scripts")
            .join(name),
    )
}

/// The demo image that boots in seconds.
pub(crate) fn demo_image() -> PathBuf {
    let output = script("guest.sh")
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "scripts/guest.sh failed");
    let text = String::from_utf8(output.stdout).unwrap();
    let path = text
        .lines()
        .find_map(|line| line.strip_prefix("DEMO_IMAGE="));
    path.unwrap().into()
}

/// Reads facts until one fits; fails after two minutes.
pub(crate) fn wait_for<T>(
    facts: &Receiver<Fact>,
    what: &str,
    mut fits: impl FnMut(&Fact) -> Option<T>,
) -> T {
    let begun = Instant::now();
    let mut seen = Vec::new();
    while begun.elapsed() < Duration::from_secs(120) {
        let fact = facts
            .recv_timeout(Duration::from_secs(10))
            .expect("facts flow");
        if let Some(found) = fits(&fact) {
            return found;
        }
        if fact != Fact::Alive {
            seen.push(fact);
        }
    }
    panic!("no fact says: {what}; seen: {seen:#?}");
}
