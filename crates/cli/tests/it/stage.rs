// SPDX-License-Identifier: GPL-3.0-or-later
//! A daemon behind its socket, and the program that is run against it.

use std::{
    io::{Seek, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::Arc,
};

use hv_model::{
    access::{Grant, Role, Scope},
    id::VmId,
    vm::VmState,
};
use hvd::{
    App, Parts,
    config::{AccessConfig, AuditConfig, Config, Listen, SyslogSocket, Tls},
    http::{Ending, Server},
    sim::SimulatedHost,
};
use tempfile::TempDir;
use tokio::{runtime::Runtime, sync::watch};

/// A daemon on a simulated host.
pub(crate) struct Stage {
    pub(crate) host: Arc<SimulatedHost>,
    app: App,
    /// Where it is reached over TLS, and the fingerprint of its certificate.
    pub(crate) tls: Option<(SocketAddr, String)>,
    folder: TempDir,
    ending: watch::Sender<bool>,
    runtime: Option<Runtime>,
}

/// What a run of the program came to.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A grant that lets whoever runs the tests do everything, root or not.
fn whoever_runs_this() -> Grant {
    let output = std::process::Command::new("id")
        .arg("-un")
        .output()
        .unwrap();
    let name = String::from_utf8(output.stdout).unwrap();
    Grant {
        name: "tester".parse().unwrap(),
        to: format!("user:{}", name.trim()).parse().unwrap(),
        role: Role::Admin,
        on: Scope::Everything,
        until: None,
    }
}

impl Stage {
    /// One that has seen its host.
    pub(crate) fn set() -> Self {
        Self::served(None)
    }

    /// One that is reached over TLS, too.
    pub(crate) fn set_over_tls() -> Self {
        Self::served(Some(Listen {
            tls: Some(Tls::SelfMade),
            ..Listen::at("127.0.0.1:0".parse().unwrap())
        }))
    }

    fn served(listen: Option<Listen>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let host = Arc::new(SimulatedHost::new(1));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let config = Config {
            state_dir: folder.path().to_owned(),
            socket: folder.path().join("hvd.sock"),
            audit: AuditConfig {
                syslog: SyslogSocket::None,
                ..AuditConfig::default()
            },
            access: AccessConfig {
                grants: vec![whoever_runs_this()],
                ..AccessConfig::default()
            },
            listen,
            ..Config::default()
        };
        let (ending, ends) = watch::channel(false);
        let (app, tls) = runtime.block_on(async {
            let parts = Parts::new(config.clone(), Arc::clone(&host) as _, "boot-1".to_owned());
            let app = App::start(parts).unwrap();
            let server = Server::listen(&config).await.unwrap();
            let tls = server.tcp_address().zip(server.fingerprint());
            tokio::spawn(server.serve(app.clone(), Ending::new(ends)));
            (app, tls)
        });
        let stage = Self {
            host,
            app,
            tls,
            folder,
            ending,
            runtime: Some(runtime),
        };
        stage.until(|snapshot| snapshot.freshness.live && snapshot.host.is_some());
        stage
    }

    /// Waits until what the daemon knows is like that.
    pub(crate) fn until(&self, is_so: impl Fn(&hvd::store::Snapshot) -> bool) {
        let mut changed = self.app.inventory.changed();
        self.runtime.as_ref().unwrap().block_on(async {
            while !is_so(&self.app.inventory.snapshot()) {
                changed.changed().await.unwrap();
            }
        });
    }

    /// A folder for files of the test.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("hvd.sock")
    }

    /// The program with these arguments, which are separated by spaces.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = program();
        command
            .env("HV_SOCKET", self.socket())
            .env("XDG_CONFIG_HOME", self.folder().join("configuration"))
            .current_dir(self.folder())
            .args(arguments.split(' ').filter(|argument| !argument.is_empty()));
        command
    }

    /// Runs the program to its end.
    pub(crate) fn hv(&self, arguments: &str) -> Run {
        run(self.command(arguments).stdin(Stdio::null()))
    }

    /// Runs the program to its end, with this on its standard input.
    pub(crate) fn told(&self, arguments: &str, input: &str) -> Run {
        let mut typed = tempfile::tempfile().unwrap();
        typed.write_all(input.as_bytes()).unwrap();
        typed.rewind().unwrap();
        run(self.command(arguments).stdin(typed))
    }

    /// Runs the program, which must do what is asked, and gives what it printed.
    pub(crate) fn done(&self, arguments: &str) -> String {
        let run = self.hv(arguments);
        assert_eq!(
            (run.code, run.err.as_str()),
            (0, ""),
            "hv {arguments}: {run:?}"
        );
        run.out
    }

    /// The id of a VM of the host.
    pub(crate) fn id(&self, name: &str) -> VmId {
        let mut vms = self.host.all_vms().into_iter();
        vms.find(|(_, known, _)| known == name).unwrap().0
    }

    /// The state of a VM of the host.
    pub(crate) fn state(&self, name: &str) -> VmState {
        let mut vms = self.host.all_vms().into_iter();
        vms.find(|(_, known, _)| known == name).unwrap().2
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.ending.send_replace(true);
        self.app.end();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The program without a daemon.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hv"));
    command
        .env_remove("COMPLETE")
        .env_remove("HV_SOCKET")
        .env_remove("HV_HOST")
        .env("TZ", "UTC")
        .env("NO_COLOR", "1");
    command
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Run {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    Run {
        code: status.code().unwrap_or(-1),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}

/// A table's columns between which there are two spaces or more, without those that tell times.
pub(crate) fn cells(line: &str) -> Vec<&str> {
    line.split("  ")
        .map(str::trim)
        .filter(|cell| !cell.is_empty())
        .collect()
}
