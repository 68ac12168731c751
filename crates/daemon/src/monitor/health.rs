// SPDX-License-Identifier: GPL-3.0-or-later
//! The health of the host: every check, the worst first.
//!
//! What is judged is what the inventory and the store know; nobody waits for libvirt here. Where
//! that knowledge is old, the first check says so.

use std::sync::Arc;

use hv_model::{
    access::QuotasView,
    health::{Check, CheckStatus, Health},
    name::UserName,
    operation::{Operation, OperationState},
    refusal::GuardRefusal,
    size::Size,
};
use hv_port::rights::Finding;
use jiff::{SignedDuration, Timestamp};

use super::{
    audit_checks, host_checks, quota_checks, quota_checks::Numbers, rights, space_checks, vm_checks,
};
use crate::{
    app::App,
    audit::AuditState,
    store::{OperationFilter, REFUSALS, Result, Snapshot, VmRecord},
};

/// For how long an operation that went wrong is worth a warning.
const LATELY: SignedDuration = SignedDuration::from_hours(24);
/// How many operations that went wrong are looked at.
const MANY: u32 = 100;

/// What the checks judge.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) now: Timestamp,
    /// Operations that lately failed or were interrupted, the latest first.
    pub(super) went_wrong: Vec<Operation>,
    /// What the host's guard lately refused, the latest last.
    pub(super) refused: Vec<GuardRefusal>,
    /// What is wrong with hvd's own rights.
    pub(super) rights: Arc<[Finding]>,
    /// The disk that holds the state; `None`, if it can't be looked at.
    pub(super) state_disk: Option<Space>,
    /// What is wrong with the policies that should be in force.
    pub(super) policy_fault: Option<String>,
    /// What is known of the audit log.
    pub(super) audit: AuditState,
    /// What of users and of all together may be seen.
    pub(super) quotas: QuotasView,
    /// Whether the numbers of all together may be.
    pub(super) numbers: Numbers,
}

/// How much space there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Space {
    pub(super) free: Size,
    pub(super) total: Size,
}

/// What of VMs and operations somebody may see.
pub trait Sight {
    /// Whether they may see a VM.
    fn sees_vm(&self, vm: &VmRecord) -> bool;
    /// Whether they may see a VM of which no more than its name is known.
    fn sees_vm_named(&self, name: &str) -> bool;
    /// Whether they may see an operation.
    fn sees_operation(&self, snapshot: &Snapshot, operation: &Operation) -> bool;
    /// Whether they may see how much a user has, or, of nobody, how much all together have.
    fn sees_quota(&self, user: Option<&UserName>) -> bool;
}

/// The sight of the daemon itself, and of its tests: nothing is hidden.
#[derive(Debug, Clone, Copy)]
pub struct Everything;

impl Sight for Everything {
    fn sees_quota(&self, _: Option<&UserName>) -> bool {
        true
    }

    fn sees_vm(&self, _: &VmRecord) -> bool {
        true
    }

    fn sees_vm_named(&self, _: &str) -> bool {
        true
    }

    fn sees_operation(&self, _: &Snapshot, _: &Operation) -> bool {
        true
    }
}

/// How well the host is, as far as somebody may see it: no check names what they may not see.
pub async fn health(app: &App, sight: &impl Sight) -> Result<Health> {
    let folder = app.config.state_dir.clone();
    let now = app.clock.now();
    let read = app.store.read(move |read| {
        let states = vec![OperationState::Failed, OperationState::Interrupted];
        let filter = OperationFilter {
            states,
            target: None,
        };
        let page = read.operations(&filter, None, MANY)?;
        let refused = read.host_fact(REFUSALS)?.unwrap_or_default();
        Ok((page.items, refused, space_checks::space_of(&folder)))
    });
    let (mut went_wrong, mut refused, state_disk): (_, Vec<GuardRefusal>, _) = read.await?;
    let lately = |time: Timestamp| now.duration_since(time) < LATELY;
    went_wrong.retain(|operation| operation.ended.is_some_and(lately));
    refused.retain(|refusal| lately(refusal.time) && sight.sees_vm_named(&refusal.name));
    let known = app.inventory.snapshot();
    went_wrong.retain(|operation| sight.sees_operation(&known, operation));
    let snapshot = seen_part(known, sight);
    let mut quotas = app.engine.quotas(None).await?;
    quotas
        .users
        .retain(|quota| sight.sees_quota(Some(&quota.user)));
    let numbers = if sight.sees_quota(None) {
        Numbers::Told
    } else {
        Numbers::Untold
    };
    Ok(judge(&Facts {
        snapshot,
        now,
        went_wrong,
        refused,
        rights: Arc::clone(&app.rights),
        state_disk,
        policy_fault: app.access.fault(),
        audit: app.audit.state(),
        quotas,
        numbers,
    }))
}

