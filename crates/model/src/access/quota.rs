// SPDX-License-Identifier: GPL-3.0-or-later
//! Quotas: how much of the host one person may have, and everybody together.
//!
//! ```text
//!  set for the user ──▶ for each user ──▶ built in        the first that says something holds
//!
//!  Usage of a person ─┐
//!  what is asked for ─┴─▶ QuotaLimits::judge ──▶ within, or an Excess
//! ```
//!
//! A VM counts for its owner. In the total every VM of the host counts, whoever made it.

mod limit;
mod usage;

use serde::{Deserialize, Serialize};

pub use self::{
    limit::{CountLimit, Limit, LimitError, LimitValue, SizeLimit},
    usage::{Excess, Measure, Share, Usage},
};
use crate::{name::UserName, size::Size};

/// From so many percent of a limit on there is a warning.
pub const WARNING_PERCENT: u64 = 90;

/// How much somebody may have. What is absent is not said here: something else may say it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct QuotaLimits {
    /// How many VMs; those in the trash do not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vms: Option<CountLimit>,
    /// How many of them may run or be paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running: Option<CountLimit>,
    /// How many virtual CPUs all VMs together can have, running or not: of each, as many as it can
    /// be given while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vcpus: Option<CountLimit>,
    /// How much memory all VMs together can have, counted like their CPUs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<SizeLimit>,
    /// How large the disks of all VMs together can grow, those of VMs in the trash included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<SizeLimit>,
    /// How large the disks of one VM together can grow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_per_vm: Option<SizeLimit>,
    /// How many snapshots one VM may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshots: Option<CountLimit>,
    /// How many VMs may be made within an hour, purged ones included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creations_per_hour: Option<CountLimit>,
}

impl QuotaLimits {
    /// What everybody together may have, unless something else is said.
    pub const fn of_host() -> Self {
        Self {
            vms: Some(Limit::AtMost(100)),
            running: Some(Limit::AtMost(50)),
            vcpus: None,
            memory: None,
            disk: Some(Limit::AtMost(Size::from_gib(5 * 1024))),
            disk_per_vm: None,
            snapshots: None,
            creations_per_hour: None,
        }
    }

    /// What each user may have, unless something else is said.
    pub const fn of_user() -> Self {
        Self {
            vms: Some(Limit::AtMost(20)),
            running: None,
            vcpus: None,
            memory: None,
            disk: None,
            disk_per_vm: Some(Limit::AtMost(Size::from_gib(500))),
            snapshots: Some(Limit::AtMost(10)),
            creations_per_hour: Some(Limit::AtMost(10)),
        }
    }

    /// These limits; where they say nothing, those.
    #[must_use]
    pub fn over(&self, below: &Self) -> Self {
        Self {
            vms: self.vms.or(below.vms),
            running: self.running.or(below.running),
            vcpus: self.vcpus.or(below.vcpus),
            memory: self.memory.or(below.memory),
            disk: self.disk.or(below.disk),
            disk_per_vm: self.disk_per_vm.or(below.disk_per_vm),
            snapshots: self.snapshots.or(below.snapshots),
            creations_per_hour: self.creations_per_hour.or(below.creations_per_hour),
        }
    }

    /// The limit of a measure, in its own unit; `None`, if there is none.
    pub fn most(&self, measure: Measure) -> Option<u64> {
        match measure {
            Measure::Vms => most(self.vms),
            Measure::Running => most(self.running),
            Measure::Vcpus => most(self.vcpus),
            Measure::Memory => most(self.memory),
            Measure::Disk => most(self.disk),
            Measure::DiskPerVm => most(self.disk_per_vm),
            Measure::Snapshots => most(self.snapshots),
            Measure::CreationsPerHour => most(self.creations_per_hour),
        }
    }

