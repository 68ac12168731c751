// SPDX-License-Identifier: GPL-3.0-or-later
//! Many requests at once, with faults: whatever happens, all is whole in the end.

use std::collections::BTreeSet;

use hv_model::{
    hypervisor::HypervisorErrorKind,
    inventory::{AskGuest, ChangeVm, DeleteVm, IfRunning, RenameVm, ThenStart},
    size::Size,
};
use hvd::{engine::JobRequest, store::VmRecord};

use crate::world::{World, create, image};

const NAMES: [&str; 4] = ["ant", "bee", "cat", "dog"];
const CALLS: [&str; 7] = [
    "define",
    "undefine",
    "start",
    "create_volume",
    "delete_volume",
    "rename",
    "force_off",
];
const FAILURES: [HypervisorErrorKind; 3] = [
    HypervisorErrorKind::Internal,
    HypervisorErrorKind::Busy,
    HypervisorErrorKind::TimedOut,
];

/// The numbers of a seeded sequence (xorshift64, Marsaglia, 2003).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

fn request(world: &World, chance: &mut Chance) -> JobRequest {
    let name = chance.of(&NAMES);
    let Some(vm) = world.known().vm(name).map(|vm| vm.row.id) else {
        let then = chance.of(&[ThenStart::Nothing, ThenStart::Start]);
        return create(name, then);
    };
    match chance.below(12) {
        0 | 1 => JobRequest::VmStart(vm),
        2 => JobRequest::VmForceOff(vm),
        3 => JobRequest::VmShutDown(vm, AskGuest::default()),
        4 => JobRequest::VmPause(vm),
        5 => JobRequest::VmResume(vm),
        6 => JobRequest::VmSave(vm),
        7 => {
            let name = chance.of(&NAMES).parse().unwrap();
            JobRequest::VmRename(vm, RenameVm { name })
        }
        8 => {
            let size = Size::from_mib(chance.of(&[256, 512, 768, 1024]));
            let memory = ChangeVm {
                memory: Some(size),
                ..ChangeVm::default()
            };
            JobRequest::VmChange(vm, Box::new(memory))
        }
        9 => JobRequest::VmDelete(
            vm,
            DeleteVm {
                running: IfRunning::ForceOff,
            },
        ),
        10 => JobRequest::VmUndelete(vm),
        _ => JobRequest::VmPurge(vm),
    }
}

async fn storm(seed: u64) {
    let mut chance = Chance(seed);
    let world = World::new().await;
    world.done(image("demo")).await;
    for _ in 0..150 {
        if chance.below(5) == 0 {
            let failure = Some((chance.of(&CALLS), chance.of(&FAILURES)));
            world
                .host
                .set_faults(|faults| faults.next_failure = failure);
        }
        let request = request(&world, &mut chance);
        // Refusals are part of the weather.
        let submitted = world.submit(request).await;
        if let Ok(operation) = submitted
            && chance.below(3) == 0
        {
            world.ended_in_time(&operation, 600).await;
        }
    }
    world.host.set_faults(|faults| faults.next_failure = None);
    settle(&world).await;
    // What could be destroyed only in part is destroyed further by itself.
    world.pass(600);
    world
        .until(|known| known.vms.iter().all(|vm| !is_half_destroyed(vm)))
        .await;
    settle(&world).await;
    is_whole(&world, seed).await;
}

fn is_half_destroyed(vm: &VmRecord) -> bool {
    vm.row
        .managed()
        .unwrap()
        .trash
        .as_ref()
        .is_some_and(|trash| trash.is_final)
}

async fn settle(world: &World) {
    for row in world
        .app
        .store
        .read(|tx| tx.unfinished_operations())
        .await
        .unwrap()
    {
        world.ended_in_time(&row.operation, 600).await;
    }
}

async fn is_whole(world: &World, seed: u64) {
    world
        .until(|known| {
            let hosts: BTreeSet<_> = world
                .host
                .all_vms()
                .into_iter()
                .map(|(id, name, state)| (id, name, state.as_str()))
                .collect();
            let ours: BTreeSet<_> = known
                .vms
                .iter()
                .filter(|vm| !vm.row.is_trashed())
                .map(|vm| (vm.row.id, vm.row.name.clone(), vm.row.state.as_str()))
                .collect();
            hosts == ours && known.worked_on.is_empty()
        })
        .await;
    let mut owned: BTreeSet<_> = world
        .app
        .store
        .read(|tx| tx.images())
        .await
        .unwrap()
        .into_iter()
        .map(|i| i.volume)
        .collect();
    for vm in &world.known().vms {
        owned.extend(
            vm.row
                .managed()
                .unwrap()
                .disks
                .iter()
                .map(|disk| disk.volume.clone()),
        );
    }
    let stored: BTreeSet<_> = world
        .host
        .all_volumes()
        .into_iter()
        .map(|volume| volume.volume)
        .collect();
    assert_eq!(stored, owned, "seed {seed}: a stray or a missing volume");
}

#[tokio::test]
async fn nothing_is_lost_or_left_over_in_a_storm_of_requests_and_faults() {
    for seed in 1..=6 {
        storm(seed).await;
    }
}
