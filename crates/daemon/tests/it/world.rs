// SPDX-License-Identifier: GPL-3.0-or-later
//! A daemon on a simulated host, with a clock that stands still.

use std::{io::Write, os::unix::net::UnixStream, sync::Arc, time::Duration};

use hv_model::{
    access::{Decision, Grant, Principal, Role, Scope},
    audit::{AuditEntry, WantedEntries},
    event::{Event, EventKind},
    id::VmId,
    inventory::{CreateVm, ThenStart},
    operation::{Operation, OperationState},
    problem::Problem,
    storage::VolumeFormat,
    vm::VmSpec,
};
use hvd::{
    App, Parts, StartError,
    clock::{Clock, Ids},
    config::{AccessConfig, AuditConfig, Config, QuotasConfig, SyslogSocket},
    engine::{AddImage, BrokenOff, JobRequest, SubmitOptions, Upload},
    sim::SimulatedHost,
    store::{EventFilter, Snapshot, StoreOptions, VmRecord},
};
use jiff::Timestamp;
use tempfile::TempDir;

/// How long anything may take on the wall's clock; nothing comes near it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A daemon, its host and its clock.
pub(crate) struct World {
    pub(crate) host: Arc<SimulatedHost>,
    pub(crate) clock: Clock,
    pub(crate) app: App,
    pub(crate) folder: TempDir,
    ids: Ids,
    config: Config,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(StoreOptions::default()).await
    }

    pub(crate) async fn with(options: StoreOptions) -> Self {
        Self::start(options, QuotasConfig::default()).await
    }

    /// One where nobody may have more than that.
    pub(crate) async fn with_quotas(quotas: QuotasConfig) -> Self {
        Self::start(StoreOptions::default(), quotas).await
    }

    async fn start(options: StoreOptions, quotas: QuotasConfig) -> Self {
        let host = Arc::new(SimulatedHost::new(1));
        let clock = Clock::manual(Timestamp::from_second(1_800_000_000).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let ids = Ids::counted_from(1);
        let config = Config {
            state_dir: folder.path().to_owned(),
            access: AccessConfig {
                quotas,
                ..ada_may_everything()
            },
            audit: AuditConfig {
                syslog: SyslogSocket::None,
                ..AuditConfig::default()
            },
            ..Config::default()
        };
        let app = start(&config, &host, &clock, &ids, "first boot", options).unwrap();
        let world = Self {
            host,
            clock,
            app,
            folder,
            ids,
            config,
        };
        world
            .until(|known| known.freshness.live && known.host.is_some())
            .await;
        world
    }

    /// Ends the daemon, and starts another one on what it left, in this boot of the host.
    pub(crate) async fn restart(&mut self, boot: &str) {
        self.app.end();
        self.host.drop_subscribers();
        let options = StoreOptions::default();
        self.app = start(
            &self.config,
            &self.host,
            &self.clock,
            &self.ids,
            boot,
            options,
        )
        .unwrap();
        self.until(|known| known.freshness.live && known.host.is_some())
            .await;
    }

    /// Ends the daemon, loses its database, and starts another daemon.
    pub(crate) async fn lose_database(&mut self) {
        self.app.end();
        self.host.drop_subscribers();
        for file in ["hvd.db", "hvd.db-wal", "hvd.db-shm"] {
            std::fs::remove_file(self.folder.path().join(file)).unwrap();
        }
        self.restart("first boot").await;
    }

    /// Lets time pass, for the daemon and on the host.
    pub(crate) fn pass(&self, seconds: u64) {
        let time = Duration::from_secs(seconds);
        self.host.advance(time);
        self.clock.advance(time);
    }

    /// Lets time pass, second by second, until something holds. Once all of it has passed, the
    /// daemon may take as long as the machine needs to come to it.
    pub(crate) async fn pass_until(&self, at_most: u64, holds: impl Fn(&Snapshot) -> bool) {
        for _ in 0..at_most {
            if holds(&self.known()) {
                return;
            }
            self.pass(1);
            self.a_moment().await;
        }
        self.until(holds).await;
    }

    /// Lets what was woken get its turn: waits for the next change, if one comes soon. Where
    /// something is being worked on, the disk may be what it waits for.
    pub(crate) async fn a_moment(&self) {
        let mut changed = self.app.inventory.changed();
        let milliseconds = if self.known().worked_on.is_empty() {
            5
        } else {
            50
        };
        let soon = Duration::from_millis(milliseconds);
        let _ = tokio::time::timeout(soon, changed.changed()).await;
    }

    pub(crate) fn known(&self) -> Arc<Snapshot> {
        self.app.inventory.snapshot()
    }

    /// Waits until something is known.
    pub(crate) async fn until(&self, holds: impl Fn(&Snapshot) -> bool) {
        let mut changed = self.app.inventory.changed();
        let waiting = async {
            while !holds(&self.known()) {
                changed.changed().await.unwrap();
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(waited.is_ok(), "it never came to be: {:#?}", self.known());
    }

    pub(crate) fn vm(&self, name: &str) -> Arc<VmRecord> {
        Arc::clone(self.known().vm(name).unwrap())
    }

    pub(crate) fn id(&self, name: &str) -> VmId {
        self.vm(name).row.id
    }

    pub(crate) async fn submit(&self, request: JobRequest) -> Result<Operation, Problem> {
        self.submit_with(request, None, None).await
    }

    pub(crate) async fn submit_with(
        &self,
        request: JobRequest,
        key: Option<&str>,
        expected_generation: Option<u64>,
    ) -> Result<Operation, Problem> {
        self.submit_as(&ada(), request, key, expected_generation)
            .await
    }

    pub(crate) async fn submit_as(
        &self,
        principal: &Principal,
        request: JobRequest,
        key: Option<&str>,
        expected_generation: Option<u64>,
    ) -> Result<Operation, Problem> {
        let options = SubmitOptions {
            idempotency_key: key.map(str::to_owned),
            expected_generation,
            decision: Decision::Allow {
                policy: "test".to_owned(),
            },
            from: None,
        };
        self.app.engine.submit(principal, request, options).await
    }

    /// Waits until an operation is over. Its time does not pass by itself.
    pub(crate) async fn ended(&self, operation: &Operation) -> Operation {
        let waiting = self
            .app
            .engine
            .wait(operation.id, Duration::from_secs(100_000));
        let ended = tokio::time::timeout(PATIENCE, waiting)
            .await
            .unwrap()
            .unwrap();
        assert!(ended.state.is_final(), "{ended:#?}");
        ended
    }

    /// Waits until an operation is over, while time passes.
    pub(crate) async fn ended_in_time(&self, operation: &Operation, at_most: u64) -> Operation {
        let mut ended = self
            .app
            .engine
            .wait(operation.id, Duration::ZERO)
            .await
            .unwrap();
        for _ in 0..at_most {
            if ended.state.is_final() {
                return ended;
            }
            self.pass(1);
            self.a_moment().await;
            ended = self
                .app
                .engine
                .wait(operation.id, Duration::ZERO)
                .await
                .unwrap();
        }
        self.ended(operation).await
    }

    /// Does something, which succeeds.
    pub(crate) async fn done(&self, request: JobRequest) -> Operation {
        let operation = self.submit(request).await.unwrap();
        let ended = self.ended(&operation).await;
        assert_eq!(ended.state, OperationState::Succeeded, "{ended:#?}");
        ended
    }

    /// Does something, which fails.
    pub(crate) async fn failed(&self, request: JobRequest) -> Problem {
        let operation = self.submit(request).await.unwrap();
        let ended = self.ended(&operation).await;
        assert_eq!(ended.state, OperationState::Failed, "{ended:#?}");
        ended.problem.unwrap()
    }

    /// The image `demo`, and the VM `web` with a disk cloned from it and a blank one.
    pub(crate) async fn with_web(self) -> Self {
        self.done(image("demo")).await;
        self.done(create("web", ThenStart::Nothing)).await;
        self
    }

    /// The same, running.
    pub(crate) async fn with_running_web(self) -> Self {
        self.done(image("demo")).await;
        self.done(create("web", ThenStart::Start)).await;
        self
    }

    /// The newest entries of the audit log.
    pub(crate) async fn audit(&self, limit: u32) -> Vec<AuditEntry> {
        let all = WantedEntries::default();
        let read = self.app.store.read(move |tx| tx.audit(&all, None, limit));
        read.await.unwrap().items
    }

    /// Every event of these kinds so far, by its subject's name.
    pub(crate) async fn events(&self, kinds: &[EventKind]) -> Vec<Event> {
        let all = self
            .app
            .store
            .read(|tx| tx.events_after(0, 100_000, &EventFilter::default()))
            .await
            .unwrap();
        all.into_iter()
            .filter(|event| kinds.contains(&event.kind))
            .collect()
    }

    /// The volumes in the simulated pools.
    pub(crate) fn volumes(&self) -> Vec<String> {
        let volumes = self.host.all_volumes();
        volumes
            .into_iter()
            .map(|volume| volume.volume.name.to_string())
            .collect()
    }
}

fn start(
    config: &Config,
    host: &Arc<SimulatedHost>,
    clock: &Clock,
    ids: &Ids,
    boot: &str,
    store_options: StoreOptions,
) -> Result<App, StartError> {
    let host = Arc::clone(host);
    App::start(Parts {
        config: config.clone(),
        host,
        clock: clock.clone(),
        ids: ids.clone(),
        boot: boot.to_owned(),
        rights: Vec::new(),
        store_options,
    })
}

/// Ada and Bob may do everything.
pub(crate) fn ada_may_everything() -> AccessConfig {
    AccessConfig {
        grants: vec![admin("ada"), admin("bob")],
        ..AccessConfig::default()
    }
}

fn admin(name: &str) -> Grant {
    Grant {
        name: name.parse().unwrap(),
        to: format!("user:{name}").parse().unwrap(),
        role: Role::Admin,
        on: Scope::Everything,
        until: None,
    }
}

pub(crate) fn ada() -> Principal {
    Principal::User {
        name: "ada".parse().unwrap(),
        uid: 1000,
    }
}

/// An image that arrives whole.
pub(crate) fn image(name: &str) -> JobRequest {
    let (request, mut body, digest) = upload(name, 4096);
    body.write_all(&[7; 4096]).unwrap();
    digest.send(Ok("0".repeat(64))).unwrap();
    request
}

pub(crate) type Digest = tokio::sync::oneshot::Sender<Result<String, BrokenOff>>;

/// An image whose bytes are still to be sent.
pub(crate) fn upload(name: &str, length: u64) -> (JobRequest, UnixStream, Digest) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (sender, digest) = tokio::sync::oneshot::channel();
    let add = AddImage {
        name: name.parse().unwrap(),
        format: VolumeFormat::Raw,
        length,
    };
    let upload = Upload {
        body: theirs.into(),
        digest,
    };
    (JobRequest::ImageAdd(add, upload), ours, sender)
}

/// A spec with a disk cloned from `demo` and a blank one.
pub(crate) fn spec(name: &str) -> VmSpec {
    let mut spec = VmSpec::new(name.parse().unwrap());
    spec.disks = serde_json::from_value(serde_json::json!([
        { "image": "demo", "size": "1 GiB" },
        { "size": "2 GiB" }
    ]))
    .unwrap();
    spec.nics = serde_json::from_value(serde_json::json!([{ "network": "default" }])).unwrap();
    spec
}

pub(crate) fn create(name: &str, then: ThenStart) -> JobRequest {
    JobRequest::VmCreate(Box::new(CreateVm {
        spec: spec(name),
        then,
    }))
}
