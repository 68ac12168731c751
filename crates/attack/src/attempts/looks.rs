// SPDX-License-Identifier: GPL-3.0-or-later
//! Looking at what belongs to others.

use std::time::Duration;

use serde_json::json;

use super::{PEOPLE, listed};
use crate::{Arena, Attempt, Loot, Trouble};

/// How long a stream is listened to.
const A_WHILE: Duration = Duration::from_millis(1500);

pub(super) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "list-vms",
        goal: "find the VM of somebody else in the list of VMs",
        success: "its name, id or tag stands in the list",
        actors: PEOPLE,
        run: |arena, _| unasked(arena, &["/v1/vms"]),
        ..Attempt::PLAIN
    },
    Attempt {
        name: "search-vms",
        goal: "find the VM of somebody else by its state, by its owner or in the trash",
        success: "its name, id or tag stands in an answer",
        actors: PEOPLE,
        run: |arena, _| {
            let owner = format!("/v1/vms?owner={}", arena.victims_owner);
            unasked(
                arena,
                &["/v1/vms?state=running", "/v1/vms?trash=true", &owner],
            )
        },
        ..Attempt::PLAIN
    },
    Attempt {
        name: "list-of-another-caller",
        goal: "get the list of VMs as root was given it a moment before",
        success: "the VM of somebody else stands in the list",
        actors: PEOPLE,
        set_up: |stage, _| stage.root.get("/v1/vms").map(drop),
        run: |arena, _| {
            let mut loot = Loot::default();
            // Right after root, over and over, so that what is kept of an answer may be mixed up.
            for headers in [
                &[][..],
                &[("If-None-Match", "\"x\"")],
                &[("Range", "bytes=0-")],
            ] {
                loot.answer_unasked(&arena.hvd().ask("GET", "/v1/vms", headers, None)?);
            }
            Ok(loot)
        },
        ..Attempt::PLAIN
    },
    Attempt {
        name: "show-vm-by-name",
        goal: "look at the VM of somebody else by its name",
        success: "its description or tag stands in the answer",
        actors: PEOPLE,
        run: |arena, _| asked(arena, &[&format!("/v1/vms/{}", arena.victim.name)]),
        ..Attempt::PLAIN
    },
    Attempt {
        name: "show-vm-by-id",
        goal: "look at the VM of somebody else by its id",
        success: "its description or tag stands in the answer",
        actors: PEOPLE,
        run: |arena, _| {
            let id = &arena.victim.id;
            let (upper, bare) = (id.to_uppercase(), id.replace('-', ""));
            let paths = [id, &upper, &bare].map(|id| format!("/v1/vms/{id}"));
            asked(arena, &paths.each_ref().map(String::as_str))
        },
        ..Attempt::PLAIN
    },
    Attempt {
        name: "climbing-address",
        goal: "reach the VM of somebody else by an address that climbs, or is written in another way",
        success: "its description or tag stands in an answer",
        actors: PEOPLE,
        run: |arena, _| {
            let (own, victim) = (&arena.own.name, &arena.victim.name);
            let escaped = victim.bytes().fold(String::new(), |escaped, byte| {
                escaped + &format!("%{byte:02x}")
            });
            let paths = [
                format!("/v1/vms/{own}/../{victim}"),
                format!("/v1/vms/{own}/%2e%2e/{victim}"),
                format!("/v1/vms/{own}%2f..%2f{victim}"),
                format!("/v1//vms/{victim}"),
                format!("/v1/vms/{escaped}"),
                format!("/v1/vms/{victim}/"),
                format!("/v1/vms/{victim}%00"),
                format!("http://localhost/v1/vms/{victim}"),
            ];
            asked(arena, &paths.each_ref().map(String::as_str))
        },
        ..Attempt::PLAIN
    },
    Attempt {
        name: "plan-of-a-change",
        goal: "learn what the VM of somebody else is by planning a change of it",
        success: "the plan names its description",
        actors: PEOPLE,
        run: |arena, _| {
            let path = format!("/v1/vms/{}?dry_run=true", arena.victim.name);
            let mut loot = Loot::default();
            let change = json!({"description": "planned", "memory": "128MiB"}).to_string();
            let headers = [("Content-Type", "application/json")];
            loot.answer(
                &arena
                    .hvd()
                    .ask("PATCH", &path, &headers, Some(change.as_bytes()))?,
            );
            Ok(loot)
        },
        ..Attempt::PLAIN
    },
    Attempt {
        name: "read-audit-log",
        goal: "read who did what in the audit log",
        success: "an entry about the VM of somebody else stands in the answer",
        actors: PEOPLE,
        run: |arena, _| unasked(arena, &["/v1/audit?limit=1000"]),
        ..Attempt::PLAIN
    },
    Attempt {
        name: "list-events",
        goal: "find the VM of somebody else among the events",
        success: "its name or id stands in an event",
        actors: PEOPLE,
        set_up: |stage, _| stage.stir(),
        run: |arena, _| {
            let mut loot = Loot::default();
            let mut after = 0;
            // Page by page to the newest.
            for _ in 0..200 {
                let page = arena
                    .hvd()
                    .get(&format!("/v1/events?limit=1000&after={after}"))?;
                loot.answer_unasked(&page);
                match page.json()["next_page"]
                    .as_str()
                    .and_then(|next| next.parse().ok())
                {
                    Some(next) if next > after => after = next,
                    _ => break,
                }
            }
            Ok(loot)
        },
        ..Attempt::PLAIN
    },
    Attempt {
        name: "events-of-a-vm",
        goal: "read the events of the VM of somebody else by its id",
        success: "an event of its stands in the answer",
        actors: PEOPLE,
        set_up: |stage, _| stage.stir(),
        run: |arena, _| listed(arena, "/v1/events"),
        ..Attempt::PLAIN
    },
    Attempt {
        name: "follow-events",
        goal: "follow the event stream, from its beginning, until the VM of somebody else is told of",
        success: "its name or id stands in an event",
        actors: PEOPLE,
        set_up: |stage, _| stage.stir(),
        run: |arena, _| {
            let mut loot = Loot::default();
            loot.answer_unasked(&arena.hvd().follow("/v1/events", A_WHILE)?);
            Ok(loot)
        },
        ..Attempt::PLAIN
    },
    Attempt {
        name: "existence-of-a-vm",
        goal: "tell from any answer whether the VM of somebody else exists",
        success: "an answer about it differs from one about a VM that does not exist",
        actors: PEOPLE,
        run: |arena, _| {
            let mut loot = Loot::default();
            let none = arena.victim.name.chars().rev().collect::<String>();
            for (method, path) in WAYS_TO_ASK {
                let answer = |name: &str| {
                    let path = path.replace("{vm}", name);
                    let answer = arena.hvd().send_json(method, &path, &json!({}))?;
                    let body = String::from_utf8_lossy(&answer.body).replace(name, "NAME");
                    let refusal = answer.refusal().replace(name, "NAME");
                    Ok::<_, Trouble>((answer.status, body, refusal))
                };
                let (is, is_not) = (answer(&arena.victim.name)?, answer(&none)?);
                if is != is_not {
                    loot.take(format!("DIFFERENT {method} {path}: {is:?} and {is_not:?}"));
                }
                loot.told(is_not.2);
            }
            Ok(loot)
        },
        evidence: |_, _, loot| {
            let told = loot
                .asked
                .iter()
                .find(|piece| piece.starts_with("DIFFERENT"))?;
            Some(format!(
                "the answers tell the two apart: {}",
                told.chars().take(300).collect::<String>()
            ))
        },
        ..Attempt::PLAIN
    },
];

/// Ways to ask for a VM that change nothing where it is not there.
const WAYS_TO_ASK: &[(&str, &str)] = &[
    ("GET", "/v1/vms/{vm}"),
    ("GET", "/v1/vms/{vm}/console"),
    ("GET", "/v1/operations?vm={vm}"),
    ("GET", "/v1/events?vm={vm}"),
    ("POST", "/v1/vms/{vm}/resume"),
    ("POST", "/v1/vms/{vm}/undelete"),
    ("POST", "/v1/vms/{vm}/purge"),
    ("POST", "/v1/vms/{vm}/adopt"),
    ("PATCH", "/v1/vms/{vm}"),
    ("DELETE", "/v1/vms/{vm}"),
];

fn asked(arena: &Arena, paths: &[&str]) -> Result<Loot, Trouble> {
    let mut loot = Loot::default();
    for path in paths {
        loot.answer(&arena.hvd().get(path)?);
    }
    Ok(loot)
}

fn unasked(arena: &Arena, paths: &[&str]) -> Result<Loot, Trouble> {
    let mut loot = Loot::default();
    for path in paths {
        loot.answer_unasked(&arena.hvd().get(path)?);
    }
    Ok(loot)
}
