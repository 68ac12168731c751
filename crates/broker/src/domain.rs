// SPDX-License-Identifier: GPL-3.0-or-later
//! The life of VMs: listed, counted, started, stopped.
//!
//! VMs that were made elsewhere are listed, started and stopped; nothing else is done to them.

use std::{collections::HashSet, os::fd::OwnedFd, os::unix::net::UnixStream};

use hv_guard::judge;
use hv_libvirt::{
    Connection, ConsoleAccess, Destroy, Domain, DomainFilter, DomainStats, SavedAs, StartFlags,
    StatsFlags, StatsGroups,
};
use hv_model::{
    hypervisor::{
        GuestRequest, HypervisorError, HypervisorErrorKind, Result, Takeover, VmFacts, VmStats,
    },
    id::VmId,
    vm::VmState,
};

use crate::{
    broker::Broker,
    define::{expect_own, own_definition},
    failure::{Explain, refused, unless_gone},
    judging::Alone,
    state::{self, Memory},
};

/// The domain with this id.
pub(crate) fn find(libvirt: &Connection, vm: VmId) -> Result<Domain> {
    libvirt
        .domain_by_uuid(vm.uuid())
        .explain(|| format!("VM {vm} can't be found"))
}

impl Broker {
    /// Every domain with its state: two calls to libvirt, however many there are.
    pub(crate) fn list_domains(&self) -> Result<Vec<VmFacts>> {
        let libvirt = self.libvirt()?;
        let tried = || "the VMs can't be listed".to_owned();
        let saved = libvirt.domains(DomainFilter::MANAGED_SAVE).explain(tried)?;
        let saved: HashSet<_> = saved.iter().map(Domain::uuid).collect();
        let all = StatsFlags::ACTIVE | StatsFlags::INACTIVE;
        let domains = libvirt
            .all_domain_stats(StatsGroups::STATE, all)
            .explain(tried)?;
        Ok(domains
            .into_iter()
            .map(|domain| {
                let is_saved = saved.contains(&domain.uuid);
                let memory = if is_saved {
                    Memory::Saved
                } else {
                    Memory::Gone
                };
                let stated = domain.state.map(|state| state::of(state, memory));
                let (state, reason) =
                    stated.unwrap_or_else(|| (VmState::Unknown, "unknown".to_owned()));
                VmFacts {
                    id: VmId::new(domain.uuid),
                    name: domain.name,
                    state,
                    reason,
                }
            })
            .collect())
    }

    pub(crate) fn read_stats(&self) -> Result<Vec<VmStats>> {
        let groups = StatsGroups::CPU
            | StatsGroups::BALLOON
            | StatsGroups::VCPU
            | StatsGroups::INTERFACE
            | StatsGroups::BLOCK;
        // A VM that is busy with a job tells what it can at once.
        let running = StatsFlags::ACTIVE | StatsFlags::NOWAIT;
        let stats = self.libvirt()?.all_domain_stats(groups, running);
        let stats = stats.explain(|| "the VMs' figures can't be read".to_owned())?;
        Ok(stats.iter().map(figures).collect())
    }

    pub(crate) fn start_domain(&self, vm: VmId) -> Result<()> {
        let policy = self.policy()?;
        let libvirt = self.libvirt()?;
        let domain = find(&libvirt, vm)?;
        // The policy may have become stricter since it was defined.
        if let Some(definition) = own_definition(&domain, vm)? {
            judge(&policy, &definition).map_err(refused)?;
        }
        self.as_person(Alone::May, |libvirt| {
            let domain = find(libvirt, vm)?;
            domain
                .create(StartFlags::NONE)
                .explain(|| cannot(&domain, "started"))
        })
    }

    pub(crate) fn shut_domain_down(&self, vm: VmId, way: GuestRequest) -> Result<()> {
        self.as_person(Alone::MayNot, |libvirt| {
            let domain = find(libvirt, vm)?;
            domain
                .shutdown(self.by(way))
                .explain(|| cannot(&domain, "asked to shut down"))
        })
    }

    pub(crate) fn reboot_domain(&self, vm: VmId, way: GuestRequest) -> Result<()> {
        self.as_person(Alone::MayNot, |libvirt| {
            let domain = find(libvirt, vm)?;
            domain
                .reboot(self.by(way))
                .explain(|| cannot(&domain, "asked to reboot"))
        })
    }

    pub(crate) fn force_domain_off(&self, vm: VmId) -> Result<()> {
        self.as_person(Alone::May, |libvirt| {
            let domain = find(libvirt, vm)?;
            domain
                .destroy(Destroy::Forced)
                .explain(|| cannot(&domain, "forced off"))
        })
    }

