// SPDX-License-Identifier: GPL-3.0-or-later
//! What somebody has, and whether more of it stays within a quota.

use std::{iter::Sum, ops::Add};

use serde::{Deserialize, Serialize};

use super::{QuotaLimits, WARNING_PERCENT};
use crate::{name::UserName, size::Size};

/// What somebody has: what there is, with what was asked for and is not done yet.
///
/// Of one VM it is what that VM takes. Several together have the sum of it, and of
/// [`disk_per_vm`](Self::disk_per_vm) and [`snapshots`](Self::snapshots) the most that one has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct Usage {
    /// VMs that are not in the trash.
    pub vms: u64,
    /// Those of them that run, are paused, are to be started, or crashed and are to be started
    /// again.
    pub running: u64,
    /// Virtual CPUs that the VMs can have at most.
    pub vcpus: u64,
    /// Memory that the VMs can have at most.
    pub memory: Size,
    /// How large their disks can grow, those in the trash included.
    pub disk: Size,
    /// How large the disks of the VM can grow that has the largest.
    pub disk_per_vm: Size,
    /// Snapshots of the VM that has the most.
    pub snapshots: u64,
    /// VMs made within the last hour, those included that are gone.
    pub creations_per_hour: u64,
}

macro_rules! measures {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)*) => {
        /// Something that a quota limits.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Measure {$(
            $(#[$doc])*
            $variant,
        )*}

        impl Measure {
            /// Every measure.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name in limits.
            pub const fn as_str(self) -> &'static str {
                match self {$(Self::$variant => $name),*}
            }
        }
    };
}

measures! {
    /// VMs.
    Vms = "vms";
    /// VMs that run.
    Running = "running";
    /// Virtual CPUs.
    Vcpus = "vcpus";
    /// Memory, in bytes.
    Memory = "memory";
    /// Disk of all VMs together, in bytes.
    Disk = "disk";
    /// Disk of one VM, in bytes.
    DiskPerVm = "disk_per_vm";
    /// Snapshots of one VM.
    Snapshots = "snapshots";
    /// VMs made within an hour.
    CreationsPerHour = "creations_per_hour";
}

impl Measure {
    /// Whether it limits each VM by itself.
    pub const fn is_per_vm(self) -> bool {
        matches!(self, Self::DiskPerVm | Self::Snapshots)
    }

    /// A value of it, as people read it.
    pub fn said(self, value: u64) -> String {
        match self {
            Self::Memory | Self::Disk | Self::DiskPerVm => Size::from_bytes(value).rounded(),
            _ => value.to_string(),
        }
    }

    /// What it counts, in words: `VMs`.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Vms => "VMs",
            Self::Running => "running VMs",
            Self::Vcpus => "virtual CPUs",
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::DiskPerVm => "disk for one VM",
            Self::Snapshots => "snapshots of one VM",
            Self::CreationsPerHour => "VMs made within an hour",
        }
    }
}

impl Usage {
    /// What there is of a measure, in its own unit.
    pub const fn of(&self, measure: Measure) -> u64 {
        match measure {
            Measure::Vms => self.vms,
            Measure::Running => self.running,
            Measure::Vcpus => self.vcpus,
            Measure::Memory => self.memory.bytes(),
            Measure::Disk => self.disk.bytes(),
            Measure::DiskPerVm => self.disk_per_vm.bytes(),
            Measure::Snapshots => self.snapshots,
            Measure::CreationsPerHour => self.creations_per_hour,
        }
    }
}

impl Add for Usage {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        let sum = |one: Size, two: Size| Size::from_bytes(one.bytes().saturating_add(two.bytes()));
        Self {
            vms: self.vms.saturating_add(other.vms),
            running: self.running.saturating_add(other.running),
            vcpus: self.vcpus.saturating_add(other.vcpus),
            memory: sum(self.memory, other.memory),
            disk: sum(self.disk, other.disk),
            disk_per_vm: self.disk_per_vm.max(other.disk_per_vm),
            snapshots: self.snapshots.max(other.snapshots),
            creations_per_hour: self
                .creations_per_hour
                .saturating_add(other.creations_per_hour),
        }
    }
}

impl Sum for Usage {
    fn sum<I: Iterator<Item = Self>>(usages: I) -> Self {
        usages.fold(Self::default(), Self::add)
    }
}

/// What would be more than a quota allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Excess {
    /// Of what.
    pub measure: Measure,
    /// How much there is without it.
    pub used: u64,
    /// How much there would be.
    pub wanted: u64,
    /// How much is allowed.
    pub limit: u64,
}

