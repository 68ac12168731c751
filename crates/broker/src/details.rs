// SPDX-License-Identifier: GPL-3.0-or-later
//! What VMs are defined as.

use std::collections::HashSet;

use hv_guard::HostPolicy;
use hv_libvirt::{
    Connection, Domain, DomainFilter, ErrorKind, XmlFlags,
    view::{AgentChannel, DomainView},
};
use hv_model::{
    domain_xml::METADATA_NAMESPACE,
    hypervisor::{AgentLink, ForeignVm, Result, VmDetails},
    id::VmId,
    size::Size,
};

use crate::{broker::Broker, define::definition_of, failure::Explain, foreign};

/// From how many on it is cheaper to list all domains than to look each one up.
const MANY: usize = 8;

impl Broker {
    pub(crate) fn read_details(&self, vms: &[VmId]) -> Result<Vec<VmDetails>> {
        let libvirt = self.libvirt()?;
        // Without a policy nothing can be adopted, and everything can still be looked at.
        let policy = self.policy().unwrap_or_default();
        let tried = || "the VMs can't be looked at".to_owned();
        let found = find(&libvirt, vms).explain(tried)?;
        let mut details = Vec::with_capacity(found.len());
        for (vm, domain, activity) in found {
            match read_one(&libvirt, &policy, vm, &domain, activity) {
                Ok(read) => details.push(read),
                Err(error) if error.kind == ErrorKind::NotFound => {}
                Err(error) if is_our_link(error.kind) => return Err(error).explain(tried),
                // One odd VM must not hide all others.
                Err(error) => {
                    let why = format!("it can't be looked at: {}", error.message);
                    details.push(unreadable(vm, domain.name(), why));
                }
            }
        }
        Ok(details)
    }
}

const fn is_our_link(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Unavailable | ErrorKind::TimedOut)
}

/// Whether a domain runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Activity {
    Runs,
    Rests,
}

/// Those of the VMs that are there.
fn find(libvirt: &Connection, vms: &[VmId]) -> hv_libvirt::Result<Vec<(VmId, Domain, Activity)>> {
    let activity = |runs| {
        if runs {
            Activity::Runs
        } else {
            Activity::Rests
        }
    };
    if vms.len() < MANY {
        let mut found = Vec::new();
        for &vm in vms {
            let looked = libvirt.domain_by_uuid(vm.uuid());
            match looked.and_then(|domain| domain.is_active().map(|runs| (domain, runs))) {
                Ok((domain, runs)) => found.push((vm, domain, activity(runs))),
                Err(error) if error.kind == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        return Ok(found);
    }
    let running = libvirt.domains(DomainFilter::ACTIVE)?;
    let running: HashSet<_> = running.iter().map(Domain::uuid).collect();
    let wanted: HashSet<_> = vms.iter().map(|vm| vm.uuid()).collect();
    let domains = libvirt.domains(DomainFilter::NONE)?.into_iter();
    let domains = domains.map(|domain| (domain.uuid(), domain));
    Ok(domains
        .filter(|(uuid, _)| wanted.contains(uuid))
        .map(|(uuid, domain)| (VmId::new(uuid), domain, activity(running.contains(&uuid))))
        .collect())
}

fn read_one(
    libvirt: &Connection,
    policy: &HostPolicy,
    vm: VmId,
    domain: &Domain,
    activity: Activity,
) -> hv_libvirt::Result<VmDetails> {
    let stored = domain.xml(XmlFlags::INACTIVE)?;
    let now = match activity {
        Activity::Runs => Some(domain.xml(XmlFlags::NONE)?),
        Activity::Rests => None,
    };
    let views = DomainView::parse(&stored)
        .and_then(|view| Ok((view, now.as_deref().map(DomainView::parse).transpose()?)));
    let (view, now) = match views {
        Ok(views) => views,
        Err(error) => {
            return Ok(unreadable(
                vm,
                domain.name(),
                format!("its XML can't be read: {error}"),
            ));
        }
    };
    let ours = view
        .metadata(METADATA_NAMESPACE)
        .map(|element| element.text.as_str());
    let definition = definition_of(ours, vm);
    let foreign = match definition {
        Some(_) => None,
        None => Some(foreign::read(libvirt, policy, vm, &stored)),
    };
    let shown = now.as_ref().unwrap_or(&view);
    let memory = shown.memory_current.or(shown.memory_maximum);
    Ok(VmDetails {
        id: vm,
        name: shown.name.clone().unwrap_or_default(),
        cpus: shown
            .vcpus_current
            .or(shown.vcpus_maximum)
            .unwrap_or_default(),
        memory: Size::from_bytes(memory.unwrap_or_default()),
        agent: now.as_ref().and_then(|now| match now.agent() {
            AgentChannel::Missing => None,
            AgentChannel::Disconnected => Some(AgentLink::Disconnected),
            AgentChannel::Connected => Some(AgentLink::Connected),
        }),
        definition: definition.map(Box::new),
        foreign,
    })
}

/// What is left to tell of a VM that can't be read.
fn unreadable(vm: VmId, name: String, why: String) -> VmDetails {
    tracing::warn!(%vm, name, why, "a VM can't be read");
    VmDetails {
        id: vm,
        name,
        cpus: 0,
        memory: Size::default(),
        agent: None,
        definition: None,
        foreign: Some(ForeignVm {
            definition: None,
            obstacles: vec![why],
        }),
    }
}
