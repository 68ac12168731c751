// SPDX-License-Identifier: GPL-3.0-or-later
//! Coming over the network without an account, or as a page in somebody's browser.

use std::{io::ErrorKind, time::Duration};

use serde_json::json;

use super::own_is_paused;
use crate::{Actor, Arena, Attempt, Door, Layer, Loot, Off, Trouble, http::request};

const ANYBODY: &[Actor] = &[Actor::Anonymous];

/// What a browser was made to send for a page of somebody else.
pub(super) const FOREIGN: &str = "http://evil.example";

pub(super) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "tcp-without-login",
        goal: "look at VMs, operations, events and the host over the network without an account",
        success: "anything of the host stands in an answer",
        layer: Layer::Login,
        run: |arena, _| {
            at_address(arena, |door, loot| {
                for path in LOOKS {
                    let answer = door.get(path)?;
                    loot.answer_at_all(path, &answer);
                }
                Ok(())
            })
        },
        evidence: |_, _, loot| answered(loot),
        ..WEB
    },
    Attempt {
        name: "tcp-change-without-login",
        goal: "change the VM of somebody else over the network without an account",
        success: "the VM was changed",
        layer: Layer::Login,
        run: |arena, _| {
            at_address(arena, |door, loot| {
                let victim = &arena.victim.name;
                for action in ["pause", "force-off"] {
                    loot.answer(&door.change(
                        "POST",
                        &format!("/v1/vms/{victim}/{action}"),
                        &json!(null),
                    )?);
                }
                let change = json!({"description": "changed"});
                loot.answer(&door.change("PATCH", &format!("/v1/vms/{victim}"), &change)?);
                loot.answer(&door.change(
                    "DELETE",
                    &format!("/v1/vms/{victim}?running=force-off"),
                    &json!(null),
                )?);
                Ok(())
            })
        },
        ..WEB
    },
    Attempt {
        name: "claimed-identity",
        goal: "be taken for somebody by a header that says so",
        success: "anything of the host stands in an answer",
        layer: Layer::Login,
        run: |arena, _| {
            at_address(arena, |door, loot| {
                for (name, value) in [
                    ("X-Forwarded-User", "root"),
                    ("X-Remote-User", "root"),
                    ("Remote-User", "root"),
                    ("Authorization", "Basic cm9vdDo="),
                    ("Authorization", "Bearer root"),
                    ("Authorization", "Bearer "),
                    ("Cookie", "__Host-session=root; session=root"),
                    ("X-Forwarded-For", "127.0.0.1"),
                ] {
                    let answer = door.ask("GET", "/v1/vms", &[(name, value)], None)?;
                    loot.answer_at_all(name, &answer);
                }
                Ok(())
            })
        },
        evidence: |_, _, loot| answered(loot),
        ..WEB
    },
    Attempt {
        name: "socket-without-group",
        goal: "open hvd's socket as a user for whom it is not",
        success: "hvd answered",
        layer: Layer::Files,
        off: &[Off::Files],
        run: |arena, _| {
            let mut loot = Loot::default();
            match arena.hvd().get("/v1/version") {
                Ok(answer) if answer.is_success() => loot.take("ANSWERED /v1/version"),
                Ok(answer) => loot.note(&answer),
                Err(error) => loot.told(format!("{}: {error}", arena.socket.display())),
            }
            Ok(loot)
        },
        evidence: |_, _, loot| answered(loot),
        ..WEB
    },
    Attempt {
        name: "page-under-another-name",
        goal: "read answers from a page whose name was made to point to this machine (DNS rebinding)",
        success: "the API answered under the name of that page",
        run: |arena, _| {
            at_address(arena, |door, loot| {
                for host in [
                    "evil.example",
                    "localhost.evil.example",
                    "127.0.0.1.nip.io:80",
                    "[::1].evil.example",
                    "",
                ] {
                    let answer = door.ask("GET", "/v1/version", &[("Host", host)], None)?;
                    loot.answer_at_all(host, &answer);
                }
                Ok(())
            })
        },
        evidence: |_, _, loot| answered(loot),
        ..WEB
    },
    Attempt {
        name: "page-of-another-origin",
        goal: "read answers from a page of another origin",
        success: "the API answered, or let that origin read",
        run: |arena, _| {
            at_address(arena, |door, loot| {
                for origin in [
                    FOREIGN,
                    "null",
                    "http://localhost.evil.example",
                    "https://127.0.0.1@evil.example",
                ] {
                    let answer = door.ask("GET", "/v1/version", &[("Origin", origin)], None)?;
                    let allows = answer
                        .head
                        .to_ascii_lowercase()
                        .contains("access-control-allow-origin");
                    if answer.is_success() || allows {
                        loot.take(format!(
                            "ANSWERED {origin}: {}",
                            String::from_utf8_lossy(&answer.body)
                        ));
                    }
                    loot.note(&answer);
                }
                Ok(())
            })
        },
        evidence: |_, _, loot| answered(loot),
        ..WEB
    },
    Attempt {
        name: "console-from-a-page",
        goal: "open the console of a VM from a page in the browser of somebody who may (hijacked upgrade)",
        success: "the secret was read that its guest says",
        actors: &[Actor::Admin],
        off: &[Off::Past],
        twin: Some("console-of-others"),
        run: |arena, _| {
            super::console::open(
                arena,
                &arena.victim.name,
                "?takeover=force",
                &[("Origin", FOREIGN)],
            )
        },
        evidence: |stage, _, loot| {
            loot.holds(&stage.secrets.console)
                .then(|| "the page read the console".to_owned())
        },
        ..WEB
    },
    Attempt {
        name: "change-from-a-page",
        goal: "have the browser of somebody who may send a form that pauses a VM (CSRF)",
        success: "the VM is paused",
        actors: &[Actor::Admin],
        off: &[Off::Past],
        twin: Some("start-as-viewer"),
        run: |arena, _| {
            let mut loot = Loot::default();
            let path = format!("/v1/vms/{}/pause?wait=30s", arena.own.name);
            for form in [
                "text/plain",
                "application/x-www-form-urlencoded",
                "multipart/form-data",
            ] {
                let headers = [("Origin", FOREIGN), ("Content-Type", form)];
                loot.answer(&arena.hvd().ask("POST", &path, &headers, Some(b""))?);
            }
            Ok(loot)
        },
        evidence: own_is_paused,
        ..WEB
    },
    Attempt {
        name: "smuggled-request",
        goal: "hide a request in the body of another one, by a length that is said twice",
        success: "the hidden request was answered, too",
        layer: Layer::Limits,
        actors: &[Actor::Anonymous, Actor::Operator],
        run: |arena, _| {
            by_any_way(arena, |door, loot| {
                let hidden =
                    String::from_utf8_lossy(&request("GET", "/v1/openapi.json", &[], None))
                        .into_owned();
                let long = hidden.len() + 5;
                for head in [
                    format!("Content-Length: {long}\r\nTransfer-Encoding: chunked"),
                    format!("Transfer-Encoding: chunked\r\nContent-Length: {long}"),
                    format!("Content-Length: {long}\r\nContent-Length: 0"),
                    format!("Content-Length: 0, {long}"),
                    "Transfer-Encoding: xchunked\r\nContent-Length: 0".to_owned(),
                    "Transfer-Encoding: chunked, identity".to_owned(),
                ] {
                    let whole = format!(
                        "POST /v1/nothing HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n0\r\n\r\n{hidden}"
                    );
                    let said = door.send(whole.as_bytes(), Duration::from_secs(2))?;
                    let said = String::from_utf8_lossy(&said);
                    // The API's description is the answer to nothing but the hidden request.
                    if said.contains("\"openapi\"") {
                        loot.take(format!("ANSWERED to {head}"));
                    }
                    loot.told(said.lines().next().unwrap_or("no answer"));
                }
                Ok(())
            })
        },
        evidence: |_, _, loot| answered(loot),
        ..WEB
    },
];

