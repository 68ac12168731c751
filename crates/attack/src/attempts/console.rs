// SPDX-License-Identifier: GPL-3.0-or-later
//! The console of somebody else's VM.

use std::{io::Write, time::Duration};

use super::PEOPLE;
use crate::{
    Arena, Attempt, Loot, Trouble,
    http::{read_for, request},
};

/// As long as a guest needs to say its text twice.
const A_WHILE: Duration = Duration::from_secs(4);

pub(super) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "console-of-others",
        goal: "read the console of the VM of somebody else",
        success: "the secret was read that its guest says",
        actors: PEOPLE,
        run: |arena, _| open(arena, &arena.victim.name, "", &[]),
        ..Attempt::PLAIN
    },
    Attempt {
        name: "console-taken-over",
        goal: "take the console of the VM of somebody else away from whoever uses it",
        success: "the secret was read that its guest says",
        actors: PEOPLE,
        run: |arena, _| open(arena, &arena.victim.id, "?takeover=force", &[]),
        ..Attempt::PLAIN
    },
];

/// Opens a console, and reads it for a while.
pub(super) fn open(
    arena: &Arena,
    vm: &str,
    query: &str,
    headers: &[(&str, &str)],
) -> Result<Loot, Trouble> {
    let mut loot = Loot::default();
    let upgrade = [("Connection", "upgrade"), ("Upgrade", "hv-console")];
    let headers = [&upgrade, headers].concat();
    let bytes = request(
        "GET",
        &format!("/v1/vms/{vm}/console{query}"),
        &headers,
        None,
    );
    let mut stream = arena.hvd().open()?;
    stream.write_all(&bytes)?;
    stream.patience(Duration::from_millis(100))?;
    let read = read_for(&mut *stream, A_WHILE);
    let text = String::from_utf8_lossy(&read);
    if !text.starts_with("HTTP/1.1 101") {
        let body = text.split_once("\r\n\r\n").map_or(&*text, |(_, body)| body);
        let detail = serde_json::from_str::<serde_json::Value>(body).ok();
        let detail = detail.and_then(|said| said["detail"].as_str().map(str::to_owned));
        loot.told(detail.as_deref().unwrap_or(&text));
    }
    loot.take(&read);
    Ok(loot)
}
