// SPDX-License-Identifier: GPL-3.0-or-later
//! Destroying a VM in the trash, for good.

use std::collections::BTreeSet;

use hv_model::{
    event::EventKind,
    hypervisor::Definition,
    id::VmId,
    operation::{OperationKind, Target},
    problem::Problem,
    storage::VolumeRef,
};
use serde_json::{Value, json};

use super::{Job, OnRestart};
use crate::{
    engine::{Context, Lock, Outcome, Step, Stop, state_check},
    store::{Result as StoreResult, WriteTransaction},
};

pub(crate) struct PurgeVm {
    vm: VmId,
}

impl Job for PurgeVm {
    // Half of a VM is of no use to anybody.
    const ON_RESTART: OnRestart = OnRestart::Resume;

    fn read(target: &Target, _parameters: &Value) -> Result<Self, Problem> {
        Ok(Self {
            vm: super::vm(target)?,
        })
    }

    fn locks(&self) -> Vec<Lock> {
        vec![Lock::vm(self.vm)]
    }

    async fn run(self, context: &mut Context) -> Result<Outcome, Stop> {
        let vm = self.vm;
        let row = context.vm(vm).await?;
        state_check::may_be_asked(&row, OperationKind::VmPurge)?;
        let disks = row
            .managed()
            .map(|managed| managed.disks.clone())
            .unwrap_or_default();
        let kept: BTreeSet<VolumeRef> = context
            .store()
            .read(move |tx| {
                let images = tx.images()?.into_iter().map(|image| image.volume);
                let vms = tx.vms()?;
                let others = vms
                    .iter()
                    .filter(|row| row.id != vm)
                    .filter_map(|row| row.managed());
                let disks = others.flat_map(|managed| &managed.disks);
                Ok(images
                    .chain(disks.map(|disk| disk.volume.clone()))
                    .collect())
            })
            .await?;
        let own = disks
            .into_iter()
            .filter(|disk| !kept.contains(&disk.volume));
        let step = Step::new(format!("Keep {} from coming back", row.name));
        context.record(step, move |tx| make_final(tx, vm)).await?;
        context.finish_in_any_case();
        for disk in own {
            let volume = disk.volume;
            let step = Step::new(format!("Destroy disk {}", disk.name)).command(format!(
                "virsh vol-delete {} --pool {}",
                volume.name, volume.pool
            ));
            context
                .call(step, "delete_volume", move |host| {
                    host.delete_volume(&volume)
                })
                .await?;
        }
        let definition = row.definition();
        if let Some(definition) = definition.filter(Definition::leaves_remains) {
            let step = Step::new("Erase its firmware's variables and its TPM");
            context
                .call(step, "erase", move |host| host.erase(&definition))
                .await?;
        }
        Ok(Outcome::record(move |tx| {
            let Some(row) = tx.vm(vm)? else { return Ok(()) };
            tx.append_event(
                EventKind::VmRemoved,
                &row.subject(),
                &json!({ "purged": true }),
            )?;
            tx.remove_vm(vm)
        }))
    }
}

/// From now on the VM can only be destroyed further, which is tried again by itself if it fails.
fn make_final(tx: &WriteTransaction<'_>, vm: VmId) -> StoreResult<()> {
    let Some(mut row) = tx.vm(vm)? else {
        return Ok(());
    };
    let now = tx.now();
    if let Some(trash) = row.managed_mut().and_then(|managed| managed.trash.as_mut()) {
        trash.is_final = true;
        trash.purged_after = now;
    }
    tx.put_vm(row)
}
