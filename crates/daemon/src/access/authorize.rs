// SPDX-License-Identifier: GPL-3.0-or-later
//! The one place that decides.
//!
//! ```text
//!  root, the daemon itself ──▶ allowed            nobody known ──▶ denied
//!  everybody else ──▶ token's narrowing ──▶ Cedar: permits, unless something forbids ──▶ decision
//! ```

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use hv_model::{
    access::{Action, Decision, Need, Principal},
    id::VmId,
};
use jiff::Timestamp;
use tokio::sync::watch;

use super::{
    Assurance, Resource, Subject, VmTraits,
    judge::{Judge, Verdict},
    policies::{Policies, PolicyFault, Sources},
};
use crate::clock::Clock;

/// How many decisions are remembered.
const REMEMBERED: usize = 1 << 16;
/// How many different subjects decisions are remembered of.
const SUBJECTS: usize = 1 << 10;

/// What decides. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Access(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    policies: RwLock<Arc<Policies>>,
    /// What is wrong with the policies that should be in force.
    fault: Mutex<Option<String>>,
    /// Held while policies are replaced.
    turn: tokio::sync::Mutex<()>,
    memory: Mutex<Memory>,
    /// Tells that other policies are in force.
    changed: watch::Sender<u64>,
    judge: Judge,
}

/// Decisions about VMs that were made under the policies in force.
#[derive(Debug, Default)]
struct Memory {
    subjects: HashMap<Arc<Subject>, u32>,
    decisions: HashMap<(u32, Action, Assurance, VmId), Remembered>,
}

#[derive(Debug)]
struct Remembered {
    of: VmTraits,
    decision: Decision,
}

impl Access {
    /// What decides by these policies.
    pub fn new(sources: Sources, clock: Clock) -> Result<Self, PolicyFault> {
        let policies = Policies::new(sources, clock.now())?;
        Ok(Self(Arc::new(Inner {
            clock,
            policies: RwLock::new(Arc::new(policies)),
            fault: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            memory: Mutex::default(),
            changed: watch::Sender::new(0),
            judge: Judge::new()?,
        })))
    }

    /// Puts other policies in force; if they are at fault, those that were stay.
    pub fn replace(&self, sources: Sources) -> Result<(), PolicyFault> {
        let policies = Policies::new(sources, self.0.clock.now())?;
        self.put(policies);
        Ok(())
    }

    fn put(&self, policies: Policies) {
        self.put_in_place_of(None, policies);
    }

    /// Puts policies in force, in place of these alone if they are named: what somebody else put in
    /// force meanwhile stays.
    pub(super) fn put_in_place_of(&self, old: Option<&Arc<Policies>>, policies: Policies) {
        let mut memory = self.memory();
        let in_force = self.0.policies.write();
        let mut in_force = in_force.unwrap_or_else(PoisonError::into_inner);
        if old.is_some_and(|old| !Arc::ptr_eq(old, &in_force)) {
            return;
        }
        *in_force = Arc::new(policies);
        *memory = Memory::default();
        // While nobody can read them: else a list of before could be taken for one of now.
        self.0.changed.send_modify(|version| *version += 1);
    }

    /// Tells when other policies are in force, as the number of their change.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// What the policies in force were made from.
    pub fn sources(&self) -> Sources {
        self.policies().sources.clone()
    }

