// SPDX-License-Identifier: GPL-3.0-or-later
//! What hvd knows and must not forget, in one `SQLite` file.
//!
//! ```text
//!  write(change) ──▶ queue ──▶ the writer thread ──▶ one transaction ──▶ Inventory ──▶ readers wake
//!  read(look)    ──▶ one of a few read-only connections
//! ```
//!
//! Everything that changes goes through [`Store::write`], one transaction after the other. Once a
//! transaction is kept, the writer brings the [`Inventory`] up to date and then wakes whoever waits
//! for news, so nobody is told of an event whose effect they can't see yet.

mod account;
mod approval;
mod audit;
mod autostart;
mod error;
mod event;
mod grant;
mod host;
mod image;
mod inventory;
mod migration;
mod operation;
mod quota;
mod session;
mod timer;
mod token;
mod transaction;
mod vm;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use hv_model::id::HostId;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::{mpsc, oneshot};

pub use self::{
    account::{AccountRow, TotpRow},
    error::{Result, StoreError},
    event::EventFilter,
    host::REFUSALS,
    inventory::{Inventory, Snapshot, VmRecord},
    operation::{OperationFilter, OperationRow},
    quota::Creation,
    transaction::{ReadTransaction, WriteTransaction},
    vm::{Foreign, Managed, Origin, Trash, VmRow},
};
use crate::clock::{Clock, Ids};

/// The name of the database in the state folder.
pub const FILE: &str = "hvd.db";

/// How many transactions may wait for the writer before who brings more has to wait.
const WAITING: usize = 256;
/// How many reads can go on at once.
const READERS: usize = 2;

/// Asked with the name of each write whether the process counts as dead.
pub type IsDead = Arc<dyn Fn(&str) -> bool + Send + Sync>;

type Change = Box<dyn FnOnce(&mut Connection) + Send>;

/// What a test may do to the store.
#[derive(Clone, Default)]
pub struct StoreOptions {
    /// Asked with the name of each write, before its transaction begins and again once it is kept.
    /// Where it answers that the process is dead, the write comes to [`StoreError::Ended`].
    pub is_dead: Option<IsDead>,
    /// How many pages the database may have; a full disk, once they are used up.
    pub max_pages: Option<u32>,
}

impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreOptions")
            .field("max_pages", &self.max_pages)
            .finish_non_exhaustive()
    }
}

