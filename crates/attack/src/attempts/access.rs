// SPDX-License-Identifier: GPL-3.0-or-later
//! Becoming more than one is: by grants, by approvals, by what was allowed a moment ago.

use serde_json::{Value, json};

use super::PEOPLE;
use crate::{Actor, Attempt, Loot, stage::PREFIX};

pub(super) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "grant-to-oneself",
        goal: "give oneself the role of an admin, without a proof of who one is",
        success: "there is such a grant",
        actors: &[Actor::Operator, Actor::Creator, Actor::Viewer, Actor::Admin],
        run: |arena, _| {
            let mut loot = Loot::default();
            let myself = format!("user:{}", Actor::own_name());
            let grant = json!({"name": format!("{PREFIX}-mine"), "to": myself, "role": "admin"});
            loot.answer(&arena.hvd().change("POST", "/v1/access/grants", &grant)?);
            Ok(loot)
        },
        evidence: |stage, _, _| {
            let grants = stage.grants().ok()?;
            grants
                .contains(&format!("{PREFIX}-mine"))
                .then(|| "there is such a grant".to_owned())
        },
        clear: |stage, _| stage.take_grant_if_there("mine"),
        // Who may everything has to prove who they are before they give grants: root need not.
        off: &[crate::Off::Past],
        ..Attempt::PLAIN
    },
    Attempt {
        name: "list-grants",
        goal: "learn who may do what",
        success: "the grant of somebody else stands in the answer",
        actors: PEOPLE,
        run: |arena, _| {
            let mut loot = Loot::default();
            loot.answer(&arena.hvd().get("/v1/access")?);
            Ok(loot)
        },
        evidence: |_, _, loot| {
            let named = loot.holds(&format!("{PREFIX}-admin"));
            named.then(|| "the grant of an admin was named".to_owned())
        },
        ..Attempt::PLAIN
    },
    Attempt {
        name: "explain-others",
        goal: "ask what somebody else may do to their VM, and learn from that what there is",
        success: "the answer names their grants, or tells that the VM exists",
        actors: PEOPLE,
        run: |arena, _| {
            let mut loot = Loot::default();
            let ask = |user: &str, vm: &str| {
                let question = json!({"user": user, "action": "vm.view", "vm": vm});
                arena.hvd().change("POST", "/v1/access/explain", &question)
            };
            loot.answer(&ask(&arena.victims_owner, &arena.victim.name)?);
            let myself = Actor::own_name();
            let none: String = arena.victim.name.chars().rev().collect();
            let (is, is_not) = (ask(&myself, &arena.victim.name)?, ask(&myself, &none)?);
            let (is, is_not) = (
                (
                    is.status,
                    String::from_utf8_lossy(&is.body).replace(&arena.victim.name, "NAME"),
                ),
                (
                    is_not.status,
                    String::from_utf8_lossy(&is_not.body).replace(&none, "NAME"),
                ),
            );
            if is != is_not {
                loot.take(format!("DIFFERENT {is:?} and {is_not:?}"));
            }
            Ok(loot)
        },
        evidence: |_, _, loot| {
            let told = loot
                .asked
                .iter()
                .find(|piece| piece.starts_with("DIFFERENT") || piece.contains("\"decision\""))?;
            Some(format!(
                "it was told {}",
                told.chars().take(200).collect::<String>()
            ))
        },
        ..Attempt::PLAIN
    },
    Attempt {
        name: "revoked-while-it-waits",
        goal: "have something done that was allowed when it was asked for, and not any more when its turn came",
        success: "it was done after the grant was taken away",
        actors: &[Actor::Operator],
        set_up: |stage, facts| {
            // The VM's guest heeds nothing, so this goes on, and what is asked for waits behind it.
            let path = format!("/v1/vms/{}/shut-down", stage.arena.own.id);
            let ask = json!({"timeout_seconds": 600}).to_string();
            let headers = [("Content-Type", "application/json")];
            let asked = stage
                .root
                .hvd()
                .ask("POST", &path, &headers, Some(ask.as_bytes()))?;
            let id = asked.json()["id"].as_str().map(str::to_owned);
            facts.insert(
                "before".to_owned(),
                id.ok_or_else(|| crate::Trouble(asked.refusal()))?,
            );
            Ok(())
        },
        run: |arena, _| {
            let mut loot = Loot::default();
            let path = format!("/v1/vms/{}/pause", arena.own.name);
            let asked = arena.hvd().ask("POST", &path, &[], None)?;
            if !asked.is_success() {
                return Err(crate::Trouble(format!(
                    "it was not taken: {}",
                    asked.refusal()
                )));
            }
            loot.take(&asked.body);
            loot.told("what waited was refused when its turn came");
            Ok(loot)
        },
        evidence: |stage, facts, loot| {
            stage.revoke(Actor::Operator).ok()?;
            let cancel = format!("/v1/operations/{}/cancel", facts.get("before")?);
            stage
                .root
                .hvd()
                .change("POST", &cancel, &Value::Null)
                .ok()?;
            let asked: Value = serde_json::from_str(loot.asked.first()?).ok()?;
            let path = format!("/v1/operations/{}?wait=60s", asked["id"].as_str()?);
            let over = stage.root.get(&path).ok()?;
            (over["state"] == "succeeded")
                .then(|| "the VM was paused after the grant was taken away".to_owned())
        },
        clear: |stage, facts| {
            let Some(before) = facts.get("before") else {
                return Ok(());
            };
            stage.cancel(before)
        },
        ..Attempt::PLAIN
    },
];
