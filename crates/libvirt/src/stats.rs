// SPDX-License-Identifier: GPL-3.0-or-later
//! The figures of all domains, in one call to libvirt.

use virt_sys as sys;

use uuid::Uuid;

use crate::codes::{code_enum, flag_set};
use crate::connection::Connection;
use crate::domain::{self, State};
use crate::error::{Result, checked};
use crate::typed_parameter::{self, Value, entry, indexed};

/// The most disks, interfaces or virtual CPUs of one domain that are read.
const ENTRIES_MAX: usize = 1024;

flag_set! {
    /// What to ask for. Each group costs libvirt time; the groups from `BALLOON` on ask QEMU.
    pub struct StatsGroups {
        /// The state and its reason.
        STATE = VIR_DOMAIN_STATS_STATE,
        /// CPU time.
        CPU = VIR_DOMAIN_STATS_CPU_TOTAL,
        /// Memory.
        BALLOON = VIR_DOMAIN_STATS_BALLOON,
        /// Each virtual CPU.
        VCPU = VIR_DOMAIN_STATS_VCPU,
        /// Each network interface.
        INTERFACE = VIR_DOMAIN_STATS_INTERFACE,
        /// Each disk.
        BLOCK = VIR_DOMAIN_STATS_BLOCK,
    }
}

flag_set! {
    /// Of which domains, and how.
    pub struct StatsFlags {
        /// Those that run, paused ones included.
        ACTIVE = VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE,
        /// Those that do not run.
        INACTIVE = VIR_CONNECT_GET_ALL_DOMAINS_STATS_INACTIVE,
        /// Leave out what a domain can't tell at once because it is busy with a job.
        NOWAIT = VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT,
        /// Each image of a disk's backing chain, too.
        BACKING = VIR_CONNECT_GET_ALL_DOMAINS_STATS_BACKING,
    }
}

/// The figures of one domain. What was not asked for, or is not known, is `None` or empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainStats {
    /// The domain.
    pub uuid: Uuid,
    /// The domain's name.
    pub name: String,
    /// The state with its reason.
    pub state: Option<State>,
    /// CPU time used, in nanoseconds.
    pub cpu_time_nanoseconds: Option<u64>,
    /// The part of it that was spent in user mode.
    pub cpu_user_nanoseconds: Option<u64>,
    /// The part of it that was spent in the kernel.
    pub cpu_system_nanoseconds: Option<u64>,
    /// Memory.
    pub balloon: BalloonStats,
    /// Virtual CPUs in use.
    pub vcpus_current: Option<u64>,
    /// Virtual CPUs at most.
    pub vcpus_maximum: Option<u64>,
    /// Each virtual CPU; one that is not plugged in is all `None`.
    pub vcpus: Vec<VcpuStats>,
    /// Each disk.
    pub disks: Vec<DiskStats>,
    /// Each network interface.
    pub interfaces: Vec<InterfaceStats>,
}

/// Memory, all in bytes. What the guest has to tell comes from its balloon driver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BalloonStats {
    /// What the domain has now.
    pub current: Option<u64>,
    /// The most that it may have.
    pub maximum: Option<u64>,
    /// What its process holds of the host's memory.
    pub rss: Option<u64>,
    /// What the guest leaves wholly unused.
    pub unused: Option<u64>,
    /// What the guest sees as its memory.
    pub available: Option<u64>,
    /// What the guest could use without swapping.
    pub usable: Option<u64>,
    /// When the guest told, in seconds since 1970.
    pub last_update: Option<u64>,
}

code_enum! {
    /// The state of a virtual CPU.
    pub enum VcpuState {
        /// Not in use.
        Offline = VIR_VCPU_OFFLINE,
        /// Running.
        Running = VIR_VCPU_RUNNING,
        /// Waiting.
        Blocked = VIR_VCPU_BLOCKED,
    }
}

/// A virtual CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VcpuStats {
    /// Its state.
    pub state: Option<VcpuState>,
    /// CPU time used, in nanoseconds.
    pub time_nanoseconds: Option<u64>,
    /// Time that it was ready and had to wait for a CPU of the host, in nanoseconds.
    pub wait_nanoseconds: Option<u64>,
}

/// A disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiskStats {
    /// Its target, such as `vda`.
    pub name: Option<String>,
    /// Its file or device.
    pub path: Option<String>,
    /// Its place in the backing chain; 0 or `None` is the top.
    pub backing_index: Option<u64>,
    /// Bytes read.
    pub read_bytes: Option<u64>,
    /// Read requests.
    pub read_requests: Option<u64>,
    /// Nanoseconds spent reading.
    pub read_nanoseconds: Option<u64>,
    /// Bytes written.
    pub write_bytes: Option<u64>,
    /// Write requests.
    pub write_requests: Option<u64>,
    /// Nanoseconds spent writing.
    pub write_nanoseconds: Option<u64>,
    /// Flush requests.
    pub flush_requests: Option<u64>,
    /// The size that the guest sees, in bytes.
    pub capacity: Option<u64>,
    /// The highest byte that was written.
    pub allocation: Option<u64>,
    /// What it takes on the host's storage, in bytes.
    pub physical: Option<u64>,
}

