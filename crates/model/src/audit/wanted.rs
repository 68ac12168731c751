// SPDX-License-Identifier: GPL-3.0-or-later
//! Which entries of the audit log somebody looks for.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AuditEntry, AuditEvent};
use crate::{
    access::{Action, Decision},
    id::OperationId,
    operation::OperationState,
};

/// How something came out: what was decided, or how the operation ended that it became.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AuditOutcome {
    /// They might.
    Allowed,
    /// They might not.
    Denied,
    /// They were asked for a proof or for a second person.
    Asked,
    /// It was done.
    Succeeded,
    /// It could not be done.
    Failed,
    /// Somebody stopped it.
    Cancelled,
    /// The daemon ended under it.
    Interrupted,
}

impl AuditOutcome {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Allowed,
        Self::Denied,
        Self::Asked,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::Interrupted,
    ];

    /// The name it has in JSON and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Asked => "asked",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }

    /// How what this tells of came out, if it tells of something that did.
    pub const fn of(event: &AuditEvent) -> Option<Self> {
        match event {
            AuditEvent::Decided(decided) => Some(match decided.decision {
                Decision::Allow { .. } => Self::Allowed,
                Decision::Deny { .. } => Self::Denied,
                Decision::Ask { .. } => Self::Asked,
            }),
            AuditEvent::Ended(ended) => match ended.outcome {
                OperationState::Succeeded => Some(Self::Succeeded),
                OperationState::Failed => Some(Self::Failed),
                OperationState::Cancelled => Some(Self::Cancelled),
                OperationState::Interrupted => Some(Self::Interrupted),
                OperationState::Queued | OperationState::Running => None,
            },
            _ => None,
        }
    }
}

/// Which entries are wanted: those that fit everything that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WantedEntries {
    /// Those of this person, or of `system` or `anonymous`.
    pub who: Option<String>,
    /// Those in which this was asked for.
    pub action: Option<Action>,
    /// Those about this: `vm/web`.
    pub target: Option<String>,
    /// Those that came out like this.
    pub outcome: Option<AuditOutcome>,
    /// Those of this operation.
    pub operation: Option<OperationId>,
    /// Those from then on.
    pub since: Option<Timestamp>,
    /// Those before then.
    pub until: Option<Timestamp>,
}

impl WantedEntries {
    /// What stands in the line of each of them: a line without one of these texts need not be read.
    /// A line without all of them can still be that of another entry.
    pub fn words(&self) -> Vec<String> {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let who = self.who.as_deref().map(quoted);
        let action = self.action.map(|action| quoted(action.as_str()));
        let target = self.target.as_deref().map(quoted);
        let operation = self.operation.map(|id| quoted(&id.to_string()));
        let words = [who, action, target, operation];
        words.into_iter().flatten().collect()
    }

    /// Whether an entry is one of them.
    pub fn fits(&self, entry: &AuditEntry) -> bool {
        let Self {
            who,
            action,
            target,
            outcome,
            operation,
            since,
            until,
        } = self;
        let (by, what, on, of) = match &entry.event {
            AuditEvent::Decided(it) => (
                Some(it.principal.label()),
                Some(&it.action),
                Some(it.target.as_str()),
                it.operation.as_ref(),
            ),
            AuditEvent::Ended(it) => (
                Some(it.principal.label()),
                Some(&it.action),
                Some(it.target.as_str()),
                Some(&it.operation),
            ),
            _ => (None, None, None, None),
        };
        fit(who.as_deref(), by)
            && fit(action.as_ref(), what)
            && fit(target.as_deref(), on)
            && fit(outcome.as_ref(), AuditOutcome::of(&entry.event).as_ref())
            && fit(operation.as_ref(), of)
            && since.is_none_or(|since| since <= entry.time)
            && until.is_none_or(|until| entry.time < until)
    }
}

