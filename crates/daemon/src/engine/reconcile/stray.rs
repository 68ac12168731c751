// SPDX-License-Identifier: GPL-3.0-or-later
//! Finding volumes that look like ours and belong to nothing.
//!
//! They are told of in health. They are deleted only where the operation that made them is known
//! to have been undone, or the VM that they belonged to is known to have been purged. Whatever
//! else they are, somebody may need them.

use std::sync::Arc;

use hv_model::{
    hypervisor::HypervisorError,
    id::VmId,
    operation::{OperationKind, OperationState},
    problem::Problem,
    storage::{PoolPurpose, VolumeRef},
};

use crate::{engine::Engine, job::volume_owner};

/// Looks for strays in the pools for disks, and deletes those that are known to be of no use.
pub(in crate::engine) async fn find_strays(engine: &Engine) -> Result<(), Problem> {
    let mut seen: Vec<(VolumeRef, VmId)> = Vec::new();
    for pool in list_pools(engine).await? {
        let volumes = engine
            .0
            .port
            .call("volumes", move |host| host.volumes(&pool))
            .await?;
        let owned = volumes.into_iter().filter_map(|volume| {
            let owner = volume_owner(&volume.volume.name)?;
            Some((volume.volume, owner))
        });
        seen.extend(owned);
    }
    // Looked at after the volumes, so that what was made meanwhile is known.
    let known = engine.0.store.inventory().snapshot();
    let is_stray = |(volume, vm): &(VolumeRef, VmId)| {
        known.vm_by_id(*vm).is_none()
            && !known.worked_on.contains(vm)
            && !known
                .vms
                .iter()
                .filter_map(|record| record.row.managed())
                .any(|managed| managed.disks.iter().any(|disk| disk.volume == *volume))
    };
    seen.retain(is_stray);
    let mut strays = Vec::new();
    for (volume, vm) in seen {
        if is_leftover(engine, vm).await? {
            tracing::warn!(%volume, "the leftover {volume} of an operation is deleted");
            let name = volume.clone();
            engine
                .0
                .port
                .call("delete_volume", move |host| host.delete_volume(&name))
                .await?;
        } else {
            strays.push(volume);
        }
    }
    if *known.strays != strays {
        let strays = Arc::new(strays);
        engine
            .0
            .store
            .inventory()
            .note(|snapshot| snapshot.strays = strays);
    }
    Ok(())
}

async fn list_pools(engine: &Engine) -> Result<Vec<hv_model::name::PoolName>, HypervisorError> {
    let pools = engine.0.port.call("pools", |host| host.pools()).await?;
    let disks = pools
        .into_iter()
        .filter(|pool| pool.active && pool.purpose == PoolPurpose::Disks);
    Ok(disks.map(|pool| pool.name).collect())
}

/// Whether a VM is known not to exist any more, since we undid or destroyed it.
async fn is_leftover(engine: &Engine, vm: VmId) -> Result<bool, Problem> {
    let id = vm.to_string();
    let last = engine
        .0
        .store
        .read(move |tx| tx.last_operation_on(&id))
        .await?;
    let Some(last) = last.map(|row| row.operation) else {
        return Ok(false);
    };
    Ok(match (last.kind, last.state) {
        (_, OperationState::Queued | OperationState::Running) => false,
        (OperationKind::VmCreate, state) => state != OperationState::Succeeded,
        (OperationKind::VmPurge, state) => state == OperationState::Succeeded,
        _ => false,
    })
}
