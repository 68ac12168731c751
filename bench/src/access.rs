// SPDX-License-Identifier: GPL-3.0-or-later
//! The list as a person gets it, to whom many grants were given: each VM is judged for them.

use hv_client::Client;
use hv_e2e::{ADA, HVD};
use hv_model::access::{Grant, Role, Scope};

use crate::{
    api::{Side, in_turns, rate},
    failure::{During, Failure, Result},
    http::{self, Connection, Who},
    report::{Row, Target},
    sample::Sample,
    scene::Scene,
};

/// As many as somebody in a company has. All but one are to a VM each, the last is to all.
const GRANTS: usize = 100;
/// Whom nobody but the kernel knows, by the number.
const WHO: Who = Who {
    user: ADA.id,
    group: HVD.id,
};

/// The list for a person, beside the same for root, for whom nothing is judged.
pub(crate) fn measure(scene: &Scene, repeat: usize) -> Result<Vec<Row>> {
    let (socket, client) = (scene.product.socket(), scene.client());
    for number in 0..GRANTS {
        give(scene, &client, &grant(number)?)?;
    }
    let list = http::get("/v1/vms", &[]);
    let mut person = Connection::open_as(&socket, WHO)?;
    let (answer, body) = person.fetch(&list)?;
    let (_, whole) = Connection::open(&socket)?.fetch(&list)?;
    if body != whole {
        let why = "they are not the same as root's";
        return Err(Failure::new("list the VMs as a person", why));
    }
    let tag = answer.header("etag").during("find the list's ETag")?;
    let conditional = http::get("/v1/vms", &[("If-None-Match", tag)]);
    let sides = |request: &[u8], status| {
        [Some(WHO), None].map(|who| Side {
            socket: &socket,
            request: request.to_owned(),
            status,
            who,
        })
    };
    let vms = scene.vms();
    let first = after_each_change(scene, &client, &mut person, &list, repeat)?;
    let [again, root] = in_turns(&sides(&list, 200), 1)?;
    let [unchanged, to_root] = in_turns(&sides(&conditional, 304), 8)?;
    Ok(vec![
        Row::new(
            format!("GET /v1/vms, {vms} VMs, by whom {GRANTS} grants were given to"),
            &again.latencies,
        )
        .against("by root", &root.latencies)
        .target(Target::P99AtMost(10.0)),
        Row::new("unchanged lists by ETag to them", rate(&unchanged))
            .against("to root", rate(&to_root))
            .target(Target::AtLeast(20_000.0)),
        Row::new("their first list after a change of grants", &first),
    ])
}

/// How long a list takes for which everything is judged anew.
fn after_each_change(
    scene: &Scene,
    client: &Client,
    person: &mut Connection,
    list: &[u8],
    repeat: usize,
) -> Result<Sample> {
    let mut first = Sample::default();
    let extra = Grant {
        name: "extra".parse().during("name a grant")?,
        to: "user:eve".parse().during("name a user")?,
        ..grant(0)?
    };
    for _ in 0..repeat {
        give(scene, client, &extra)?;
        let answer = first.time(|| person.ask(list))?;
        if answer.status != 200 {
            return Err(Failure::new("list the VMs as a person", answer.head));
        }
        let taken = scene.runtime.block_on(client.take(&extra.name));
        taken.during("take a grant")?;
    }
    Ok(first)
}

fn give(scene: &Scene, client: &Client, grant: &Grant) -> Result<()> {
    let given = scene.runtime.block_on(client.give(grant));
    given.during("give a grant").map(drop)
}

fn grant(number: usize) -> Result<Grant> {
    let vm = format!("web{:04}", 2 * number);
    let on = match number + 1 {
        GRANTS => Scope::Everything,
        _ => Scope::Vm(vm.parse().during("name a VM")?),
    };
    Ok(Grant {
        name: format!("bench-{number:03}")
            .parse()
            .during("name a grant")?,
        to: format!("user:uid-{}", ADA.id)
            .parse()
            .during("name a user")?,
        role: Role::Operator,
        on,
        until: None,
    })
}