/// Whether there is what is wanted, if something is.
fn fit<T: PartialEq + ?Sized>(wanted: Option<&T>, there: Option<&T>) -> bool {
    wanted.is_none() || wanted == there
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access::Principal,
        audit::{Decided, Digest, SignReason},
    };

    fn entry(event: AuditEvent) -> AuditEntry {
        AuditEntry {
            format: 1,
            sequence: 1,
            previous: Digest::NONE,
            id: "0198c1f0-3333-7222-8333-444455556666".parse().unwrap(),
            time: Timestamp::from_second(1_000).unwrap(),
            event,
            signature: None,
            hash: Digest::NONE,
        }
    }

    fn denied() -> AuditEntry {
        entry(AuditEvent::Decided(Decided {
            principal: Principal::Token {
                token: "ci".parse().unwrap(),
                name: "ada".parse().unwrap(),
            },
            from: None,
            action: Action::VmStart,
            target: "vm/web".to_owned(),
            decision: Decision::Deny {
                policy: "default".to_owned(),
            },
            operation: None,
        }))
    }

    #[test]
    fn an_entry_fits_if_everything_that_is_given_does() {
        let at = |second| Some(Timestamp::from_second(second).unwrap());
        let all = WantedEntries {
            who: Some("ada".to_owned()),
            action: Some(Action::VmStart),
            target: Some("vm/web".to_owned()),
            outcome: Some(AuditOutcome::Denied),
            operation: None,
            since: at(1_000),
            until: at(1_001),
        };
        assert!(all.fits(&denied()));
        let operation = "0198c1f0-1111-7222-8333-444455556666".parse().unwrap();
        let but = |change: fn(&mut WantedEntries)| {
            let mut wanted = all.clone();
            change(&mut wanted);
            wanted
        };
        for other in [
            but(|wanted| wanted.who = Some("ad".to_owned())),
            but(|wanted| wanted.action = Some(Action::VmView)),
            but(|wanted| wanted.target = Some("vm/we".to_owned())),
            but(|wanted| wanted.outcome = Some(AuditOutcome::Asked)),
            but(|wanted| wanted.until = wanted.since),
            but(|wanted| wanted.since = wanted.until),
            WantedEntries {
                operation: Some(operation),
                ..WantedEntries::default()
            },
        ] {
            assert!(!other.fits(&denied()), "{other:?}");
        }
    }

    #[test]
    fn the_words_of_what_is_wanted_stand_in_the_line_of_each_that_fits() {
        let entry = |principal, target: &str| {
            let mut entry = denied();
            if let AuditEvent::Decided(decided) = &mut entry.event {
                decided.principal = principal;
                decided.target = target.to_owned();
                decided.operation = Some("0198c1f0-1111-7222-8333-444455556666".parse().unwrap());
            }
            entry
        };
        let account = Principal::Account {
            name: "ada".parse().unwrap(),
        };
        for (principal, target) in [
            (account, "vm/web"),
            (Principal::System, "vm/a \"b\" \\ \u{1b}[0m ü"),
            (Principal::Anonymous, ""),
        ] {
            let entry = entry(principal.clone(), target);
            let AuditEvent::Decided(decided) = &entry.event else {
                panic!("{entry:?}")
            };
            let wanted = WantedEntries {
                who: Some(principal.label().to_owned()),
                action: Some(decided.action),
                target: Some(target.to_owned()),
                operation: decided.operation,
                ..WantedEntries::default()
            };
            let line = serde_json::to_string(&entry).unwrap();
            assert!(wanted.fits(&entry), "{wanted:?}");
            for word in wanted.words() {
                assert!(line.contains(&word), "{word} in {line}");
            }
        }
    }

    #[test]
    fn who_gives_nothing_wants_all_and_who_names_somebody_none_of_the_log_s_own() {
        let signed = entry(AuditEvent::Signed {
            key: crate::audit::PublicKey::new([1; 32]),
            reason: SignReason::Daily,
        });
        assert!(WantedEntries::default().fits(&signed));
        let of_ada = WantedEntries {
            who: Some("ada".to_owned()),
            ..WantedEntries::default()
        };
        assert!(!of_ada.fits(&signed));
    }
}
