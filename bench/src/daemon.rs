// SPDX-License-Identifier: GPL-3.0-or-later
//! What hvd and the broker cost while nobody asks, and how soon hvd answers after its start.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use hv_model::{inventory::VmSummary, page::Page};

use crate::{
    failure::{During, Failure, Result},
    http::{self, Connection},
    process::{Process, idle_cpu},
    report::{Row, Target},
    sample::Sample,
    scene::{Scene, connect},
};

/// How long a start may take before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often hvd and libvirtd are started.
const STARTS: usize = 5;

/// The memory of hvd and of the broker; the target holds for hvd with this many VMs.
pub(crate) fn memory(scene: &Scene, when: &str, target: Target) -> Result<Vec<Row>> {
    let hvd = Process::new(scene.product.hvd_pid()).memory()?;
    let broker = Process::new(scene.product.broker_pid()).memory()?;
    let libvirtd = Process::libvirtd_of(&scene.host)?.memory()?;
    Ok(vec![
        Row::new(format!("memory of hvd, {when}"), hvd)
            .against("libvirtd", libvirtd)
            .target(target),
        Row::new(format!("memory of hv-broker, {when}"), broker).against("libvirtd", libvirtd),
    ])
}

/// The CPU that is used while nobody asks anything.
pub(crate) fn idle(scene: &Scene, time: Duration, target: Option<Target>) -> Result<Vec<Row>> {
    let [hvd, broker, libvirtd] = idle_cpu(
        [
            Process::new(scene.product.hvd_pid()),
            Process::new(scene.product.broker_pid()),
            Process::libvirtd_of(&scene.host)?,
        ],
        time,
    )?;
    let vms = scene.vms();
    let row = Row::new(
        format!("idle CPU of hvd, {vms} VMs, {} s", time.as_secs()),
        hvd,
    );
    Ok(vec![
        match target {
            Some(target) => row.target(target),
            None => row,
        },
        Row::new(format!("idle CPU of hv-broker, {vms} VMs"), broker),
        Row::new(
            format!("idle CPU of libvirtd meanwhile, {vms} VMs"),
            libvirtd,
        ),
    ])
}

/// How soon hvd answers after its start, beside libvirtd.
pub(crate) fn start(scene: &mut Scene) -> Result<Vec<Row>> {
    let (mut first, mut whole) = (Sample::default(), Sample::default());
    for _ in 0..STARTS {
        scene.product.kill_hvd();
        let begun = Instant::now();
        scene.product.launch_hvd();
        let socket = scene.product.socket();
        await_list(&socket, begun, |_| true)?;
        first.push(begun.elapsed());
        await_list(&socket, begun, |list| {
            list.is_fresh && list.vms >= scene.vms()
        })?;
        whole.push(begun.elapsed());
    }
    let (mut reference, mut found) = (Sample::default(), Sample::default());
    for _ in 0..STARTS {
        scene.host.libvirtd("stop");
        let socket = scene.product.socket();
        await_list(&socket, Instant::now(), |list| !list.is_fresh)?;
        let begun = Instant::now();
        scene.host.libvirtd("start");
        scene.libvirt = connect(&scene.host)?;
        let domains = scene.libvirt.domains(hv_libvirt::DomainFilter::NONE);
        let count = domains.during("list the domains")?.len();
        reference.push(begun.elapsed());
        if count < scene.vms() {
            return Err(Failure::new(
                "restart libvirtd",
                format!("it has {count} domains"),
            ));
        }
        let answered = Instant::now();
        await_list(&socket, answered, |list| {
            list.is_fresh && list.vms >= scene.vms()
        })?;
        found.push(answered.elapsed());
    }
    let vms = scene.vms();
    Ok(vec![
        Row::new(
            format!("start of hvd to its first answer, {vms} VMs"),
            &first,
        )
        .against("libvirtd", &reference)
        .target(Target::AtMost(500.0)),
        Row::new("start of hvd to the whole list, fresh", &whole)
            .against("libvirtd", &reference)
            .target(Target::AtMost(500.0)),
        Row::new("libvirtd answers again, to a fresh list", &found).target(Target::AtMost(500.0)),
    ])
}

/// A list that hvd answered.
struct Answered {
    vms: usize,
    is_fresh: bool,
}

/// Asks hvd for the list until it is as it should be.
fn await_list(socket: &Path, begun: Instant, enough: impl Fn(&Answered) -> bool) -> Result<()> {
    let request = http::get("/v1/vms", &[]);
    let mut connection = None;
    loop {
        match ask(socket, &request, &mut connection) {
            Ok(list) if enough(&list) => return Ok(()),
            Ok(_) => {}
            // Not there yet, or not willing yet.
            Err(failure) if begun.elapsed() > PATIENCE => return Err(failure),
            Err(_) => connection = None,
        }
        if begun.elapsed() > PATIENCE {
            return Err(Failure::new(
                "wait for hvd's list",
                "it is not what it should be",
            ));
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn ask(socket: &Path, request: &[u8], connection: &mut Option<Connection>) -> Result<Answered> {
    let mut open = match connection.take() {
        Some(open) => open,
        None => Connection::open(socket)?,
    };
    let (answer, body) = open.fetch(request)?;
    *connection = Some(open);
    if answer.status != 200 {
        return Err(Failure::new(
            "list the VMs",
            format!("the status is {}", answer.status),
        ));
    }
    let list: Page<VmSummary> = serde_json::from_slice(&body).during("read the list")?;
    Ok(Answered {
        vms: list.items.len(),
        is_fresh: answer.header("hv-stale").is_none(),
    })
}
