// SPDX-License-Identifier: GPL-3.0-or-later
//! Asking Cedar: our things in its words, and what it says of them.

use std::collections::{HashMap, HashSet};

use cedar_policy::{
    Authorizer, Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicySet, Request,
    RestrictedExpression,
};
use hv_model::access::{Action, Role};

use super::{
    Assurance, Resource, Subject, VmTraits,
    policies::{Policies, PolicyFault},
    schema::GRAVE,
};

/// What Cedar says.
#[derive(Debug)]
pub(super) enum Verdict {
    Permitted(String),
    Forbidden(Vec<String>),
    Nothing,
}

/// What asks Cedar.
#[derive(Debug)]
pub(super) struct Judge {
    user: EntityTypeName,
    group: EntityTypeName,
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
    /// Every action with the groups that it is in.
    actions: HashMap<Action, Entity>,
    authorizer: Authorizer,
}

impl Judge {
    pub(super) fn new() -> Result<Self, PolicyFault> {
        let name = |name: &str| {
            format!("Hv::{name}")
                .parse()
                .map_err(|error: cedar_policy::ParseErrors| PolicyFault::Wrong {
                    name: "schema".to_owned(),
                    why: error.to_string(),
                })
        };
        let action = name("Action")?;
        let actions = Action::ALL.iter();
        Ok(Self {
            user: name("User")?,
            group: name("Group")?,
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
            actions: actions
                .map(|one| (*one, entity_of(&action, *one)))
                .collect(),
            authorizer: Authorizer::new(),
        })
    }

    /// What these policies say of this.
    pub(super) fn ask(
        &self,
        policies: &Policies,
        subject: &Subject,
        assurance: Assurance,
        action: Action,
        resource: &Resource<'_>,
    ) -> Result<Verdict, String> {
        let (request, entities) = self.question(policies, subject, assurance, action, resource)?;
        let common = match self.verdict(&request, &policies.common, &entities) {
            Verdict::Permitted(policy) => Some(policy),
            Verdict::Nothing => None,
            forbidden @ Verdict::Forbidden(_) => return Ok(forbidden),
        };
        // Grants only permit: the first that does is as good as all of them.
        for policy in policies.granted.that_reach(subject, action, resource) {
            let alone = PolicySet::from_policies([policy.clone()]);
            let alone = alone.map_err(|error| error.to_string())?;
            match self.verdict(&request, &alone, &entities) {
                Verdict::Permitted(grant) => {
                    let first = common.into_iter().fold(grant, String::min);
                    return Ok(Verdict::Permitted(first));
                }
                Verdict::Nothing => {}
                forbidden @ Verdict::Forbidden(_) => return Ok(forbidden),
            }
        }
        Ok(common.map_or(Verdict::Nothing, Verdict::Permitted))
    }

    /// A question in Cedar's words, with everything that a policy may look at.
    fn question(
        &self,
        policies: &Policies,
        subject: &Subject,
        assurance: Assurance,
        action: Action,
        resource: &Resource<'_>,
    ) -> Result<(Request, Entities), String> {
        let (person, principal) = self.principal(policies, subject)?;
        let action = self.actions.get(&action).cloned();
        let action = action.ok_or("the action is not known")?;
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
        let request = Request::new(person, action.uid(), thing, context, None)
            .map_err(|error| error.to_string())?;
        let entities = Entities::from_entities([principal, action, resource], None)
            .map_err(|error| error.to_string())?;
        Ok((request, entities))
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
        let granted = RestrictedExpression::new_bool(policies.granted.is_anybody(subject));
        let traits = HashMap::from([("granted".to_owned(), granted)]);
        let entity = Entity::new(uid.clone(), traits, groups.collect());
        Ok((uid, entity.map_err(|error| error.to_string())?))
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

fn entity_of(kind: &EntityTypeName, action: Action) -> Entity {
    let roles = Role::ALL.iter().filter(|role| role.allows(action));
    let mut groups: HashSet<_> = roles.map(|role| named(kind, role.as_str())).collect();
    if action.is_grave() {
        groups.insert(named(kind, GRAVE));
    }
    Entity::new_no_attrs(named(kind, action.as_str()), groups)
}

fn named(kind: &EntityTypeName, name: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(name))
}