/// A network interface; seen from the guest, so `rx` is what it received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InterfaceStats {
    /// The host's device, such as `vnet3`.
    pub name: Option<String>,
    /// Bytes received.
    pub rx_bytes: Option<u64>,
    /// Packets received.
    pub rx_packets: Option<u64>,
    /// Errors while receiving.
    pub rx_errors: Option<u64>,
    /// Packets dropped while receiving.
    pub rx_drops: Option<u64>,
    /// Bytes sent.
    pub tx_bytes: Option<u64>,
    /// Packets sent.
    pub tx_packets: Option<u64>,
    /// Errors while sending.
    pub tx_errors: Option<u64>,
    /// Packets dropped while sending.
    pub tx_drops: Option<u64>,
}

impl Connection {
    /// The figures of all domains that `flags` choose, in one call.
    pub fn all_domain_stats(
        &self,
        groups: StatsGroups,
        flags: StatsFlags,
    ) -> Result<Vec<DomainStats>> {
        let mut records = std::ptr::null_mut();
        // SAFETY: the connection is live; libvirt stores a list that is the caller's.
        let count = unsafe {
            let (groups, flags) = (groups.bits(), flags.bits());
            sys::virConnectGetAllDomainStats(self.as_ptr(), groups, &raw mut records, flags)
        };
        let count = checked(count, "virConnectGetAllDomainStats")?;
        let records = Records {
            list: records,
            count: usize::try_from(count).unwrap_or(0),
        };
        records.read()
    }
}

/// libvirt's list of records; freed when dropped.
struct Records {
    list: *mut sys::virDomainStatsRecordPtr,
    count: usize,
}

impl Records {
    fn read(&self) -> Result<Vec<DomainStats>> {
        if self.list.is_null() {
            return Ok(Vec::new());
        }
        // SAFETY: the list has `count` entries and belongs to `self`.
        let records = unsafe { std::slice::from_raw_parts(self.list, self.count) };
        records
            .iter()
            .map(|record| {
                // SAFETY: each entry points at a record that lives as long as the list.
                let record = unsafe { &**record };
                // SAFETY: a record's domain is valid as long as the record.
                let (uuid, name) = unsafe { domain::identity(record.dom) }?;
                let mut reading = Reading::new(uuid, name);
                // SAFETY: the parameters belong to the record and are `nparams` many.
                unsafe {
                    typed_parameter::visit(record.params, record.nparams, |name, value| {
                        reading.take(name, value);
                    });
                }
                Ok(reading.finish())
            })
            .collect()
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        if !self.list.is_null() {
            // SAFETY: the list is the caller's, ends with null as libvirt makes it, and is not
            // used again.
            unsafe { sys::virDomainStatsRecordListFree(self.list) };
        }
    }
}

/// A domain's figures while they are read; state and reason come one by one.
struct Reading {
    stats: DomainStats,
    state: Option<i32>,
    reason: i32,
}

impl Reading {
    fn new(uuid: Uuid, name: String) -> Self {
        let stats = DomainStats {
            uuid,
            name,
            state: None,
            cpu_time_nanoseconds: None,
            cpu_user_nanoseconds: None,
            cpu_system_nanoseconds: None,
            balloon: BalloonStats::default(),
            vcpus_current: None,
            vcpus_maximum: None,
            vcpus: Vec::new(),
            disks: Vec::new(),
            interfaces: Vec::new(),
        };
        Self {
            stats,
            state: None,
            reason: 0,
        }
    }

    fn finish(mut self) -> DomainStats {
        self.stats.state = self
            .state
            .map(|state| State::from_codes(state, self.reason));
        self.stats
    }

    fn take(&mut self, name: &str, value: Value) {
        let stats = &mut self.stats;
        if let Some((index, field)) = indexed(name, "block.") {
            take_disk(&mut stats.disks, index, field, value);
        } else if let Some((index, field)) = indexed(name, "net.") {
            take_interface(&mut stats.interfaces, index, field, value);
        } else if let Some((index, field)) = indexed(name, "vcpu.") {
            take_vcpu(&mut stats.vcpus, index, field, &value);
        } else if let Some(field) = name.strip_prefix("balloon.") {
            stats.balloon.take(field, &value);
        } else {
            match name {
                "state.state" => self.state = value.code(),
                "state.reason" => self.reason = value.code().unwrap_or(0),
                "cpu.time" => stats.cpu_time_nanoseconds = value.count(),
                "cpu.user" => stats.cpu_user_nanoseconds = value.count(),
                "cpu.system" => stats.cpu_system_nanoseconds = value.count(),
                "vcpu.current" => stats.vcpus_current = value.count(),
                "vcpu.maximum" => stats.vcpus_maximum = value.count(),
                _ => {}
            }
        }
    }
}

