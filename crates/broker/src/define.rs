// SPDX-License-Identifier: GPL-3.0-or-later
//! Defining VMs: judged as wanted, rendered, judged as XML, and only then libvirt's.

use hv_guard::{HostPolicy, judge, judge_xml};
use hv_libvirt::{Connection, Domain, ErrorKind, Impact, UndefineFlags, XmlFlags};
use hv_model::{
    domain_xml::{METADATA_NAMESPACE, RenderHost, definition_from_metadata, render},
    hypervisor::{Definition, HypervisorError, HypervisorErrorKind, Result},
    id::VmId,
    name::{NameError, VmName},
    vm::VmSpec,
};
use roxmltree::Document;

use crate::{
    broker::Broker,
    domain,
    failure::{Explain, fail, refused, unless_gone},
    foreign, header, host, pool,
    pool::escape,
};

/// The prefix of our namespace in a domain's XML.
const METADATA_PREFIX: &str = "hv";

impl Broker {
    /// Defines a VM of ours, or replaces its definition.
    pub(crate) fn define_own(&self, definition: &Definition) -> Result<()> {
        self.expect_person_sees(definition.id)?;
        let libvirt = self.libvirt()?;
        if let Some(domain) = look_for(&libvirt, definition.id)? {
            expect_own(&domain, definition.id, "defined anew")?;
        }
        self.judge_and_define(&libvirt, definition).map(drop)
    }

    /// Makes a VM that was made elsewhere ours.
    pub(crate) fn define_foreign(&self, definition: &Definition) -> Result<()> {
        self.expect_person_sees(definition.id)?;
        let libvirt = self.libvirt()?;
        let vm = definition.id;
        let Some(domain) = look_for(&libvirt, vm)? else {
            return fail(
                HypervisorErrorKind::NotFound,
                format!("VM {vm} is not there"),
            );
        };
        if own_definition(&domain, vm)?.is_some() {
            return self.judge_and_define(&libvirt, definition).map(drop);
        }
        let xml = domain.xml(XmlFlags::INACTIVE);
        let xml = xml.explain(|| format!("VM {vm} can't be looked at"))?;
        let seen = foreign::read(&libvirt, &self.policy()?, vm, &xml);
        if let (Some(nearest), []) = (&seen.definition, seen.obstacles.as_slice()) {
            foreign::expect_same_machine(nearest, definition)?;
        } else {
            let obstacles = seen.obstacles.join("; ");
            let message = format!("VM {vm} can't be adopted: {obstacles}");
            return fail(HypervisorErrorKind::Refused, message);
        }
        let adopted = self.judge_and_define(&libvirt, definition)?;
        // From now on it starts with the host as its spec says, and libvirt does not do it, too.
        adopted
            .set_autostart(false)
            .explain(|| format!("VM {vm} still starts by libvirt itself"))
    }

    fn judge_and_define(&self, libvirt: &Connection, definition: &Definition) -> Result<Domain> {
        let policy = self.policy()?;
        let name = &definition.spec.name;
        judge(&policy, definition).map_err(refused)?;
        let emulator = host::emulator(libvirt, self.acceleration(), definition.spec.arch)?;
        let render_host = RenderHost {
            acceleration: self.acceleration().clone(),
            arch: host::arch(libvirt)?,
            emulator,
            disk_paths: judged_disks(libvirt, &policy, definition)?,
        };
        let xml = render(definition, &render_host).map_err(|error| {
            HypervisorError::new(HypervisorErrorKind::Invalid, format!("VM {name}: {error}"))
        })?;
        judge_xml(&policy, &xml, definition, &render_host.emulator).map_err(refused)?;
        let defined = libvirt.define_domain(&xml);
        let defined = defined.explain(|| format!("VM {name} can't be defined"))?;
        tracing::info!(vm = %definition.id, %name, generation = definition.generation, "defined");
        Ok(defined)
    }

    pub(crate) fn undefine_domain(&self, vm: VmId) -> Result<()> {
        self.expect_person_sees(vm)?;
        let libvirt = self.libvirt()?;
        let Some(domain) = look_for(&libvirt, vm)? else {
            return Ok(());
        };
        expect_own(&domain, vm, "undefined")?;
        // The firmware's variables and the TPM hold keys that its disks may need, so they stay with
        // the disks: who defines it again finds them.
        let flags = UndefineFlags::MANAGED_SAVE
            | UndefineFlags::SNAPSHOTS_METADATA
            | UndefineFlags::CHECKPOINTS_METADATA
            | UndefineFlags::KEEP_NVRAM
            | UndefineFlags::KEEP_TPM;
        tracing::info!(%vm, "undefined");
        unless_gone(
            domain
                .undefine(flags)
                .explain(|| format!("VM {vm} can't be undefined")),
        )
    }

