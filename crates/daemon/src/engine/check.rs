// SPDX-License-Identifier: GPL-3.0-or-later
//! What is refused at once, before anything is queued. Jobs look again when their turn comes.

use hv_model::{
    device::ImageSource,
    id::{ImageId, OperationId, VmId},
    image::Image,
    inventory::CreateVm,
    name::VmName,
    operation::{Operation, Target},
    problem::{Problem, ProblemKind},
    storage::PoolPurpose,
};

use super::{
    JobRequest,
    lock::Lock,
    state_check::{in_right_state, may_be_asked},
};
use crate::{
    job::AnyJob,
    store::{ReadTransaction, Result as StoreResult, Snapshot, VmRow, WriteTransaction},
};

/// There is no VM with this id.
pub(crate) fn no_vm(vm: VmId) -> Problem {
    Problem::new(ProblemKind::NotFound, format!("There is no VM {vm}.")).with_try("hv vm list")
}

/// There is no image with this id.
pub(crate) fn no_image(image: ImageId) -> Problem {
    Problem::new(ProblemKind::NotFound, format!("There is no image {image}."))
        .with_try("hv image list")
}

/// There is no operation with this id.
pub(super) fn no_operation(id: OperationId) -> Problem {
    Problem::new(
        ProblemKind::NotFound,
        format!("There is no operation {id}."),
    )
    .with_try("hv op list")
}

/// Refuses what can be refused without a look into the store.
pub(super) fn without_store(request: &JobRequest, snapshot: &Snapshot) -> Result<(), Problem> {
    if let JobRequest::VmCreate(create) = request {
        spec(create)?;
    }
    if !snapshot.freshness.live {
        let why = snapshot.freshness.why.clone().unwrap_or_default();
        let detail = format!("Nothing can be changed now. {why}");
        return Err(Problem::new(
            ProblemKind::HostUnavailable,
            detail.trim_end(),
        ));
    }
    match request {
        JobRequest::VmCreate(create) => create_on(create, snapshot),
        JobRequest::ImageAdd(add, _) => {
            let mut pools = snapshot.pools.iter();
            if pools.any(|pool| pool.purpose == PoolPurpose::Images && pool.active) {
                return Ok(());
            }
            let detail = format!(
                "There is no active pool for images, so {} has no place.",
                add.name
            );
            Err(Problem::new(ProblemKind::UnsupportedByHost, detail).with_try("hv host show"))
        }
        _ => Ok(()),
    }
}

fn spec(create: &CreateVm) -> Result<(), Problem> {
    let name = &create.spec.name;
    let faults = create.spec.validate();
    if !faults.is_empty() {
        let detail = format!("The spec of {name} has {}.", count(faults.len(), "fault"));
        return Err(Problem::new(ProblemKind::InvalidSpec, detail).with_faults(faults));
    }
    let faults = create.spec.not_yet();
    if !faults.is_empty() {
        let fields: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
        let detail = format!("The spec of {name} asks for {}.", fields.join(", "));
        return Err(Problem::new(ProblemKind::NotYetSupported, detail).with_faults(faults));
    }
    Ok(())
}

fn count(number: usize, what: &str) -> String {
    if number == 1 {
        format!("1 {what}")
    } else {
        format!("{number} {what}s")
    }
}

fn create_on(create: &CreateVm, snapshot: &Snapshot) -> Result<(), Problem> {
    let spec = &create.spec;
    for network in spec.nics.iter().filter_map(|nic| nic.network.as_ref()) {
        if !snapshot.networks.iter().any(|known| known.name == *network) {
            let detail = format!("There is no network {network} on this host.");
            return Err(Problem::new(ProblemKind::NotFound, detail).with_try("hv network list"));
        }
    }
    for pool in spec.disks.iter().filter_map(|disk| disk.pool.as_ref()) {
        let mut pools = snapshot.pools.iter();
        if !pools.any(|known| known.name == *pool && known.purpose == PoolPurpose::Disks) {
            let detail = format!("There is no managed pool {pool} for disks on this host.");
            return Err(Problem::new(ProblemKind::NotFound, detail).with_try("hv host show"));
        }
    }
    if let Some(host) = &snapshot.host
        && !host.guest_archs.contains(&spec.arch)
    {
        let arch = spec.arch.as_str();
        let detail = format!("This host's QEMU runs no guests for {arch}.");
        return Err(Problem::new(ProblemKind::UnsupportedByHost, detail).with_try("hv host show"));
    }
    Ok(())
}

