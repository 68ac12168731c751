// SPDX-License-Identifier: GPL-3.0-or-later
//! Measures the product beside plain libvirt, on one private host, in one run.
//!
//! What counts are the ratios: both sides meet the same machine, the same VMs and the same moment.
//! Nothing here fails because something is slow; a missed target is shown as such.

mod access;
mod api;
mod bare;
mod command;
mod create;
mod daemon;
mod event;
mod failure;
mod http;
mod process;
mod report;
mod sample;
mod scene;
mod stats;

use std::{fs, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, ValueEnum};
use hv_model::host::Host;
use serde::Serialize;

use crate::{
    failure::{During, Result},
    report::{Row, Target, table},
    scene::Scene,
};

/// Measures Hyper-NixOS beside plain libvirt on a private host.
#[derive(Parser)]
#[command(
    name = "./dev bench --",
    after_help = "The pieces on their own: ./dev bench -- pieces"
)]
struct Options {
    /// What to measure; everything, if nothing is named.
    #[arg(value_enum)]
    measurements: Vec<Measurement>,
    /// How many VMs are defined.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u16).range(10..=5000))]
    vms: u16,
    /// How often each command is run; what takes long is done less often.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u16).range(1..))]
    repeat: u16,
    /// For how many seconds idle CPU is watched. A resync falls into each minute.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..))]
    idle_seconds: u16,
    /// Also write the results to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// A group of measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Measurement {
    /// `hv vm list` beside `virsh list --all`.
    List,
    /// `hv vm show` beside `virsh dominfo`.
    Show,
    /// The list over the API, beside a bare axum handler.
    Api,
    /// The same by a person with many grants, beside root.
    Access,
    /// From a change in libvirt to the event at a client.
    Event,
    /// Create from an image and start, beside the plain commands.
    Create,
    /// Figures of all VMs through the port, beside the raw call.
    Stats,
    /// Memory, idle CPU and start of the daemons.
    Daemon,
}

/// What is written as JSON.
#[derive(Serialize)]
struct Results {
    version: &'static str,
    vms: usize,
    host: Option<Host>,
    rows: Vec<Row>,
    failures: Vec<String>,
}

/// Rows so far, and what could not be measured.
#[derive(Default)]
struct Log {
    rows: Vec<Row>,
    failures: Vec<String>,
}

impl Log {
    fn note(&mut self, what: &str, measure: impl FnOnce() -> Result<Vec<Row>>) {
        eprintln!("measuring {what}");
        match measure() {
            Ok(rows) => self.rows.extend(rows),
            Err(failure) => {
                eprintln!("not measured: {failure}");
                self.failures.push(failure.to_string());
            }
        }
    }
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(failures) if failures.is_empty() => ExitCode::SUCCESS,
        Ok(failures) => {
            eprintln!("{} measurements could not be made", failures.len());
            ExitCode::FAILURE
        }
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<Vec<String>> {
    let wanted = |one| options.measurements.is_empty() || options.measurements.contains(&one);
    let vms = usize::from(options.vms);
    let repeat = usize::from(options.repeat);
    // Each of these takes a second or so.
    let few = repeat.div_ceil(4);
    let idle = Duration::from_secs(options.idle_seconds.into());
    let mut log = Log::default();
    let mut scene = Scene::open()?;
    if wanted(Measurement::Daemon) {
        log.note("memory", || {
            daemon::memory(&scene, "no VMs", Target::AtMost(30.0))
        });
        if vms > 100 {
            scene.fill(100)?;
            log.note("idle CPU", || {
                daemon::idle(&scene, idle, Some(Target::AtMost(0.3)))
            });
        }
    }
    scene.fill(vms)?;
    if wanted(Measurement::Daemon) {
        let target = (vms <= 100).then_some(Target::AtMost(0.3));
        log.note("idle CPU", || daemon::idle(&scene, idle, target));
        let when = format!("{vms} VMs");
        log.note("memory", || {
            daemon::memory(&scene, &when, Target::AtMost(60.0))
        });
    }
    if wanted(Measurement::List) {
        log.note("list", || command::list(&scene, repeat));
    }
    if wanted(Measurement::Show) {
        log.note("show", || command::show(&scene, repeat));
    }
    if wanted(Measurement::Api) {
        log.note("api", || api::measure(&scene));
    }
    if wanted(Measurement::Access) {
        log.note("access", || access::measure(&scene, repeat));
    }
    if wanted(Measurement::Event) {
        log.note("event", || event::measure(&scene, repeat));
    }
    if wanted(Measurement::Create) {
        log.note("create", || create::measure(&scene, few));
    }
    if wanted(Measurement::Stats) {
        log.note("stats", || stats::measure(&scene, repeat));
    }
    if wanted(Measurement::Daemon) {
        let when = format!("{vms} VMs, after all of this");
        log.note("memory", || {
            daemon::memory(&scene, &when, Target::AtMost(60.0))
        });
        log.note("start", || daemon::start(&mut scene));
    }
    let hosts = scene.runtime.block_on(scene.client().hosts());
    let hosts = hosts.during("look at the host")?.items;
    report(
        options,
        &scene,
        hosts.into_iter().find_map(|view| view.host),
        log,
    )
}

fn report(options: &Options, scene: &Scene, host: Option<Host>, log: Log) -> Result<Vec<String>> {
    if let Some(host) = &host {
        println!(
            "Hyper-NixOS {} beside libvirt {} and QEMU {}, {} VMs, on {} × {}\n",
            env!("CARGO_PKG_VERSION"),
            host.libvirt_version,
            host.qemu_version,
            scene.vms(),
            host.cpus,
            host.cpu_model,
        );
    }
    print!("{}", table(&log.rows));
    println!("\nValues are medians. Compare ratios: the times are this machine's.");
    if let Some(file) = &options.json {
        let results = Results {
            version: env!("CARGO_PKG_VERSION"),
            vms: scene.vms(),
            host,
            rows: log.rows,
            failures: log.failures.clone(),
        };
        let text = serde_json::to_string_pretty(&results).during("write the results")?;
        fs::write(file, text + "\n").during(&file.to_string_lossy())?;
    }
    Ok(log.failures)
}