/// What is known without the VMs that somebody may not see. Volumes that belong to nothing may be
/// anybody's.
fn seen_part(known: Arc<Snapshot>, sight: &impl Sight) -> Arc<Snapshot> {
    if known.vms.iter().all(|vm| sight.sees_vm(vm)) {
        return known;
    }
    let mut part = Snapshot::clone(&known);
    part.vms.retain(|vm| sight.sees_vm(vm));
    part.strays = Arc::default();
    Arc::new(part)
}

fn judge(facts: &Facts) -> Health {
    let mut checks = host_checks::all(facts);
    checks.extend(audit_checks::all(facts));
    checks.extend(rights::all(facts));
    checks.extend(space_checks::all(facts));
    checks.extend(vm_checks::all(facts));
    checks.extend(quota_checks::all(facts));
    // Checks of the same status keep their order.
    checks.sort_by_key(|check| std::cmp::Reverse(check.status));
    Health {
        status: checks
            .first()
            .map_or(CheckStatus::Unknown, |check| check.status),
        checks,
        freshness: facts.snapshot.freshness.clone(),
    }
}

/// A check that all is well.
pub(super) fn pass(id: &str, observed: impl Into<String>) -> Check {
    Check {
        id: id.to_owned(),
        status: CheckStatus::Pass,
        observed: observed.into(),
        why: String::new(),
        fixes: Vec::new(),
    }
}

/// A check that something is not as it should be.
pub(super) fn bad(
    id: &str,
    status: CheckStatus,
    observed: impl Into<String>,
    why: &str,
    fixes: impl IntoIterator<Item = String>,
) -> Check {
    Check {
        status,
        why: why.to_owned(),
        fixes: fixes.into_iter().collect(),
        ..pass(id, observed)
    }
}

/// A list in words, which stays short whatever it lists.
pub(super) fn listed<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 5;
    let more = names.len().saturating_sub(SHOWN);
    let shown = names.take(SHOWN).collect::<Vec<_>>().join(", ");
    if more == 0 {
        shown
    } else {
        format!("{shown} and {more} more")
    }
}

/// A number of things in words: `1 VM`, `3 VMs`.
pub(super) fn count(number: usize, what: &str) -> String {
    if number == 1 {
        format!("1 {what}")
    } else {
        format!("{number} {what}s")
    }
}

/// A time that has passed, in words.
pub(super) fn ago(facts: &Facts, time: Timestamp) -> String {
    let seconds = facts.now.duration_since(time).as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use hv_model::health::Freshness;

    use super::*;

    pub(in crate::monitor) fn facts(change: impl FnOnce(&mut Snapshot)) -> Facts {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let mut snapshot = Snapshot {
            seq: 1,
            version: 1,
            vms: Vec::new(),
            networks: Arc::default(),
            pools: Arc::default(),
            host: None,
            freshness: Freshness {
                live: true,
                seen: Some(now),
                why: None,
            },
            strays: Arc::default(),
            worked_on: Arc::default(),
            missed_facts: 0,
            broker_rights: None,
        };
        change(&mut snapshot);
        let space = Space {
            free: Size::from_gib(50),
            total: Size::from_gib(100),
        };
        Facts {
            snapshot: Arc::new(snapshot),
            now,
            went_wrong: Vec::new(),
            refused: Vec::new(),
            rights: [].into(),
            state_disk: Some(space),
            policy_fault: None,
            audit: AuditState::default(),
            quotas: QuotasView {
                own: None,
                total: None,
                users: Vec::new(),
            },
            numbers: Numbers::Told,
        }
    }

    #[test]
    fn the_worst_check_comes_first_and_is_the_status() {
        let health = judge(&facts(|snapshot| snapshot.freshness.live = false));
        assert_eq!(health.status, CheckStatus::Fail);
        assert_eq!(health.checks[0].id, "host.reachable");
        assert!(
            health
                .checks
                .is_sorted_by_key(|check| std::cmp::Reverse(check.status))
        );
    }

    #[test]
    fn every_check_that_is_not_passed_says_why_and_how_to_mend_it() {
        let health = judge(&facts(|snapshot| {
            snapshot.freshness.live = false;
            snapshot.missed_facts = 2;
        }));
        for check in health
            .checks
            .iter()
            .filter(|check| check.status > CheckStatus::Pass)
        {
            assert!(
                !check.why.is_empty() && !check.fixes.is_empty(),
                "{check:?}"
            );
        }
    }

    #[test]
    fn a_long_list_is_cut() {
        assert_eq!(listed(["a", "b"].into_iter()), "a, b");
        assert_eq!(
            listed(["a", "b", "c", "d", "e", "f", "g"].into_iter()),
            "a, b, c, d, e and 2 more"
        );
    }
}
