// SPDX-License-Identifier: GPL-3.0-or-later
//! The one place that decides.
//!
//! ```text
//!  root, the daemon itself ──▶ allowed            nobody known ──▶ denied
//!  everybody else ──▶ token's narrowing ──▶ Cedar: permits, unless something forbids ──▶ decision
//! ```

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use cedar_policy::{
    Authorizer, Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicySet, Request,
    RestrictedExpression,
};
use hv_model::{
    access::{Action, Decision, Grantee, Need, Principal, Role},
    id::VmId,
};
use jiff::Timestamp;
use tokio::sync::watch;

use super::{
    Assurance, Resource, Subject, VmTraits,
    policies::{Policies, PolicyFault, Sources},
    schema::GRAVE,
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
    words: Words,
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
            words: Words::new()?,
        })))
    }

    /// Puts other policies in force; if they are at fault, those that were stay.
    pub fn replace(&self, sources: Sources) -> Result<(), PolicyFault> {
        let policies = Policies::new(sources, self.0.clock.now())?;
        self.put(policies);
        Ok(())
    }

    fn put(&self, policies: Policies) {
        let mut memory = self.memory();
        *self
            .0
            .policies
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(policies);
        *memory = Memory::default();
        drop(memory);
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
        let ended = |until: Timestamp| until <= self.0.clock.now();
        if !policies.until.is_some_and(ended) {
            return policies;
        }
        match self.replace(policies.sources.clone()) {
            Ok(()) => self.policies(),
            Err(error) => {
                tracing::error!(%error, "policies that were in force can't be made anew");
                policies
            }
        }
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
        let asked = self
            .0
            .words
            .ask(policies, subject, assurance, action, resource);
        let verdict = match asked {
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
            .words
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

    /// Whether somebody has a role anywhere.
    pub fn is_granted(&self, subject: &Subject) -> bool {
        self.current().has_grant(subject)
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

impl Policies {
    pub(super) fn has_grant(&self, subject: &Subject) -> bool {
        self.sources
            .grants
            .iter()
            .any(|given| is_for(&given.grant.to, subject))
    }
}

/// Whether a grant to this is one to them.
pub(super) fn is_for(to: &Grantee, subject: &Subject) -> bool {
    match to {
        Grantee::User(name) => subject.principal.person() == Some(name),
        Grantee::Group(name) => subject.groups.contains(name),
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

/// What Cedar says.
#[derive(Debug)]
enum Verdict {
    Permitted(String),
    Forbidden(Vec<String>),
    Nothing,
}

/// Cedar's names of our things, and the asking.
#[derive(Debug)]
struct Words {
    user: EntityTypeName,
    group: EntityTypeName,
    action: EntityTypeName,
    vm: EntityTypeName,
    image: EntityTypeName,
    network: EntityTypeName,
    pool: EntityTypeName,
    operation: EntityTypeName,
    account: EntityTypeName,
    host: EntityTypeName,
    events: EntityTypeName,
    audit: EntityTypeName,
    access: EntityTypeName,
    approvals: EntityTypeName,
    authorizer: Authorizer,
}

impl Words {
    fn new() -> Result<Self, PolicyFault> {
        let name = |name: &str| {
            format!("Hv::{name}")
                .parse()
                .map_err(|error: cedar_policy::ParseErrors| PolicyFault::Wrong {
                    name: "schema".to_owned(),
                    why: error.to_string(),
                })
        };
        Ok(Self {
            user: name("User")?,
            group: name("Group")?,
            action: name("Action")?,
            vm: name("Vm")?,
            image: name("Image")?,
            network: name("Network")?,
            pool: name("Pool")?,
            operation: name("Operation")?,
            account: name("Account")?,
            host: name("Host")?,
            events: name("Events")?,
            audit: name("Audit")?,
            access: name("Access")?,
            approvals: name("Approvals")?,
            authorizer: Authorizer::new(),
        })
    }

    fn ask(
        &self,
        policies: &Policies,
        subject: &Subject,
        assurance: Assurance,
        action: Action,
        resource: &Resource<'_>,
    ) -> Result<Verdict, String> {
        let (person, principal) = self.principal(policies, subject)?;
        let (what, action) = self.action(action);
        let (thing, resource) = self.resource(resource)?;
        let fact = |is: bool| RestrictedExpression::new_bool(is);
        let context = Context::from_pairs([
            ("proof".to_owned(), fact(assurance == Assurance::Proof)),
            (
                "approved".to_owned(),
                fact(assurance == Assurance::Approved),
            ),
        ])
        .map_err(|error| error.to_string())?;
        let entities = Entities::from_entities([principal, action, resource], None)
            .map_err(|error| error.to_string())?;
        let request =
            Request::new(person, what, thing, context, None).map_err(|error| error.to_string())?;
        Ok(self.verdict(&request, &policies.set, &entities))
    }

    fn verdict(&self, request: &Request, set: &PolicySet, entities: &Entities) -> Verdict {
        let response = self.authorizer.is_authorized(request, set, entities);
        for error in response.diagnostics().errors() {
            tracing::warn!(%error, "a policy can't be applied");
        }
        // A policy that fails to be applied permits nothing; nor may it fail to forbid.
        if let Some(failed) = response.diagnostics().errors().next() {
            let cedar_policy::AuthorizationError::PolicyEvaluationError(failed) = failed;
            return Verdict::Forbidden(vec![failed.policy_id().to_string()]);
        }
        let mut reasons: Vec<_> = response
            .diagnostics()
            .reason()
            .map(ToString::to_string)
            .collect();
        reasons.sort_unstable();
        match response.decision() {
            cedar_policy::Decision::Allow => {
                Verdict::Permitted(reasons.into_iter().next().unwrap_or_default())
            }
            cedar_policy::Decision::Deny if reasons.is_empty() => Verdict::Nothing,
            cedar_policy::Decision::Deny => Verdict::Forbidden(reasons),
        }
    }

    fn principal(
        &self,
        policies: &Policies,
        subject: &Subject,
    ) -> Result<(EntityUid, Entity), String> {
        let person = subject.principal.person().map_or("", |name| name.as_str());
        let uid = named(&self.user, person);
        let groups = subject
            .groups
            .iter()
            .map(|group| named(&self.group, group.as_str()));
        let granted = RestrictedExpression::new_bool(policies.has_grant(subject));
        let traits = HashMap::from([("granted".to_owned(), granted)]);
        let entity = Entity::new(uid.clone(), traits, groups.collect());
        Ok((uid, entity.map_err(|error| error.to_string())?))
    }

    fn action(&self, action: Action) -> (EntityUid, Entity) {
        let uid = named(&self.action, action.as_str());
        let roles = Role::ALL.iter().filter(|role| role.allows(action));
        let mut groups: HashSet<_> = roles
            .map(|role| named(&self.action, role.as_str()))
            .collect();
        if action.is_grave() {
            groups.insert(named(&self.action, GRAVE));
        }
        (uid.clone(), Entity::new_no_attrs(uid, groups))
    }

    fn resource(&self, resource: &Resource<'_>) -> Result<(EntityUid, Entity), String> {
        let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
        let by_name = |kind: &EntityTypeName, name: &str| {
            (
                named(kind, name),
                HashMap::from([("name".to_owned(), text(name))]),
            )
        };
        let only = |kind: &EntityTypeName| (named(kind, "this"), HashMap::new());
        let (uid, traits) = match resource {
            Resource::Vm { traits, .. } => (named(&self.vm, &traits.name), self.vm_traits(traits)),
            Resource::Image(name) => by_name(&self.image, name.as_str()),
            Resource::Network(name) => by_name(&self.network, name.as_str()),
            Resource::Pool(name) => by_name(&self.pool, name.as_str()),
            Resource::Account(name) => by_name(&self.account, name.as_str()),
            Resource::Operation { id, actor } => {
                let actor = actor.person().map(|name| {
                    let person = named(&self.user, name.as_str());
                    (
                        "actor".to_owned(),
                        RestrictedExpression::new_entity_uid(person),
                    )
                });
                (
                    named(&self.operation, &id.to_string()),
                    actor.into_iter().collect(),
                )
            }
            Resource::Host => only(&self.host),
            Resource::Events => only(&self.events),
            Resource::Audit => only(&self.audit),
            Resource::Access => only(&self.access),
            Resource::Approvals => only(&self.approvals),
        };
        let entity = Entity::new(uid.clone(), traits, HashSet::new());
        Ok((uid, entity.map_err(|error| error.to_string())?))
    }

    fn vm_traits(&self, traits: &VmTraits) -> HashMap<String, RestrictedExpression> {
        let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
        let tags = traits.tags.iter().map(|tag| text(tag.as_str()));
        let pools = traits.pools.iter().map(|pool| text(pool.as_str()));
        let mut told = HashMap::from([
            ("name".to_owned(), text(&traits.name)),
            ("tags".to_owned(), RestrictedExpression::new_set(tags)),
            ("pools".to_owned(), RestrictedExpression::new_set(pools)),
        ]);
        if let Some(owner) = &traits.owner {
            let owner = named(&self.user, owner.as_str());
            told.insert(
                "owner".to_owned(),
                RestrictedExpression::new_entity_uid(owner),
            );
        }
        told
    }
}

fn named(kind: &EntityTypeName, name: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(name))
}
