// SPDX-License-Identifier: GPL-3.0-or-later
//! Whatever is done to a log is found, and the first entry that does not fit is named.

use ed25519_dalek::{Signer, SigningKey};
use proptest::prelude::*;

use super::*;
use crate::{
    access::{Action, Decision, Origin, Principal},
    operation::OperationState,
    problem::ProblemKind,
};

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn public(key: &SigningKey) -> PublicKey {
    PublicKey::new(key.verifying_key().to_bytes())
}

fn pinned() -> Trust {
    Trust {
        keys: vec![public(&key())],
        heads: Vec::new(),
    }
}

fn time(second: u64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + i64::try_from(second).unwrap()).unwrap()
}

fn began() -> AuditEvent {
    AuditEvent::Began {
        host: "0198c1f0-1111-7222-8333-444455556666".parse().unwrap(),
        carried: 0,
    }
}

fn decided(target: &str) -> AuditEvent {
    AuditEvent::Decided(Decided {
        principal: Principal::User {
            name: "ada".parse().unwrap(),
            uid: 1000,
        },
        from: Some(Origin::Unix {
            uid: 1000,
            pid: Some(4711),
        }),
        action: Action::VmStart,
        target: target.to_owned(),
        decision: Decision::Allow {
            policy: "socket-group".to_owned(),
        },
        operation: Some("0198c1f0-0000-7222-8333-444455556666".parse().unwrap()),
    })
}

fn ended() -> AuditEvent {
    AuditEvent::Ended(Ended {
        principal: Principal::System,
        action: Action::VmStart,
        target: "vm/web".to_owned(),
        operation: "0198c1f0-0000-7222-8333-444455556666".parse().unwrap(),
        outcome: OperationState::Failed,
        problem: Some(ProblemKind::NoSpace),
    })
}

fn signed(key: &SigningKey) -> AuditEvent {
    AuditEvent::Signed {
        key: public(key),
        reason: SignReason::Daily,
    }
}

/// A log in the making.
#[derive(Default)]
struct Log {
    lines: Vec<String>,
    entries: Vec<AuditEntry>,
}

impl Log {
    fn of(events: impl IntoIterator<Item = AuditEvent>) -> Self {
        let mut log = Self::default();
        for event in events {
            log.add(event, &key());
        }
        log
    }

    fn add(&mut self, event: AuditEvent, key: &SigningKey) {
        let last = self.entries.last();
        let sequence = last.map_or(1, |last| last.sequence + 1);
        let draft = Draft {
            sequence,
            previous: last.map_or(Digest::NONE, |last| last.hash),
            id: AuditId::new(uuid::Uuid::from_u128(sequence.into())),
            time: time(sequence),
            event,
        };
        let line = if draft.event.signer().is_some() {
            draft.seal_signed(|bytes| Signature::new(key.sign(bytes).to_bytes()))
        } else {
            draft.seal()
        };
        let line = line.unwrap();
        self.lines.push(line.text);
        self.entries.push(line.entry);
    }

    /// Removes what stands before this entry, as retention does.
    fn cut(&mut self, first_kept: usize) {
        let gone = &self.entries[first_kept - 1];
        let cut = AuditEvent::Cut(Cut {
            key: public(&key()),
            sequence: gone.sequence,
            hash: gone.hash,
            removed: first_kept as u64,
            first: self.entries[0].time,
            last: gone.time,
        });
        self.add(cut, &key());
        self.lines.drain(..first_kept);
        self.entries.drain(..first_kept);
    }
}

fn events() -> impl Strategy<Value = Vec<AuditEvent>> {
    let event = prop_oneof![
        4 => ".{0,40}".prop_map(|text| decided(&text)),
        1 => Just(ended()),
        1 => Just(signed(&key())),
    ];
    prop::collection::vec(event, 2..12).prop_map(|mut events| {
        events.insert(0, began());
        events.push(signed(&key()));
        events
    })
}

