// SPDX-License-Identifier: GPL-3.0-or-later
//! A host in memory that records what it was asked, and a server in front of it.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use hv_model::{
    host::{Acceleration, Host},
    hypervisor::{
        Behalf, Definition, Fact, Guest, GuestRequest, Hypervisor, HypervisorError,
        HypervisorErrorKind, LiveChange, NewVolume, Result, Takeover, VmDetails, VmFacts, VmStats,
    },
    id::VmId,
    image::ImageFacts,
    name::{PoolName, VmName},
    network::Network,
    rights::Finding,
    size::Size,
    storage::{Pool, Volume, VolumeFormat, VolumeRef},
    vm::{Arch, VmState},
};
use hv_port::{Client, Server, SocketOwner, Stop};
use uuid::Uuid;

/// A host in memory.
#[derive(Clone, Default)]
pub(crate) struct Fake {
    /// Each call that was carried out.
    pub(crate) calls: Arc<Mutex<Vec<String>>>,
    /// Where facts go.
    pub(crate) facts: Arc<Mutex<Option<SyncSender<Fact>>>>,
    /// While it is shut, `host` does not answer.
    pub(crate) gate: Arc<Gate>,
    /// Whom it is asked for.
    behalf: Option<Behalf>,
}

/// Something that calls wait at.
#[derive(Default)]
pub(crate) struct Gate {
    shut: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    pub(crate) fn shut(&self) {
        *self.shut.lock().unwrap() = true;
    }

    pub(crate) fn open(&self) {
        *self.shut.lock().unwrap() = false;
        self.opened.notify_all();
    }

    fn pass(&self) {
        drop(
            self.opened
                .wait_while(self.shut.lock().unwrap(), |shut| *shut)
                .unwrap(),
        );
    }
}