impl BalloonStats {
    fn take(&mut self, field: &str, value: &Value) {
        let bytes = value
            .count()
            .map(|kibibytes| kibibytes.saturating_mul(1024));
        match field {
            "current" => self.current = bytes,
            "maximum" => self.maximum = bytes,
            "rss" => self.rss = bytes,
            "unused" => self.unused = bytes,
            "available" => self.available = bytes,
            "usable" => self.usable = bytes,
            "last-update" => self.last_update = value.count(),
            _ => {}
        }
    }
}

fn take_vcpu(vcpus: &mut Vec<VcpuStats>, index: usize, field: &str, value: &Value) {
    let Some(vcpu) = entry(vcpus, index, ENTRIES_MAX) else {
        return;
    };
    match field {
        "state" => vcpu.state = value.code().map(VcpuState::from),
        "time" => vcpu.time_nanoseconds = value.count(),
        "wait" => vcpu.wait_nanoseconds = value.count(),
        _ => {}
    }
}

fn take_disk(disks: &mut Vec<DiskStats>, index: usize, field: &str, value: Value) {
    let Some(disk) = entry(disks, index, ENTRIES_MAX) else {
        return;
    };
    match field {
        "name" => disk.name = value.text(),
        "path" => disk.path = value.text(),
        "backingIndex" => disk.backing_index = value.count(),
        "rd.bytes" => disk.read_bytes = value.count(),
        "rd.reqs" => disk.read_requests = value.count(),
        "rd.times" => disk.read_nanoseconds = value.count(),
        "wr.bytes" => disk.write_bytes = value.count(),
        "wr.reqs" => disk.write_requests = value.count(),
        "wr.times" => disk.write_nanoseconds = value.count(),
        "fl.reqs" => disk.flush_requests = value.count(),
        "capacity" => disk.capacity = value.count(),
        "allocation" => disk.allocation = value.count(),
        "physical" => disk.physical = value.count(),
        _ => {}
    }
}

fn take_interface(interfaces: &mut Vec<InterfaceStats>, index: usize, field: &str, value: Value) {
    let Some(interface) = entry(interfaces, index, ENTRIES_MAX) else {
        return;
    };
    match field {
        "name" => interface.name = value.text(),
        "rx.bytes" => interface.rx_bytes = value.count(),
        "rx.pkts" => interface.rx_packets = value.count(),
        "rx.errs" => interface.rx_errors = value.count(),
        "rx.drop" => interface.rx_drops = value.count(),
        "tx.bytes" => interface.tx_bytes = value.count(),
        "tx.pkts" => interface.tx_packets = value.count(),
        "tx.errs" => interface.tx_errors = value.count(),
        "tx.drop" => interface.tx_drops = value.count(),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::PausedReason;

    fn read(parameters: Vec<(&str, Value)>) -> DomainStats {
        let mut reading = Reading::new(Uuid::nil(), "web".to_owned());
        for (name, value) in parameters {
            reading.take(name, value);
        }
        reading.finish()
    }

    #[test]
    fn state_and_reason_are_read_as_one() {
        let stats = read(vec![
            ("state.reason", Value::Signed(5)),
            ("state.state", Value::Signed(3)),
        ]);
        assert_eq!(stats.state, Some(State::Paused(PausedReason::IoError)));
    }

    #[test]
    fn memory_is_counted_in_bytes() {
        let stats = read(vec![
            ("balloon.current", Value::Unsigned(2048)),
            ("balloon.last-update", Value::Unsigned(1_700_000_000)),
        ]);
        assert_eq!(stats.balloon.current, Some(2 << 20));
        assert_eq!(stats.balloon.last_update, Some(1_700_000_000));
    }

    #[test]
    fn disks_and_interfaces_are_gathered_by_their_number() {
        let stats = read(vec![
            ("block.count", Value::Unsigned(2)),
            ("block.1.wr.bytes", Value::Unsigned(7)),
            ("block.0.name", Value::Text("vda".to_owned())),
            ("net.0.rx.drop", Value::Unsigned(3)),
        ]);
        assert_eq!(stats.disks[0].name.as_deref(), Some("vda"));
        assert_eq!(stats.disks[1].write_bytes, Some(7));
        assert_eq!(stats.interfaces[0].rx_drops, Some(3));
    }

    #[test]
    fn a_number_past_reason_takes_no_memory() {
        let stats = read(vec![("block.99999999.name", Value::Text("vda".to_owned()))]);
        assert_eq!(stats.disks, []);
    }
}