fn fault(lines: &[String]) -> FirstFault {
    verify(lines, pinned(), End::Signed).unwrap_err()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn what_was_written_is_verified(events in events()) {
        let log = Log::of(events);
        let summary = verify(&log.lines, pinned(), End::Signed).unwrap();
        prop_assert_eq!(summary.entries, log.lines.len() as u64);
        prop_assert_eq!(summary.last.hash, log.entries.last().unwrap().hash);
        prop_assert_eq!(summary.unsigned, 0);
        for (line, entry) in log.lines.iter().zip(&log.entries) {
            prop_assert_eq!(&line::check(line).unwrap(), entry);
        }
    }

    #[test]
    fn any_changed_byte_is_found_and_its_entry_is_named(
        events in events(),
        at in any::<prop::sample::Index>(),
        within in any::<prop::sample::Index>(),
        with in any::<u8>(),
    ) {
        let mut log = Log::of(events);
        let at = at.index(log.lines.len());
        let mut bytes = log.lines[at].clone().into_bytes();
        let within = within.index(bytes.len());
        prop_assume!(bytes[within] != with);
        bytes[within] = with;
        // What is not UTF-8 is no line at all.
        let Ok(line) = String::from_utf8(bytes) else { return Ok(()) };
        log.lines[at] = line;
        let fault = fault(&log.lines);
        // A log may begin anywhere, so of the first one only its own word is known.
        let told = line::read(&log.lines[at]).map_or(1, |entry| entry.sequence);
        prop_assert_eq!(fault.sequence, if at == 0 { told } else { at as u64 + 1 });
    }

    #[test]
    fn any_dropped_entry_is_found(events in events(), at in any::<prop::sample::Index>()) {
        let mut log = Log::of(events);
        let at = at.index(log.lines.len());
        log.lines.remove(at);
        // Without its last entry it may be a whole log of an earlier time.
        let heads = vec![log.entries.last().unwrap().clone()];
        let fault = verify(&log.lines, Trust { heads, ..pinned() }, End::Open).unwrap_err();
        let place = at as u64 + 1;
        let expected = if at == 0 {
            // Nothing vouches for what was before the second.
            (2, Misfit::Start)
        } else if at == log.lines.len() {
            (place, Misfit::End)
        } else {
            (place + 1, Misfit::Missing(place))
        };
        prop_assert_eq!((fault.sequence, fault.misfit), expected);
    }

    #[test]
    fn any_repeated_entry_is_found(
        events in events(),
        at in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
    ) {
        let mut log = Log::of(events);
        let at = at.index(log.lines.len());
        let to = to.index(log.lines.len() - at) + at + 1;
        log.lines.insert(to, log.lines[at].clone());
        let fault = fault(&log.lines);
        prop_assert_eq!(fault.sequence, at as u64 + 1);
        prop_assert_eq!(fault.misfit, Misfit::Misplaced(to as u64 + 1));
    }

    #[test]
    fn any_two_entries_that_changed_places_are_found(
        events in events(),
        one in any::<prop::sample::Index>(),
        other in any::<prop::sample::Index>(),
    ) {
        let mut log = Log::of(events);
        let (one, other) = (one.index(log.lines.len()), other.index(log.lines.len()));
        prop_assume!(one != other);
        log.lines.swap(one, other);
        prop_assert!(verify(&log.lines, pinned(), End::Open).is_err());
    }

    #[test]
    fn an_inserted_entry_is_found_however_well_it_is_made(
        events in events(),
        at in any::<prop::sample::Index>(),
    ) {
        let log = Log::of(events);
        let at = at.index(log.lines.len() - 1) + 1;
        let forged = Draft {
            sequence: at as u64 + 1,
            previous: log.entries[at - 1].hash,
            id: AuditId::new(uuid::Uuid::nil()),
            time: time(0),
            event: decided("vm/innocent"),
        };
        let mut lines = log.lines;
        lines.insert(at, forged.seal().unwrap().text);
        let fault = fault(&lines);
        prop_assert_eq!(fault.sequence, at as u64 + 1);
        prop_assert_eq!(fault.misfit, Misfit::Misplaced(at as u64 + 2));
    }

    #[test]
    fn a_log_that_is_written_anew_from_some_place_on_is_found_at_the_next_signature(
        events in events(),
        at in any::<prop::sample::Index>(),
    ) {
        let log = Log::of(events);
        let at = at.index(log.lines.len() - 2) + 1;
        let mut forged = Log {
            lines: log.lines[..at].to_vec(),
            entries: log.entries[..at].to_vec(),
        };
        prop_assume!(log.entries[at].signature.is_none());
        forged.add(decided("vm/innocent"), &key());
        let mut expected = None;
        for entry in &log.entries[at + 1..] {
            let last = forged.entries.last().unwrap();
            let draft = Draft {
                sequence: last.sequence + 1,
                previous: last.hash,
                id: entry.id,
                time: entry.time,
                event: entry.event.clone(),
            };
            // Without the key only the old signature can be copied.
            let line = match entry.signature {
                Some(signature) => {
                    expected.get_or_insert(draft.sequence);
                    draft.seal_signed(|_| signature)
                }
                None => draft.seal(),
            };
            let line = line.unwrap();
            forged.lines.push(line.text);
            forged.entries.push(line.entry);
        }
        let fault = fault(&forged.lines);
        prop_assert_eq!((Some(fault.sequence), fault.misfit), (expected, Misfit::Signature));
    }

    #[test]
    fn any_cut_tail_is_found_by_what_was_signed(
        events in events(),
        left in any::<prop::sample::Index>(),
    ) {
        let log = Log::of(events);
        let left = left.index(log.lines.len() - 1) + 1;
        let head = log.entries.last().unwrap().clone();
        let trust = Trust { heads: vec![head.clone()], ..pinned() };
        let fault = verify(&log.lines[..left], trust, End::Open).unwrap_err();
        prop_assert_eq!((fault.sequence, fault.misfit), (head.sequence, Misfit::End));
    }

    #[test]
    fn a_log_that_was_cut_behind_a_checkpoint_is_verified_and_a_line_less_is_not(
        events in events(),
        at in any::<prop::sample::Index>(),
    ) {
        let mut log = Log::of(events);
        let at = at.index(log.lines.len() - 2) + 1;
        log.cut(at);
        let summary = verify(&log.lines, pinned(), End::Signed).unwrap();
        prop_assert_eq!(summary.first.sequence, at as u64 + 1);
        prop_assert_eq!(summary.cut.unwrap().removed, at as u64);
        let fault = fault(&log.lines[1..]);
        prop_assert_eq!((fault.sequence, fault.misfit), (at as u64 + 2, Misfit::Start));
    }

    #[test]
    fn no_line_at_all_makes_it_fall_over(text in ".{0,200}") {
        prop_assert!(line::check(&text).is_err());
    }
}

