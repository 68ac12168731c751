// SPDX-License-Identifier: GPL-3.0-or-later
//! The port's calls on a simulated host.

use std::{
    fs::File,
    io::{Read, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
    sync::{
        Arc,
        mpsc::{Receiver, sync_channel},
    },
};

use hv_model::{
    host::{Acceleration, Host},
    hypervisor::{
        Behalf, Definition, Fact, Guest, GuestRequest, Hypervisor, HypervisorError,
        HypervisorErrorKind, LiveChange, NewVolume, Takeover, VmDetails, VmFacts, VmStats,
        VolumeContent,
    },
    id::VmId,
    image::ImageFacts,
    name::{PoolName, VmName},
    network::Network,
    rights::Finding,
    size::Size,
    storage::{Pool, PoolPurpose, Volume, VolumeFormat, VolumeRef},
    vm::{Arch, VmState},
};

use super::{
    Result, SimulatedHost,
    state::{FACTS_BEHIND, GuestAct, State, StoredVolume},
};

const MEMORY: Size = Size::from_gib(64);

fn error<T>(kind: HypervisorErrorKind, message: impl Into<String>) -> Result<T> {
    Err(HypervisorError::new(kind, message))
}

fn dead() -> HypervisorError {
    HypervisorError::new(HypervisorErrorKind::Unavailable, "the caller is dead")
}

impl SimulatedHost {
    /// Reads something, unless a fault prevents it.
    fn look<T>(&self, call: &'static str, read: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        if self.death.is_dead() {
            return Err(dead());
        }
        let mut state = self.state();
        state.faults.check(call, self.behalf.as_ref())?;
        read(&mut state)
    }

    /// Changes something, unless a fault prevents it. The caller may die before it happens, and
    /// after it has happened but before it is told so.
    fn change<T>(
        &self,
        call: &'static str,
        change: impl FnOnce(&mut State) -> Result<T>,
    ) -> Result<T> {
        if !self.death.passes() {
            return Err(dead());
        }
        let mut state = self.state();
        state.faults.check(call, self.behalf.as_ref())?;
        let outcome = change(&mut state)?;
        if self.death.passes() {
            Ok(outcome)
        } else {
            Err(dead())
        }
    }
}

impl Hypervisor for SimulatedHost {
    fn on_behalf_of(&self, person: &Behalf) -> Box<dyn Hypervisor> {
        Box::new(Self {
            state: Arc::clone(&self.state),
            death: Arc::clone(&self.death),
            behalf: Some(person.clone()),
        })
    }

    fn rights(&self) -> Result<Vec<Finding>> {
        self.look("rights", |state| Ok(state.findings.clone()))
    }

    fn host(&self) -> Result<Host> {
        self.look("host", |state| {
            let used: u64 = state
                .vms
                .values()
                .filter(|vm| vm.state.is_active())
                .filter_map(|vm| vm.definition.as_ref())
                .map(|definition| definition.spec.memory.size.bytes())
                .sum();
            Ok(Host {
                hostname: "simulated".to_owned(),
                acceleration: Acceleration::Tcg {
                    why: "this host is simulated".to_owned(),
                },
                arch: Arch::X86_64,
                cpu_model: "Simulated CPU".to_owned(),
                cpus: 16,
                memory: MEMORY,
                memory_available: Size::from_bytes(MEMORY.bytes().saturating_sub(used)),
                libvirt_version: "0.0.0".to_owned(),
                qemu_version: "0.0.0".to_owned(),
                guest_archs: vec![Arch::X86_64],
            })
        })
    }

    fn vms(&self) -> Result<Vec<VmFacts>> {
        self.look("vms", |state| {
            let facts = state.vms.iter().map(|(id, vm)| VmFacts {
                id: *id,
                name: vm.name.clone(),
                state: vm.state,
                reason: vm.reason.clone(),
            });
            Ok(facts.collect())
        })
    }

