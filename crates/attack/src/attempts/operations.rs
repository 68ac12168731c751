// SPDX-License-Identifier: GPL-3.0-or-later
//! Operations of others: seeing them, stopping them, having them repeated.

use std::time::Duration;

use serde_json::{Value, json};

use super::{PEOPLE, fact, listed};
use crate::{Attempt, Facts, Loot, Stage, Trouble, stage::random};

pub(super) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "list-operations",
        goal: "find what was done to the VM of somebody else in the list of operations",
        success: "its name or id stands in the list",
        actors: PEOPLE,
        set_up: |stage, _| stage.stir(),
        run: |arena, _| {
            let mut loot = Loot::default();
            let mut path = "/v1/operations?limit=1000".to_owned();
            for _ in 0..50 {
                let page = arena.hvd().get(&path)?;
                loot.answer_unasked(&page);
                let page = page.json();
                let Some(next) = page["next_page"].as_str() else {
                    break;
                };
                path = format!("/v1/operations?limit=1000&page={next}");
            }
            Ok(loot)
        },
        ..Attempt::PLAIN
    },
    Attempt {
        name: "show-operation",
        goal: "look at an operation on the VM of somebody else by its id, once and as a stream",
        success: "the VM's name stands in the answer",
        actors: PEOPLE,
        set_up: note_operation,
        run: |arena, facts| {
            let mut loot = Loot::default();
            let path = format!("/v1/operations/{}", fact(facts, "operation")?);
            loot.answer_unasked(&arena.hvd().get(&path)?);
            loot.answer_unasked(&arena.hvd().follow(&path, Duration::from_millis(500))?);
            Ok(loot)
        },
        ..Attempt::PLAIN
    },
    Attempt {
        name: "operations-of-a-vm",
        goal: "list the operations on the VM of somebody else by its id",
        success: "an operation stands in the answer",
        actors: PEOPLE,
        set_up: |stage, _| stage.stir(),
        run: |arena, _| listed(arena, "/v1/operations"),
        ..Attempt::PLAIN
    },
    Attempt {
        name: "cancel-operation",
        goal: "stop what somebody else has under way on their VM",
        success: "the operation was cancelled",
        actors: PEOPLE,
        set_up: |stage, facts| {
            // Its guest heeds nothing, so this goes on until it is stopped.
            let path = format!("/v1/vms/{}/shut-down", stage.arena.victim.id);
            let ask = json!({"timeout_seconds": 600}).to_string();
            let headers = [("Content-Type", "application/json")];
            let answer = stage
                .root
                .hvd()
                .ask("POST", &path, &headers, Some(ask.as_bytes()))?;
            let id = answer.json()["id"].as_str().map(str::to_owned);
            let id = id.ok_or_else(|| Trouble(answer.refusal()))?;
            facts.insert("operation".to_owned(), id);
            Ok(())
        },
        run: |arena, facts| {
            let mut loot = Loot::default();
            let path = format!("/v1/operations/{}/cancel", fact(facts, "operation")?);
            loot.answer(&arena.hvd().change("POST", &path, &Value::Null)?);
            Ok(loot)
        },
        evidence: |stage, facts, _| {
            let path = format!("/v1/operations/{}", facts.get("operation")?);
            let state = stage.root.get(&path).ok()?;
            (state["state"] == "cancelled").then(|| "the operation was cancelled".to_owned())
        },
        clear: |stage, facts| {
            let Some(operation) = facts.get("operation") else {
                return Ok(());
            };
            stage.cancel(operation)
        },
        ..Attempt::PLAIN
    },
    Attempt {
        name: "idempotency-key-of-others",
        goal: "get the answer that somebody else got, by the key under which they asked",
        success: "the answer is about the VM of somebody else",
        actors: PEOPLE,
        layer: crate::Layer::Decision,
        off: &[crate::Off::Past],
        set_up: |stage, facts| {
            // A new one each time: under one that was used nothing is done again.
            let key = format!("hv-guessed-{}", random()?);
            let path = format!("/v1/vms/{}/pause", stage.arena.victim.id);
            let asked = format!("{path}?wait=60s");
            stage
                .root
                .hvd()
                .ask("POST", &asked, &[("Idempotency-Key", &key)], None)?;
            let path = format!("/v1/vms/{}/resume", stage.arena.victim.id);
            stage.root.change("POST", &path, &Value::Null)?;
            facts.insert("key".to_owned(), key);
            Ok(())
        },
        run: |arena, facts| {
            let mut loot = Loot::default();
            let key = fact(facts, "key")?;
            for action in ["pause", "start"] {
                let path = format!("/v1/vms/{}/{action}", arena.own.name);
                let headers = [("Idempotency-Key", key)];
                loot.answer_unasked(&arena.hvd().ask("POST", &path, &headers, None)?);
            }
            Ok(loot)
        },
        ..Attempt::PLAIN
    },
];

/// Notes an operation on the victim.
fn note_operation(stage: &Stage, facts: &mut Facts) -> Result<(), Trouble> {
    stage.stir()?;
    let list = stage
        .root
        .get(&format!("/v1/operations?vm={}", stage.arena.victim.id))?;
    let id = list.pointer("/items/0/id").and_then(Value::as_str);
    let id = id.ok_or_else(|| Trouble::new("nothing was done to the VM of somebody else"))?;
    facts.insert("operation".to_owned(), id.to_owned());
    Ok(())
}
