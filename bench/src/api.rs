// SPDX-License-Identifier: GPL-3.0-or-later
//! The list over the API, beside a bare handler that sends the same bytes.

use std::{path::Path, time::Duration};

use crate::{
    bare::{BYTES, BareServer, UNCHANGED},
    failure::{During, Result},
    http::{self, Connection, Served, Who},
    report::{Figure, Row, Target, Unit},
    scene::Scene,
};

/// How many connections ask at once where the load is to be full.
const CONNECTIONS: usize = 8;
/// How often each server is measured, in turns.
const ROUNDS: usize = 3;
/// How long one round is, and the warm-up before it.
const ROUND: Duration = Duration::from_secs(2);
const WARM_UP: Duration = Duration::from_millis(300);

/// A server and what it is asked.
pub(crate) struct Side<'a> {
    /// Where it listens.
    pub(crate) socket: &'a Path,
    /// What it is asked.
    pub(crate) request: Vec<u8>,
    /// What it should answer.
    pub(crate) status: u16,
    /// Who asks; we, if nobody else.
    pub(crate) who: Option<Who>,
}

/// The list: latency, throughput, and answers that nothing has changed.
pub(crate) fn measure(scene: &Scene) -> Result<Vec<Row>> {
    let socket = scene.product.socket();
    let list = http::get("/v1/vms", &[]);
    let (answer, body) = Connection::open(&socket)?.fetch(&list)?;
    let tag = answer.header("etag").during("find the list's ETag")?;
    let conditional = http::get("/v1/vms", &[("If-None-Match", tag)]);
    let kilobytes = body.len() / 1000;
    let bare = BareServer::start(body)?;
    let ours = |request: &[u8], status| Side {
        socket: &socket,
        request: request.to_owned(),
        status,
        who: None,
    };
    let reference = |path, status| Side {
        socket: bare.socket(),
        request: http::get(path, &[]),
        status,
        who: None,
    };
    let list = [ours(&list, 200), reference(BYTES, 200)];
    let unchanged = [ours(&conditional, 304), reference(UNCHANGED, 304)];

    let vms = scene.vms();
    let [ours, reference] = in_turns(&list, 1)?;
    let alone = Row::new(
        format!("GET /v1/vms, {vms} VMs, {kilobytes} kB"),
        &ours.latencies,
    )
    .against("bare axum", &reference.latencies)
    .target(Target::P99AtMost(10.0));
    let [ours, reference] = in_turns(&list, CONNECTIONS)?;
    let crowd = Row::new(
        format!("the same, {CONNECTIONS} clients at once"),
        &ours.latencies,
    )
    .against("bare axum", &reference.latencies)
    .target(Target::P99AtMost(10.0));
    let throughput = Row::new("the same, lists a second", rate(&ours))
        .against("bare axum", rate(&reference))
        .target(Target::RatioAtLeast(0.5));
    let [ours, reference] = in_turns(&unchanged, CONNECTIONS)?;
    let unchanged = Row::new("unchanged lists by ETag", rate(&ours))
        .against("bare axum", rate(&reference))
        .target(Target::AtLeast(20_000.0));
    Ok(vec![alone, crowd, throughput, unchanged])
}

/// Loads both sides in turns.
pub(crate) fn in_turns(sides: &[Side<'_>; 2], connections: usize) -> Result<[Served; 2]> {
    let mut served = [Served::default(), Served::default()];
    for _ in 0..ROUNDS {
        for (side, served) in sides.iter().zip(&mut served) {
            let ask = |time| http::load(side, connections, time);
            ask(WARM_UP)?;
            served.extend(ask(ROUND)?);
        }
    }
    Ok(served)
}

/// How many answers came each second.
pub(crate) fn rate(served: &Served) -> Figure {
    Figure {
        count: served.latencies.count(),
        ..Figure::once(served.per_second(), Unit::PerSecond)
    }
}
