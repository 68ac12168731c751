// SPDX-License-Identifier: GPL-3.0-or-later
//! Making a VM: its disks, its definition, and, if wanted, its first start.

use std::collections::BTreeSet;

use hv_model::{
    device::{Disk, ImageSource, MacAddress},
    event::EventKind,
    hypervisor::{Definition, NewVolume, PlacedDisk, VolumeContent},
    id::VmId,
    image::Image,
    inventory::{CreateVm as Request, ThenStart},
    name::{DeviceName, PoolName},
    operation::Target,
    problem::{Problem, ProblemKind},
    size::Size,
    storage::{Pool, PoolPurpose, VolumeFormat, VolumeRef},
    vm::{VmSpec, VmState},
};
use serde_json::{Value, json};

use super::{
    Job, OnRestart, start_vm,
    volume::{self, MIN_FREE},
};
use crate::{
    engine::{Context, Lock, Outcome, Step, Stop, Undo, check},
    store::{Managed, Origin, Result as StoreResult, VmRow, WriteTransaction},
};

pub(crate) struct CreateVm {
    vm: VmId,
    request: Box<Request>,
}

/// A disk that is to be made, or an image that is used as it is.
struct Plan {
    placed: PlacedDisk,
    volume: Option<NewVolume>,
    command: String,
}

impl Job for CreateVm {
    const ON_RESTART: OnRestart = OnRestart::Resume;

    fn read(target: &Target, parameters: &Value) -> Result<Self, Problem> {
        Ok(Self {
            vm: super::vm(target)?,
            request: super::parameters(parameters)?,
        })
    }

    fn locks(&self) -> Vec<Lock> {
        let images = self
            .request
            .spec
            .disks
            .iter()
            .filter_map(|disk| disk.image.clone());
        let mut locks: Vec<Lock> = images.map(Lock::image_used).collect();
        locks.push(Lock::vm(self.vm));
        locks.push(Lock::name(self.request.spec.name.clone()));
        locks
    }

    async fn run(self, context: &mut Context) -> Result<Outcome, Stop> {
        let vm = self.vm;
        let name = self.request.spec.name.clone();
        context
            .begin(Step::new("Check names, images, pools and networks"))
            .await?;
        let (spec, plans) = self.prepare(context).await?;
        context.end_step().await?;
        let mut disks = Vec::with_capacity(plans.len());
        for plan in plans {
            if let Some(volume) = plan.volume {
                let what = format!("Make disk {}", plan.placed.name);
                let step = Step::new(what)
                    .command(plan.command)
                    .undo(Undo::DeleteVolume(volume.volume.clone()));
                context
                    .call(step, "create_volume", move |host| {
                        host.create_volume(&volume)
                    })
                    .await?;
            }
            disks.push(plan.placed);
        }
        let definition = Definition {
            id: vm,
            generation: 1,
            spec,
            disks,
        };
        let step = Step::new(format!("Define {name}"))
            .command(format!("virsh define {name}.xml"))
            .undo(Undo::Undefine(vm));
        let defined = definition.clone();
        context
            .call(step, "define", move |host| host.define(&defined))
            .await?;
        let result = json!({ "vm": vm });
        match self.request.then {
            ThenStart::Nothing => {
                let record = move |tx: &WriteTransaction<'_>| add(tx, definition.clone());
                Ok(Outcome::record(record).with_result(result))
            }
            ThenStart::Start => {
                let step = Step::new(format!("Record {name}")).undo(Undo::ForgetVm(vm));
                context.record(step, move |tx| add(tx, definition)).await?;
                let step = Step::new(format!("Start {name}")).undo(Undo::ForceOff(vm));
                start_vm::start_step(context, step, vm, name.as_str()).await?;
                Ok(Outcome::done().with_result(result))
            }
        }
    }
}

