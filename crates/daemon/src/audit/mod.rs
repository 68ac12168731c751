// SPDX-License-Identifier: GPL-3.0-or-later
//! Keeping the audit log trustworthy: it is signed, verified, copied and, when old, cut.
//!
//! ```text
//!  start ──▶ is what was signed last still there? ──▶ sign ──▶ verify all
//!              └── no ──▶ say so in the log itself, in health, in the system's log
//!  each day ─▶ sign ──▶ cut what is too old ──▶ verify what is new; once a week, all
//!  end ──────▶ sign
//!                └──▶ each signed entry goes to the system's log and to a file beside the database
//! ```
//!
//! The entries themselves are written by whoever decides and changes, in the same transaction:
//! what cannot be recorded does not happen.

mod head;
mod keeper;
mod key;
mod state;
mod syslog;

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hv_model::audit::{
    AuditEntry, AuditEvent, AuditVerification, End, FirstFault, Line, LogPlace, NoticedFault,
    PublicKey, SignReason, Summary, Trust, Verifier,
};
use tokio::sync::{OwnedRwLockReadGuard, RwLock, watch};

use self::{
    head::HeadFile,
    key::KeyFound,
    syslog::{Severity, Syslog},
};
pub use self::{
    key::HostKey,
    state::{AuditState, Copying, Noticed},
};
use crate::{
    clock::Clock,
    config::{AuditConfig, SyslogSocket},
    store::{Result, Store, StoreError},
};

/// How many lines are verified in one read of the store.
const AT_ONCE: u32 = 512;
/// How long the daemon's end may wait for its signature.
const LAST_WORD: Duration = Duration::from_secs(2);

/// What keeps the audit log. Cheap to clone.
#[derive(Clone)]
pub struct Auditor(Arc<Inner>);

struct Inner {
    store: Store,
    clock: Clock,
    config: AuditConfig,
    key: Arc<HostKey>,
    found: KeyFound,
    head: HeadFile,
    syslog: Option<Syslog>,
    state: watch::Sender<AuditState>,
    /// What was signed last.
    signed: Mutex<Option<AuditEntry>>,
    /// Held while something is signed and copied, so that copies are in order.
    pen: tokio::sync::Mutex<()>,
    /// Held while the log is verified as a whole, which is work.
    verifying: tokio::sync::Mutex<()>,
    /// Held by readers of the whole log, so that it is not cut under them.
    reading: Arc<RwLock<()>>,
}

impl fmt::Debug for Auditor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auditor")
            .field("key", &self.0.key)
            .finish_non_exhaustive()
    }
}

impl Auditor {
    /// Reads or makes the host's key.
    pub(crate) fn new(
        folder: &Path,
        config: AuditConfig,
        store: Store,
        clock: Clock,
    ) -> Result<Self> {
        let (key, found) = HostKey::load(folder, config.key_credential.as_deref())?;
        let exposed = match &found {
            KeyFound::There { exposed } => exposed.clone(),
            KeyFound::Made => None,
        };
        let syslog = match &config.syslog {
            SyslogSocket::None => None,
            SyslogSocket::At(path) => Some(Syslog::at(path.clone())),
        };
        let state = AuditState {
            exposed,
            ..AuditState::default()
        };
        Ok(Self(Arc::new(Inner {
            store,
            clock,
            config,
            key: Arc::new(key),
            found,
            head: HeadFile::within(folder),
            syslog,
            state: watch::Sender::new(state),
            signed: Mutex::default(),
            pen: tokio::sync::Mutex::default(),
            verifying: tokio::sync::Mutex::default(),
            reading: Arc::default(),
        })))
    }

    /// Begins to keep the log. Must be called within a runtime.
    pub(crate) fn run(&self) {
        tokio::spawn(keeper::run(self.clone()));
    }

    /// The public half of the host's key.
    pub fn key(&self) -> PublicKey {
        self.0.key.public()
    }

    /// What is known of the log.
    pub fn state(&self) -> AuditState {
        self.0.state.borrow().clone()
    }

    /// What is known of the log, whenever that changes.
    pub fn changes(&self) -> watch::Receiver<AuditState> {
        self.0.state.subscribe()
    }

    fn note(&self, change: impl FnOnce(&mut AuditState)) {
        self.0.state.send_modify(change);
    }