/// The store. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    path: PathBuf,
    host: HostId,
    clock: Clock,
    ids: Ids,
    changes: mpsc::Sender<Change>,
    readers: std::sync::Mutex<Vec<Connection>>,
    reader_free: tokio::sync::Semaphore,
    inventory: Inventory,
    /// Where the audit log ends, as far as it is kept.
    audit_tip: std::sync::Mutex<audit::Tip>,
    options: StoreOptions,
    ended: AtomicBool,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("path", &self.0.path)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database in this folder, or makes one.
    pub fn open(folder: &Path, clock: Clock, ids: Ids) -> Result<Self> {
        Self::open_with(folder, clock, ids, StoreOptions::default())
    }

    /// The same, for a test that does something to it.
    pub fn open_with(folder: &Path, clock: Clock, ids: Ids, options: StoreOptions) -> Result<Self> {
        let path = folder.join(FILE);
        let host = host::id(folder, &ids)?;
        let mut writer = connect(&path, OpenFlags::default())?;
        migration::prepare(&mut writer, &path, clock.now())?;
        if let Some(pages) = options.max_pages {
            writer.pragma_update(None, "max_page_count", pages)?;
        }
        let read_only = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let readers = (0..READERS)
            .map(|_| connect(&path, read_only))
            .collect::<Result<Vec<_>>>()?;
        let audit_tip = audit::open(&mut writer, host, clock.now(), &ids)?;
        let inventory = Inventory::load(&ReadTransaction::new(&writer.transaction()?, host))?;
        let (changes, queue) = mpsc::channel(WAITING);
        spawn_writer(writer, queue).map_err(|source| StoreError::File {
            path: path.clone(),
            source,
        })?;
        Ok(Self(Arc::new(Inner {
            path,
            host,
            clock,
            ids,
            changes,
            readers: std::sync::Mutex::new(readers),
            reader_free: tokio::sync::Semaphore::new(READERS),
            inventory,
            audit_tip: std::sync::Mutex::new(audit_tip),
            options,
            ended: AtomicBool::new(false),
        })))
    }

    /// What it holds of VMs and the host, in memory.
    pub fn inventory(&self) -> &Inventory {
        &self.0.inventory
    }

    /// The host that this store is of.
    pub fn host(&self) -> HostId {
        self.0.host
    }

    /// Where the database is.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Makes a change in a transaction of its own, which is kept as a whole or not at all. It is
    /// carried out even if nobody waits for its end any more. `name` is for logs and tests.
    pub async fn write<T, F>(&self, name: &'static str, change: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&WriteTransaction<'_>) -> Result<T> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let store = self.clone();
        let work: Change = Box::new(move |connection| {
            let outcome = store.carry_out(name, connection, change);
            if let Err(error) = &outcome
                && !matches!(error, StoreError::Refused(_) | StoreError::Ended)
            {
                tracing::error!(name, %error, "a write failed");
            }
            // Whoever asked may have gone.
            let _ = answer.send(outcome);
        });
        self.0
            .changes
            .send(work)
            .await
            .map_err(|_| StoreError::Ended)?;
        answered.await.map_err(|_| StoreError::Ended)?
    }

    fn carry_out<T>(
        &self,
        name: &'static str,
        connection: &mut Connection,
        change: impl FnOnce(&WriteTransaction<'_>) -> Result<T>,
    ) -> Result<T> {
        self.check_alive(name)?;
        let inner = &self.0;
        let transaction =
            connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        // Only the writer's thread comes here, so nobody else moves it meanwhile.
        let tip = || {
            inner
                .audit_tip
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
        };
        let kept = *tip();
        let now = inner.clock.now();
        let write = WriteTransaction::new(&transaction, inner.host, now, &inner.ids, kept);
        let outcome = change(&write)?;
        let (effects, moved) = write.into_effects();
        transaction.commit()?;
        *tip() = moved;
        inner.inventory.apply(effects);
        self.check_alive(name)?;
        Ok(outcome)
    }

    fn check_alive(&self, name: &str) -> Result<()> {
        let killed = self
            .0
            .options
            .is_dead
            .as_ref()
            .is_some_and(|is_dead| is_dead(name));
        if killed || self.0.ended.load(Ordering::SeqCst) {
            Err(StoreError::Ended)
        } else {
            Ok(())
        }
    }

    /// Looks something up.
    pub async fn read<T, F>(&self, look: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&ReadTransaction<'_>) -> Result<T> + Send + 'static,
    {
        let _turn = self
            .0
            .reader_free
            .acquire()
            .await
            .map_err(|_| StoreError::Ended)?;
        let store = self.clone();
        let reading = tokio::task::spawn_blocking(move || store.read_now(look));
        reading.await.map_err(|_| StoreError::Ended)?
    }

    /// Looks something up, and blocks until it is found: for the start, when nobody waits yet.
    pub(crate) fn read_at_start<T>(
        &self,
        look: impl FnOnce(&ReadTransaction<'_>) -> Result<T>,
    ) -> Result<T> {
        self.read_now(look)
    }

    fn read_now<T>(&self, look: impl FnOnce(&ReadTransaction<'_>) -> Result<T>) -> Result<T> {
        let inner = &self.0;
        let free = || {
            inner
                .readers
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
        };
        let idle = free().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => connect(
                &inner.path,
                OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
            )?,
        };
        let outcome = connection
            .transaction()
            .map_err(StoreError::from)
            .and_then(|transaction| look(&ReadTransaction::new(&transaction, inner.host)));
        let mut idle = free();
        if idle.len() < READERS {
            idle.push(connection);
        }
        outcome
    }

    /// Refuses every write from now on, as the daemon ends. What was kept stays.
    pub fn end(&self) {
        self.0.ended.store(true, Ordering::SeqCst);
        // Whoever waits for news looks whether there will be any.
        self.0.inventory.note(|_| {});
    }

    /// Whether writes are refused, since the daemon ends.
    pub fn has_ended(&self) -> bool {
        self.0.ended.load(Ordering::SeqCst)
    }
}

fn spawn_writer(
    mut connection: Connection,
    mut queue: mpsc::Receiver<Change>,
) -> std::io::Result<()> {
    let work = move || {
        while let Some(change) = queue.blocking_recv() {
            change(&mut connection);
        }
    };
    thread::Builder::new()
        .name("store".to_owned())
        .spawn(work)
        .map(drop)
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection> {
    let opened = Connection::open_with_flags(path, flags)?;
    opened.busy_timeout(std::time::Duration::from_secs(5))?;
    // Half a megabyte for each connection is plenty for rows this small.
    opened
        .pragma_update(None, "cache_size", -512)
        .map_err(|error| migration::unusable(error, path))?;
    opened.set_prepared_statement_cache_capacity(32);
    Ok(opened)
}