impl CreateVm {
    /// Looks whether the VM can be made, and how.
    async fn prepare(&self, context: &Context) -> Result<(VmSpec, Vec<Plan>), Stop> {
        let wanted = &self.request.spec;
        let (name, own) = (wanted.name.clone(), context.sequence());
        let (images, taken) = context
            .store()
            .read(move |tx| {
                let mut others = tx.unfinished_operations()?;
                others.retain(|row| row.sequence < own);
                let others: Vec<_> = others.into_iter().map(|row| row.operation).collect();
                check::name_is_free(tx, &others, &name, None)?;
                Ok((tx.images()?, addresses(&tx.vms()?)))
            })
            .await?;
        let mut spec = wanted.settled(self.vm);
        give_free_addresses(wanted, &mut spec, taken, context);
        if spec.owner.is_none() {
            spec.owner = context.operation().actor.person().cloned();
        }
        let pools = context.look("pools", |host| host.pools()).await?;
        let mut plans = Vec::with_capacity(spec.disks.len());
        for (place, disk) in spec.disks.iter_mut().enumerate() {
            plans.push(plan_disk(self.vm, place, disk, &images, &pools)?);
        }
        check_space(&plans, &images, &pools)?;
        if self.request.then == ThenStart::Start {
            let name = spec.name.as_str();
            start_vm::check_resources(context, name, spec.memory.size).await?;
            start_vm::check_networks(context, &spec)?;
        }
        Ok((spec, plans))
    }
}

/// The addresses that VMs of ours have.
fn addresses(vms: &[VmRow]) -> BTreeSet<MacAddress> {
    let specs = vms
        .iter()
        .filter_map(|row| row.managed())
        .map(|managed| &managed.spec);
    specs
        .flat_map(|spec| &spec.nics)
        .filter_map(|nic| nic.mac)
        .collect()
}

/// Gives interfaces whose address was not chosen by the caller another one, where a VM has it.
fn give_free_addresses(
    wanted: &VmSpec,
    spec: &mut VmSpec,
    mut taken: BTreeSet<MacAddress>,
    context: &Context,
) {
    for (nic, wanted) in spec.nics.iter_mut().zip(&wanted.nics) {
        if wanted.mac.is_none() {
            while nic.mac.is_some_and(|mac| taken.contains(&mac)) {
                let id = context.next_id();
                let [.., a, b, c] = *id.as_bytes();
                nic.mac = Some(MacAddress::with_suffix([a, b, c]));
            }
        }
        taken.extend(nic.mac);
    }
}

fn plan_disk(
    vm: VmId,
    place: usize,
    disk: &mut Disk,
    images: &[Image],
    pools: &[Pool],
) -> Result<Plan, Problem> {
    let name = disk
        .name
        .clone()
        .ok_or_else(|| Problem::new(ProblemKind::Internal, format!("Disk {place} has no name.")))?;
    let image = disk.image.as_ref().map(|wanted| {
        images
            .iter()
            .find(|image| image.name == *wanted)
            .ok_or_else(|| {
                Problem::new(
                    ProblemKind::NotFound,
                    format!("There is no image {wanted}."),
                )
                .with_try("hv image list")
            })
    });
    let image = image.transpose()?;
    if let (Some(image), ImageSource::Cdrom) = (image, disk.source) {
        let placed = PlacedDisk {
            name,
            volume: image.volume.clone(),
            format: image.format,
        };
        return Ok(Plan {
            placed,
            volume: None,
            command: String::new(),
        });
    }
    let pool = pool_for(disk.pool.as_ref(), pools)?;
    disk.pool = Some(pool.name.clone());
    let capacity = capacity(&name, disk, image)?;
    // From now on its image is not needed to know how large it is.
    disk.size = Some(capacity);
    let volume = VolumeRef {
        pool: pool.name.clone(),
        name: volume::name(vm, &name, place)?,
    };
    let format = VolumeFormat::Qcow2;
    let mut command = format!(
        "virsh vol-create-as {} {} {} --format {}",
        volume.pool,
        volume.name,
        capacity.bytes(),
        format.as_str()
    );
    let content = match image {
        None => VolumeContent::Blank,
        Some(image) => {
            let (from, layout) = (image.volume.clone(), image.format);
            if disk.source == ImageSource::Copy {
                command = format!(
                    "virsh vol-create-from {} {}.xml {} --inputpool {}",
                    volume.pool, volume.name, from.name, from.pool
                );
                VolumeContent::CopyOf {
                    volume: from,
                    format: layout,
                }
            } else {
                command = format!(
                    "{command} --backing-vol {} --backing-vol-format {}",
                    from.name,
                    layout.as_str()
                );
                VolumeContent::CloneOf {
                    volume: from,
                    format: layout,
                }
            }
        }
    };
    let placed = PlacedDisk {
        name,
        volume: volume.clone(),
        format,
    };
    let volume = NewVolume {
        volume,
        capacity,
        format,
        content,
    };
    Ok(Plan {
        placed,
        volume: Some(volume),
        command,
    })
}

