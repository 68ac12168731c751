// SPDX-License-Identifier: GPL-3.0-or-later
//! Changes of running VMs.

use hv_guard::judge;
use hv_libvirt::{Bandwidth, BlockLimits, CpuLimits, ErrorKind, Impact, NO_QUOTA, Quantity};
use hv_model::{
    device::DiskLimits,
    domain_xml::{CPU_PERIOD_MICROSECONDS, cpu_quota_microseconds, kilobytes_a_second},
    hypervisor::{LiveChange, Result},
    id::VmId,
    size::Size,
    vm::Limits,
};

use crate::{
    broker::Broker,
    define::expect_own,
    domain::{self, cannot},
    failure::{Explain, refused},
};

/// The weight of a VM whose spec names none, by the version of the kernel's control groups.
const PLAIN_WEIGHTS: [(&str, u64); 2] = [("/sys/fs/cgroup/cgroup.controllers", 100), ("/", 1024)];

impl Broker {
    pub(crate) fn change_running(&self, vm: VmId, change: &LiveChange) -> Result<()> {
        let policy = self.policy()?;
        self.expect_person_sees(vm)?;
        let domain = domain::find(&self.libvirt()?, vm)?;
        let mut changed = expect_own(&domain, vm, "changed")?;
        match change {
            LiveChange::Cpus(count) => {
                (changed.spec.cpus.count, changed.spec.cpus.max) = (*count, None);
            }
            LiveChange::Memory(size) => {
                (changed.spec.memory.size, changed.spec.memory.max) = (*size, None);
            }
            LiveChange::Limits(_)
            | LiveChange::DiskLimits { .. }
            | LiveChange::NicLimits { .. } => {}
        }
        judge(&policy, &changed).map_err(refused)?;
        let done = match change {
            LiveChange::Cpus(count) => domain.set_vcpus(*count, Quantity::Current, Impact::Live),
            LiveChange::Memory(size) => {
                domain.set_memory(size.bytes(), Quantity::Current, Impact::Live)
            }
            LiveChange::Limits(limits) => domain.set_cpu_limits(cpu_limits(limits), Impact::Live),
            LiveChange::DiskLimits { disk, limits } => {
                domain.set_block_limits(disk.as_str(), block_limits(limits), Impact::Live)
            }
            LiveChange::NicLimits { mac, limits } => {
                let (inbound, outbound) = (bandwidth(limits.inbound), bandwidth(limits.outbound));
                domain.set_bandwidth(&mac.to_string(), inbound, outbound, Impact::Live)
            }
        };
        done.map_err(|error| {
            // libvirt passes on what tc says, which has no code of its own.
            let lacks_shaping = error.message.contains("qdisc kind is unknown");
            if lacks_shaping {
                hv_libvirt::Error {
                    kind: ErrorKind::Unsupported,
                    ..error
                }
            } else {
                error
            }
        })
        .explain(|| cannot(&domain, "changed"))
    }
}

/// All limits in place of those that there are: what is not named is lifted.
fn cpu_limits(limits: &Limits) -> CpuLimits {
    let plain = PLAIN_WEIGHTS
        .iter()
        .find(|(path, _)| std::path::Path::new(path).exists());
    let plain = plain.map_or(100, |(_, weight)| *weight);
    let quota = limits
        .cpu_percent
        .and_then(|percent| cpu_quota_microseconds(percent).try_into().ok());
    CpuLimits {
        shares: Some(limits.cpu_weight.map_or(plain, u64::from)),
        global_quota: Some(quota.unwrap_or(NO_QUOTA)),
        global_period: Some(CPU_PERIOD_MICROSECONDS),
        ..CpuLimits::default()
    }
}

fn block_limits(limits: &DiskLimits) -> BlockLimits {
    BlockLimits {
        total_bytes_per_second: Some(limits.bandwidth.map_or(0, Size::bytes)),
        total_requests_per_second: Some(limits.iops.map_or(0, u64::from)),
        ..BlockLimits::default()
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "libvirt leaves alone what is not given"
)]
fn bandwidth(rate: Option<Size>) -> Option<Bandwidth> {
    let average = rate.map_or(0, kilobytes_a_second);
    let average = u32::try_from(average).unwrap_or(u32::MAX);
    Some(Bandwidth {
        average,
        ..Bandwidth::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_are_not_named_are_lifted() {
        let lifted = cpu_limits(&Limits::default());
        assert_eq!(lifted.global_quota, Some(NO_QUOTA));
        assert!(lifted.shares.is_some());
        let half = cpu_limits(&Limits {
            cpu_percent: Some(50),
            cpu_weight: Some(7),
        });
        assert_eq!((half.global_quota, half.shares), (Some(50_000), Some(7)));
        assert_eq!(
            block_limits(&DiskLimits::default()).total_bytes_per_second,
            Some(0)
        );
        assert_eq!(bandwidth(None).map(|limit| limit.average), Some(0));
        let kilobyte = bandwidth(Some(Size::from_bytes(1000)));
        assert_eq!(kilobyte.map(|limit| limit.average), Some(1));
    }
}
