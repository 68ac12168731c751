// SPDX-License-Identifier: GPL-3.0-or-later
//! Where everything is measured: a private host with the product and many VMs on it.

use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

use hv_client::{ChangeOptions, Client, VmFilter};
use hv_e2e::{Daemons, PrivateHost};
use hv_libvirt::{Connection, Domain, OpenOptions, StartFlags};
use hv_model::{
    device::{Disk, Nic},
    inventory::{CreateVm, ThenStart, VmSummary},
    vm::VmSpec,
};
use tokio::runtime::Runtime;

use crate::failure::{During, Failure, Result};

/// How many VMs of ours are being made at once.
const AT_ONCE: usize = 4;
/// How long the product may take to see what was defined.
const PATIENCE: Duration = Duration::from_secs(60);
/// One of so many VMs has a QEMU process. They stand still, so that they take no CPU.
const ONE_ACTIVE_OF: usize = 100;

/// A private host with the product on it.
pub(crate) struct Scene {
    /// The product.
    pub(crate) product: Daemons,
    /// libvirt, as anybody reaches it.
    pub(crate) libvirt: Connection,
    /// Where calls of the API run.
    pub(crate) runtime: Runtime,
    vms: usize,
    // Last, so that it ends last.
    /// The host.
    pub(crate) host: PrivateHost,
}

impl Scene {
    /// A host without VMs.
    pub(crate) fn open() -> Result<Self> {
        // The hook would cost both sides the same.
        let host = PrivateHost::start_without_hook();
        let product = Daemons::start(&host);
        let libvirt = connect(&host)?;
        let runtime = Runtime::new().during("start a runtime")?;
        Ok(Self {
            product,
            libvirt,
            runtime,
            vms: 0,
            host,
        })
    }

    /// How many VMs there are.
    pub(crate) const fn vms(&self) -> usize {
        self.vms
    }

    /// A client of the API.
    pub(crate) fn client(&self) -> Client {
        Client::unix(self.product.socket())
    }

    /// The VMs as the API lists them.
    pub(crate) fn list(&self) -> Result<Vec<VmSummary>> {
        let client = self.client();
        let listed = self.runtime.block_on(client.vms(&VmFilter::default()));
        Ok(listed.during("list the VMs")?.items)
    }

    /// Defines VMs until there are so many: half of them through the API, half as other tools do.
    pub(crate) fn fill(&mut self, vms: usize) -> Result<()> {
        let numbers = self.vms..vms.max(self.vms);
        let (ours, others): (Vec<_>, Vec<_>) = numbers.partition(|number| number % 2 == 0);
        if ours.is_empty() && others.is_empty() {
            return Ok(());
        }
        let (begun, count) = (Instant::now(), ours.len());
        self.define_ours(&ours)?;
        progress(count, "through the API", begun);
        let (begun, count) = (Instant::now(), others.len());
        self.define_others(&others)?;
        progress(count, "with libvirt", begun);
        self.vms = vms;
        self.wait_until_listed()
    }

    fn define_ours(&self, numbers: &[usize]) -> Result<()> {
        let client = self.client();
        self.runtime.block_on(async {
            let mut tasks = Vec::new();
            for share in numbers.chunks(numbers.len().div_ceil(AT_ONCE).max(1)) {
                let specs: Vec<_> = share.iter().map(|number| ours(*number)).collect();
                let client = client.clone();
                tasks.push(tokio::spawn(async move {
                    for spec in specs {
                        create(&client, spec?).await?;
                    }
                    Ok(())
                }));
            }
            for task in tasks {
                task.await.during("define VMs through the API")??;
            }
            Ok(())
        })
    }

    fn define_others(&self, numbers: &[usize]) -> Result<()> {
        for number in numbers {
            let xml = blank_domain(&format!("other{number:04}"));
            let domain = self.libvirt.define_domain(&xml).during("define a domain")?;
            if number % ONE_ACTIVE_OF == 1 {
                domain.create(StartFlags::PAUSED).during("start a domain")?;
            }
        }
        Ok(())
    }

    fn wait_until_listed(&self) -> Result<()> {
        let begun = Instant::now();
        loop {
            // The CPUs of a VM are known once its definition was read.
            let seen = self.list()?.iter().filter(|vm| vm.cpus > 0).count();
            if seen >= self.vms {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                let why = format!("{seen} of {} are known", self.vms);
                return Err(Failure::new("wait until every VM is listed", why));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Defines and starts a VM as other tools do, one that does nothing.
    pub(crate) fn start_blank(&self, name: &str) -> Result<Domain> {
        let xml = blank_domain(name);
        let domain = self.libvirt.define_domain(&xml).during("define a domain")?;
        domain.create(StartFlags::NONE).during("start a domain")?;
        Ok(domain)
    }
}

/// A new connection to a private host's libvirt.
pub(crate) fn connect(host: &PrivateHost) -> Result<Connection> {
    Connection::open(host.libvirt_uri(), OpenOptions::default()).during("connect to libvirt")
}

fn progress(count: usize, how: &str, begun: Instant) {
    let (seconds, each) = (begun.elapsed().as_secs_f64(), begun.elapsed());
    let each = each / u32::try_from(count.max(1)).unwrap_or(u32::MAX);
    eprintln!(
        "defined {count} VMs {how} in {seconds:.1} s ({} ms each)",
        each.as_millis()
    );
}

async fn create(client: &Client, spec: VmSpec) -> Result<()> {
    let name = spec.name.to_string();
    let then = ThenStart::Nothing;
    let options = ChangeOptions::default().wait(PATIENCE);
    let made = client.create_vm(&CreateVm { spec, then }, &options).await;
    let made = made.during(&name)?;
    match made.problem {
        Some(problem) => Err(Failure::new(name, problem.detail)),
        None => Ok(()),
    }
}

/// A VM of ours with what most have: a disk, an interface, an owner, tags.
fn ours(number: usize) -> Result<VmSpec> {
    let name = format!("web{number:04}");
    let mut spec = VmSpec::new(name.parse().during("name a VM")?);
    spec.owner = Some("operator".parse().during("name an owner")?);
    let group = format!("rack{}", number % 8);
    spec.tags = BTreeSet::from([
        "web".parse().during("name a tag")?,
        group.parse().during("name a tag")?,
    ]);
    spec.disks = vec![Disk {
        size: Some("1 GiB".parse().during("write a size")?),
        ..Disk::default()
    }];
    spec.nics = vec![Nic {
        network: Some("default".parse().during("name a network")?),
        ..Nic::default()
    }];
    Ok(spec)
}

/// A VM as other tools define it, with nothing to boot from.
pub(crate) fn blank_domain(name: &str) -> String {
    format!(
        "<domain type='qemu'><name>{name}</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>\
         <os><type arch='x86_64' machine='q35'>hvm</type></os>\
         <devices><interface type='network'><source network='default'/><model type='virtio'/>\
         </interface><serial type='pty'/></devices></domain>"
    )
}
