// SPDX-License-Identifier: GPL-3.0-or-later
//! Filling the host's disk with the record of what was denied.

use crate::{Actor, Attempt, Facts, Layer, Loot, Off, Stage, Trouble};

/// How often it is asked: more often than anybody may within a minute.
const TIMES: u64 = 1_500;
/// How many entries are too many for all that is asked within about a minute.
const TOO_MANY: u64 = 1_400;

// The last of all: who tried it may do nothing more for a minute.
pub(super) const ATTEMPTS: &[Attempt] = &[Attempt {
    name: "flood-of-denials",
    goal: "fill the disk with the audit log, by asking on and on for what is denied",
    success: "nearly everything that was asked is in the log",
    actors: &[Actor::Viewer],
    layer: Layer::Limits,
    off: &[Off::Past],
    set_up: |stage, facts| {
        facts.insert("before".to_owned(), newest(stage)?.to_string());
        Ok(())
    },
    run: |arena, _| {
        let mut loot = Loot::default();
        for _ in 0..TIMES {
            loot.answer(&arena.hvd().get("/v1/access")?);
        }
        Ok(loot)
    },
    evidence: |stage, facts: &Facts, _| {
        let before: u64 = facts.get("before")?.parse().ok()?;
        let more = newest(stage).ok()?.saturating_sub(before);
        (more > TOO_MANY).then(|| format!("the audit log has {more} more entries"))
    },
    ..Attempt::PLAIN
}];

fn newest(stage: &Stage) -> Result<u64, Trouble> {
    let newest = stage.root.get("/v1/audit?limit=1")?;
    let sequence = newest["items"][0]["sequence"].as_u64();
    sequence.ok_or_else(|| Trouble::new("the audit log has no entry"))
}