/// Every operation that is not over, in the order in which they were asked for.
pub(super) fn unfinished(tx: &ReadTransaction<'_>) -> StoreResult<Vec<Operation>> {
    let rows = tx.unfinished_operations()?.into_iter();
    Ok(rows.map(|row| row.operation).collect())
}

/// Refuses what does not fit with what the store holds, these unfinished operations included.
pub(super) fn with_store(
    tx: &ReadTransaction<'_>,
    unfinished: &[Operation],
    request: &JobRequest,
    parameters: &serde_json::Value,
    expected_generation: Option<u64>,
) -> StoreResult<()> {
    if let Some(vm) = request.vm() {
        let row = tx.vm(vm)?.ok_or_else(|| no_vm(vm))?;
        let generation = row.managed().map_or(0, |managed| managed.generation);
        if let Some(expected) = expected_generation
            && expected != generation
        {
            let detail = format!(
                "{} is at version {generation}, and the request was made for version {expected}.",
                row.name
            );
            return Err(Problem::new(ProblemKind::PreconditionFailed, detail).into());
        }
        may_be_asked(&row, request.kind())?;
        let id = vm.to_string();
        let on_vm: Vec<&Operation> = unfinished
            .iter()
            .filter(|operation| operation.target.id == id)
            .collect();
        for operation in &on_vm {
            if operation.kind == request.kind() && operation.parameters == *parameters {
                return Err(repeats(operation).into());
            }
        }
        // Behind another operation its state will be another one; the job looks then.
        if on_vm.is_empty() {
            in_right_state(&row, request)?;
        }
    }
    match request {
        JobRequest::VmCreate(create) => {
            name_is_free(tx, unfinished, &create.spec.name, None)?;
            images_exist(tx, create)?;
        }
        JobRequest::VmRename(vm, rename) => {
            name_is_free(tx, unfinished, &rename.name, Some(*vm))?;
        }
        JobRequest::VmChange(vm, change) => {
            let row = tx.vm(*vm)?.ok_or_else(|| no_vm(*vm))?;
            crate::job::plan_change(&row, change)?;
        }
        JobRequest::ImageAdd(add, _) => {
            let claimed = Lock::image(add.name.clone());
            let name = &add.name;
            if tx.image_named(name)?.is_some() {
                let detail = format!("There is an image {name} already.");
                return Err(Problem::new(ProblemKind::NameTaken, detail).into());
            }
            if let Some(other) = who_claims(unfinished, &claimed) {
                let detail = format!("An image {name} is being worked on by operation {other}.");
                return Err(Problem::new(ProblemKind::NameTaken, detail).into());
            }
        }
        JobRequest::ImageDelete(id) => {
            let image = tx.image(*id)?.ok_or_else(|| no_image(*id))?;
            let text = id.to_string();
            let mut others = unfinished.iter();
            if let Some(other) = others.find(|operation| operation.target.id == text) {
                return Err(repeats(other).into());
            }
            image_is_unused(tx, &image)?;
        }
        _ => {}
    }
    Ok(())
}

fn repeats(operation: &Operation) -> Problem {
    let (words, name, id) = (operation.kind.words(), &operation.target.name, operation.id);
    let detail = format!("Operation {id} is doing that already: {words} {name}.");
    Problem::new(ProblemKind::Busy, detail).with_try(format!("hv op watch {id}"))
}

fn who_claims(unfinished: &[Operation], lock: &Lock) -> Option<OperationId> {
    let claims = |operation: &&Operation| {
        let job = AnyJob::of(operation);
        job.is_ok_and(|job| job.locks().iter().any(|held| held.conflicts(lock)))
    };
    unfinished.iter().find(claims).map(|operation| operation.id)
}