    fn last_signed(&self) -> Option<AuditEntry> {
        let signed = self.0.signed.lock();
        signed.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Signs the log as it is now, and sees to it that others know.
    pub async fn sign(&self, reason: SignReason) -> Result<AuditEntry> {
        let _pen = self.0.pen.lock().await;
        let key = Arc::clone(&self.0.key);
        let event = AuditEvent::Signed {
            key: key.public(),
            reason,
        };
        let signed = self
            .0
            .store
            .write("audit.sign", move |tx| tx.append_signed_audit(&key, event))
            .await;
        match signed {
            Ok(line) => Ok(self.hand_on(line).await),
            Err(error) => {
                if !matches!(error, StoreError::Ended) {
                    self.note(|state| state.unsigned = Some(error.to_string()));
                }
                Err(error)
            }
        }
    }

    /// Copies a signed entry to where hvd's database is not.
    async fn hand_on(&self, line: Line) -> AuditEntry {
        let Line { entry, text } = line;
        *self.0.signed.lock().unwrap_or_else(PoisonError::into_inner) = Some(entry.clone());
        let written = {
            let (auditor, text) = (self.clone(), text.clone());
            tokio::task::spawn_blocking(move || auditor.0.head.write(&text)).await
        };
        let written = written.map_err(std::io::Error::other).flatten();
        if let Err(error) = &written {
            tracing::error!(%error, "what was signed last cannot be kept beside the database");
        }
        self.note(|state| {
            state.unsigned = written.err().map(|error| error.to_string());
            state.signed = Some(place(&entry));
        });
        self.tell(Severity::Notice, text).await;
        entry
    }

    /// Tells the system's log.
    async fn tell(&self, severity: Severity, text: String) {
        let Some(syslog) = self.0.syslog.clone() else {
            return;
        };
        let now = self.0.clock.now();
        let path = syslog.path().display().to_string();
        let sending = tokio::task::spawn_blocking(move || syslog.send(severity, now, &text));
        let sent = sending.await.map_err(std::io::Error::other).flatten();
        self.note(|state| {
            state.copying = match sent {
                Ok(()) => Copying::Done,
                Err(error) => Copying::Failed(format!("{path}: {error}")),
            };
        });
    }

    /// Records that the log is not what it was, and says so wherever somebody may see it.
    async fn notice(&self, fault: NoticedFault, detail: String) -> Result<()> {
        tracing::error!(
            detail,
            "the audit log is not what it was: {}",
            fault.words()
        );
        let event = AuditEvent::Noticed {
            fault,
            detail: detail.clone(),
        };
        self.tell(
            Severity::Critical,
            format!(
                "the audit log is not what it was: {}: {detail}",
                fault.words()
            ),
        )
        .await;
        let write = self
            .0
            .store
            .write("audit.notice", move |tx| tx.append_event_to_audit(event));
        let entry = write.await?;
        self.note(|state| state.noticed = Noticed::of(&entry));
        Ok(())
    }

    /// Keeps the log from being cut for as long as what is returned lives.
    pub async fn hold(&self) -> OwnedRwLockReadGuard<()> {
        Arc::clone(&self.0.reading).read_owned().await
    }

    /// The keys that are trusted: the host's own, and those that it had before.
    fn trusted(&self) -> Vec<PublicKey> {
        let former = self.0.config.former_keys.iter().copied();
        std::iter::once(self.key()).chain(former).collect()
    }

    /// Verifies the whole log now.
    pub async fn verify(&self) -> Result<AuditVerification> {
        let _turn = self.0.verifying.lock().await;
        let _hold = self.hold().await;
        let (_, outcome) = self.scan(self.fresh_verifier()).await?;
        let (summary, fault) = match outcome {
            Ok(summary) => (Some(summary), None),
            Err(fault) => (None, Some(fault)),
        };
        Ok(AuditVerification {
            key: self.key(),
            summary,
            fault,
        })
    }

    fn fresh_verifier(&self) -> Verifier {
        Verifier::new(Trust {
            keys: self.trusted(),
            heads: self.last_signed().into_iter().collect(),
        })
    }

    /// Verifies what comes behind what was verified, to the end.
    async fn scan(
        &self,
        mut verifier: Verifier,
    ) -> Result<(Verifier, std::result::Result<Summary, FirstFault>)> {
        let mut after = verifier.next_sequence().saturating_sub(1);
        let outcome = loop {
            let read = self.0.store.read(move |tx| {
                let lines = tx.audit_lines(after, u64::MAX, AT_ONCE)?;
                let fits = lines
                    .iter()
                    .try_for_each(|(_, line)| verifier.check(line).map(drop));
                Ok((verifier, lines.last().map(|(place, _)| *place), fits))
            });
            let (checked, place, fits) = read.await?;
            verifier = checked;
            match (fits, place) {
                (Err(fault), _) => break Err(fault),
                (Ok(()), None) => break verifier.finish(End::Open),
                (Ok(()), Some(place)) => after = place,
            }
        };
        let now = self.0.clock.now();
        self.note(|state| {
            state.verified = Some(now);
            match &outcome {
                Ok(summary) => {
                    state.fault = None;
                    state.entries = summary.entries;
                }
                Err(fault) => state.fault = Some(fault.clone()),
            }
        });
        Ok((verifier, outcome))
    }

    /// Signs the log a last time, before the daemon ends.
    pub async fn end(&self) {
        let signing = tokio::time::timeout(LAST_WORD, self.sign(SignReason::End));
        match signing.await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the audit log is not signed at the end"),
            Err(_) => tracing::warn!("the audit log is not signed at the end: it takes too long"),
        }
    }
}

const fn place(entry: &AuditEntry) -> LogPlace {
    LogPlace {
        sequence: entry.sequence,
        hash: entry.hash,
        time: entry.time,
    }
}