    /// What is wrong with the policies that should be in force, if something is.
    pub fn fault(&self) -> Option<String> {
        self.0
            .fault
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn note_fault(&self, fault: Option<String>) {
        *self.0.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    pub(super) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.0.turn.lock().await
    }

    pub(super) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn policies(&self) -> Arc<Policies> {
        let read = self.0.policies.read();
        Arc::clone(&read.unwrap_or_else(PoisonError::into_inner))
    }

    /// The policies in force now: a grant that has ended is in none.
    fn current(&self) -> Arc<Policies> {
        let policies = self.policies();
        if policies.until.is_none_or(|until| self.now() < until) {
            return policies;
        }
        self.put_in_place_of(Some(&policies), policies.at(self.now()));
        self.policies()
    }

    /// The number of the policies in force now. What was decided under another may no longer hold.
    pub fn version(&self) -> u64 {
        let _ends_what_has_ended = self.current();
        *self.0.changed.borrow()
    }

    /// Whether somebody may do this to that.
    pub fn decide(
        &self,
        subject: &Arc<Subject>,
        assurance: Assurance,
        action: Action,
        resource: &Resource<'_>,
    ) -> Decision {
        if let Some(decision) = without_policies(&subject.principal) {
            return decision;
        }
        let policies = self.current();
        let Resource::Vm {
            id: Some(id),
            traits,
        } = *resource
        else {
            return self.judge(&policies, subject, assurance, action, resource);
        };
        let key = {
            let mut memory = self.memory();
            let key = (memory.number_of(subject), action, assurance, id);
            if let Some(known) = memory.decisions.get(&key)
                && known.of == *traits
            {
                return known.decision.clone();
            }
            key
        };
        let decision = self.judge(&policies, subject, assurance, action, resource);
        let mut memory = self.memory();
        // Those in force may have been replaced meanwhile.
        if Arc::ptr_eq(&policies, &self.policies()) && memory.subjects.get(subject) == Some(&key.0)
        {
            if memory.decisions.len() >= REMEMBERED {
                memory.decisions.clear();
            }
            let known = Remembered {
                of: traits.clone(),
                decision: decision.clone(),
            };
            memory.decisions.insert(key, known);
        }
        decision
    }

    /// Whether somebody may, asked anew.
    fn judge(
        &self,
        policies: &Policies,
        subject: &Subject,
        assurance: Assurance,
        action: Action,
        resource: &Resource<'_>,
    ) -> Decision {
        if let (Some(scope), Principal::Token { token, .. }) =
            (&subject.narrowed, &subject.principal)
        {
            let vm = match resource {
                Resource::Vm { traits, .. } => Some(traits.name.as_str()),
                _ => None,
            };
            if !scope.allows(action, vm) {
                return deny(format!("token:{token}"));
            }
        }
        let judge = &self.0.judge;
        let verdict = match judge.ask(policies, subject, assurance, action, resource) {
            Ok(verdict) => verdict,
            Err(error) => {
                tracing::error!(%error, action = action.as_str(), %resource, "no policy can judge this");
                return deny("default");
            }
        };
        match verdict {
            Verdict::Permitted(policy) => Decision::Allow { policy },
            Verdict::Nothing => deny("default"),
            Verdict::Forbidden(forbidding) => {
                self.asked_for(policies, &forbidding, subject, action, resource)
            }
        }
    }

    /// What is forbidden only until something more is there is asked for; the rest is denied.
    fn asked_for(
        &self,
        policies: &Policies,
        forbidding: &[String],
        subject: &Subject,
        action: Action,
        resource: &Resource<'_>,
    ) -> Decision {
        let first = forbidding.first().cloned().unwrap_or_default();
        let needs: Option<Vec<Need>> = forbidding
            .iter()
            .map(|policy| policies.needs.get(policy).copied())
            .collect();
        let Some(needs) = needs else {
            let absolute = forbidding
                .iter()
                .find(|policy| !policies.needs.contains_key(*policy));
            return deny(absolute.cloned().unwrap_or(first));
        };
        let with_all = self
            .0
            .judge
            .ask(policies, subject, Assurance::Approved, action, resource);
        match with_all {
            Ok(Verdict::Permitted(_)) => Decision::Ask {
                policy: first,
                needs: if needs.contains(&Need::SecondPerson) {
                    Need::SecondPerson
                } else {
                    Need::Proof
                },
            },
            Ok(Verdict::Forbidden(policies)) => deny(policies.into_iter().next().unwrap_or(first)),
            Ok(Verdict::Nothing) | Err(_) => deny("default"),
        }
    }
}

impl Memory {
    fn number_of(&mut self, subject: &Arc<Subject>) -> u32 {
        if let Some(number) = self.subjects.get(subject) {
            return *number;
        }
        if self.subjects.len() >= SUBJECTS {
            *self = Self::default();
        }
        let number = u32::try_from(self.subjects.len()).unwrap_or(u32::MAX);
        self.subjects.insert(Arc::clone(subject), number);
        number
    }
}

fn deny(policy: impl Into<String>) -> Decision {
    Decision::Deny {
        policy: policy.into(),
    }
}

/// The answer for whom no policy is asked.
fn without_policies(principal: &Principal) -> Option<Decision> {
    let allow = |policy: &str| {
        Some(Decision::Allow {
            policy: policy.to_owned(),
        })
    };
    match principal {
        // The host is root's; a policy that said otherwise could be changed by root.
        known if known.is_root() => allow("root"),
        Principal::System => allow("system"),
        Principal::Anonymous => Some(deny("anonymous")),
        _ => None,
    }
}