    pub(crate) fn reset_domain(&self, vm: VmId) -> Result<()> {
        self.as_person(Alone::MayNot, |libvirt| {
            let domain = find(libvirt, vm)?;
            domain.reset().explain(|| cannot(&domain, "reset"))
        })
    }

    pub(crate) fn pause_domain(&self, vm: VmId) -> Result<()> {
        self.as_person(Alone::MayNot, |libvirt| {
            let domain = find(libvirt, vm)?;
            domain.suspend().explain(|| cannot(&domain, "paused"))
        })
    }

    pub(crate) fn resume_domain(&self, vm: VmId) -> Result<()> {
        self.as_person(Alone::MayNot, |libvirt| {
            let domain = find(libvirt, vm)?;
            domain.resume().explain(|| cannot(&domain, "resumed"))
        })
    }

    pub(crate) fn save_domain(&self, vm: VmId) -> Result<()> {
        self.as_person(Alone::MayNot, |libvirt| {
            let domain = find(libvirt, vm)?;
            domain
                .managed_save(SavedAs::Found)
                .explain(|| cannot(&domain, "saved"))
        })
    }

    pub(crate) fn discard_saved_memory(&self, vm: VmId) -> Result<()> {
        self.policy()?;
        expect_own(&find(&self.libvirt()?, vm)?, vm, "changed")?;
        self.as_person(Alone::MayNot, |libvirt| {
            let domain = find(libvirt, vm)?;
            let tried = || {
                format!(
                    "the saved memory of VM {} can't be discarded",
                    domain.name()
                )
            };
            if domain.has_managed_save().explain(tried)? {
                unless_gone(domain.managed_save_remove().explain(tried))?;
            }
            Ok(())
        })
    }

    /// Pumps the console into one end of a pair of sockets, until either side closes; the other
    /// end is the caller's.
    pub(crate) fn open_console(&self, vm: VmId, takeover: Takeover) -> Result<OwnedFd> {
        let access = match takeover {
            Takeover::Refuse => ConsoleAccess::Shared,
            Takeover::Force => ConsoleAccess::Force,
        };
        let console = self.as_person(Alone::MayNot, |libvirt| {
            let domain = find(libvirt, vm)?;
            let console = libvirt.open_console(vm.uuid(), None, access);
            console.explain(|| format!("the console of VM {} can't be opened", domain.name()))
        })?;
        let (near, far) = UnixStream::pair().map_err(|error| {
            let message = format!("a pair of sockets can't be made: {error}");
            HypervisorError::new(HypervisorErrorKind::Internal, message)
        })?;
        console
            .pump(near.into())
            .explain(|| "the console's pump can't start".to_owned())?;
        Ok(far.into())
    }
}

impl Broker {
    /// How libvirt asks a guest. Through its agent alone takes `domain.write`, which no person
    /// holds; asked to choose, libvirt takes the agent if it is there, and else the power button.
    fn by(&self, way: GuestRequest) -> hv_libvirt::GuestRequest {
        match way {
            GuestRequest::Agent if self.judges_a_person() => hv_libvirt::GuestRequest::Either,
            GuestRequest::Agent => hv_libvirt::GuestRequest::Agent,
            GuestRequest::Acpi => hv_libvirt::GuestRequest::Acpi,
        }
    }
}

pub(crate) fn cannot(domain: &Domain, what: &str) -> String {
    format!("VM {} can't be {what}", domain.name())
}

fn figures(domain: &DomainStats) -> VmStats {
    let sum = |values: &mut dyn Iterator<Item = Option<u64>>| {
        values.flatten().fold(0, u64::saturating_add)
    };
    VmStats {
        id: Some(VmId::new(domain.uuid)),
        cpu_time_ns: domain.cpu_time_nanoseconds.unwrap_or_default(),
        cpus: u32::try_from(domain.vcpus_current.unwrap_or_default()).unwrap_or(u32::MAX),
        memory_bytes: domain.balloon.current.unwrap_or_default(),
        resident_bytes: domain.balloon.rss.unwrap_or_default(),
        unused_bytes: domain.balloon.unused,
        disk_read_bytes: sum(&mut domain.disks.iter().map(|disk| disk.read_bytes)),
        disk_write_bytes: sum(&mut domain.disks.iter().map(|disk| disk.write_bytes)),
        network_rx_bytes: sum(&mut domain.interfaces.iter().map(|nic| nic.rx_bytes)),
        network_tx_bytes: sum(&mut domain.interfaces.iter().map(|nic| nic.tx_bytes)),
    }
}