impl Excess {
    /// What there is and what there would be, of a user, in a sentence.
    pub fn sentence(&self, user: &UserName) -> String {
        let wanted = self.measure.said(self.wanted);
        let share = Share {
            measure: self.measure,
            used: self.used,
            limit: self.limit,
        };
        let limit = self.measure.said(self.limit);
        match self.measure {
            Measure::DiskPerVm => {
                format!("A VM of {user} may have {limit} of disk; with this it would be {wanted}.")
            }
            Measure::Snapshots => {
                format!(
                    "A VM of {user} may have {limit} snapshots; with this it would be {wanted}."
                )
            }
            _ => format!("{}; with this it would be {wanted}.", share.words(user)),
        }
    }
}

/// How much of a limit is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Of what.
    pub measure: Measure,
    /// How much there is.
    pub used: u64,
    /// How much is allowed.
    pub limit: u64,
}

impl Share {
    /// How many percent of the limit are used, rounded down; over 100, where a limit was lowered.
    pub fn percent(&self) -> u64 {
        let percent = u128::from(self.used) * 100 / u128::from(self.limit.max(1));
        u64::try_from(percent).unwrap_or(u64::MAX)
    }

    /// It in words: `ada has 18 of 20 VMs`.
    pub fn words(&self, who: &UserName) -> String {
        let used = self.measure.said(self.used);
        let limit = self.measure.said(self.limit);
        match self.measure {
            Measure::Running => format!("{who} runs {used} of {limit} VMs"),
            Measure::CreationsPerHour => {
                format!("{who} made {used} of {limit} VMs within the last hour")
            }
            Measure::Memory | Measure::Disk => {
                format!("{who} has {used} of {limit} of {}", self.measure.words())
            }
            _ => format!("{who} has {used} of {limit} {}", self.measure.words()),
        }
    }
}

impl QuotaLimits {
    /// Refuses what would be more than these limits allow.
    ///
    /// A request changes what one VM takes, `before` to `after`; `used` is what all VMs take, that
    /// one `before` included. What does not grow is never refused, be there more of it than is
    /// allowed: a limit may have been lowered.
    pub fn judge(&self, used: &Usage, before: &Usage, after: &Usage) -> Result<(), Excess> {
        for measure in Measure::ALL.iter().copied() {
            let Some(limit) = self.most(measure) else {
                continue;
            };
            let (before, after) = (before.of(measure), after.of(measure));
            let others = if measure.is_per_vm() {
                0
            } else {
                used.of(measure).saturating_sub(before)
            };
            let wanted = others.saturating_add(after);
            if after > before && wanted > limit {
                return Err(Excess {
                    measure,
                    used: others.saturating_add(before),
                    wanted,
                    limit,
                });
            }
        }
        Ok(())
    }