/// Refuses a name that another VM has, or is about to get.
pub(crate) fn name_is_free(
    tx: &ReadTransaction<'_>,
    unfinished: &[Operation],
    name: &VmName,
    but: Option<VmId>,
) -> Result<(), Problem> {
    let taken = |detail: String| Err(Problem::new(ProblemKind::NameTaken, detail));
    match tx.vm_named(name)? {
        Some(row) if Some(row.id) == but && !row.is_trashed() => {
            return taken(format!("The VM has the name {name} already."));
        }
        Some(row) if row.is_trashed() => {
            let problem = taken(format!("A VM in the trash has the name {name}."));
            return problem.map_err(|problem: Problem| {
                problem
                    .with_try(format!("hv vm undelete {name}"))
                    .with_try("hv vm list --trash")
            });
        }
        Some(row) if row.managed().is_none() => {
            return taken(format!("A VM made with another tool has the name {name}."));
        }
        Some(_) => return taken(format!("There is a VM {name} already.")),
        None => {}
    }
    if let Some(other) = who_claims(unfinished, &Lock::name(name.clone())) {
        return taken(format!(
            "The operation {other} is about to use the name {name}."
        ));
    }
    Ok(())
}

fn images_exist(tx: &ReadTransaction<'_>, create: &CreateVm) -> StoreResult<()> {
    for image in create
        .spec
        .disks
        .iter()
        .filter_map(|disk| disk.image.as_ref())
    {
        if tx.image_named(image)?.is_none() {
            let detail = format!("There is no image {image}.");
            let problem = Problem::new(ProblemKind::NotFound, detail).with_try("hv image list");
            return Err(problem.into());
        }
    }
    Ok(())
}

/// Refuses to touch an image that a VM's disk needs, be that VM in the trash.
pub(crate) fn image_is_unused(tx: &ReadTransaction<'_>, image: &Image) -> StoreResult<()> {
    let needs = |row: &VmRow| {
        row.managed().is_some_and(|managed| {
            managed.disks.iter().any(|disk| disk.volume == image.volume)
                || managed.spec.disks.iter().any(|disk| {
                    disk.source != ImageSource::Copy && disk.image.as_ref() == Some(&image.name)
                })
        })
    };
    let users: Vec<String> = tx
        .vms()?
        .iter()
        .filter(|row| needs(row))
        .map(said)
        .collect();
    if users.is_empty() {
        return Ok(());
    }
    let detail = format!(
        "The image {} is needed by {}.",
        image.name,
        users.join(", ")
    );
    Err(Problem::new(ProblemKind::ImageInUse, detail).into())
}

fn said(row: &VmRow) -> String {
    if row.is_trashed() {
        format!("{} (in the trash)", row.name)
    } else {
        row.name.clone()
    }
}

/// What an operation will work on. A VM that is to be made gets its id here.
pub(super) fn target(tx: &WriteTransaction<'_>, request: &JobRequest) -> StoreResult<Target> {
    Ok(match request {
        JobRequest::VmCreate(create) => Target {
            kind: "vm".to_owned(),
            id: tx.next_id().to_string(),
            name: create.spec.name.to_string(),
        },
        JobRequest::ImageAdd(add, _) => Target {
            kind: "image".to_owned(),
            id: tx.next_id().to_string(),
            name: add.name.to_string(),
        },
        JobRequest::ImageDelete(id) => {
            let image = tx.image(*id)?.ok_or_else(|| no_image(*id))?;
            Target {
                kind: "image".to_owned(),
                id: id.to_string(),
                name: image.name.to_string(),
            }
        }
        other => {
            let vm = other
                .vm()
                .ok_or_else(|| Problem::new(ProblemKind::Internal, "The request names no VM."))?;
            let row = tx.vm(vm)?.ok_or_else(|| no_vm(vm))?;
            Target {
                kind: "vm".to_owned(),
                id: vm.to_string(),
                name: row.name,
            }
        }
    })
}

/// Whether a request is about what an operation worked on.
pub(super) fn same_target(request: &JobRequest, target: &Target) -> bool {
    match request {
        JobRequest::VmCreate(create) => target.name == create.spec.name.as_str(),
        JobRequest::ImageAdd(add, _) => target.name == add.name.as_str(),
        JobRequest::ImageDelete(id) => target.id == id.to_string(),
        other => other.vm().is_some_and(|vm| target.id == vm.to_string()),
    }
}