/// What these attempts share.
pub(super) const WEB: Attempt = Attempt {
    actors: ANYBODY,
    layer: Layer::Web,
    off: &[Off::Past],
    ..Attempt::PLAIN
};

const LOOKS: &[&str] = &[
    "/v1/vms",
    "/v1/images",
    "/v1/networks",
    "/v1/pools",
    "/v1/hosts",
    "/v1/health",
    "/v1/operations",
    "/v1/events",
    "/v1/audit",
];

/// The way to hvd's address, if it has one.
pub(super) fn address(arena: &Arena) -> Option<Door> {
    let address = arena.address.clone()?;
    Some(if arena.tls {
        Door::Tls(address)
    } else {
        Door::Tcp(address)
    })
}

/// What is got at hvd's address: nothing, where it has none.
pub(super) fn at_address(
    arena: &Arena,
    attempt: impl FnOnce(&Door, &mut Loot) -> Result<(), Trouble>,
) -> Result<Loot, Trouble> {
    let mut loot = Loot::default();
    match address(arena) {
        Some(door) => attempt(&door, &mut loot)?,
        None => loot.told("hvd serves no address"),
    }
    Ok(loot)
}

/// What is got by the way to hvd that the actor has: nothing, where there is none.
pub(super) fn by_any_way(
    arena: &Arena,
    attempt: impl FnOnce(&Door, &mut Loot) -> Result<(), Trouble>,
) -> Result<Loot, Trouble> {
    let mut loot = Loot::default();
    let door = arena.hvd();
    match (door.open(), address(arena)) {
        (Ok(_), _) => attempt(&door, &mut loot)?,
        (Err(_), Some(door)) => attempt(&door, &mut loot)?,
        (Err(error), None) if error.kind() == ErrorKind::PermissionDenied => loot.told(format!(
            "hvd's socket is closed to them ({error}), and hvd serves no address"
        )),
        (Err(error), None) => return Err(error.into()),
    }
    Ok(loot)
}

/// What was answered that must not be.
pub(super) fn answered(loot: &Loot) -> Option<String> {
    let mut all = loot.asked.iter().chain(&loot.unasked);
    let found = all.find(|piece| piece.starts_with("ANSWERED"))?;
    Some(format!(
        "hvd {}",
        found
            .chars()
            .take(200)
            .collect::<String>()
            .to_ascii_lowercase()
    ))
}
