// SPDX-License-Identifier: GPL-3.0-or-later
//! What VMs are defined as.

use hv_guard::HostPolicy;
use hv_libvirt::{
    Connection, ErrorKind, XmlFlags,
    view::{AgentChannel, DomainView},
};
use hv_model::{
    domain_xml::METADATA_NAMESPACE,
    hypervisor::{AgentLink, HypervisorError, HypervisorErrorKind, Result, VmDetails},
    id::VmId,
    size::Size,
};

use crate::{broker::Broker, define::definition_of, failure::Explain, foreign};

impl Broker {
    pub(crate) fn read_details(&self, vms: &[VmId]) -> Result<Vec<VmDetails>> {
        let libvirt = self.libvirt()?;
        // Without a policy nothing can be adopted, and everything can still be looked at.
        let policy = self.policy().unwrap_or_default();
        let mut details = Vec::new();
        for &vm in vms {
            details.extend(read_one(&libvirt, &policy, vm)?);
        }
        Ok(details)
    }
}

fn read_one(libvirt: &Connection, policy: &HostPolicy, vm: VmId) -> Result<Option<VmDetails>> {
    let read = || -> hv_libvirt::Result<_> {
        let domain = libvirt.domain_by_uuid(vm.uuid())?;
        let stored = domain.xml(XmlFlags::INACTIVE)?;
        let now = if domain.is_active()? {
            Some(domain.xml(XmlFlags::NONE)?)
        } else {
            None
        };
        Ok((stored, now))
    };
    let (stored, now) = match read() {
        Ok(read) => read,
        Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).explain(|| format!("VM {vm} can't be looked at")),
    };
    let view = parse(vm, &stored)?;
    let now = now.map(|xml| parse(vm, &xml)).transpose()?;
    let ours = view
        .metadata(METADATA_NAMESPACE)
        .map(|element| element.text.as_str());
    let definition = definition_of(ours, vm);
    let foreign = match definition {
        Some(_) => None,
        None => Some(foreign::read(libvirt, policy, vm, &stored)),
    };
    let shown = now.as_ref().unwrap_or(&view);
    Ok(Some(VmDetails {
        id: vm,
        name: shown.name.clone().unwrap_or_default(),
        cpus: shown
            .vcpus_current
            .or(shown.vcpus_maximum)
            .unwrap_or_default(),
        memory: Size::from_bytes(
            shown
                .memory_current
                .or(shown.memory_maximum)
                .unwrap_or_default(),
        ),
        agent: now.as_ref().and_then(|now| match now.agent() {
            AgentChannel::Missing => None,
            AgentChannel::Disconnected => Some(AgentLink::Disconnected),
            AgentChannel::Connected => Some(AgentLink::Connected),
        }),
        definition: definition.map(Box::new),
        foreign,
    }))
}

fn parse(vm: VmId, xml: &str) -> Result<DomainView> {
    DomainView::parse(xml).map_err(|error| {
        let message = format!("the XML of VM {vm} can't be read: {error}");
        HypervisorError::new(HypervisorErrorKind::Internal, message)
    })
}
