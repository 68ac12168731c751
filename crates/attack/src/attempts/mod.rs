// SPDX-License-Identifier: GPL-3.0-or-later
//! Every attempt, a file a family.
//!
//! To add one, write it into the file of its family, or add a file and name it below. A test makes
//! sure that each says what it must; another one, that each works where its layer is off.

mod access;
mod accounts;
mod changes;
mod console;
mod domain;
mod files;
mod foreign;
mod frames;
mod guest;
mod images;
mod libvirt;
mod limits;
mod linux;
mod looks;
mod operations;
mod policy;
mod port;
mod quota;
mod record;
mod spec_fields;
mod spec_text;
mod web;

use serde_json::Value;

use crate::{Actor, Answer, Arena, Attempt, Facts, Loot, Stage, Trouble};

const FAMILIES: &[&[Attempt]] = &[
    looks::ATTEMPTS,
    operations::ATTEMPTS,
    console::ATTEMPTS,
    access::ATTEMPTS,
    changes::ATTEMPTS,
    quota::ATTEMPTS,
    spec_text::ATTEMPTS,
    spec_fields::ATTEMPTS,
    policy::ATTEMPTS,
    images::ATTEMPTS,
    foreign::ATTEMPTS,
    libvirt::ATTEMPTS,
    files::ATTEMPTS,
    port::ATTEMPTS,
    frames::ATTEMPTS,
    limits::ATTEMPTS,
    web::ATTEMPTS,
    accounts::ATTEMPTS,
    guest::ATTEMPTS,
    linux::ATTEMPTS,
    record::ATTEMPTS,
];

/// Every attempt.
pub fn all() -> impl Iterator<Item = &'static Attempt> {
    FAMILIES.iter().copied().flatten()
}

/// Who has a role that reaches one VM or those of their own.
const PEOPLE: &[Actor] = &[Actor::Operator, Actor::Creator, Actor::Viewer];

/// Whoever runs a process on the host and is neither root nor a daemon, and to whom everything of
/// others is hidden.
const USERS: &[Actor] = &[
    Actor::Operator,
    Actor::Creator,
    Actor::Viewer,
    Actor::Anonymous,
];

/// Whoever runs a process on the host and is not root.
const LOCALS: &[Actor] = &[
    Actor::Operator,
    Actor::Creator,
    Actor::Viewer,
    Actor::Admin,
    Actor::Anonymous,
    Actor::Hvd,
];

/// What was laid out under this name.
fn fact<'a>(facts: &'a Facts, name: &str) -> Result<&'a str, Trouble> {
    let found = facts.get(name).map(String::as_str);
    found.ok_or_else(|| Trouble(format!("{name} was not laid out")))
}

/// Evidence that the actors' own VM, which ran, was paused.
fn own_is_paused(stage: &Stage, _: &Facts, _: &Loot) -> Option<String> {
    let path = format!("/v1/vms/{}", stage.arena.own.id);
    let seen = stage.root.get(&path).ok()?;
    (seen["state"] == "paused").then(|| "the VM is paused".to_owned())
}

/// What a list of things of the VM of somebody else's holds: who is told nothing gets an empty
/// list, or that there is no such VM.
fn listed(arena: &Arena, list: &str) -> Result<Loot, Trouble> {
    let mut loot = Loot::default();
    let path = format!("{list}?vm={}", arena.victim.id);
    let answer = arena.hvd().get(&path)?;
    for item in answer.json()["items"].as_array().into_iter().flatten() {
        loot.take_unasked(item.to_string());
    }
    loot.answer(&answer);
    Ok(loot)
}

impl Loot {
    /// Keeps an answer, and notes how it refuses.
    fn answer(&mut self, answer: &Answer) {
        self.take(&answer.body);
        self.note(answer);
    }

    /// The same for a question that named nobody.
    fn answer_unasked(&mut self, answer: &Answer) {
        self.take_unasked(&answer.body);
        self.note(answer);
    }

    /// The same where any answer at all, by this way, is what must not be got.
    fn answer_at_all(&mut self, way: &str, answer: &Answer) {
        if answer.is_success() {
            let body = String::from_utf8_lossy(&answer.body);
            self.take_unasked(format!("ANSWERED {way}: {body}"));
        }
        self.answer_unasked(answer);
    }

    fn note(&mut self, answer: &Answer) {
        if !answer.is_success() {
            self.told(answer.refusal());
            return;
        }
        // What was accepted may still fail when it is carried out.
        let said = answer.json();
        if let Some(why) = said.pointer("/problem/detail").and_then(Value::as_str) {
            self.told(why);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn there_are_enough_attempts_each_with_its_own_name_and_all_that_it_must_say() {
        let names: BTreeSet<_> = all().map(|attempt| attempt.name).collect();
        assert_eq!(names.len(), all().count(), "two have one name");
        assert!(names.len() >= 60, "{} attempts", names.len());
        for attempt in all() {
            let name = attempt.name;
            let is_slug = name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            assert!(is_slug && !name.is_empty(), "{name}");
            for words in [attempt.goal, attempt.success] {
                assert!(
                    words.len() > 10 && !words.ends_with('.'),
                    "{name}: {words:?}"
                );
            }
            assert!(!attempt.actors.is_empty(), "nobody tries {name}");
            assert!(!attempt.off.is_empty(), "nothing shows that {name} works");
        }
    }

    #[test]
    fn every_actor_tries_something() {
        for actor in Actor::ALL {
            assert!(
                all().any(|attempt| attempt.actors.contains(actor)),
                "{actor}"
            );
        }
    }
}