    fn details(&self, vms: &[VmId]) -> Result<Vec<VmDetails>> {
        self.look("details", |state| {
            let known = vms.iter().filter_map(|id| Some((*id, state.vms.get(id)?)));
            let details = known.map(|(id, vm)| {
                let spec = vm.definition.as_ref().map(|definition| &definition.spec);
                VmDetails {
                    id,
                    name: vm.name.clone(),
                    cpus: spec.map_or(1, |spec| spec.cpus.count),
                    memory: spec.map_or(Size::from_gib(1), |spec| spec.memory.size),
                    agent: vm.agent,
                    definition: vm.definition.clone().map(Box::new),
                    foreign: vm.foreign.clone(),
                }
            });
            Ok(details.collect())
        })
    }

    fn stats(&self) -> Result<Vec<VmStats>> {
        self.look("stats", |state| {
            let running = state.vms.iter().filter(|(_, vm)| vm.state.is_active());
            Ok(running
                .map(|(id, _)| VmStats {
                    id: Some(*id),
                    ..VmStats::default()
                })
                .collect())
        })
    }

    fn define(&self, definition: &Definition) -> Result<()> {
        self.change("define", |state| {
            let name = definition.spec.name.as_str();
            if state
                .vms
                .iter()
                .any(|(id, vm)| *id != definition.id && vm.name == name)
            {
                return error(
                    HypervisorErrorKind::AlreadyExists,
                    format!("the name {name} is taken"),
                );
            }
            for disk in &definition.disks {
                if !state.volumes.contains_key(&disk.volume) {
                    let message = format!("there is no volume {}", disk.volume);
                    return error(HypervisorErrorKind::NotFound, message);
                }
            }
            state.define(definition);
            Ok(())
        })
    }

    fn undefine(&self, vm: VmId) -> Result<()> {
        self.change("undefine", |state| {
            if state.vms.contains_key(&vm) {
                state.undefine(vm)
            } else {
                Ok(())
            }
        })
    }

    fn start(&self, vm: VmId) -> Result<()> {
        self.change("start", |state| {
            state.vm_in(vm, &[VmState::Off, VmState::Crashed, VmState::Saved])?;
            state.boot(vm)
        })
    }

    fn shut_down(&self, vm: VmId, way: GuestRequest) -> Result<()> {
        self.change("shut_down", |state| state.ask(vm, way, GuestAct::ShutDown))
    }

    fn reboot(&self, vm: VmId, way: GuestRequest) -> Result<()> {
        self.change("reboot", |state| state.ask(vm, way, GuestAct::Reboot))
    }

    fn force_off(&self, vm: VmId) -> Result<()> {
        self.change("force_off", |state| {
            if state.vm(vm)?.state.is_active() {
                state.change_state(vm, VmState::Off, "destroyed")
            } else {
                error(HypervisorErrorKind::WrongState, "the VM does not run")
            }
        })
    }

    fn reset(&self, vm: VmId) -> Result<()> {
        self.change("reset", |state| {
            state.vm_in(vm, &[VmState::Running, VmState::Paused])?;
            state.boot(vm)
        })
    }

    fn pause(&self, vm: VmId) -> Result<()> {
        self.change("pause", |state| {
            state.vm_in(vm, &[VmState::Running])?;
            state.change_state(vm, VmState::Paused, "user")
        })
    }

    fn resume(&self, vm: VmId) -> Result<()> {
        self.change("resume", |state| {
            state.vm_in(vm, &[VmState::Paused])?;
            state.change_state(vm, VmState::Running, "unpaused")
        })
    }

    fn save(&self, vm: VmId) -> Result<()> {
        self.change("save", |state| {
            state.vm_in(vm, &[VmState::Running, VmState::Paused])?;
            state.change_state(vm, VmState::Saved, "saved")
        })
    }

