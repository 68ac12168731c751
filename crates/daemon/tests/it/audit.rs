// SPDX-License-Identifier: GPL-3.0-or-later
//! The audit log on the disk: what is done to the file behind the daemon's back is found and named.

use std::{fs, os::unix::net::UnixDatagram, path::PathBuf, sync::Arc, time::Duration};

use hv_model::{
    access::{Action, Decision, Principal},
    audit::{
        AuditEntry, AuditEvent, AuditVerification, Misfit, NoticedFault, PublicKey, SignReason,
        line,
    },
    health::{Check, CheckStatus},
    inventory::CreateVm,
    operation::{Operation, OperationState},
    problem::ProblemKind,
    vm::VmSpec,
};
use hvd::{
    App, Parts,
    audit::{AuditState, Copying},
    clock::{Clock, Ids},
    config::{AuditConfig, Config, SyslogSocket},
    engine::{JobRequest, SubmitOptions},
    monitor,
    sim::SimulatedHost,
    store::{Store, StoreOptions},
};
use jiff::Timestamp;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::world::ada_may_everything;

/// How long anything may take on the wall's clock; nothing comes near it.
const PATIENCE: Duration = Duration::from_secs(20);
const DAY: u64 = 24 * 60 * 60;

/// A state folder, in which one daemon after the other lives.
struct Site {
    folder: TempDir,
    host: Arc<SimulatedHost>,
    clock: Clock,
    audit: AuditConfig,
    options: StoreOptions,
}

/// One of these daemons.
struct Life {
    app: App,
    host: Arc<SimulatedHost>,
}

impl Site {
    fn new() -> Self {
        let audit = AuditConfig {
            syslog: SyslogSocket::None,
            ..AuditConfig::default()
        };
        Self {
            folder: tempfile::tempdir().unwrap(),
            host: Arc::new(SimulatedHost::new(1)),
            clock: Clock::manual(Timestamp::from_second(1_800_000_000).unwrap()),
            audit,
            options: StoreOptions::default(),
        }
    }

    /// Starts a daemon, which has verified its log and heard its host.
    async fn start(&self) -> Life {
        let config = Config {
            state_dir: self.folder.path().to_owned(),
            audit: self.audit.clone(),
            access: ada_may_everything(),
            ..Config::default()
        };
        let app = App::start(Parts {
            config,
            host: Arc::clone(&self.host) as _,
            clock: self.clock.clone(),
            ids: Ids::random(),
            boot: "boot".to_owned(),
            store_options: self.options.clone(),
            rights: Vec::new(),
        })
        .unwrap();
        let host = Arc::clone(&self.host);
        let life = Life { app, host };
        life.until(|state| state.verified.is_some()).await;
        let mut changed = life.app.inventory.changed();
        while !life.app.inventory.snapshot().freshness.live {
            changed.changed().await.unwrap();
        }
        life
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// The database, as anybody has it who may write to its file.
    fn intruder(&self) -> Connection {
        let connection = Connection::open(self.path("hvd.db")).unwrap();
        connection.busy_timeout(PATIENCE).unwrap();
        connection
    }

    /// The same, with the triggers out of the way.
    fn resolute_intruder(&self) -> Connection {
        let connection = self.intruder();
        let drop = "DROP TRIGGER audit_is_never_changed;
            DROP TRIGGER audit_is_only_cut_behind_a_checkpoint;";
        connection.execute_batch(drop).unwrap();
        connection
    }

    /// A state folder of which a daemon was ended in order, with these VMs in its log.
    async fn with_past(names: &[&str]) -> Self {
        let site = Self::new();
        let life = site.start().await;
        for name in names {
            life.make_vm(name).await;
        }
        life.end().await;
        site
    }
}

impl Life {
    async fn until(&self, holds: impl FnMut(&AuditState) -> bool) {
        let mut changes = self.app.audit.changes();
        let waited = tokio::time::timeout(PATIENCE, changes.wait_for(holds)).await;
        assert!(
            waited.is_ok(),
            "it never came to be: {:#?}",
            self.app.audit.state()
        );
    }

    /// Lets days pass, after which the log is looked after.
    async fn pass(&self, days: u64) {
        let clock = &self.app.clock;
        clock.advance(Duration::from_secs(days * DAY));
        let now = clock.now();
        self.until(|state| state.verified == Some(now)).await;
    }

