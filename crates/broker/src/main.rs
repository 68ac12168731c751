// SPDX-License-Identifier: GPL-3.0-or-later
//! `hv-broker --config FILE`: serves the port until it is told to stop;
//! `hv-broker polkit-rules --config FILE`: prints polkit's rules for profile `strict`.

use std::{path::PathBuf, process::ExitCode, sync::Arc, thread};

use clap::{Parser, Subcommand};
use hv_broker::{Access, Broker, Config, Judging, polkit, rights};
use hv_model::hypervisor::Hypervisor;
use hv_port::{Server, SocketOwner, rights::Process, service};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

/// The one process of Hyper-NixOS that reaches libvirt.
#[derive(Debug, Parser)]
#[command(name = "hv-broker", version)]
struct Arguments {
    /// The configuration file.
    #[arg(
        long,
        value_name = "FILE",
        global = true,
        default_value = "/etc/hyper-nixos/broker.toml"
    )]
    config: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What it does besides serving the port.
#[derive(Debug, Subcommand)]
enum Command {
    /// Print polkit's rules for profile strict, for /etc/polkit-1/rules.d/10-hyper-nixos.rules
    PolkitRules {
        /// The user that the broker runs as.
        #[arg(long, value_name = "NAME", default_value = "hv-broker")]
        user: String,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    service::start_log();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the broker can't run");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let config = Config::load(&arguments.config)?;
    if let Some(Command::PolkitRules { user }) = &arguments.command {
        print!("{}", polkit::rules(&config, user));
        return Ok(());
    }
    let access = Access::of(&config)?;
    let findings = rights::examine(&Process::this()?, &config, &arguments.config, &access);
    for finding in &findings {
        tracing::error!(fix = finding.fix, "{}", finding.what);
    }
    let broker = Broker::new(
        &config.libvirt_uri,
        &config.policy,
        Judging::of(&config, &access),
    )?
    .with_findings(findings);
    broker.tell_refusals(&config.refusals)?;
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let owner = SocketOwner {
        user: access.owner,
        group: access.group,
    };
    let server = Server::bind(&config.socket, access.users.clone(), owner)?;
    let stop = server.stopper();
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                tracing::info!(signal, "the broker was told to stop");
                stop.stop();
            }
        })?;
    tracing::info!(socket = %config.socket.display(), "the broker listens");
    service::tell_ready();
    let host: Arc<dyn Hypervisor> = Arc::new(broker);
    server.run(&host)?;
    tracing::info!("the broker has ended");
    Ok(())
}
