// SPDX-License-Identifier: GPL-3.0-or-later
//! Entries of the audit log as they are shown.

use hv_model::{
    access::{Decision, Need, Origin, Principal},
    audit::{AuditEntry, AuditEvent},
    id::OperationId,
    operation::OperationState,
};
use jiff::tz::TimeZone;

use crate::{
    command::operation::short_id,
    output::{Column, Facts, Look, Paint, Table, moment, shown, table::Cell},
};

/// What an entry tells, in words.
struct Told {
    who: String,
    from: Option<Origin>,
    what: String,
    on: String,
    outcome: (Paint, &'static str),
    why: String,
    operation: Option<OperationId>,
}

impl Told {
    fn of(event: &AuditEvent) -> Self {
        let by_host = |what: &str, paint, outcome, why: String| Self {
            who: "hvd".into(),
            from: None,
            what: what.into(),
            on: "audit".into(),
            outcome: (paint, outcome),
            why,
            operation: None,
        };
        match event {
            AuditEvent::Decided(decided) => Self {
                who: label(&decided.principal),
                from: decided.from,
                what: decided.action.as_str().into(),
                on: decided.target.clone(),
                outcome: match &decided.decision {
                    Decision::Allow { .. } => (Paint::Plain, "allowed"),
                    Decision::Deny { .. } => (Paint::Warning, "denied"),
                    Decision::Ask { needs, .. } => (
                        Paint::Warning,
                        match needs {
                            Need::Proof => "asked for proof",
                            Need::SecondPerson => "asked for a second person",
                        },
                    ),
                },
                why: decided.decision.policy().into(),
                operation: decided.operation,
            },
            AuditEvent::Ended(ended) => Self {
                who: label(&ended.principal),
                from: None,
                what: ended.action.as_str().into(),
                on: ended.target.clone(),
                outcome: match ended.outcome {
                    OperationState::Succeeded => (Paint::Good, "succeeded"),
                    other => (Paint::Warning, other.as_str()),
                },
                why: ended
                    .problem
                    .map(|problem| problem.entry().slug.to_owned())
                    .unwrap_or_default(),
                operation: Some(ended.operation),
            },
            AuditEvent::Began { carried: 0, .. } => {
                by_host("begin", Paint::Plain, "began", String::new())
            }
            AuditEvent::Began { carried, .. } => {
                let why = format!("with {carried} entries of before");
                by_host("begin", Paint::Plain, "began", why)
            }
            AuditEvent::Signed { reason, .. } => {
                by_host("sign", Paint::Plain, "signed", reason.words().into())
            }
            AuditEvent::Cut(cut) => {
                let why = format!("{} old entries", cut.removed);
                by_host("cut", Paint::Plain, "removed", why)
            }
            AuditEvent::Noticed { fault, .. } => {
                by_host("notice", Paint::Bad, "at fault", fault.words().into())
            }
            AuditEvent::Other(_) => by_host(
                "unknown",
                Paint::Warning,
                "not known to this version",
                String::new(),
            ),
        }
    }
}

fn label(principal: &Principal) -> String {
    match principal {
        Principal::Token { token, name } => format!("{} ({token})", name.as_str()),
        other => other.label().to_owned(),
    }
}

/// Entries as a table.
pub(super) fn table(entries: &[AuditEntry], zone: &TimeZone, look: Look) -> String {
    let mut table = Table::new([
        Column::number("NO"),
        Column::text("TIME"),
        Column::text("WHO"),
        Column::text("WHAT"),
        Column::shrinking("ON"),
        Column::text("OUTCOME"),
        Column::yielding("WHY"),
        Column::text("OPERATION"),
    ]);
    for entry in entries {
        let told = Told::of(&entry.event);
        let (paint, outcome) = told.outcome;
        table.row([
            entry.sequence.to_string().into(),
            moment::on_clock(entry.time, zone).into(),
            told.who.into(),
            told.what.into(),
            shown(&told.on).into_owned().into(),
            Cell::painted(paint, outcome),
            shown(&told.why).into_owned().into(),
            told.operation.map(short_id).unwrap_or_default().into(),
        ]);
    }
    if table.is_empty() {
        "Nothing was asked for yet.\n".into()
    } else {
        table.render(look)
    }
}

/// Everything about an entry.
pub(super) fn page(entry: &AuditEntry, zone: &TimeZone, look: Look) -> String {
    let told = Told::of(&entry.event);
    let (paint, outcome) = told.outcome;
    let mut facts = Facts::default();
    facts
        .add("entry", entry.sequence.to_string())
        .add("time", moment::on_clock(entry.time, zone))
        .add("who", told.who)
        .add_known("from", told.from.map(|from| from.to_string()))
        .add("what", told.what)
        .add("on", shown(&told.on))
        .add_painted("outcome", paint, outcome)
        .add_known("why", Some(shown(&told.why)))
        .add_known("operation", told.operation.map(|id| id.to_string()));
    match &entry.event {
        AuditEvent::Began { host, .. } => {
            facts.add("host", host.to_string());
        }
        AuditEvent::Signed { key, .. } => {
            facts.add("key", key.to_string());
        }
        AuditEvent::Cut(cut) => {
            let (first, last) = (cut.first, cut.last);
            let (first, last) = (moment::on_clock(first, zone), moment::on_clock(last, zone));
            facts
                .add("removed", format!("up to entry {}", cut.sequence))
                .add("written", format!("{first} to {last}"))
                .add("key", cut.key.to_string());
        }
        AuditEvent::Noticed { detail, .. } => {
            facts.add("seen", shown(detail));
        }
        AuditEvent::Other(value) => {
            facts.add("told", shown(&value.to_string()));
        }
        AuditEvent::Decided(_) | AuditEvent::Ended(_) => {}
    }
    facts
        .add("hash", entry.hash.to_string())
        .add("before it", entry.previous.to_string());
    facts.render(look)
}

#[cfg(test)]
pub(super) mod tests {
    use hv_model::{
        access::Action,
        audit::{Cut, Decided, Digest, Ended, NoticedFault, PublicKey, SignReason},
        problem::ProblemKind,
    };

