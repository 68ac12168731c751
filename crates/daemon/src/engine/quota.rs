// SPDX-License-Identifier: GPL-3.0-or-later
//! Whether what is asked for stays within the quotas.
//!
//! It is judged in the transaction that writes the operation down, on the store's one writer, with
//! everything that was asked for before and is not over. So two that ask at the same moment are
//! judged one after the other, and the second one counts the first.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use hv_model::{
    access::{Excess, Measure, Principal, QuotaUse, QuotasView, Usage, UserQuota},
    name::UserName,
    operation::{Operation, OperationKind},
    problem::{Problem, ProblemKind},
};
use jiff::Timestamp;
use serde_json::Value;

use super::{Engine, JobRequest, check, claim::Claims};
use crate::{
    access::UserLimits,
    clock::later,
    config::Config,
    store::{Creation, Inventory, ReadTransaction, Result as StoreResult, WriteTransaction},
};

/// For how long the making of a VM counts.
const HOUR: Duration = Duration::from_secs(60 * 60);

/// What judges by quotas.
#[derive(Debug, Clone)]
pub(super) struct Quotas {
    pub(super) config: Arc<Config>,
    pub(super) inventory: Inventory,
}

/// What is more than a quota allows.
#[derive(Debug)]
pub(super) struct Breach {
    /// The quota, as the audit log names it: `quota:ada`, or `quota` for everybody's together.
    pub(super) policy: String,
    /// What whoever asked is told.
    pub(super) problem: Problem,
}

/// Somebody who asks for something.
pub(super) struct Asked<'a> {
    pub(super) actor: &'a Principal,
    pub(super) request: &'a JobRequest,
    pub(super) parameters: &'a Value,
}

impl Quotas {
    /// What of a request is more than a quota allows; `None`, if nothing is.
    ///
    /// Root is never refused. What the daemon itself does is measured by the total alone, and what
    /// it starts again after a crash has kept its place.
    pub(super) fn breach(
        &self,
        tx: &WriteTransaction<'_>,
        unfinished: &[Operation],
        asked: &Asked<'_>,
    ) -> StoreResult<Option<Breach>> {
        if asked.actor.is_root() || !may_grow(asked.request.kind()) {
            return Ok(None);
        }
        // The inventory changes with each transaction that is kept, before the next one begins.
        let claims = Claims::new(tx, &self.inventory.snapshot(), unfinished)?;
        let before = claims.of(asked.request.vm());
        let mut after = before.clone();
        let kind = asked.request.kind();
        after.add(tx, asked.actor, kind, asked.parameters)?;
        if after == before {
            return Ok(None);
        }
        let creations = match kind {
            OperationKind::VmCreate => creations(tx, tx.now())?,
            _ => Vec::new(),
        };
        let wanted = Usage {
            creations_per_hour: u64::from(kind == OperationKind::VmCreate),
            ..after.usage()
        };
        if asked.actor != &Principal::System {
            for owner in &after.owners {
                let set = tx.quota(owner)?;
                let limits = UserLimits::new(&self.config.access.quotas, owner, set).limits;
                let made = times_of(&creations, Some(owner));
                let used = with_creations(claims.total_of(owner), &made);
                let had = if before.owners.contains(owner) {
                    before.usage()
                } else {
                    Usage::default()
                };
                if let Err(excess) = limits.judge(&used, &had, &wanted) {
                    let again = next_creation(&excess, &made, tx.now());
                    return Ok(Some(breach_of_user(owner, asked.actor, &excess, again)));
                }
            }
        }
        let used = with_creations(claims.total(), &times_of(&creations, None));
        let limits = self.config.access.quotas.total();
        let excess = limits.judge(&used, &before.usage(), &wanted).err();
        Ok(excess.map(|excess| breach_of_total(&excess)))
    }

