// SPDX-License-Identifier: GPL-3.0-or-later
//! The broker: the port's calls, each in the module of its noun.

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock, mpsc::Receiver},
    thread,
};

use hv_guard::HostPolicy;
use hv_libvirt::Connection;
use hv_model::{
    host::{Acceleration, Host},
    hypervisor::{
        Behalf, Definition, Fact, Guest, GuestRequest, Hypervisor, LiveChange, NewVolume, Result,
        Takeover, VmDetails, VmFacts, VmStats,
    },
    id::VmId,
    image::ImageFacts,
    name::{PoolName, VmName},
    network::Network,
    rights::Finding,
    size::Size,
    storage::{Pool, Volume, VolumeFormat, VolumeRef},
};

use crate::{facts::Hub, failure::no_policy, host, judging::Judging, link::Link, refusals};

/// A host behind libvirt, within its policy. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Broker {
    host: Arc<Shared>,
    /// Whom it acts for.
    behalf: Option<Behalf>,
    /// What is wrong with its rights.
    findings: Arc<[Finding]>,
}

/// What is the same for everybody who is acted for.
#[derive(Debug)]
struct Shared {
    link: Link,
    hub: Arc<Hub>,
    policy: PathBuf,
    judging: Judging,
    acceleration: Arc<OnceLock<Acceleration>>,
}

impl Broker {
    /// A broker of the libvirt at `uri` under the policy in that file, and under what `judging`
    /// says besides.
    ///
    /// Connects in the background, and finds out whether KVM works: where it hangs that takes
    /// seconds, for which only calls wait that must know.
    pub fn new(uri: &str, policy: impl Into<PathBuf>, judging: Judging) -> io::Result<Self> {
        let acceleration = Arc::new(OnceLock::new());
        let probed = Arc::clone(&acceleration);
        let probe = move || {
            probed.get_or_init(host::acceleration);
        };
        thread::Builder::new()
            .name("probe".to_owned())
            .spawn(probe)?;
        let hub = Arc::new(Hub::default());
        let link = Link::new(uri, Arc::clone(&hub))?;
        let host = Shared {
            link,
            hub,
            policy: policy.into(),
            judging,
            acceleration,
        };
        Ok(Self {
            host: Arc::new(host),
            behalf: None,
            findings: Arc::default(),
        })
    }

    /// The same, which tells whoever asks that this is wrong with its rights.
    #[must_use]
    pub fn with_findings(mut self, findings: Vec<Finding>) -> Self {
        self.findings = findings.into();
        self
    }

    /// The broker's own connection to libvirt.
    pub(crate) fn libvirt(&self) -> Result<Connection> {
        self.host.link.connection()
    }

    /// Whom it acts for.
    pub(crate) fn behalf(&self) -> Option<&Behalf> {
        self.behalf.as_ref()
    }

    /// Who judges changes besides the policy.
    pub(crate) fn judging(&self) -> &Judging {
        &self.host.judging
    }

    /// The policy as its file says now.
    pub(crate) fn policy(&self) -> Result<HostPolicy> {
        HostPolicy::load(&self.host.policy).map_err(no_policy)
    }

    /// Those who want facts.
    pub(crate) fn hub(&self) -> &Hub {
        &self.host.hub
    }

    /// From now on tells what the guard refuses, which it leaves in this folder.
    pub fn tell_refusals(&self, folder: &Path) -> io::Result<()> {
        refusals::tell(folder, &self.host.hub)
    }

    /// How guests run.
    pub(crate) fn acceleration(&self) -> &Acceleration {
        self.host.acceleration.get_or_init(host::acceleration)
    }
}

impl Hypervisor for Broker {
    fn on_behalf_of(&self, person: &Behalf) -> Box<dyn Hypervisor> {
        let behalf = Some(person.clone());
        Box::new(Self {
            behalf,
            ..self.clone()
        })
    }

    fn host(&self) -> Result<Host> {
        self.read_host()
    }

    fn rights(&self) -> Result<Vec<Finding>> {
        Ok(self.findings.to_vec())
    }

    fn vms(&self) -> Result<Vec<VmFacts>> {
        self.list_domains()
    }

    fn details(&self, vms: &[VmId]) -> Result<Vec<VmDetails>> {
        self.read_details(vms)
    }

    fn stats(&self) -> Result<Vec<VmStats>> {
        self.read_stats()
    }

    fn define(&self, definition: &Definition) -> Result<()> {
        self.define_own(definition)
    }

    fn adopt(&self, definition: &Definition) -> Result<()> {
        self.define_foreign(definition)
    }

    fn undefine(&self, vm: VmId) -> Result<()> {
        self.undefine_domain(vm)
    }

    fn erase(&self, definition: &Definition) -> Result<()> {
        self.erase_remains(definition)
    }

    fn start(&self, vm: VmId) -> Result<()> {
        self.start_domain(vm)
    }

    fn shut_down(&self, vm: VmId, way: GuestRequest) -> Result<()> {
        self.shut_domain_down(vm, way)
    }

    fn reboot(&self, vm: VmId, way: GuestRequest) -> Result<()> {
        self.reboot_domain(vm, way)
    }

    fn force_off(&self, vm: VmId) -> Result<()> {
        self.force_domain_off(vm)
    }

    fn reset(&self, vm: VmId) -> Result<()> {
        self.reset_domain(vm)
    }

    fn pause(&self, vm: VmId) -> Result<()> {
        self.pause_domain(vm)
    }

    fn resume(&self, vm: VmId) -> Result<()> {
        self.resume_domain(vm)
    }

    fn save(&self, vm: VmId) -> Result<()> {
        self.save_domain(vm)
    }

    fn discard_saved(&self, vm: VmId) -> Result<()> {
        self.discard_saved_memory(vm)
    }

    fn rename(&self, vm: VmId, name: &VmName) -> Result<()> {
        self.rename_domain(vm, name)
    }

    fn change_live(&self, vm: VmId, change: &LiveChange) -> Result<()> {
        self.change_running(vm, change)
    }

    fn console(&self, vm: VmId, takeover: Takeover) -> Result<OwnedFd> {
        self.open_console(vm, takeover)
    }

    fn guest(&self, vm: VmId) -> Result<Guest> {
        self.ask_agent(vm)
    }

    fn pools(&self) -> Result<Vec<Pool>> {
        self.list_pools()
    }

    fn volumes(&self, pool: &PoolName) -> Result<Vec<Volume>> {
        self.list_volumes(pool)
    }

    fn create_volume(&self, volume: &NewVolume) -> Result<()> {
        self.make_volume(volume)
    }

    fn resize_volume(&self, volume: &VolumeRef, capacity: Size) -> Result<()> {
        self.grow_volume(volume, capacity)
    }

    fn delete_volume(&self, volume: &VolumeRef) -> Result<()> {
        self.remove_volume(volume)
    }

    fn upload_image(
        &self,
        volume: &VolumeRef,
        format: VolumeFormat,
        length: u64,
        source: OwnedFd,
    ) -> Result<ImageFacts> {
        self.take_upload(volume, format, length, source)
    }

    fn networks(&self) -> Result<Vec<Network>> {
        self.list_networks()
    }

    fn subscribe(&self) -> Result<Receiver<Fact>> {
        Ok(self.host.hub.subscribe())
    }
}
