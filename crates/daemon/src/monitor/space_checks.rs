// SPDX-License-Identifier: GPL-3.0-or-later
//! Checks of where things live: pools, the networks of VMs, and the disk with the state.

use std::{collections::BTreeSet, path::Path};

use hv_model::{
    health::{Check, CheckStatus},
    name::NetworkName,
    size::Size,
    storage::Pool,
};

use super::health::{Facts, Space, bad, count, listed, pass};

/// Below so many percent of free space there is a warning.
const LITTLE: u64 = 10;
/// Below so many percent of free space hardly anything works.
const NONE: u64 = 2;

pub(super) fn all(facts: &Facts) -> Vec<Check> {
    vec![
        pools_active(facts),
        pool_space(facts),
        state_disk(facts.state_disk),
        networks(facts),
        strays(facts),
    ]
}

/// How much space the disk under a folder has for those who are not root.
pub(super) fn space_of(folder: &Path) -> Option<Space> {
    let about = rustix::fs::statvfs(folder).ok()?;
    let size = |blocks: u64| Size::from_bytes(blocks.saturating_mul(about.f_frsize));
    Some(Space {
        free: size(about.f_bavail),
        total: size(about.f_blocks),
    })
}

fn judge(space: Space) -> CheckStatus {
    let percent_free = u128::from(space.free.bytes()) * 100;
    let total = u128::from(space.total.bytes());
    match () {
        () if space.free.bytes() == 0 => CheckStatus::Fail,
        () if percent_free < total * u128::from(NONE) => CheckStatus::Fail,
        () if percent_free < total * u128::from(LITTLE) => CheckStatus::Warn,
        () => CheckStatus::Pass,
    }
}

fn said(space: Space) -> String {
    let percent = match space.total.bytes() {
        0 => 0,
        total => u128::from(space.free.bytes()) * 100 / u128::from(total),
    };
    format!(
        "{} of {} free ({percent} %)",
        space.free.rounded(),
        space.total.rounded()
    )
}

fn pools_active(facts: &Facts) -> Check {
    let id = "pool.active";
    let pools = &facts.snapshot.pools;
    let inactive: Vec<&Pool> = pools.iter().filter(|pool| !pool.active).collect();
    if pools.is_empty() {
        return bad(
            id,
            if facts.snapshot.freshness.seen.is_some() {
                CheckStatus::Fail
            } else {
                CheckStatus::Unknown
            },
            "There is no managed pool.",
            "Disks and images have no place, so no VM can be made.",
            ["Name the pools in the broker's configuration, and start it again.".to_owned()],
        );
    }
    if inactive.is_empty() {
        return pass(id, format!("{} can be used.", count(pools.len(), "pool")));
    }
    bad(
        id,
        CheckStatus::Fail,
        format!(
            "Not active: {}.",
            listed(inactive.iter().map(|pool| pool.name.as_str()))
        ),
        "VMs with disks in such a pool can't be started.",
        inactive
            .iter()
            .map(|pool| format!("virsh pool-start {}", pool.name)),
    )
}

fn pool_space(facts: &Facts) -> Check {
    let id = "pool.space";
    let space = |pool: &Pool| Space {
        free: pool.available,
        total: pool.capacity,
    };
    let active = || facts.snapshot.pools.iter().filter(|pool| pool.active);
    let worst = active()
        .map(|pool| judge(space(pool)))
        .max()
        .unwrap_or(CheckStatus::Pass);
    let tell = |wanted: CheckStatus| {
        let told = active().filter(|pool| judge(space(pool)) >= wanted);
        told.map(|pool| format!("{} has {}", pool.name, said(space(pool))))
            .collect::<Vec<_>>()
    };
    if worst == CheckStatus::Pass {
        return match tell(worst).as_slice() {
            [] => pass(id, "No pool is active."),
            pools => pass(id, format!("{}.", listed(pools.iter().map(String::as_str)))),
        };
    }
    let full = tell(CheckStatus::Warn);
    bad(
        id,
        worst,
        format!("{}.", listed(full.iter().map(String::as_str))),
        "A pool without space stops VMs in the middle of a write.",
        ["hv vm list --trash".to_owned(), "hv image list".to_owned()],
    )
}

fn state_disk(space: Option<Space>) -> Check {
    let id = "daemon.space";
    let why = "Without space hvd can record nothing, so it changes nothing.";
    match space {
        None => bad(
            id,
            CheckStatus::Unknown,
            "The disk with hvd's state can't be looked at.",
            why,
            ["df -h".to_owned()],
        ),
        Some(space) => match judge(space) {
            CheckStatus::Pass => pass(
                id,
                format!("The disk with hvd's state has {}.", said(space)),
            ),
            status => {
                let observed = format!("The disk with hvd's state has only {}.", said(space));
                bad(id, status, observed, why, ["df -h".to_owned()])
            }
        },
    }
}

