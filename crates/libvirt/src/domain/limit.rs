// SPDX-License-Identifier: GPL-3.0-or-later
//! Limits on what a domain may use: CPU, disk and network.

use std::ffi::CStr;

use virt_sys as sys;

use super::{Domain, Impact};
use crate::error::{Result, done, text};
use crate::typed_parameter::Parameters;

/// The quota that lifts a CPU limit.
pub const NO_QUOTA: i64 = -1;

/// CPU limits; `None` leaves a limit as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuLimits {
    /// Weight against other domains, 2–262144 (cgroup v1) or 1–10000 (v2).
    pub shares: Option<u64>,
    /// Microseconds of CPU that all virtual CPUs together may use in each period, or
    /// [`NO_QUOTA`].
    pub global_quota: Option<i64>,
    /// The length of that period in microseconds, 1000–1000000.
    pub global_period: Option<u64>,
    /// Microseconds of CPU that each virtual CPU may use in each period, or [`NO_QUOTA`].
    pub vcpu_quota: Option<i64>,
    /// The length of that period in microseconds, 1000–1000000.
    pub vcpu_period: Option<u64>,
}

/// Limits on one disk; 0 lifts a limit, `None` leaves it as it is. libvirt refuses a total beside
/// a limit on reads or writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockLimits {
    /// Bytes a second, read and written together.
    pub total_bytes_per_second: Option<u64>,
    /// Bytes read a second.
    pub read_bytes_per_second: Option<u64>,
    /// Bytes written a second.
    pub write_bytes_per_second: Option<u64>,
    /// Requests a second, reads and writes together.
    pub total_requests_per_second: Option<u64>,
    /// Read requests a second.
    pub read_requests_per_second: Option<u64>,
    /// Write requests a second.
    pub write_requests_per_second: Option<u64>,
}

/// Limits on one direction of a network interface; an average of 0 lifts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bandwidth {
    /// KiB a second, on average.
    pub average: u32,
    /// KiB a second, at most; 0: as the average.
    pub peak: u32,
    /// KiB that may go at peak speed.
    pub burst: u32,
}

impl Domain {
    /// Limits the domain's CPU time.
    pub fn set_cpu_limits(&self, limits: CpuLimits, impact: Impact) -> Result<()> {
        const FUNCTION: &str = "virDomainSetSchedulerParametersFlags";
        let mut parameters = Parameters::new(FUNCTION);
        let counts = [
            (sys::VIR_DOMAIN_SCHEDULER_CPU_SHARES, limits.shares),
            (
                sys::VIR_DOMAIN_SCHEDULER_GLOBAL_PERIOD,
                limits.global_period,
            ),
            (sys::VIR_DOMAIN_SCHEDULER_VCPU_PERIOD, limits.vcpu_period),
        ];
        add_counts(&mut parameters, &counts)?;
        let quotas = [
            (sys::VIR_DOMAIN_SCHEDULER_GLOBAL_QUOTA, limits.global_quota),
            (sys::VIR_DOMAIN_SCHEDULER_VCPU_QUOTA, limits.vcpu_quota),
        ];
        for (name, quota) in quotas {
            if let Some(quota) = quota {
                parameters.add_i64(name, quota)?;
            }
        }
        if parameters.is_empty() {
            return Ok(());
        }
        let (domain, (list, count)) = (self.as_ptr(), parameters.raw());
        // SAFETY: the domain is live; the list with its count is valid for the call.
        let set = unsafe {
            sys::virDomainSetSchedulerParametersFlags(domain, list, count, impact.bits())
        };
        done(set, FUNCTION)
    }

    /// Limits the disk with target `disk`, such as `vda`.
    pub fn set_block_limits(&self, disk: &str, limits: BlockLimits, impact: Impact) -> Result<()> {
        const FUNCTION: &str = "virDomainSetBlockIoTune";
        let disk = text(disk, FUNCTION)?;
        let mut parameters = Parameters::new(FUNCTION);
        let counts = [
            (
                sys::VIR_DOMAIN_BLOCK_IOTUNE_TOTAL_BYTES_SEC,
                limits.total_bytes_per_second,
            ),
            (
                sys::VIR_DOMAIN_BLOCK_IOTUNE_READ_BYTES_SEC,
                limits.read_bytes_per_second,
            ),
            (
                sys::VIR_DOMAIN_BLOCK_IOTUNE_WRITE_BYTES_SEC,
                limits.write_bytes_per_second,
            ),
            (
                sys::VIR_DOMAIN_BLOCK_IOTUNE_TOTAL_IOPS_SEC,
                limits.total_requests_per_second,
            ),
            (
                sys::VIR_DOMAIN_BLOCK_IOTUNE_READ_IOPS_SEC,
                limits.read_requests_per_second,
            ),
            (
                sys::VIR_DOMAIN_BLOCK_IOTUNE_WRITE_IOPS_SEC,
                limits.write_requests_per_second,
            ),
        ];
        add_counts(&mut parameters, &counts)?;
        if parameters.is_empty() {
            return Ok(());
        }
        let (domain, (list, count)) = (self.as_ptr(), parameters.raw());
        // SAFETY: the domain is live; the strings and the list with its count are valid for the
        // call.
        let set = unsafe {
            sys::virDomainSetBlockIoTune(domain, disk.as_ptr(), list, count, impact.bits())
        };
        done(set, FUNCTION)
    }

    /// Limits the interface with MAC address or target device `interface`; inbound is towards the
    /// guest.
    pub fn set_bandwidth(
        &self,
        interface: &str,
        inbound: Option<Bandwidth>,
        outbound: Option<Bandwidth>,
        impact: Impact,
    ) -> Result<()> {
        const FUNCTION: &str = "virDomainSetInterfaceParameters";
        let interface = text(interface, FUNCTION)?;
        let mut parameters = Parameters::new(FUNCTION);
        if let Some(Bandwidth {
            average,
            peak,
            burst,
        }) = inbound
        {
            parameters.add_u32(sys::VIR_DOMAIN_BANDWIDTH_IN_AVERAGE, average)?;
            parameters.add_u32(sys::VIR_DOMAIN_BANDWIDTH_IN_PEAK, peak)?;
            parameters.add_u32(sys::VIR_DOMAIN_BANDWIDTH_IN_BURST, burst)?;
        }
        if let Some(Bandwidth {
            average,
            peak,
            burst,
        }) = outbound
        {
            parameters.add_u32(sys::VIR_DOMAIN_BANDWIDTH_OUT_AVERAGE, average)?;
            parameters.add_u32(sys::VIR_DOMAIN_BANDWIDTH_OUT_PEAK, peak)?;
            parameters.add_u32(sys::VIR_DOMAIN_BANDWIDTH_OUT_BURST, burst)?;
        }
        if parameters.is_empty() {
            return Ok(());
        }
        let (domain, (list, count)) = (self.as_ptr(), parameters.raw());
        // SAFETY: the domain is live; the strings and the list with its count are valid for the
        // call.
        let set = unsafe {
            let device = interface.as_ptr();
            sys::virDomainSetInterfaceParameters(domain, device, list, count, impact.bits())
        };
        done(set, FUNCTION)
    }
}

fn add_counts(parameters: &mut Parameters, counts: &[(&CStr, Option<u64>)]) -> Result<()> {
    for (name, count) in counts {
        if let Some(count) = count {
            parameters.add_u64(name, *count)?;
        }
    }
    Ok(())
}