    /// Asks for a VM with much to say of itself.
    async fn wish_for_vm(&self, name: &str) -> Result<Operation, ProblemKind> {
        let mut spec = VmSpec::new(name.parse().unwrap());
        spec.description = "x".repeat(900);
        let then = hv_model::inventory::ThenStart::Nothing;
        let options = SubmitOptions {
            idempotency_key: None,
            expected_generation: None,
            decision: allow(),
            from: None,
        };
        let request = JobRequest::VmCreate(Box::new(CreateVm { spec, then }));
        let engine = &self.app.engine;
        let submitted = engine.submit(&Principal::System, request, options).await;
        submitted.map_err(|problem| problem.kind)
    }

    /// Asks for a VM, and waits for it.
    async fn try_make_vm(&self, name: &str) -> Result<OperationState, ProblemKind> {
        let operation = self.wish_for_vm(name).await?;
        let engine = &self.app.engine;
        // Time stands still, so this waits for as long as it takes.
        let waiting = engine.wait(operation.id, Duration::from_secs(1));
        let ended = tokio::time::timeout(PATIENCE, waiting).await.unwrap();
        Ok(ended.unwrap().state)
    }

    async fn make_vm(&self, name: &str) {
        assert_eq!(self.try_make_vm(name).await, Ok(OperationState::Succeeded));
    }

    async fn verified(&self) -> AuditVerification {
        self.app.audit.verify().await.unwrap()
    }

    /// The whole log, the oldest entry first.
    async fn log(&self) -> Vec<AuditEntry> {
        let read = self
            .app
            .store
            .read(|read| read.audit_lines(0, u64::MAX, 1_000_000));
        let lines = read.await.unwrap();
        lines
            .iter()
            .map(|(_, text)| line::read(text).unwrap())
            .collect()
    }

    async fn check(&self, id: &str) -> Check {
        let health = monitor::health(&self.app, &monitor::Everything)
            .await
            .unwrap();
        let mut checks = health.checks.into_iter();
        checks.find(|check| check.id == id).unwrap()
    }