    /// What these limits say of a measure, as it is written; `None`, if they say nothing.
    pub fn written(&self, measure: Measure) -> Option<String> {
        match measure {
            Measure::Vms => written(self.vms),
            Measure::Running => written(self.running),
            Measure::Vcpus => written(self.vcpus),
            Measure::Memory => written(self.memory),
            Measure::Disk => written(self.disk),
            Measure::DiskPerVm => written(self.disk_per_vm),
            Measure::Snapshots => written(self.snapshots),
            Measure::CreationsPerHour => written(self.creations_per_hour),
        }
    }

    /// Everything that these limits say, in words: `vms 40, memory 64 GiB`.
    pub fn words(&self) -> String {
        let said = Measure::ALL.iter().filter_map(|measure| {
            let limit = self.written(*measure)?;
            Some(format!("{} {limit}", measure.as_str()))
        });
        said.collect::<Vec<_>>().join(", ")
    }

    /// Each measure that these limits say a number for that is above the one that those have.
    pub fn above<'a>(&'a self, those: &'a Self) -> impl Iterator<Item = (Measure, u64)> + 'a {
        Measure::ALL.iter().filter_map(|measure| {
            let highest = those.most(*measure)?;
            let above = self.most(*measure).is_some_and(|most| most > highest);
            above.then_some((*measure, highest))
        })
    }
}

fn most<T: LimitValue>(limit: Option<Limit<T>>) -> Option<u64> {
    match limit {
        Some(Limit::AtMost(most)) => Some(most.number()),
        Some(Limit::Unlimited) | None => None,
    }
}

fn written<T: LimitValue>(limit: Option<Limit<T>>) -> Option<String> {
    limit.map(|limit| limit.to_string())
}

/// What somebody may have, and what they have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct QuotaUse {
    /// What they may have; of what is absent, as much as there is.
    pub limits: QuotaLimits,
    /// What they have, with what was asked for and is not done yet.
    pub usage: Usage,
}

/// The quota of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UserQuota {
    /// Whose it is.
    pub user: UserName,
    /// What they may have, and what they have.
    #[serde(flatten)]
    pub quota: QuotaUse,
    /// Who set something for just them.
    pub source: QuotaSource,
    /// What was set for just them.
    pub own: QuotaLimits,
}

/// Who set a user's quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum QuotaSource {
    /// Nobody set one for just them: they have what each user has.
    EachUser,
    /// The daemon's configuration sets it: only root changes it.
    Configuration,
    /// It was set while the daemon ran.
    RunTime,
}

/// The quotas that somebody may see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct QuotasView {
    /// Who asks, if it is a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<UserName>,
    /// What everybody together may have, and has; absent for those who may see only their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<QuotaUse>,
    /// Users by name: oneself, and, for those who may see who may do what, everybody who has
    /// something.
    pub users: Vec<UserQuota>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(json: &str) -> QuotaLimits {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_is_said_first_holds() {
        let own = limits(r#"{"vms": 40, "disk_per_vm": "none"}"#);
        let together = own.over(&QuotaLimits::of_user());
        assert_eq!(together.most(Measure::Vms), Some(40));
        assert_eq!(together.most(Measure::DiskPerVm), None);
        assert_eq!(together.most(Measure::CreationsPerHour), Some(10));
        assert_eq!(together.most(Measure::Memory), None);
    }

    #[test]
    fn what_is_above_the_total_is_found() {
        let own = limits(r#"{"vms": 101, "running": 50, "vcpus": 9, "disk": "none"}"#);
        let found: Vec<_> = own.above(&QuotaLimits::of_host()).collect();
        assert_eq!(found, [(Measure::Vms, 100)]);
    }

    #[test]
    fn limits_are_read_as_they_are_written() {
        let text = r#"{"vms":20,"memory":"64 GiB","disk":"none"}"#;
        assert_eq!(serde_json::to_string(&limits(text)).unwrap(), text);
        assert_eq!(limits(text).words(), "vms 20, memory 64 GiB, disk none");
    }
}
