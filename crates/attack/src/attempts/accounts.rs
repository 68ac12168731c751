// SPDX-License-Identifier: GPL-3.0-or-later
//! Accounts, sessions and tokens: guessing one, laying one out for somebody, and getting more out
//! of one than it gives.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    fact, own_is_paused,
    web::{FOREIGN, WEB, address, answered, at_address},
};
use crate::{
    Actor, Answer, Arena, Attempt, Door, Facts, Layer, Loot, Stage, Trouble, stage::random,
};

/// How many wrong passwords are tried before the right one.
const GUESSES: usize = 30;
/// How long root waits until it may log in, where others guessed from the same address.
const PATIENCE: Duration = Duration::from_secs(60);

macro_rules! accounts {
    ($($name:literal, $goal:literal, $success:literal, $layer:expr, $set_up:expr, $run:expr, $evidence:expr;)*) => {
        pub(super) const ATTEMPTS: &[Attempt] = &[$(Attempt {
            name: $name,
            goal: $goal,
            success: $success,
            layer: $layer,
            set_up: |stage, facts| {
                let Some(door) = address(&stage.arena) else {
                    return Ok(());
                };
                add_account(stage, facts)?;
                let set_up: fn(&Stage, &Door, &mut Facts) -> Result<(), Trouble> = $set_up;
                set_up(stage, &door, facts)
            },
            run: |arena, facts| {
                let run: fn(&Arena, &Door, &Facts, &mut Loot) -> Result<(), Trouble> = $run;
                at_address(arena, |door, loot| run(arena, door, facts, loot))
            },
            evidence: $evidence,
            clear: remove_account,
            ..WEB
        }),*];
    };
}

accounts! {
    "guessed-password", "log in to somebody's account by trying password after password",
        "the right one was let in after thirty wrong ones", Layer::Login,
        |_, _, _| Ok(()),
        |_, door, facts, loot| {
            for _ in 0..GUESSES {
                log_in_with(door, &random()?, &[])?;
            }
            let answer = log_in_with(door, fact(facts, "password")?, &[])?;
            loot.answer_at_all("/v1/login", &answer);
            Ok(())
        },
        |_, _, loot| answered(loot);
    "session-laid-out", "be known by a session that was put into somebody's browser before they logged in (fixation)",
        "anything of the host stands in an answer", Layer::Login,
        |_, door, facts| {
            let cookie = format!("__Host-hv=hvs_{}{}", random()?, random()?);
            log_in(door, facts, &[("Cookie", &cookie)])?;
            facts.insert("cookie".to_owned(), cookie);
            Ok(())
        },
        |_, door, facts, loot| {
            loot.answer_at_all("/v1/vms", &door.ask("GET", "/v1/vms", &[("Cookie", fact(facts, "cookie")?)], None)?);
            Ok(())
        },
        |_, _, loot| answered(loot);
    "session-that-is-over", "go on with a session after it was ended",
        "anything of the host stands in an answer", Layer::Login,
        |_, door, facts| {
            let said = log_in(door, facts, &[])?;
            let session = said.pointer("/session/id").and_then(Value::as_str);
            let path = format!("/v1/sessions/{}", session.unwrap_or_default());
            changed(&with_session(door, facts, "DELETE", &path, &Value::Null)?)
        },
        |_, door, facts, loot| {
            loot.answer_at_all("/v1/vms", &door.ask("GET", "/v1/vms", &[("Cookie", fact(facts, "cookie")?)], None)?);
            Ok(())
        },
        |_, _, loot| answered(loot);
    "change-by-a-cookie", "have the browser of somebody who is logged in send a form that pauses their VM (CSRF)",
        "the VM is paused", Layer::Web,
        |_, door, facts| log_in(door, facts, &[]).map(drop),
        |arena, door, facts, loot| {
            let path = format!("/v1/vms/{}/pause?wait=30s", arena.own.name);
            let cookie = ("Cookie", fact(facts, "cookie")?);
            for headers in [
                &[cookie][..],
                &[cookie, ("Origin", FOREIGN)],
                &[cookie, ("Origin", FOREIGN), ("HV-CSRF", "guessed")],
                // As an old browser, or a proxy between, might have it.
                &[cookie, ("Origin", door.origin())],
                &[cookie, ("Origin", door.origin()), ("HV-CSRF", "guessed")],
                &[cookie, ("Content-Type", "text/plain")],
            ] {
                loot.answer(&door.ask("POST", &path, headers, Some(b""))?);
            }
            Ok(())
        },
        own_is_paused;
    "token-beyond-its-scope", "pause a VM with a token that may only look at it",
        "the VM is paused", Layer::Decision,
        |stage, door, facts| {
            log_in(door, facts, &[])?;
            make_token(door, facts, &json!({"roles": ["viewer"], "vms": [stage.arena.own.name]})).map(drop)
        },
        |arena, door, facts, loot| {
            let path = format!("/v1/vms/{}/pause?wait=30s", arena.own.name);
            loot.answer(&door.ask("POST", &path, &[("Authorization", fact(facts, "bearer")?)], Some(b""))?);
            Ok(())
        },
        own_is_paused;
    "token-that-was-revoked", "go on with a token after it was revoked",
        "anything of the host stands in an answer", Layer::Login,
        |_, door, facts| {
            log_in(door, facts, &[])?;
            let token = make_token(door, facts, &json!({"roles": ["operator"]}))?;
            let path = format!("/v1/tokens/{token}");
            changed(&with_session(door, facts, "DELETE", &path, &Value::Null)?)
        },
        |_, door, facts, loot| {
            loot.answer_at_all("/v1/vms", &door.ask("GET", "/v1/vms", &[("Authorization", fact(facts, "bearer")?)], None)?);
            Ok(())
        },
        |_, _, loot| answered(loot);
}

