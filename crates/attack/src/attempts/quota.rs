// SPDX-License-Identifier: GPL-3.0-or-later
//! Having more of the host than one's share.

use std::thread;

use serde_json::{Value, json};

use crate::{Actor, Attempt, Facts, Layer, Loot, Stage, Trouble, stage::PREFIX};

/// How many VMs are asked for at once, where there is room for one.
const AT_ONCE: usize = 8;

pub(super) const ATTEMPTS: &[Attempt] = &[Attempt {
    name: "quota-by-racing",
    goal: "make more VMs than the quota allows, by asking for eight at once",
    success: "there are more of them than the one that there is room for",
    actors: &[Actor::Creator],
    layer: Layer::Quota,
    set_up: |stage, _| {
        // One of them is there already.
        let quota = json!({"vms": 2});
        stage.root.change("PUT", &path(), &quota).map(drop)
    },
    run: |arena, _| {
        let mut loot = Loot::default();
        let ask = |number: usize| {
            let spec = json!({"name": format!("{PREFIX}-race-{number}"), "memory": "64MiB"});
            let hvd = arena.hvd();
            move || hvd.change("POST", "/v1/vms", &json!({"spec": spec}))
        };
        let asked: Vec<_> = (0..AT_ONCE)
            .map(|number| thread::spawn(ask(number)))
            .collect();
        for answer in asked {
            let panicked = |_| Trouble::new("a thread of the attempt panicked");
            loot.answer(&answer.join().map_err(panicked)??);
        }
        Ok(loot)
    },
    evidence: |stage, _, _| {
        let made = raced(stage).ok()?.len();
        (made > 1).then(|| format!("there are {made} of them"))
    },
    clear: |stage, _: &Facts| {
        for vm in raced(stage)? {
            stage.remove_vm(&vm)?;
        }
        // It may not have been set.
        stage.root.change("DELETE", &path(), &Value::Null).ok();
        Ok(())
    },
    ..Attempt::PLAIN
}];

fn path() -> String {
    let creator = Actor::Creator.user_name().unwrap_or_default();
    format!("/v1/access/quotas/{creator}")
}

fn raced(stage: &Stage) -> Result<Vec<Value>, Trouble> {
    let list = stage.root.get("/v1/vms")?;
    let items = list["items"].as_array().cloned().unwrap_or_default();
    let is_one = |vm: &Value| {
        let name = vm["name"].as_str().unwrap_or_default();
        name.starts_with(&format!("{PREFIX}-race-"))
    };
    Ok(items.into_iter().filter(is_one).collect())
}
