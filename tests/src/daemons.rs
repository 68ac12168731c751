// SPDX-License-Identifier: GPL-3.0-or-later
//! `hv-broker` and `hvd` as they are shipped, on a private host.

use std::{
    fs::{self, File},
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{
    PrivateHost, binary, repository,
    users::{BROKER, HVD, USERS_GROUP, User, is_root, reachable},
    wait_for,
};

/// The product on a private host.
pub struct Daemons {
    broker: Option<Child>,
    hvd: Option<Child>,
    folder: PathBuf,
    place: Place,
}

/// Where the processes of the product run.
#[derive(Debug, Clone)]
enum Place {
    /// Beside the host, whose libvirt they reach by its socket.
    Outside,
    /// In its namespaces: among its users and processes. Holds the host's own folder.
    Inside(PathBuf),
}

/// What a command came to.
#[derive(Debug)]
pub struct Outcome {
    /// Its exit code.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it complained.
    pub stderr: String,
}

impl Outcome {
    /// What a command printed that succeeded.
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}\n{}", self.stdout, self.stderr);
        self.stdout
    }

    /// What a command complained that ended with this code.
    pub fn fails_with(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        self.stderr
    }
}

impl Daemons {
    /// Starts both, as users of their own, and waits until the host can be seen.
    pub fn start(host: &PrivateHost) -> Self {
        Self::start_with(host, Place::Outside, host.libvirt_uri(), "", "")
    }

    /// The same inside the host, with this added to the broker's configuration.
    pub fn start_inside(host: &PrivateHost, broker: &str) -> Self {
        Self::start_inside_with(host, broker, "")
    }

    /// The same with this added to the end of hvd's configuration.
    pub fn start_inside_with(host: &PrivateHost, broker: &str, hvd: &str) -> Self {
        let place = Place::Inside(host.state());
        Self::start_with(host, place, PrivateHost::URI_INSIDE, broker, hvd)
    }

    fn start_with(
        host: &PrivateHost,
        place: Place,
        libvirt_uri: &str,
        broker: &str,
        hvd: &str,
    ) -> Self {
        let folder = host.folder().join("product");
        fs::create_dir_all(&folder).expect("our own folder");
        let pools = host.pools();
        let at = folder.display();
        let write = |name: &str, text: String| fs::write(folder.join(name), text).expect("our own");
        let policy = policy(&pools);
        host.set_policy(&policy);
        write("policy.toml", policy);
        let served = if is_root() {
            format!("allow_users = [{0}]\nsocket_group = {0}\n", HVD.id)
        } else {
            String::new()
        };
        let (people, grantee) = match &place {
            Place::Outside => (String::new(), format!("user:{}", own_name())),
            Place::Inside(_) => (
                format!("socket_group = \"{USERS_GROUP}\"\n"),
                format!("group:{USERS_GROUP}"),
            ),
        };
        write(
            "broker.toml",
            format!(
                "socket = \"{at}/broker/broker.sock\"\nlibvirt_uri = \"{libvirt_uri}\"\n\
                 policy = \"{at}/policy.toml\"\nrefusals = \"{}\"\n{served}{broker}",
                host.refusals().display()
            ),
        );
        write(
            "hvd.toml",
            format!(
                "state_dir = \"{at}/state\"\nsocket = \"{at}/hvd/hvd.sock\"\n\
                 broker_socket = \"{at}/broker/broker.sock\"\n{people}\
                 [audit]\nsyslog = \"none\"\n\
                 [[access.grants]]\nname = \"tests\"\nto = \"{grantee}\"\nrole = \"admin\"\n\
                 {hvd}"
            ),
        );
        for (name, user, mode) in [
            ("state", HVD, 0o700),
            ("hvd", HVD, 0o755),
            ("broker", BROKER, 0o755),
        ] {
            let path = folder.join(name);
            fs::create_dir_all(&path).expect("our own folder");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("our own folder");
            if is_root() {
                chown(&path, Some(user.id), Some(user.id)).expect("root may");
            }
        }
        let mut daemons = Self {
            broker: None,
            hvd: None,
            folder,
            place,
        };
        daemons.start_broker();
        daemons.start_hvd();
        daemons
    }

    /// Starts the broker.
    pub fn start_broker(&mut self) {
        self.broker = Some(self.spawn("hv-broker", BROKER, "broker.toml"));
    }

    /// Starts hvd, and waits until it hears the host.
    pub fn start_hvd(&mut self) {
        self.launch_hvd();
        wait_for("hvd to hear the host", || {
            (self.hv(&[]).code == Some(0) && self.is_live()).then_some(())
        });
    }

    /// Starts hvd, and waits for nothing.
    pub fn launch_hvd(&mut self) {
        self.hvd = Some(self.spawn("hvd", HVD, "hvd.toml"));
    }

    /// Kills the broker, as the kernel does when memory runs out.
    pub fn kill_broker(&mut self) {
        kill(self.broker.take());
    }

    /// Kills hvd, as the kernel does when memory runs out.
    pub fn kill_hvd(&mut self) {
        kill(self.hvd.take());
    }

    /// The process id of hvd.
    pub fn hvd_pid(&self) -> u32 {
        self.hvd.as_ref().expect("hvd runs").id()
    }

    /// The process id of the broker.
    pub fn broker_pid(&self) -> u32 {
        self.broker.as_ref().expect("the broker runs").id()
    }

    /// Runs `hv` with these arguments.
    pub fn hv(&self, arguments: &[&str]) -> Outcome {
        outcome(self.command(arguments))
    }