    fn discard_saved(&self, vm: VmId) -> Result<()> {
        self.change("discard_saved", |state| {
            if state.vm(vm)?.state == VmState::Saved {
                state.change_state(vm, VmState::Off, "unknown")?;
            }
            Ok(())
        })
    }

    fn rename(&self, vm: VmId, name: &VmName) -> Result<()> {
        self.change("rename", |state| {
            state.vm_in(vm, &[VmState::Off, VmState::Crashed])?;
            state.rename(vm, name.as_str())
        })
    }

    fn change_live(&self, vm: VmId, _change: &LiveChange) -> Result<()> {
        self.change("change_live", |state| {
            state
                .vm_in(vm, &[VmState::Running, VmState::Paused])
                .map(|_| ())
        })
    }

    /// A console that sends back what it is sent.
    fn console(&self, vm: VmId, _takeover: Takeover) -> Result<OwnedFd> {
        self.look("console", |state| {
            state.vm_in(vm, &[VmState::Running, VmState::Paused])?;
            let internal = |fault: std::io::Error| {
                HypervisorError::new(HypervisorErrorKind::Internal, fault.to_string())
            };
            let (ours, theirs) = UnixStream::pair().map_err(internal)?;
            std::thread::Builder::new()
                .name("simulated-console".to_owned())
                .spawn(move || echo(&ours))
                .map_err(internal)?;
            Ok(theirs.into())
        })
    }

    fn guest(&self, vm: VmId) -> Result<Guest> {
        self.look("guest", |state| {
            let vm = state.vm_in(vm, &[VmState::Running])?;
            if !vm.temper.has_agent() {
                return error(
                    HypervisorErrorKind::TimedOut,
                    "the guest agent does not answer",
                );
            }
            Ok(Guest {
                hostname: Some(vm.name.clone()),
                ..Guest::default()
            })
        })
    }

    fn pools(&self) -> Result<Vec<Pool>> {
        self.look("pools", |state| {
            let pools = state.pools.iter().map(|(name, purpose)| Pool {
                name: name.clone(),
                purpose: *purpose,
                active: true,
                capacity: state.faults.space.unwrap_or(Size::from_gib(1024)),
                available: state.available(name),
            });
            Ok(pools.collect())
        })
    }

    fn volumes(&self, pool: &PoolName) -> Result<Vec<Volume>> {
        self.look("volumes", |state| {
            let volumes = state
                .volumes
                .iter()
                .filter(|(volume, _)| volume.pool == *pool);
            Ok(volumes.map(|(name, volume)| volume.seen(name)).collect())
        })
    }

    fn create_volume(&self, volume: &NewVolume) -> Result<()> {
        self.change("create_volume", |state| {
            let little = Size::from_mib(1);
            let (allocation, backing) = match &volume.content {
                VolumeContent::Blank => (little, None),
                VolumeContent::CloneOf { volume, format } => {
                    state.image(volume, *format)?;
                    (little, Some(volume.clone()))
                }
                VolumeContent::CopyOf { volume, format } => {
                    (state.image(volume, *format)?.allocation, None)
                }
            };
            let capacity = volume.capacity;
            let stored = StoredVolume {
                capacity,
                allocation,
                format: volume.format,
                backing,
            };
            state.store(&volume.volume, stored)
        })
    }

    fn resize_volume(&self, volume: &VolumeRef, capacity: Size) -> Result<()> {
        self.change("resize_volume", |state| {
            match state.volumes.get_mut(volume) {
                None => error(
                    HypervisorErrorKind::NotFound,
                    format!("there is no volume {volume}"),
                ),
                Some(stored) if stored.capacity > capacity => error(
                    HypervisorErrorKind::Invalid,
                    "a volume does not become smaller",
                ),
                Some(stored) => {
                    stored.capacity = capacity;
                    Ok(())
                }
            }
        })
    }