fn networks(facts: &Facts) -> Check {
    let id = "network.active";
    let specs = facts.snapshot.vms.iter().filter(|vm| !vm.row.is_trashed());
    let used: BTreeSet<&NetworkName> = specs
        .filter_map(|vm| vm.row.managed())
        .flat_map(|managed| managed.spec.nics.iter())
        .filter_map(|nic| nic.network.as_ref())
        .collect();
    let is_active = |name: &NetworkName| {
        facts
            .snapshot
            .networks
            .iter()
            .any(|network| network.name == *name && network.active)
    };
    let down: Vec<&NetworkName> = used
        .iter()
        .copied()
        .filter(|name| !is_active(name))
        .collect();
    if down.is_empty() {
        return match used.len() {
            0 => pass(id, "No VM uses a network."),
            used => pass(
                id,
                format!("{} that VMs use can be used.", count(used, "network")),
            ),
        };
    }
    bad(
        id,
        CheckStatus::Fail,
        format!(
            "VMs use what is not active: {}.",
            listed(down.iter().map(|name| name.as_str()))
        ),
        "A VM can't be started while a network of its own is not there.",
        down.iter().map(|name| format!("virsh net-start {name}")),
    )
}

fn strays(facts: &Facts) -> Check {
    let id = "storage.strays";
    let strays: Vec<String> = facts
        .snapshot
        .strays
        .iter()
        .map(ToString::to_string)
        .collect();
    if strays.is_empty() {
        return pass(id, "Every disk in the pools belongs to something.");
    }
    let listed = listed(strays.iter().map(String::as_str));
    bad(
        id,
        CheckStatus::Warn,
        format!(
            "{} of no VM or image: {listed}.",
            count(strays.len(), "volume")
        ),
        "They take space. They look like ours, and nothing that is known uses them.",
        facts
            .snapshot
            .strays
            .iter()
            .take(3)
            .map(|stray| format!("virsh vol-info --pool {} {}", stray.pool, stray.name)),
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hv_model::storage::PoolPurpose;

    use super::*;
    use crate::monitor::health::tests::facts;

    fn with_pool(available: Size, active: bool) -> Facts {
        facts(|snapshot| {
            snapshot.pools = Arc::new(vec![Pool {
                name: "disks".parse().unwrap(),
                purpose: PoolPurpose::Disks,
                active,
                capacity: Size::from_gib(100),
                available,
            }]);
        })
    }

    #[test]
    fn a_pool_warns_below_ten_percent_and_fails_below_two() {
        for (gib, status) in [
            (10, CheckStatus::Pass),
            (9, CheckStatus::Warn),
            (2, CheckStatus::Warn),
            (1, CheckStatus::Fail),
            (0, CheckStatus::Fail),
        ] {
            let check = pool_space(&with_pool(Size::from_gib(gib), true));
            assert_eq!(check.status, status, "{check:?}");
        }
        let check = pool_space(&with_pool(Size::from_gib(1), true));
        assert_eq!(check.observed, "disks has 1 GiB of 100 GiB free (1 %).");
    }

    #[test]
    fn a_pool_that_is_not_active_fails_with_the_command_that_starts_it() {
        let check = pools_active(&with_pool(Size::from_gib(50), false));
        assert_eq!(check.status, CheckStatus::Fail);
        assert_eq!(check.fixes, ["virsh pool-start disks"]);
    }

    #[test]
    fn a_volume_that_nothing_uses_is_worth_a_warning() {
        let stray = |name: &str| hv_model::storage::VolumeRef {
            pool: "disks".parse().unwrap(),
            name: name.parse().unwrap(),
        };
        let check = strays(&facts(|snapshot| {
            snapshot.strays = Arc::new(vec![stray("old.qcow2")]);
        }));
        assert_eq!(check.status, CheckStatus::Warn);
        assert_eq!(
            check.observed,
            "1 volume of no VM or image: disks/old.qcow2."
        );
    }

    #[test]
    fn a_disk_that_can_be_looked_at_has_space_or_none() {
        let space = space_of(Path::new("/")).unwrap();
        assert!(space.free <= space.total && space.total.bytes() > 0);
        assert_eq!(state_disk(None).status, CheckStatus::Unknown);
    }
}