fn pool_for<'a>(wanted: Option<&PoolName>, pools: &'a [Pool]) -> Result<&'a Pool, Problem> {
    let mut disks = pools
        .iter()
        .filter(|pool| pool.purpose == PoolPurpose::Disks);
    let found = match wanted {
        Some(wanted) => disks.find(|pool| pool.name == *wanted),
        None => disks.find(|pool| pool.active),
    };
    let missing = || match wanted {
        Some(wanted) => format!("There is no managed pool {wanted} for disks."),
        None => "There is no active pool for disks.".to_owned(),
    };
    let found = found
        .ok_or_else(|| Problem::new(ProblemKind::NotFound, missing()).with_try("hv host show"))?;
    if found.active {
        return Ok(found);
    }
    let detail = format!("The pool {} is not active.", found.name);
    Err(Problem::new(ProblemKind::WrongState, detail)
        .with_try(format!("virsh pool-start {}", found.name)))
}

fn capacity(name: &DeviceName, disk: &Disk, image: Option<&Image>) -> Result<Size, Problem> {
    match (disk.size, image) {
        (Some(size), Some(image)) if size < image.virtual_size => {
            let detail = format!(
                "Disk {name} is to have {size}, and its image {} needs at least {}.",
                image.name, image.virtual_size
            );
            Err(Problem::new(ProblemKind::InvalidSpec, detail))
        }
        (Some(size), _) => Ok(size),
        (None, Some(image)) => Ok(image.virtual_size),
        (None, None) => {
            let detail = format!("Disk {name} has neither a size nor an image.");
            Err(Problem::new(ProblemKind::InvalidSpec, detail))
        }
    }
}

/// Refuses to begin where the pools have no space for what is written at once. Disks grow later.
fn check_space(plans: &[Plan], images: &[Image], pools: &[Pool]) -> Result<(), Problem> {
    for pool in pools {
        let made = plans.iter().filter_map(|plan| plan.volume.as_ref());
        let needed: u64 = made
            .filter(|volume| volume.volume.pool == pool.name)
            .map(|volume| match &volume.content {
                VolumeContent::CopyOf { volume: from, .. } => {
                    let image = images.iter().find(|image| image.volume == *from);
                    image.map_or(0, |image| image.size.bytes())
                }
                VolumeContent::Blank | VolumeContent::CloneOf { .. } => MIN_FREE.bytes(),
            })
            .sum();
        if needed > pool.available.bytes() {
            let detail = format!(
                "The pool {} has {} left, and {} are needed at once.",
                pool.name,
                pool.available.rounded(),
                Size::from_bytes(needed).rounded()
            );
            return Err(Problem::new(ProblemKind::NoSpace, detail).with_try("hv vm list --trash"));
        }
    }
    Ok(())
}

/// Takes a VM that was just defined into the store.
fn add(tx: &WriteTransaction<'_>, definition: Definition) -> StoreResult<()> {
    let row = VmRow {
        id: definition.id,
        name: definition.spec.name.to_string(),
        state: VmState::Off,
        reason: String::new(),
        since: tx.now(),
        cpus: definition.spec.cpus.count,
        memory: definition.spec.memory.size,
        agent: None,
        origin: Origin::Managed(Box::new(Managed::new(definition, tx.now()))),
    };
    let data = json!({ "state": row.state, "managed": true });
    tx.append_event(EventKind::VmAdded, &row.subject(), &data)?;
    tx.put_vm(row)
}