    /// What everybody may have, and has: all users who have something or for whom something was
    /// set, and `own`, who asks.
    fn report(
        &self,
        tx: &ReadTransaction<'_>,
        now: Timestamp,
        own: Option<UserName>,
    ) -> StoreResult<QuotasView> {
        let config = &self.config.access.quotas;
        let unfinished = check::unfinished(tx)?;
        // After the operations, so that what ends meanwhile is seen in one of both places.
        let claims = Claims::new(tx, &self.inventory.snapshot(), &unfinished)?;
        let creations = creations(tx, now)?;
        let mut set = tx.quotas()?;
        let mut usages: BTreeMap<UserName, Usage> = claims.by_user();
        let makers = creations
            .iter()
            .filter_map(|creation| creation.owner.clone());
        let named = config
            .users
            .keys()
            .chain(set.keys())
            .cloned()
            .chain(own.clone());
        for user in makers.chain(named).collect::<Vec<_>>() {
            usages.entry(user).or_default();
        }
        let users = usages.into_iter().map(|(user, usage)| {
            let limits = UserLimits::new(config, &user, set.remove(&user));
            UserQuota {
                quota: QuotaUse {
                    limits: limits.limits,
                    usage: with_creations(usage, &times_of(&creations, Some(&user))),
                },
                user,
                source: limits.source,
                own: limits.own,
            }
        });
        Ok(QuotasView {
            own,
            users: users.collect(),
            total: Some(QuotaUse {
                limits: config.total(),
                usage: with_creations(claims.total(), &times_of(&creations, None)),
            }),
        })
    }
}

impl Engine {
    /// What everybody may have, and has, as `own` asks, who is listed in any case.
    pub async fn quotas(&self, own: Option<UserName>) -> StoreResult<QuotasView> {
        let (quotas, now) = (self.0.quotas.clone(), self.0.clock.now());
        let look = move |tx: &ReadTransaction<'_>| quotas.report(tx, now, own);
        self.0.store.read(look).await
    }
}

/// Whether an operation of this kind can make anybody have more.
const fn may_grow(kind: OperationKind) -> bool {
    matches!(
        kind,
        OperationKind::VmCreate
            | OperationKind::VmChange
            | OperationKind::VmStart
            | OperationKind::VmUndelete
            | OperationKind::VmAdopt
    )
}

/// The VMs that were made within the hour before, the oldest first.
fn creations(tx: &ReadTransaction<'_>, now: Timestamp) -> StoreResult<Vec<Creation>> {
    tx.creations_after(now.checked_sub(HOUR).unwrap_or(Timestamp::MIN))
}

/// When VMs of this user were made, or of anybody.
fn times_of(creations: &[Creation], user: Option<&UserName>) -> Vec<Timestamp> {
    let theirs = |creation: &&Creation| user.is_none() || creation.owner.as_ref() == user;
    let made = creations.iter().filter(theirs);
    made.map(|creation| creation.time).collect()
}

fn with_creations(usage: Usage, made: &[Timestamp]) -> Usage {
    Usage {
        creations_per_hour: u64::try_from(made.len()).unwrap_or(u64::MAX),
        ..usage
    }
}

/// In how many minutes enough of these are an hour old, where that is what is waited for.
fn next_creation(excess: &Excess, made: &[Timestamp], now: Timestamp) -> Option<i64> {
    if excess.measure != Measure::CreationsPerHour || excess.limit == 0 {
        return None;
    }
    let limit = usize::try_from(excess.limit).ok()?;
    let oldest = made.get(made.len().checked_sub(limit)?)?;
    let seconds = later(*oldest, HOUR).duration_since(now).as_secs();
    Some(seconds / 60 + 1)
}

/// Numbers of others are told to nobody.
fn breach_of_user(
    user: &UserName,
    actor: &Principal,
    excess: &Excess,
    again: Option<i64>,
) -> Breach {
    let detail = if actor.person() == Some(user) {
        excess.sentence(user)
    } else {
        let words = excess.measure.words();
        format!("The quota of {user}, who is to have this, does not suffice: {words}.")
    };
    let detail = match again {
        Some(minutes) => format!("{detail} The next one can be made in {minutes} min."),
        None => detail,
    };
    Breach {
        policy: format!("quota:{user}"),
        problem: problem(detail, excess.measure),
    }
}

fn breach_of_total(excess: &Excess) -> Breach {
    let words = excess.measure.words();
    let detail = format!("The quota of all users together does not suffice: {words}.");
    Breach {
        policy: "quota".to_owned(),
        problem: problem(detail, excess.measure),
    }
}

fn problem(detail: String, measure: Measure) -> Problem {
    let problem = Problem::new(ProblemKind::QuotaExceeded, detail).with_try("hv access quota list");
    match measure {
        Measure::Running => problem.with_try("hv vm list --state running"),
        Measure::Disk => problem.with_try("hv vm list --trash"),
        Measure::Vms | Measure::Vcpus | Measure::Memory => problem.with_try("hv vm list"),
        Measure::DiskPerVm | Measure::Snapshots | Measure::CreationsPerHour => problem,
    }
}