    /// libvirt deletes a VM's firmware variables and TPM only with the VM. So the VM is defined for
    /// a moment, without its disks and its network, under a name that nobody else has.
    pub(crate) fn erase_remains(&self, definition: &Definition) -> Result<()> {
        let vm = definition.id;
        let spec = &definition.spec;
        if !definition.leaves_remains() {
            return Ok(());
        }
        self.expect_person()?;
        let libvirt = self.libvirt()?;
        if look_for(&libvirt, vm)?.is_some() {
            let message = format!("VM {vm} is defined, so nothing of it is erased");
            return fail(HypervisorErrorKind::WrongState, message);
        }
        let name = vm.to_string().parse().map_err(|error: NameError| {
            HypervisorError::new(HypervisorErrorKind::Internal, error.to_string())
        })?;
        let mut remains = VmSpec::new(name);
        (remains.arch, remains.machine) = (spec.arch, spec.machine.clone());
        (remains.firmware, remains.tpm) = (spec.firmware, spec.tpm);
        let remains = Definition {
            id: vm,
            generation: 0,
            spec: remains,
            disks: Vec::new(),
        };
        self.hub().mute(vm);
        let everything = UndefineFlags::MANAGED_SAVE | UndefineFlags::NVRAM | UndefineFlags::TPM;
        let erased = self
            .judge_and_define(&libvirt, &remains)
            .and_then(|domain| {
                domain
                    .undefine(everything)
                    .explain(|| format!("VM {vm} can't be erased"))
            });
        if erased.is_err() {
            self.hub().unmute(vm);
        }
        erased
    }

    pub(crate) fn rename_domain(&self, vm: VmId, name: &VmName) -> Result<()> {
        self.policy()?;
        self.expect_person_sees(vm)?;
        let libvirt = self.libvirt()?;
        let domain = domain::find(&libvirt, vm)?;
        let mut definition = expect_own(&domain, vm, "renamed")?;
        if domain.name() != name.as_str() {
            domain
                .rename(name.as_str())
                .explain(|| format!("VM {vm} can't become {name}"))?;
            tracing::info!(%vm, %name, "renamed");
        }
        // What the VM carries with it has to say the same.
        definition.spec.name = name.clone();
        let element = metadata_element(&definition)?;
        let domain = domain::find(&libvirt, vm)?;
        domain
            .set_metadata(
                METADATA_NAMESPACE,
                METADATA_PREFIX,
                Some(&element),
                Impact::Config,
            )
            .explain(|| format!("VM {vm} is {name} now, and its description could not follow"))
    }
}

/// Our metadata element; libvirt puts the namespace to it.
fn metadata_element(definition: &Definition) -> Result<String> {
    let json = serde_json::to_string(definition).map_err(|error| {
        let message = format!("a definition can't be written as JSON: {error}");
        HypervisorError::new(HypervisorErrorKind::Internal, message)
    })?;
    Ok(format!(
        "<vm generation='{}'>{}</vm>",
        definition.generation,
        escape(&json)
    ))
}

/// The paths of a VM's disks, each looked at before the VM gets it.
fn judged_disks(
    libvirt: &Connection,
    policy: &HostPolicy,
    definition: &Definition,
) -> Result<Vec<String>> {
    let placed = definition.disks.iter();
    placed
        .map(|disk| {
            let (volume, path) = pool::volume(libvirt, policy, &disk.volume)?;
            header::judge_disk(policy, &volume, &disk.volume, disk.format)?;
            Ok(path)
        })
        .collect()
}

/// The domain with this id, if there is one.
pub(crate) fn look_for(libvirt: &Connection, vm: VmId) -> Result<Option<Domain>> {
    match libvirt.domain_by_uuid(vm.uuid()) {
        Ok(domain) => Ok(Some(domain)),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).explain(|| format!("VM {vm} can't be looked for")),
    }
}

/// What we defined a domain as; nothing for one that was made elsewhere.
pub(crate) fn own_definition(domain: &Domain, vm: VmId) -> Result<Option<Definition>> {
    match domain.metadata(METADATA_NAMESPACE, Impact::Config) {
        Ok(element) => Ok(Document::parse(&element)
            .ok()
            .and_then(|document| definition_of(document.root_element().text(), vm))),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).explain(|| format!("VM {vm} can't be looked at")),
    }
}

/// The definition in our metadata element. One that a copied VM still carries is another's.
pub(crate) fn definition_of(text: Option<&str>, vm: VmId) -> Option<Definition> {
    definition_from_metadata(text?).filter(|definition| definition.id == vm)
}

/// The definition of a VM of ours; fails for one that was made elsewhere.
pub(crate) fn expect_own(domain: &Domain, vm: VmId, what: &str) -> Result<Definition> {
    own_definition(domain, vm)?.ok_or_else(|| {
        let message = format!(
            "VM {} was made with another tool: adopt it before it is {what}",
            domain.name()
        );
        HypervisorError::new(HypervisorErrorKind::WrongState, message)
    })
}