    fn delete_volume(&self, volume: &VolumeRef) -> Result<()> {
        self.change("delete_volume", |state| {
            let used = state
                .volumes
                .values()
                .any(|stored| stored.backing.as_ref() == Some(volume));
            if used {
                return error(
                    HypervisorErrorKind::Busy,
                    format!("{volume} is needed by a clone"),
                );
            }
            state.volumes.remove(volume);
            Ok(())
        })
    }

    fn upload_image(
        &self,
        volume: &VolumeRef,
        format: VolumeFormat,
        length: u64,
        source: OwnedFd,
    ) -> Result<ImageFacts> {
        let mut bytes = File::from(source).take(length);
        let read = std::io::copy(&mut bytes, &mut std::io::sink()).map_err(|fault| {
            HypervisorError::new(
                HypervisorErrorKind::Invalid,
                format!("the upload broke: {fault}"),
            )
        })?;
        if read != length {
            let message = format!("the upload ended after {read} of {length} bytes");
            return error(HypervisorErrorKind::Invalid, message);
        }
        let size = Size::from_bytes(length);
        self.change("upload_image", |state| {
            if !state
                .pools
                .contains(&(volume.pool.clone(), PoolPurpose::Images))
            {
                let message = format!("{} is no pool for images", volume.pool);
                return error(HypervisorErrorKind::Refused, message);
            }
            let stored = StoredVolume {
                capacity: size,
                allocation: size,
                format,
                backing: None,
            };
            state.store(volume, stored)?;
            Ok(ImageFacts {
                format,
                virtual_size: size,
                size,
            })
        })
    }

    fn networks(&self) -> Result<Vec<Network>> {
        self.look("networks", |state| Ok(state.networks.clone()))
    }

    fn subscribe(&self) -> Result<Receiver<Fact>> {
        self.look("subscribe", |state| {
            let (sender, receiver) = sync_channel(FACTS_BEHIND);
            state.subscribers.push(sender);
            Ok(receiver)
        })
    }
}

impl State {
    /// Asks a guest for something, which it may ignore.
    fn ask(&mut self, id: VmId, way: GuestRequest, act: GuestAct) -> Result<()> {
        let vm = self.vm_in(id, &[VmState::Running])?;
        if way == GuestRequest::Agent && !vm.temper.has_agent() {
            return error(
                HypervisorErrorKind::TimedOut,
                "the guest agent does not answer",
            );
        }
        if vm.temper.heeds(way) {
            self.later(id, act)
        } else {
            Ok(())
        }
    }

    /// A volume that is in the format that the caller says.
    fn image(&self, volume: &VolumeRef, format: VolumeFormat) -> Result<&StoredVolume> {
        match self.volumes.get(volume) {
            None => error(
                HypervisorErrorKind::NotFound,
                format!("there is no volume {volume}"),
            ),
            Some(stored) if stored.format != format => {
                let message = format!("{volume} is not in the format {}", format.as_str());
                error(HypervisorErrorKind::UnsafeImage, message)
            }
            Some(stored) => Ok(stored),
        }
    }

    fn store(&mut self, volume: &VolumeRef, stored: StoredVolume) -> Result<()> {
        if !self.pools.iter().any(|(name, _)| *name == volume.pool) {
            let message = format!("{} is not a managed pool", volume.pool);
            return error(HypervisorErrorKind::Refused, message);
        }
        if self.volumes.contains_key(volume) {
            return error(
                HypervisorErrorKind::AlreadyExists,
                format!("{volume} exists"),
            );
        }
        if stored.allocation > self.available(&volume.pool) {
            return error(
                HypervisorErrorKind::NoSpace,
                format!("{} is full", volume.pool),
            );
        }
        self.volumes.insert(volume.clone(), stored);
        Ok(())
    }
}

fn echo(mut console: &UnixStream) {
    let mut bytes = [0; 4096];
    while let Ok(read @ 1..) = console.read(&mut bytes) {
        let Some(typed) = bytes.get(..read) else {
            return;
        };
        if console.write_all(typed).is_err() {
            return;
        }
    }
}