/// The operator's account.
fn name() -> String {
    Actor::Operator.user_name().unwrap_or_default()
}

fn add_account(stage: &Stage, facts: &mut Facts) -> Result<(), Trouble> {
    remove_account(stage, facts)?;
    let password = format!("{}-{}", random()?, random()?);
    let account = json!({"name": name(), "password": password});
    changed(
        &stage
            .root
            .hvd()
            .send_json("POST", "/v1/accounts", &account)?,
    )?;
    facts.insert("password".to_owned(), password);
    Ok(())
}

fn remove_account(stage: &Stage, _: &Facts) -> Result<(), Trouble> {
    let path = format!("/v1/accounts/{}", name());
    match stage.root.get(&path) {
        Ok(_) => stage.root.change("DELETE", &path, &Value::Null).map(drop),
        Err(_) => Ok(()),
    }
}

fn log_in_with(door: &Door, password: &str, headers: &[(&str, &str)]) -> Result<Answer, Trouble> {
    let body = json!({"name": name(), "password": password}).to_string();
    let headers = [&[("Content-Type", "application/json")], headers].concat();
    Ok(door.ask("POST", "/v1/login", &headers, Some(body.as_bytes()))?)
}

/// Logs in as a browser does, notes what it then sends, and returns what was said.
fn log_in(door: &Door, facts: &mut Facts, headers: &[(&str, &str)]) -> Result<Value, Trouble> {
    let end = Instant::now() + PATIENCE;
    let answer = loop {
        let answer = log_in_with(door, fact(facts, "password")?, headers)?;
        if answer.status != 429 || Instant::now() > end {
            break answer;
        }
        thread::sleep(Duration::from_millis(500));
    };
    changed(&answer)?;
    let said = answer.json();
    let csrf = said["csrf"].as_str().unwrap_or_default().to_owned();
    let cookie = answer.head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        let is_cookie = name.eq_ignore_ascii_case("set-cookie");
        is_cookie.then(|| value.split(';').next().unwrap_or(value).to_owned())
    });
    let cookie = cookie.ok_or_else(|| Trouble::new("who logged in got no cookie"))?;
    facts.insert("cookie".to_owned(), cookie);
    facts.insert("csrf".to_owned(), csrf);
    Ok(said)
}

/// Changes something as who is logged in.
fn with_session(
    door: &Door,
    facts: &Facts,
    method: &str,
    path: &str,
    body: &Value,
) -> Result<Answer, Trouble> {
    let headers = [
        ("Content-Type", "application/json"),
        ("Origin", door.origin()),
        ("Cookie", fact(facts, "cookie")?),
        ("HV-CSRF", fact(facts, "csrf")?),
        (
            "HV-Proof",
            facts.get("proof").map_or("none", String::as_str),
        ),
    ];
    let body = body.to_string();
    Ok(door.ask(method, path, &headers, Some(body.as_bytes()))?)
}

/// Makes a token that is narrowed to this, and returns its id.
fn make_token(door: &Door, facts: &mut Facts, scope: &Value) -> Result<String, Trouble> {
    let wanted = json!({"name": "hv-attack", "scope": scope, "days": 1});
    let proof = json!({"password": fact(facts, "password")?});
    let proof = with_session(door, facts, "POST", "/v1/proof", &proof)?;
    changed(&proof)?;
    let proof = proof.json()["proof"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    facts.insert("proof".to_owned(), proof);
    let answer = with_session(door, facts, "POST", "/v1/tokens", &wanted)?;
    changed(&answer)?;
    let said = answer.json();
    let bearer = format!("Bearer {}", said["bearer"].as_str().unwrap_or_default());
    facts.insert("bearer".to_owned(), bearer);
    let id = said.pointer("/token/id").and_then(Value::as_str);
    id.map(str::to_owned)
        .ok_or_else(|| Trouble::new("a token has no id"))
}

/// What root lays out must work.
fn changed(answer: &Answer) -> Result<(), Trouble> {
    if answer.is_success() {
        return Ok(());
    }
    Err(Trouble(format!(
        "it could not be laid out: {}",
        answer.refusal()
    )))
}
