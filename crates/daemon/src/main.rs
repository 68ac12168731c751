// SPDX-License-Identifier: GPL-3.0-or-later
//! The daemon's process: arguments, logs, signals.

use std::{
    fs, io,
    os::{fd::OwnedFd, unix::fs::DirBuilderExt},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use hv_port::{
    rights::{Finding, Process},
    service,
};
use hvd::{
    App, Parts, StartError,
    config::{Config, ConfigError},
    http::{Ending, ListenError, Server},
    monitor::rights,
    store::StoreError,
};
use rustix::{
    fs::{FlockOperation, Mode, OFlags},
    process::{Resource, Rlimit},
};
use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
    sync::watch,
};

const HELP: &str = "\
hvd, the daemon of Hyper-NixOS

Usage: hvd [--config FILE]
       hvd check-config FILE
       hvd --help | --version

Without a configuration file everything has its default. What is logged is chosen by HV_LOG,
such as HV_LOG=hvd=debug.
";

/// Threads that must not block. Reads are answered from memory, so few are plenty.
const WORKERS: usize = 2;
/// Threads that may block: for calls to the host, of which the engine has at most 64 at once, and
/// for reads of the store.
const BLOCKING_THREADS: usize = 80;
/// How long calls to the host may take to come back once the daemon ends.
const GRACE: Duration = Duration::from_millis(500);

/// What the daemon is asked to do.
enum Request {
    Run(Option<PathBuf>),
    CheckConfig(PathBuf),
    Help,
    Version,
}

/// Why the daemon ended.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}\n\n{HELP}")]
    Usage(String),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error("the runtime can't start: {0}")]
    Runtime(io::Error),
}

fn main() -> ExitCode {
    match request().and_then(answer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("hvd: {failure}");
            match failure {
                Failure::Usage(_) | Failure::Config(_) => ExitCode::from(2),
                Failure::Start(StartError::Store(StoreError::Damaged { path, .. })) => {
                    let path = path.display();
                    eprintln!(
                        "\nMove {path} away and start hvd again: what VMs there are, and what they \
                         are made of, is then read from libvirt. What only the database knew is \
                         lost: the trash, past operations and events."
                    );
                    ExitCode::FAILURE
                }
                _ => ExitCode::FAILURE,
            }
        }
    }
}

fn request() -> Result<Request, Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] => Ok(Request::Run(None)),
        ["--config", file] => Ok(Request::Run(Some(file.into()))),
        ["check-config", file] => Ok(Request::CheckConfig(file.into())),
        ["--help" | "-h"] => Ok(Request::Help),
        ["--version" | "-V"] => Ok(Request::Version),
        other => Err(Failure::Usage(format!(
            "these arguments are not known: {}",
            other.join(" ")
        ))),
    }
}

fn answer(request: Request) -> Result<(), Failure> {
    match request {
        Request::Help => print!("{HELP}"),
        Request::Version => println!("hvd {}", env!("CARGO_PKG_VERSION")),
        Request::CheckConfig(file) => {
            Config::load(&file)?;
            println!("{} is fine.", file.display());
        }
        Request::Run(file) => {
            let config = file.map_or_else(|| Ok(Config::default()), |file| Config::load(&file))?;
            run(config)?;
        }
    }
    Ok(())
}

fn run(config: Config) -> Result<(), Failure> {
    forbid_core_dumps();
    service::start_log();
    raise_file_limit();
    // First, since what is missing may be why what follows fails.
    let rights = examine_rights(&config);
    let _lock = lock(&config.state_dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name("hvd")
        .enable_all()
        .build()
        .map_err(Failure::Runtime)?;
    let outcome = runtime.block_on(serve(config, rights));
    end(runtime);
    outcome
}

async fn serve(config: Config, rights: Vec<Finding>) -> Result<(), Failure> {
    let mut terminated = signal(SignalKind::terminate()).map_err(Failure::Runtime)?;
    let mut interrupted = signal(SignalKind::interrupt()).map_err(Failure::Runtime)?;
    let server = Server::listen(&config).await?;
    if let Some((address, fingerprint)) = server.tcp_address().zip(server.fingerprint()) {
        tracing::info!(%address, fingerprint, "hvd serves TLS at {address}, as {fingerprint}");
    }
    let host = Arc::new(hv_port::Client::new(&config.broker_socket));
    let socket = config.socket.clone();
    let mut parts = Parts::new(config, host, boot());
    parts.rights = rights;
    let app = App::start(parts)?;
    tracing::info!(socket = %socket.display(), "hvd serves its API at {}", socket.display());
    let (ending, told) = watch::channel(false);
    let serving = tokio::spawn(server.serve(app.clone(), Ending::new(told)));
    service::tell_ready();
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
    tracing::info!("hvd ends; what is under way is taken up at its next start");
    ending.send_replace(true);
    let outcome = serving.await;
    app.audit.end().await;
    app.end();
    outcome.map_err(|error| Failure::Runtime(io::Error::other(error)))
}

/// What is wrong with hvd's own rights; told in the log, and kept for health.
fn examine_rights(config: &Config) -> Vec<Finding> {
    let findings = match Process::this() {
        Ok(process) => rights::examine(&process, config),
        Err(error) => vec![Finding::missing(
            format!("hvd can't see its own rights: {error}."),
            "ls -l /proc/self/status",
        )],
    };
    for finding in &findings {
        tracing::error!(fix = finding.fix, "{}", finding.what);
    }
    findings
}

/// Ends threads that wait for the host, which may never answer.
fn end(runtime: Runtime) {
    runtime.shutdown_timeout(GRACE);
}

/// What is in memory may be secret, so none of it is written to a disk when the process crashes.
fn forbid_core_dumps() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    // Lowering one's own limit is never refused.
    rustix::process::setrlimit(Resource::Core, none).unwrap_or_default();
}

/// Lets as many files be open as may be: there can be more connections than most systems begin with.
fn raise_file_limit() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = rustix::process::setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit on open files stays as it was");
    }
}

/// Makes the state folder, and makes sure that no other daemon uses it.
fn lock(folder: &Path) -> Result<OwnedFd, Failure> {
    let broken = |path: &Path, source| Failure::File {
        path: path.to_owned(),
        source,
    };
    // What VMs are told at their first boot may be secret.
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|source| broken(folder, source))?;
    let path = folder.join("hvd.lock");
    let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR)
        .map_err(|error| broken(&path, error.into()))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            Err(StartError::from(StoreError::InUse(folder.to_owned())).into())
        }
        Err(error) => Err(broken(&path, error.into())),
    }
}

/// The kernel's id of this boot.
fn boot() -> String {
    let path = "/proc/sys/kernel/random/boot_id";
    fs::read_to_string(path).map_or_else(
        |error| {
            tracing::warn!(path, %error, "whether the host booted anew can't be seen");
            String::new()
        },
        |boot| boot.trim().to_owned(),
    )
}
