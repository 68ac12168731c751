// SPDX-License-Identifier: GPL-3.0-or-later
//! `kill -9` at every step of every job, on the simulated host.
//!
//! Each story is told again and again; each time the daemon dies one point later: before a write to
//! the store, after it, before a call to the host, after it. Then it starts again, and everything
//! must be whole. A story ends when it comes to its end before the daemon dies.

use std::{collections::BTreeSet, io::Write, os::unix::net::UnixStream, sync::Arc, time::Duration};

use hv_model::{
    access::{Decision, Principal},
    hypervisor::{Definition, ForeignVm},
    id::VmId,
    inventory::{AskGuest, ChangeVm, CreateVm, DeleteVm, IfRunning, RenameVm, ThenStart},
    operation::{Operation, OperationState},
    size::Size,
    storage::VolumeFormat,
    vm::{VmSpec, VmState},
};
use hvd::{
    App, Parts,
    config::{AuditConfig, Config, SyslogSocket},
    engine::{AddImage, JobRequest, SubmitOptions, Upload},
    sim::SimulatedHost,
    store::{Origin, StoreOptions},
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// How long anything may take; nothing comes near it.
const PATIENCE: Duration = Duration::from_secs(30);
/// More points than any job has: a story that goes on for longer never ends.
const MOST_POINTS: u64 = 500;

const IMAGE: &[u8] = &[7; 4096];

/// The daemon's surroundings, which outlive it.
struct World {
    host: Arc<SimulatedHost>,
    folder: TempDir,
}

/// One life of the daemon.
struct Life {
    runtime: Runtime,
    app: App,
}

impl World {
    fn new() -> Self {
        Self {
            host: Arc::new(SimulatedHost::new(1)),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn start(&self) -> Life {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let config = Config {
            state_dir: self.folder.path().to_owned(),
            audit: AuditConfig {
                syslog: SyslogSocket::None,
                ..AuditConfig::default()
            },
            ..Config::default()
        };
        let host = Arc::clone(&self.host);
        let mut parts = Parts::new(config, host, "boot".to_owned());
        let death = self.host.death();
        parts.store_options = StoreOptions {
            is_dead: Some(Arc::new(move |_| !death.passes())),
            max_pages: None,
        };
        let app = {
            let _within = runtime.enter();
            App::start(parts).unwrap()
        };
        let life = Life { runtime, app };
        life.until("the host is heard", || {
            life.app.inventory.snapshot().freshness.live
        });
        life
    }

    /// Ends a life as `kill -9` does: nothing that it had in hand is put down.
    fn bury(&self, life: Life) {
        life.app.end();
        self.host.drop_subscribers();
        life.runtime.shutdown_timeout(PATIENCE);
    }
}

impl Life {
    fn submit(&self, request: JobRequest) -> Result<Operation, hv_model::problem::Problem> {
        let options = SubmitOptions {
            idempotency_key: None,
            expected_generation: None,
            decision: Decision::Allow {
                policy: "test".to_owned(),
            },
            from: None,
        };
        self.runtime
            .block_on(self.app.engine.submit(&Principal::System, request, options))
    }

    /// Does something wholly.
    fn done(&self, request: JobRequest) -> Operation {
        let operation = self.submit(request).unwrap();
        let ended = self
            .runtime
            .block_on(self.app.engine.wait(operation.id, PATIENCE))
            .unwrap();
        assert_eq!(ended.state, OperationState::Succeeded, "{ended:#?}");
        ended
    }

    /// Waits for the next change of the inventory until something holds.
    fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let mut changed = self.app.inventory.changed();
        self.runtime.block_on(async {
            let wait = async {
                while !holds() {
                    // Not every change of the snapshot has an event, so look again soon.
                    let _ = tokio::time::timeout(Duration::from_millis(5), changed.changed()).await;
                }
            };
            let waited = tokio::time::timeout(PATIENCE, wait).await;
            assert!(waited.is_ok(), "{what} did not come");
        });
    }

    fn vm(&self, name: &str) -> VmId {
        self.app.inventory.snapshot().vm(name).unwrap().row.id
    }

    fn operations(&self) -> Vec<Operation> {
        let read = self
            .app
            .store
            .read(|tx| tx.operations(&hvd::store::OperationFilter::default(), None, 1000));
        self.runtime.block_on(read).unwrap().items
    }
}

fn image() -> JobRequest {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    ours.write_all(IMAGE).unwrap();
    let (sender, digest) = tokio::sync::oneshot::channel();
    sender.send(Ok("0".repeat(64))).unwrap();
    let length = IMAGE.len() as u64;
    let add = AddImage {
        name: "demo".parse().unwrap(),
        format: VolumeFormat::Raw,
        length,
    };
    JobRequest::ImageAdd(
        add,
        Upload {
            body: theirs.into(),
            digest,
        },
    )
}

fn create(then: ThenStart) -> JobRequest {
    let mut spec = VmSpec::new("web".parse().unwrap());
    spec.disks = serde_json::from_value(serde_json::json!([
        {"image": "demo", "size": "1 GiB"},
        {"size": "2 GiB"}
    ]))
    .unwrap();
    JobRequest::VmCreate(Box::new(CreateVm { spec, then }))
}

fn make_image(_: &World, life: &Life) {
    life.done(image());
}

fn make_vm(world: &World, life: &Life) {
    make_image(world, life);
    life.done(create(ThenStart::Nothing));
}

fn make_running(world: &World, life: &Life) {
    make_image(world, life);
    life.done(create(ThenStart::Start));
}

fn make_paused(world: &World, life: &Life) {
    make_running(world, life);
    life.done(JobRequest::VmPause(life.vm("web")));
}

fn make_saved(world: &World, life: &Life) {
    make_running(world, life);
    life.done(JobRequest::VmSave(life.vm("web")));
}

fn make_trashed(world: &World, life: &Life) {
    make_vm(world, life);
    life.done(JobRequest::VmDelete(life.vm("web"), DeleteVm::default()));
}

fn make_foreign(world: &World, life: &Life) {
    let id = VmId::new(uuid::Uuid::from_u128(7));
    let spec = VmSpec::new("theirs".parse().unwrap());
    let definition = Definition {
        id,
        generation: 1,
        spec,
        disks: Vec::new(),
    };
    let foreign = ForeignVm {
        definition: Some(Box::new(definition)),
        obstacles: Vec::new(),
    };
    world.host.define_elsewhere(id, "theirs", foreign);
    life.until("the foreign VM", || {
        life.app.inventory.snapshot().vm("theirs").is_some()
    });
}

/// Tells a story with death at every point of it, and sees that all is whole afterwards.
fn survives(prepare: fn(&World, &Life), request: impl Fn(&Life) -> JobRequest) {
    for point in 0.. {
        assert!(point < MOST_POINTS, "the story never ends");
        let world = World::new();
        let life = world.start();
        prepare(&world, &life);
        let request = request(&life);
        let death = world.host.death();
        death.schedule(point);

        if let Ok(operation) = life.submit(request) {
            life.runtime.block_on(async {
                let over = life.app.engine.wait(operation.id, PATIENCE);
                tokio::select! {
                    over = over => drop(over),
                    () = death.comes() => {}
                }
            });
        }
        let died = death.is_dead();
        world.bury(life);
        death.revive();

        let life = world.start();
        settle(&life);
        is_whole(&world, &life, point);
        can_go_on(&life, point);
        world.bury(life);
        if !died {
            assert!(point > 2, "the story has hardly a point at which to die");
            return;
        }
    }
}

fn settle(life: &Life) {
    for operation in life.operations() {
        let ended = life
            .runtime
            .block_on(life.app.engine.wait(operation.id, PATIENCE))
            .unwrap();
        assert!(ended.state.is_final(), "{ended:#?}");
    }
}

fn is_whole(world: &World, life: &Life, point: u64) {
    for operation in life.operations() {
        let has_reason = operation.problem.is_some();
        let fine = operation.state == OperationState::Succeeded || has_reason;
        assert!(
            fine,
            "death at {point}: ended without a reason: {operation:#?}"
        );
    }
    let read = life.app.store.read(|tx| Ok((tx.vms()?, tx.images()?)));
    let (vms, images) = life.runtime.block_on(read).unwrap();
    let mut owned: BTreeSet<_> = images.iter().map(|image| image.volume.clone()).collect();
    let defined = world.host.all_vms();
    for vm in &vms {
        let Origin::Managed(managed) = &vm.origin else {
            continue;
        };
        owned.extend(managed.disks.iter().map(|disk| disk.volume.clone()));
        let seen = defined.iter().find(|(id, ..)| *id == vm.id);
        match (&managed.trash, seen) {
            (None, Some((_, name, state))) => {
                assert_eq!(*name, vm.name, "death at {point}");
                assert_eq!(*state, vm.state, "death at {point}");
                assert_eq!(managed.spec.name.as_str(), vm.name, "death at {point}");
                assert_eq!(managed.generation, managed.defined, "death at {point}");
            }
            (Some(_), None) => {}
            (None, None) => panic!("death at {point}: {} is known and not defined", vm.name),
            (Some(_), Some(_)) => panic!("death at {point}: {} is trashed and defined", vm.name),
        }
    }
    for (id, name, _) in &defined {
        assert!(
            vms.iter().any(|vm| vm.id == *id),
            "death at {point}: {name} is half-defined"
        );
    }
    let stored: BTreeSet<_> = world
        .host
        .all_volumes()
        .into_iter()
        .map(|volume| volume.volume)
        .collect();
    assert_eq!(
        stored, owned,
        "death at {point}: a stray or a missing volume"
    );
}

/// No lock is held and no name reserved: what is there can be brought to its end, and made anew.
fn can_go_on(life: &Life, point: u64) {
    let snapshot = life.app.inventory.snapshot();
    for record in &snapshot.vms {
        if matches!(record.row.origin, Origin::Foreign(_)) {
            life.done(JobRequest::VmStart(record.row.id));
            continue;
        }
        if record.row.state != VmState::Trashed && !is_trashed(life, record.row.id) {
            let how = DeleteVm {
                running: IfRunning::ForceOff,
            };
            life.done(JobRequest::VmDelete(record.row.id, how));
        }
        life.done(JobRequest::VmPurge(record.row.id));
    }
    let images = life
        .runtime
        .block_on(life.app.store.read(|tx| tx.images()))
        .unwrap();
    if images.is_empty() {
        life.done(image());
    }
    let made = life.done(create(ThenStart::Start));
    assert_eq!(made.target.name, "web", "death at {point}");
}

fn is_trashed(life: &Life, vm: VmId) -> bool {
    let snapshot = life.app.inventory.snapshot();
    let record = snapshot.vm_by_id(vm).unwrap();
    matches!(&record.row.origin, Origin::Managed(managed) if managed.trash.is_some())
}

#[test]
fn an_image_is_added() {
    survives(|_, _| (), |_| image());
}

#[test]
fn an_image_is_deleted() {
    survives(make_image, |life| {
        let images = life
            .runtime
            .block_on(life.app.store.read(|tx| tx.images()))
            .unwrap();
        JobRequest::ImageDelete(images[0].id)
    });
}

#[test]
fn a_vm_is_made() {
    survives(make_image, |_| create(ThenStart::Nothing));
}

#[test]
fn a_vm_is_made_and_started() {
    survives(make_image, |_| create(ThenStart::Start));
}

#[test]
fn a_vm_is_started() {
    survives(make_vm, |life| JobRequest::VmStart(life.vm("web")));
}

#[test]
fn a_saved_vm_is_restored() {
    survives(make_saved, |life| JobRequest::VmStart(life.vm("web")));
}

#[test]
fn a_vm_is_shut_down() {
    survives(make_running, |life| {
        JobRequest::VmShutDown(life.vm("web"), AskGuest::default())
    });
}

#[test]
fn a_vm_is_forced_off() {
    survives(make_running, |life| JobRequest::VmForceOff(life.vm("web")));
}

#[test]
fn a_vm_is_rebooted() {
    survives(make_running, |life| {
        JobRequest::VmReboot(life.vm("web"), AskGuest::default())
    });
}

#[test]
fn a_vm_is_reset() {
    survives(make_running, |life| JobRequest::VmReset(life.vm("web")));
}

#[test]
fn a_vm_is_paused() {
    survives(make_running, |life| JobRequest::VmPause(life.vm("web")));
}

#[test]
fn a_vm_is_resumed() {
    survives(make_paused, |life| JobRequest::VmResume(life.vm("web")));
}

#[test]
fn a_vm_is_saved() {
    survives(make_running, |life| JobRequest::VmSave(life.vm("web")));
}

#[test]
fn a_vm_is_renamed() {
    survives(make_vm, |life| {
        JobRequest::VmRename(
            life.vm("web"),
            RenameVm {
                name: "www".parse().unwrap(),
            },
        )
    });
}

fn change(life: &Life) -> JobRequest {
    let change = ChangeVm {
        memory: Some(Size::from_mib(512)),
        description: Some("changed".to_owned()),
        ..ChangeVm::default()
    };
    JobRequest::VmChange(life.vm("web"), Box::new(change))
}

#[test]
fn a_vm_that_is_off_is_changed() {
    survives(make_vm, change);
}

#[test]
fn a_running_vm_is_changed() {
    survives(make_running, change);
}

#[test]
fn a_vm_is_deleted() {
    survives(make_vm, |life| {
        JobRequest::VmDelete(life.vm("web"), DeleteVm::default())
    });
}

#[test]
fn a_running_vm_is_forced_off_and_deleted() {
    survives(make_running, |life| {
        JobRequest::VmDelete(
            life.vm("web"),
            DeleteVm {
                running: IfRunning::ForceOff,
            },
        )
    });
}

#[test]
fn a_vm_is_undeleted() {
    survives(make_trashed, |life| JobRequest::VmUndelete(life.vm("web")));
}

#[test]
fn a_vm_is_purged() {
    survives(make_trashed, |life| JobRequest::VmPurge(life.vm("web")));
}

#[test]
fn a_foreign_vm_is_adopted() {
    survives(make_foreign, |life| JobRequest::VmAdopt(life.vm("theirs")));
}