    use super::*;

    fn events() -> Vec<AuditEvent> {
        let operation = "0198c1f0-1111-7222-8333-444455556666".parse().unwrap();
        let key = PublicKey::new([0xcd; 32]);
        let ada = Principal::User {
            name: "ada".parse().unwrap(),
            uid: 1000,
        };
        let decided = |principal, from, decision, operation| {
            AuditEvent::Decided(Decided {
                principal,
                from,
                action: Action::VmStart,
                target: "vm/web\x1b[2J".into(),
                decision,
                operation,
            })
        };
        let policy = || "socket-group".to_owned();
        let time = |second| jiff::Timestamp::from_second(second).unwrap();
        vec![
            AuditEvent::Began {
                host: "0198c1f0-2222-7222-8333-444455556666".parse().unwrap(),
                carried: 12,
            },
            decided(
                ada.clone(),
                Some(Origin::Unix {
                    uid: 1000,
                    pid: Some(4711),
                }),
                Decision::Allow { policy: policy() },
                Some(operation),
            ),
            AuditEvent::Ended(Ended {
                principal: ada,
                action: Action::VmStart,
                target: "vm/web".into(),
                operation,
                outcome: OperationState::Failed,
                problem: Some(ProblemKind::NotEnoughMemory),
            }),
            decided(
                Principal::Anonymous,
                Some(Origin::Tcp {
                    address: "127.0.0.1:40112".parse().unwrap(),
                }),
                Decision::Deny { policy: policy() },
                None,
            ),
            AuditEvent::Signed {
                key,
                reason: SignReason::Daily,
            },
            AuditEvent::Cut(Cut {
                key,
                sequence: 3,
                hash: Digest::new([1; 32]),
                removed: 3,
                first: time(1_780_000_000),
                last: time(1_780_100_000),
            }),
            AuditEvent::Noticed {
                fault: NoticedFault::Cut,
                detail: "entry 9 was signed and is not in the log".into(),
            },
            AuditEvent::Other(serde_json::json!({ "kind": "moon" })),
        ]
    }

    fn entries() -> Vec<AuditEntry> {
        let entry = |(sequence, event)| AuditEntry {
            format: 1,
            sequence,
            previous: Digest::NONE,
            id: "0198c1f0-3333-7222-8333-444455556666".parse().unwrap(),
            time: jiff::Timestamp::from_second(1_780_000_000).unwrap(),
            event,
            signature: None,
            hash: Digest::new([0xab; 32]),
        };
        (1..).zip(events()).map(entry).collect()
    }

    #[test]
    fn entries_are_a_table_and_each_can_be_shown() {
        let entries = entries();
        let mut pages = vec![table(&entries, &TimeZone::UTC, Look::plain())];
        for entry in &entries {
            pages.push(page(entry, &TimeZone::UTC, Look::plain()));
        }
        insta::assert_snapshot!(pages.join("\n"));
        assert_eq!(
            table(&[], &TimeZone::UTC, Look::plain()),
            "Nothing was asked for yet.\n"
        );
    }
}