    /// Runs `hv` with these arguments as this user, where the daemons run.
    pub fn hv_as(&self, user: User, arguments: &[&str]) -> Outcome {
        let socket = format!("HV_SOCKET={}", self.socket().display());
        let mut command = self.place.command(user.prefix());
        command
            .args(["env", &socket, "NO_COLOR=1", "HOME=/nonexistent"])
            .arg(reachable(&binary("hv"), &self.folder))
            .args(arguments)
            .current_dir("/")
            .stdin(Stdio::null());
        outcome(command)
    }

    /// `hv` with these arguments, not yet run.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary("hv"));
        command
            .args(arguments)
            .env("HV_SOCKET", self.socket())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }

    /// What `hv … --json` printed.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let text = self.hv(&[arguments, &["--json"]].concat()).ok();
        serde_json::from_str(&text).unwrap_or_else(|fault| panic!("{fault}: {text}"))
    }

    /// Whether the host is being listened to.
    pub fn is_live(&self) -> bool {
        let overview = self.json(&[]);
        overview.pointer("/freshness/live") == Some(&Value::Bool(true))
    }

    /// hvd's socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("hvd/hvd.sock")
    }

    /// The broker's socket.
    pub fn broker_socket(&self) -> PathBuf {
        self.folder.join("broker/broker.sock")
    }

    /// The folder with hvd's state, sockets, configuration and logs.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Adds the demo image, which boots to an answering agent, under this name.
    pub fn add_demo_image(&self, name: &str) {
        let image = guest_image("DEMO_IMAGE");
        self.hv(&["image", "add", name, &image.to_string_lossy()])
            .ok();
    }

    /// Adds an image whose guest heeds nothing, under this name.
    pub fn add_deaf_image(&self, name: &str) {
        let image = guest_image("DEAF_IMAGE");
        self.hv(&["image", "add", name, &image.to_string_lossy()])
            .ok();
    }

    /// Waits until a VM's guest agent is connected.
    pub fn wait_for_agent(&self, vm: &str) {
        wait_for("the guest agent", || {
            let shown = self.json(&["vm", "show", vm]);
            (shown.get("agent")? == "connected").then_some(())
        });
    }

    /// Waits until a VM is in this state.
    pub fn wait_for_state(&self, vm: &str, state: &str) {
        wait_for(&format!("{vm} to be {state}"), || {
            let shown = self.json(&["vm", "show", vm]);
            (shown.get("state")? == state).then_some(())
        });
    }

    fn spawn(&self, name: &str, user: User, config: &str) -> Child {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.join(format!("{name}.log")))
            .expect("our own folder");
        let mut prefix = if is_root() {
            user.prefix()
        } else {
            vec!["setpriv".to_owned(), "--pdeathsig=KILL".to_owned()]
        };
        // The one that reaches libvirt has no network.
        if user.id == BROKER.id && is_root() {
            prefix.splice(0..0, ["unshare".to_owned(), "--net".to_owned()]);
        }
        // Should this process be killed, the kernel ends the daemon.
        self.place
            .command(prefix)
            .arg(reachable(&binary(name), &self.folder))
            .arg("--config")
            .arg(self.folder.join(config))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("a binary of ours runs")
    }
}

impl Place {
    /// A command that begins with these words, run there.
    fn command(&self, words: Vec<String>) -> Command {
        let mut words = words.into_iter();
        let mut command = match self {
            Self::Outside => Command::new(words.next().expect("a command has a word")),
            Self::Inside(host) => {
                let mut command = Command::new("setpriv");
                let script = repository().join("scripts/host.sh");
                command
                    .arg("--pdeathsig=KILL")
                    .arg(script)
                    .arg("exec")
                    .arg(host);
                command
            }
        };
        command.args(words);
        command
    }
}

impl Drop for Daemons {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for name in ["hv-broker", "hvd"] {
                let log = fs::read_to_string(self.folder.join(format!("{name}.log")));
                eprintln!("--- {name}.log\n{}", log.unwrap_or_default());
            }
        }
        for mut child in [self.hvd.take(), self.broker.take()].into_iter().flatten() {
            if let Some(pid) = Pid::from_raw(i32::try_from(child.id()).unwrap_or(0)) {
                let _ = kill_process(pid, Signal::TERM);
            }
            let ended = (0..250).any(|_| {
                std::thread::sleep(Duration::from_millis(20));
                matches!(child.try_wait(), Ok(Some(_)))
            });
            if !ended {
                kill(Some(child));
            }
        }
    }
}

fn outcome(mut command: Command) -> Outcome {
    let output = command.output().expect("it runs");
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn kill(child: Option<Child>) {
    if let Some(mut child) = child {
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// The name of whoever runs the tests.
fn own_name() -> String {
    let output = Command::new("id").arg("-un").output().expect("id is there");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// What VMs on a host with pools in this folder may have.
pub fn policy(pools: &Path) -> String {
    format!(
        "networks = [\"default\"]\n\n\
         [[pools]]\nname = \"hyper-disks\"\npath = \"{pools}/hyper-disks\"\n\n\
         [[pools]]\nname = \"hyper-images\"\npath = \"{pools}/hyper-images\"\npurpose = \"images\"\n\n\
         [limits]\nvcpus = 8\nmemory = \"8 GiB\"\ndisk = \"2 TiB\"\n",
        pools = pools.display()
    )
}

/// A guest image, built if it is not there yet.
pub fn guest_image(name: &str) -> PathBuf {
    let output = Command::new(repository().join("scripts/guest.sh"))
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("scripts/guest.sh did not print {name}: {text}"))
        .into()
}