    async fn end(self) {
        self.app.audit.end().await;
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.app.end();
        self.host.drop_subscribers();
    }
}

fn allow() -> Decision {
    Decision::Allow {
        policy: "test".to_owned(),
    }
}

fn reasons(log: &[AuditEntry]) -> Vec<SignReason> {
    log.iter()
        .filter_map(|entry| match entry.event {
            AuditEvent::Signed { reason, .. } => Some(reason),
            _ => None,
        })
        .collect()
}

/// What the daemon noticed of its log when it started.
fn noticed(life: &Life) -> (NoticedFault, String) {
    let noticed = life.app.audit.state().noticed.unwrap();
    (noticed.fault, noticed.detail)
}

#[tokio::test]
async fn a_log_begins_is_signed_at_the_start_each_day_and_at_the_end_and_is_whole() {
    let site = Site::new();
    let life = site.start().await;
    life.make_vm("web").await;
    life.pass(1).await;
    life.app.audit.end().await;
    let log = life.log().await;
    assert!(matches!(log[0].event, AuditEvent::Began { carried: 0, .. }));
    assert_eq!(
        reasons(&log),
        [SignReason::Start, SignReason::Daily, SignReason::End]
    );
    let verified = life.verified().await;
    assert_eq!(verified.fault, None);
    let summary = verified.summary.unwrap();
    assert_eq!(summary.keys, [life.app.audit.key()]);
    assert_eq!((summary.unsigned, summary.entries), (0, log.len() as u64));
    let head = fs::read_to_string(site.path("audit-head")).unwrap();
    assert_eq!(line::read(&head).unwrap().sequence, summary.last.sequence);
    assert_eq!(life.check("audit.chain").await.status, CheckStatus::Pass);
}

#[tokio::test]
async fn entries_are_neither_changed_nor_deleted_by_mistake() {
    let site = Site::with_past(&["web"]).await;
    let intruder = site.intruder();
    for sql in [
        "UPDATE audit SET line = replace(line, 'web', 'wed')",
        "DELETE FROM audit WHERE sequence = 2",
        "DELETE FROM audit",
    ] {
        let refused = intruder.execute(sql, []).unwrap_err().to_string();
        assert!(
            refused.contains("the audit log is only"),
            "{sql}: {refused}"
        );
    }
}

#[tokio::test]
async fn an_entry_that_was_changed_in_the_file_is_named() {
    let site = Site::with_past(&["web", "db"]).await;
    let intruder = site.resolute_intruder();
    let sql = "UPDATE audit SET line = replace(line, 'vm/web', 'vm/wed')
        WHERE sequence = (SELECT min(sequence) FROM audit WHERE line LIKE '%vm/web%')
        RETURNING sequence";
    let changed: u64 = intruder
        .query_row(sql, [], |row| row.get::<_, i64>(0))
        .unwrap()
        .cast_unsigned();
    let life = site.start().await;
    life.until(|state| state.noticed.is_some()).await;
    let fault = life.verified().await.fault.unwrap();
    assert_eq!((fault.sequence, fault.misfit), (changed, Misfit::Content));
    let check = life.check("audit.chain").await;
    assert_eq!(check.status, CheckStatus::Fail);
    assert!(check.observed.contains("cut or changed"), "{check:?}");
    assert!(
        check.observed.contains(&format!("entry {changed} ")),
        "{check:?}"
    );
    assert_eq!(noticed(&life).0, NoticedFault::Changed);
}

#[tokio::test]
async fn an_entry_that_was_taken_out_is_named_by_the_one_behind_it() {
    let site = Site::with_past(&["web", "db"]).await;
    let sql = "DELETE FROM audit WHERE sequence = 4";
    site.resolute_intruder().execute(sql, []).unwrap();
    let life = site.start().await;
    let fault = life.verified().await.fault.unwrap();
    assert_eq!((fault.sequence, fault.misfit), (5, Misfit::Missing(4)));
}

#[tokio::test]
async fn a_line_that_was_spoilt_does_not_keep_the_daemon_from_starting() {
    let site = Site::with_past(&["web"]).await;
    let sql = "UPDATE audit SET line = 'nonsense'
        WHERE sequence = (SELECT max(sequence) FROM audit) RETURNING sequence";
    let intruder = site.resolute_intruder();
    let last: u64 = intruder
        .query_row(sql, [], |row| row.get::<_, i64>(0))
        .unwrap()
        .cast_unsigned();
    let life = site.start().await;
    life.make_vm("db").await;
    let fault = life.verified().await.fault.unwrap();
    assert_eq!(fault.sequence, last);
    assert!(matches!(fault.misfit, Misfit::Unreadable(_)), "{fault}");
}

#[tokio::test]
async fn a_tail_that_was_cut_off_is_noticed_at_the_start_and_told_for_a_week() {
    let site = Site::with_past(&["web", "db"]).await;
    let sql = "DELETE FROM audit WHERE sequence > 4";
    site.resolute_intruder().execute(sql, []).unwrap();
    let life = site.start().await;
    let (fault, detail) = noticed(&life);
    assert_eq!(fault, NoticedFault::Cut);
    assert!(detail.contains("which ends with entry 4"), "{detail}");
    let check = life.check("audit.chain").await;
    assert_eq!(check.status, CheckStatus::Fail);
    assert!(check.observed.contains("was cut or changed"), "{check:?}");
    life.end().await;
    // What is left is a chain, but it tells of what happened, also to the next run.
    let life = site.start().await;
    let summary = life.verified().await.summary.unwrap();
    assert_eq!(summary.noticed.len(), 1);
    life.until(|state| state.noticed.is_some()).await;
    assert_eq!(life.check("audit.chain").await.status, CheckStatus::Fail);
    site.clock.advance(Duration::from_secs(8 * DAY));
    assert_eq!(life.check("audit.chain").await.status, CheckStatus::Pass);
}

#[tokio::test]
async fn a_database_that_was_put_back_is_noticed() {
    let site = Site::with_past(&["web"]).await;
    let copy = format!("VACUUM INTO '{}'", site.path("kept.db").display());
    site.intruder().execute(&copy, []).unwrap();
    let life = site.start().await;
    life.make_vm("secret").await;
    life.end().await;
    let put_back = Site::new();
    for (from, to) in [
        ("kept.db", "hvd.db"),
        ("host-id", "host-id"),
        ("audit-key", "audit-key"),
        ("audit-head", "audit-head"),
    ] {
        fs::copy(site.path(from), put_back.path(to)).unwrap();
    }
    let life = put_back.start().await;
    assert_eq!(noticed(&life).0, NoticedFault::Cut);
    assert!(life.log().await.iter().any(|entry| matches!(
        entry.event,
        AuditEvent::Noticed {
            fault: NoticedFault::Cut,
            ..
        }
    )));
}

#[tokio::test]
async fn a_lost_database_begins_a_log_that_tells_of_the_loss() {
    let site = Site::with_past(&["web"]).await;
    for file in ["hvd.db", "hvd.db-wal", "hvd.db-shm"] {
        fs::remove_file(site.path(file)).unwrap_or_default();
    }
    let life = site.start().await;
    assert_eq!(noticed(&life).0, NoticedFault::Cut);
    assert_eq!(life.verified().await.fault, None);
}

#[tokio::test]
async fn a_file_of_the_last_signature_that_is_gone_or_changed_is_noticed() {
    let site = Site::with_past(&["web"]).await;
    fs::remove_file(site.path("audit-head")).unwrap();
    let life = site.start().await;
    assert_eq!(noticed(&life).0, NoticedFault::HeadLost);
    life.end().await;
    let head = fs::read_to_string(site.path("audit-head")).unwrap();
    let changed = head.replacen("\"sequence\":", "\"sequence\":1", 1);
    fs::write(site.path("audit-head"), changed).unwrap();
    let life = site.start().await;
    assert_eq!(noticed(&life).0, NoticedFault::HeadLost);
}

#[tokio::test]
async fn another_key_is_noticed_and_accepted_once_the_former_one_is_configured() {
    let mut site = Site::with_past(&["web"]).await;
    let head = fs::read_to_string(site.path("audit-head")).unwrap();
    let former: PublicKey = *line::read(&head).unwrap().event.signer().unwrap();
    fs::remove_file(site.path("audit-key")).unwrap();
    let life = site.start().await;
    let (fault, detail) = noticed(&life);
    assert_eq!(fault, NoticedFault::KeyReplaced);
    assert!(detail.contains(&former.to_string()), "{detail}");
    let fault = life.verified().await.fault.unwrap();
    assert_eq!(fault.misfit, Misfit::Key(former));
    assert_eq!(life.check("audit.chain").await.status, CheckStatus::Fail);
    life.end().await;
    site.audit.former_keys = vec![former];
    let life = site.start().await;
    let summary = life.verified().await.summary.unwrap();
    assert_eq!(summary.keys, [former, life.app.audit.key()]);
}

#[tokio::test]
async fn what_is_put_into_or_taken_out_of_the_file_under_a_running_daemon_breaks_the_chain() {
    let site = Site::new();
    let life = site.start().await;
    life.make_vm("web").await;
    let last = life.log().await.last().unwrap().sequence;
    let intruder = site.resolute_intruder();
    let sql = format!("DELETE FROM audit WHERE sequence = {last}");
    intruder.execute(&sql, []).unwrap();
    life.make_vm("db").await;
    let fault = life.verified().await.fault.unwrap();
    assert_eq!(
        (fault.sequence, fault.misfit),
        (last + 1, Misfit::Missing(last))
    );
}

#[tokio::test]
async fn old_entries_go_behind_a_signed_checkpoint_and_the_rest_is_still_whole() {
    let site = Site::new();
    let life = site.start().await;
    life.make_vm("web").await;
    let old = life.log().await;
    life.pass(300).await;
    life.make_vm("db").await;
    life.pass(101).await;
    let log = life.log().await;
    let last = old.last().unwrap();
    assert_eq!(log[0].sequence, last.sequence + 1);
    let cut = log.iter().find_map(|entry| match &entry.event {
        AuditEvent::Cut(cut) => Some(cut),
        _ => None,
    });
    let cut = cut.unwrap();
    assert_eq!((cut.sequence, cut.hash), (last.sequence, last.hash));
    assert_eq!((cut.removed, cut.first), (old.len() as u64, old[0].time));
    let summary = life.verified().await.summary.unwrap();
    assert_eq!(summary.cut.as_ref(), Some(cut));
    life.end().await;
    let life = site.start().await;
    assert_eq!(life.app.audit.state().noticed, None);
    assert_eq!(life.check("audit.chain").await.status, CheckStatus::Pass);
    let refused = site.intruder().execute("DELETE FROM audit", []);
    assert!(
        refused.is_err(),
        "a checkpoint opens what is behind it only"
    );
}

#[tokio::test]
async fn old_entries_that_do_not_fit_are_kept_as_they_are() {
    let site = Site::with_past(&["web"]).await;
    let sql = "UPDATE audit SET line = replace(line, 'vm/web', 'vm/wed')";
    site.resolute_intruder().execute(sql, []).unwrap();
    let life = site.start().await;
    let count = life.log().await.len();
    life.pass(500).await;
    assert!(life.log().await.len() > count);
}

#[tokio::test]
async fn signatures_and_faults_get_to_the_system_s_log() {
    let mut site = Site::new();
    let path = site.path("log");
    let log = UnixDatagram::bind(&path).unwrap();
    log.set_read_timeout(Some(PATIENCE)).unwrap();
    site.audit.syslog = SyslogSocket::At(path);
    let next = move || {
        let mut buffer = [0; 4096];
        let length = log.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    };
    let life = site.start().await;
    let key = life.app.audit.key().to_string();
    let made = next();
    assert!(
        made.starts_with("<85>") && made.contains("new key"),
        "{made}"
    );
    assert!(made.ends_with(&key), "{made}");
    let signed = next();
    let head = signed.split_once("]: ").unwrap().1;
    assert_eq!(line::check(head).unwrap().sequence, 2);
    assert_eq!(life.app.audit.state().copying, Copying::Done);
    assert_eq!(life.check("audit.copies").await.status, CheckStatus::Pass);
    life.end().await;
    next();
    fs::remove_file(site.path("audit-head")).unwrap();
    let _life = site.start().await;
    let told = next();
    assert!(
        told.starts_with("<82>") && told.contains("not what it was"),
        "{told}"
    );
}

#[tokio::test]
async fn where_there_is_no_system_s_log_that_is_a_warning() {
    let mut site = Site::new();
    site.audit.syslog = SyslogSocket::At("/nonexistent/log".into());
    let life = site.start().await;
    let check = life.check("audit.copies").await;
    assert_eq!(check.status, CheckStatus::Warn);
    assert!(check.observed.contains("/nonexistent/log"), "{check:?}");
    assert_eq!(life.check("audit.chain").await.status, CheckStatus::Pass);
}

#[tokio::test]
async fn what_cannot_be_recorded_does_not_happen() {
    let mut site = Site::new();
    site.options.max_pages = Some(150);
    let life = site.start().await;
    // Nobody waits for their ends: those may wait for space.
    let mut wishes = 0;
    let refused = loop {
        if let Err(kind) = life.wish_for_vm(&format!("vm{wishes}")).await {
            break kind;
        }
        wishes += 1;
    };
    assert_eq!(refused, ProblemKind::NoSpace);
    let log = life.log().await;
    let asked = log.iter().filter(|entry| {
        matches!(&entry.event, AuditEvent::Decided(decided) if decided.action == Action::VmCreate)
    });
    let filter = hvd::store::OperationFilter::default();
    let operations = life
        .app
        .store
        .read(move |tx| tx.operations(&filter, None, 1000))
        .await
        .unwrap();
    assert_eq!(asked.count(), operations.items.len());
    assert_eq!(life.verified().await.fault, None);
}

#[tokio::test]
async fn what_an_earlier_version_recorded_is_carried_over_into_the_chain() {
    let site = Site::new();
    let store = Store::open(site.folder.path(), site.clock.clone(), Ids::random()).unwrap();
    let host = store.host();
    drop(store);
    for file in ["hvd.db", "hvd.db-wal", "hvd.db-shm"] {
        let _ = fs::remove_file(site.folder.path().join(file));
    }
    let past = site.intruder();
    past.execute_batch(include_str!("../../src/store/migrations/0001_start.sql"))
        .unwrap();
    past.execute_batch(
        "INSERT INTO sqlite_sequence (name, seq) VALUES ('event', 1); PRAGMA user_version = 1;",
    )
    .unwrap();
    for (id, action, decision) in [
        (
            "0198c1f0-1111-7222-8333-000000000001",
            "vm.create",
            r#"{"decision":"allow","policy":"socket-group"}"#,
        ),
        (
            "0198c1f0-1111-7222-8333-000000000002",
            "vm.forgotten",
            r#"{"decision":"deny","policy":"x"}"#,
        ),
    ] {
        let sql = "INSERT INTO audit (id, host, time, principal_json, action, target,
            decision_json) VALUES (?1, ?2, 1700000000000, ?3, ?4, 'vm/web', ?5)";
        let ada = r#"{"kind":"user","name":"ada","uid":1000}"#;
        past.execute(sql, [id, &host.to_string(), ada, action, decision])
            .unwrap();
    }
    drop(past);
    let life = site.start().await;
    let log = life.log().await;
    assert!(matches!(log[0].event, AuditEvent::Began { carried: 2, .. }));
    let AuditEvent::Decided(decided) = &log[1].event else {
        panic!("{log:?}")
    };
    assert_eq!(
        (decided.action, decided.target.as_str()),
        (Action::VmCreate, "vm/web")
    );
    assert_eq!(log[1].time.as_second(), 1_700_000_000);
    let AuditEvent::Other(unknown) = &log[2].event else {
        panic!("what this version does not know is carried over, too: {log:?}")
    };
    assert_eq!(unknown["action"], "vm.forgotten");
    assert_eq!(life.verified().await.fault, None);
    life.end().await;
    let life = site.start().await;
    assert_eq!(life.log().await[..3], log[..3], "it is done once");
}