impl Fake {
    pub(crate) fn asked(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    fn note(&self, call: impl Into<String>) -> Result<()> {
        let mut call = call.into();
        if let Some(person) = &self.behalf {
            call = format!("{call} for {} {:?}", person.name, person.uid);
        }
        self.calls.lock().unwrap().push(call);
        Ok(())
    }
}

/// The id that ends in this number.
pub(crate) fn id(number: u128) -> VmId {
    VmId::new(Uuid::from_u128(number))
}

impl Hypervisor for Fake {
    fn on_behalf_of(&self, person: &Behalf) -> Box<dyn Hypervisor> {
        let behalf = Some(person.clone());
        Box::new(Self {
            behalf,
            ..self.clone()
        })
    }
    fn rights(&self) -> Result<Vec<Finding>> {
        self.note("rights")?;
        Ok(vec![Finding::excess("It may too much.", "Take it away.")])
    }
    fn host(&self) -> Result<Host> {
        self.note("host")?;
        self.gate.pass();
        Ok(Host {
            hostname: "fake".into(),
            acceleration: Acceleration::Kvm,
            arch: Arch::X86_64,
            cpu_model: "one".into(),
            cpus: 1,
            memory: Size::from_gib(1),
            memory_available: Size::from_gib(1),
            libvirt_version: "0".into(),
            qemu_version: "0".into(),
            guest_archs: vec![Arch::X86_64],
        })
    }
    fn vms(&self) -> Result<Vec<VmFacts>> {
        // More than a frame may hold.
        let reason = "x".repeat(1 << 20);
        let vm = VmFacts {
            id: id(1),
            name: "web".into(),
            state: VmState::Running,
            reason,
        };
        Ok(vec![vm; 20])
    }
    fn details(&self, vms: &[VmId]) -> Result<Vec<VmDetails>> {
        self.note(format!("details {}", vms.len()))?;
        Ok(Vec::new())
    }
    fn stats(&self) -> Result<Vec<VmStats>> {
        Ok(Vec::new())
    }
    fn define(&self, definition: &Definition) -> Result<()> {
        self.note(serde_json::to_string(definition).unwrap())
    }
    fn undefine(&self, _vm: VmId) -> Result<()> {
        Ok(())
    }
    fn start(&self, vm: VmId) -> Result<()> {
        self.note(format!("start {vm}"))?;
        let message = format!("VM {vm} runs already");
        Err(HypervisorError::new(
            HypervisorErrorKind::WrongState,
            message,
        ))
    }
    fn shut_down(&self, vm: VmId, way: GuestRequest) -> Result<()> {
        self.note(format!("shut_down {vm} {way:?}"))
    }
    fn reboot(&self, _vm: VmId, _way: GuestRequest) -> Result<()> {
        Ok(())
    }
    fn force_off(&self, _vm: VmId) -> Result<()> {
        panic!("a fault in the host")
    }
    fn reset(&self, _vm: VmId) -> Result<()> {
        Ok(())
    }
    fn pause(&self, _vm: VmId) -> Result<()> {
        Ok(())
    }
    fn resume(&self, _vm: VmId) -> Result<()> {
        Ok(())
    }
    fn save(&self, _vm: VmId) -> Result<()> {
        Ok(())
    }
    fn discard_saved(&self, _vm: VmId) -> Result<()> {
        Ok(())
    }
    fn rename(&self, _vm: VmId, name: &VmName) -> Result<()> {
        self.note(format!("rename {name}"))
    }
    fn change_live(&self, _vm: VmId, change: &LiveChange) -> Result<()> {
        self.note(format!("{change:?}"))
    }
    fn console(&self, _vm: VmId, _takeover: Takeover) -> Result<OwnedFd> {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"login: ").unwrap();
        Ok(reader.into())
    }
    fn guest(&self, _vm: VmId) -> Result<Guest> {
        Ok(Guest {
            hostname: Some("web".into()),
            ..Guest::default()
        })
    }
    fn pools(&self) -> Result<Vec<Pool>> {
        Ok(Vec::new())
    }
    fn volumes(&self, _pool: &PoolName) -> Result<Vec<Volume>> {
        Ok(Vec::new())
    }
    fn create_volume(&self, _volume: &NewVolume) -> Result<()> {
        Ok(())
    }
    fn resize_volume(&self, _volume: &VolumeRef, _capacity: Size) -> Result<()> {
        Ok(())
    }
    fn delete_volume(&self, _volume: &VolumeRef) -> Result<()> {
        Ok(())
    }
    fn upload_image(
        &self,
        volume: &VolumeRef,
        format: VolumeFormat,
        length: u64,
        source: OwnedFd,
    ) -> Result<ImageFacts> {
        let mut text = String::new();
        File::from(source)
            .take(length)
            .read_to_string(&mut text)
            .unwrap();
        self.note(format!("upload {volume} {text}"))?;
        let size = Size::from_bytes(length);
        Ok(ImageFacts {
            format,
            virtual_size: size,
            size,
        })
    }
    fn networks(&self) -> Result<Vec<Network>> {
        Ok(Vec::new())
    }
    fn subscribe(&self) -> Result<Receiver<Fact>> {
        let (sender, receiver) = sync_channel(8);
        *self.facts.lock().unwrap() = Some(sender);
        Ok(receiver)
    }
}

/// A server in front of a fake host, in a folder of its own.
pub(crate) struct Served {
    pub(crate) fake: Arc<Fake>,
    pub(crate) client: Client,
    pub(crate) path: PathBuf,
    stop: Stop,
    thread: Option<thread::JoinHandle<()>>,
    pub(crate) folder: tempfile::TempDir,
}

impl Served {
    pub(crate) fn new() -> Self {
        Self::for_users([rustix::process::getuid().as_raw()])
    }

    pub(crate) fn for_users(users: impl IntoIterator<Item = u32>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("broker.sock");
        let fake = Arc::new(Fake::default());
        let (stop, thread) = serve(&path, users, &fake);
        let client = Client::new(&path);
        Self {
            fake,
            client,
            path,
            stop,
            thread: Some(thread),
            folder,
        }
    }

    /// Ends the server, and waits until it has ended.
    pub(crate) fn stop(&mut self) {
        self.stop.stop();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }

    /// Starts another server at the same path.
    pub(crate) fn start(&mut self) {
        let user = rustix::process::getuid().as_raw();
        let (stop, thread) = serve(&self.path, [user], &self.fake);
        (self.stop, self.thread) = (stop, Some(thread));
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.fake.gate.open();
        self.stop();
    }
}

fn serve(
    path: &std::path::Path,
    users: impl IntoIterator<Item = u32>,
    fake: &Arc<Fake>,
) -> (Stop, thread::JoinHandle<()>) {
    let server = Server::bind(path, users.into_iter().collect(), SocketOwner::default()).unwrap();
    let host: Arc<dyn Hypervisor> = fake.clone();
    (
        server.stopper(),
        thread::spawn(move || server.run(&host).unwrap()),
    )
}