    /// What of these limits is used up or nearly so: [`WARNING_PERCENT`] of it or more. What is
    /// limited for each VM by itself is not told: a VM may well be as large as it can be.
    pub fn nearly_used(&self, usage: &Usage) -> Vec<Share> {
        let shares = Measure::ALL.iter().filter_map(|measure| {
            let limit = self.most(*measure)?;
            Some(Share {
                measure: *measure,
                used: usage.of(*measure),
                limit,
            })
        });
        shares
            .filter(|share| !share.measure.is_per_vm() && share.used > 0)
            .filter(|share| share.percent() >= WARNING_PERCENT)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limits(json: &str) -> QuotaLimits {
        serde_json::from_str(json).unwrap()
    }

    fn vm(vcpus: u64, disk: u32) -> Usage {
        Usage {
            vms: 1,
            vcpus,
            disk: Size::from_gib(disk),
            disk_per_vm: Size::from_gib(disk),
            ..Usage::default()
        }
    }

    #[test]
    fn what_fits_exactly_is_allowed_and_one_more_is_not() {
        let limits = limits(r#"{"vms": 2, "vcpus": 6}"#);
        let nothing = Usage::default();
        assert_eq!(limits.judge(&vm(2, 1), &nothing, &vm(4, 1)), Ok(()));
        let excess = limits.judge(&vm(2, 1), &nothing, &vm(5, 1)).unwrap_err();
        assert_eq!(excess.measure, Measure::Vcpus);
        assert_eq!((excess.used, excess.wanted, excess.limit), (2, 7, 6));
    }

    #[test]
    fn growth_counts_by_what_it_adds() {
        let limits = limits(r#"{"vcpus": 6}"#);
        let used = vm(2, 1) + vm(3, 1);
        assert_eq!(limits.judge(&used, &vm(3, 1), &vm(4, 1)), Ok(()));
        assert!(limits.judge(&used, &vm(3, 1), &vm(5, 1)).is_err());
    }

    #[test]
    fn what_does_not_grow_is_allowed_even_above_a_lowered_limit() {
        let limits = limits(r#"{"vms": 0, "vcpus": 1, "disk": "1 GiB", "disk_per_vm": "1 GiB"}"#);
        let used = vm(8, 100);
        assert_eq!(limits.judge(&used, &used, &vm(4, 100)), Ok(()));
        assert!(limits.judge(&used, &used, &vm(9, 100)).is_err());
    }

    #[test]
    fn each_vm_is_measured_by_itself_where_the_limit_is_for_one() {
        let limits = limits(r#"{"disk_per_vm": "10 GiB"}"#);
        let larger_before_it_was_lowered = vm(1, 50);
        let nothing = Usage::default();
        let used = larger_before_it_was_lowered;
        assert_eq!(limits.judge(&used, &nothing, &vm(1, 10)), Ok(()));
        assert!(limits.judge(&used, &nothing, &vm(1, 11)).is_err());
    }

    #[test]
    fn an_excess_says_what_there_is_and_what_there_would_be() {
        let ada = "ada".parse().unwrap();
        let said = |measure, used, wanted, limit| {
            Excess {
                measure,
                used,
                wanted,
                limit,
            }
            .sentence(&ada)
        };
        let gib = |gib: u64| gib << 30;
        let all = [
            said(Measure::Vms, 20, 21, 20),
            said(Measure::Running, 5, 6, 5),
            said(Measure::Vcpus, 14, 18, 16),
            said(Measure::Memory, gib(30), gib(38), gib(32)),
            said(Measure::Disk, gib(400), gib(520), gib(500)),
            said(Measure::DiskPerVm, gib(0), gib(600), gib(500)),
            said(Measure::Snapshots, 10, 11, 10),
            said(Measure::CreationsPerHour, 10, 11, 10),
        ];
        insta::assert_snapshot!(all.join("\n"), @r"
        ada has 20 of 20 VMs; with this it would be 21.
        ada runs 5 of 5 VMs; with this it would be 6.
        ada has 14 of 16 virtual CPUs; with this it would be 18.
        ada has 30 GiB of 32 GiB of memory; with this it would be 38 GiB.
        ada has 400 GiB of 500 GiB of disk; with this it would be 520 GiB.
        A VM of ada may have 500 GiB of disk; with this it would be 600 GiB.
        A VM of ada may have 10 snapshots; with this it would be 11.
        ada made 10 of 10 VMs within the last hour; with this it would be 11.
        ");
    }

    #[test]
    fn from_ninety_percent_on_it_is_nearly_used() {
        let limits = limits(r#"{"vms": 20, "disk": "100 GiB", "disk_per_vm": "1 GiB"}"#);
        let have = |vms, disk| Usage {
            vms,
            disk: Size::from_gib(disk),
            disk_per_vm: Size::from_gib(1),
            ..Usage::default()
        };
        assert_eq!(limits.nearly_used(&have(17, 89)), []);
        let nearly = limits.nearly_used(&have(18, 90));
        let measures: Vec<_> = nearly.iter().map(|share| share.measure).collect();
        assert_eq!(measures, [Measure::Vms, Measure::Disk]);
        assert_eq!(
            nearly[0].words(&"ada".parse().unwrap()),
            "ada has 18 of 20 VMs"
        );
    }

    fn any_usage() -> impl Strategy<Value = Usage> {
        (0..40_u64, 0..40_u64, 0..40_u64, 0..40_u64, 0..40_u64).prop_map(
            |(vms, vcpus, memory, disk, creations)| Usage {
                vms,
                vcpus,
                memory: Size::from_bytes(memory),
                disk: Size::from_bytes(disk),
                disk_per_vm: Size::from_bytes(disk),
                creations_per_hour: creations,
                ..Usage::default()
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_allowed_one_after_the_other_never_exceeds_a_limit(
            wanted in prop::collection::vec(any_usage(), 1..20),
            most in 0..100_u32,
        ) {
            let limits = QuotaLimits {
                vms: Some(super::super::Limit::AtMost(most)),
                vcpus: Some(super::super::Limit::AtMost(most)),
                memory: Some(super::super::Limit::AtMost(Size::from_bytes(most.into()))),
                ..QuotaLimits::default()
            };
            let mut used = Usage::default();
            for vm in wanted {
                if limits.judge(&used, &Usage::default(), &vm).is_ok() {
                    used = used + vm;
                }
                for measure in Measure::ALL {
                    let limit = limits.most(*measure).unwrap_or(u64::MAX);
                    prop_assert!(used.of(*measure) <= limit, "{measure:?}");
                }
            }
        }
    }
}