#[test]
fn the_format_is_this_and_stays_so() {
    let log = Log::of([began(), decided("vm/web"), ended(), signed(&key())]);
    insta::assert_snapshot!(log.lines.join("\n"));
}

#[test]
fn names_that_others_chose_are_cut_and_escaped() {
    let event = decided(&format!("vm/\u{1b}[2J\n\"{}", "x".repeat(1000))).bounded();
    let mut log = Log::of([began()]);
    log.add(event, &key());
    let line = &log.lines[1];
    assert!(
        line.len() < 1_000 && !line.contains(['\n', '\u{1b}']),
        "{line}"
    );
    assert!(verify(&log.lines, Trust::default(), End::Open).is_ok());
}

#[test]
fn a_key_that_is_not_pinned_is_not_trusted_and_the_first_one_is_if_none_is() {
    let other = SigningKey::from_bytes(&[8; 32]);
    let mut log = Log::of([began(), signed(&key())]);
    log.add(signed(&other), &other);
    let fault = verify(&log.lines, Trust::default(), End::Signed).unwrap_err();
    assert_eq!(
        (fault.sequence, fault.misfit),
        (3, Misfit::Key(public(&other)))
    );
    let both = Trust {
        keys: vec![public(&key()), public(&other)],
        heads: Vec::new(),
    };
    assert_eq!(verify(&log.lines, both, End::Signed).unwrap().keys.len(), 2);
    let wrong = Trust {
        keys: vec![public(&other)],
        heads: Vec::new(),
    };
    let fault = verify(&log.lines, wrong, End::Signed).unwrap_err();
    assert_eq!(
        (fault.sequence, fault.misfit),
        (2, Misfit::Key(public(&key())))
    );
}

#[test]
fn a_signature_made_with_another_key_than_it_names_is_wrong() {
    let other = SigningKey::from_bytes(&[8; 32]);
    let mut log = Log::of([began()]);
    log.add(signed(&key()), &other);
    let fault = verify(&log.lines, pinned(), End::Signed).unwrap_err();
    assert_eq!((fault.sequence, fault.misfit), (2, Misfit::Signature));
}

#[test]
fn an_entry_that_was_signed_elsewhere_must_be_the_one_that_is_there() {
    let log = Log::of([began(), decided("vm/web"), signed(&key())]);
    let other = Log::of([began(), decided("vm/db"), signed(&key())]);
    let trust = Trust {
        heads: vec![log.entries[2].clone()],
        ..pinned()
    };
    let fault = verify(&other.lines, trust, End::Signed).unwrap_err();
    assert_eq!((fault.sequence, fault.misfit), (3, Misfit::Replaced));
}

#[test]
fn an_empty_log_and_one_of_a_later_version_say_what_they_are() {
    let none: [&str; 0] = [];
    let fault = verify(none, pinned(), End::Open).unwrap_err();
    assert_eq!(fault.to_string(), "entry 1: the log is empty");
    let log = Log::of([began()]);
    let later = log.lines[0].replace("{\"format\":1,", "{\"format\":2,");
    let fault = verify([later], pinned(), End::Open).unwrap_err();
    assert_eq!(
        fault.to_string(),
        "entry 1 of 2027-01-15T08:00:01Z: it has the format 2, which a later version reads"
    );
}

#[test]
fn what_a_later_version_tells_is_verified_though_it_is_not_understood() {
    let event = serde_json::json!({ "kind": "decided", "action": "moon.land" });
    let log = Log::of([began(), AuditEvent::Other(event.clone()), signed(&key())]);
    assert!(verify(&log.lines, pinned(), End::Signed).is_ok());
    assert_eq!(
        line::read(&log.lines[1]).unwrap().event,
        AuditEvent::Other(event)
    );
    let forged = log.lines[1].replace("moon", "mars");
    let fault = verify([&log.lines[0], &forged], pinned(), End::Open).unwrap_err();
    assert_eq!((fault.sequence, fault.misfit), (2, Misfit::Content));
}
