// SPDX-License-Identifier: GPL-3.0-or-later
//! Everything that a request needs. Cheap to clone.

use std::sync::Arc;

use hv_model::hypervisor::Hypervisor;
use hv_port::rights::Finding;

use crate::{
    access::{Access, Authenticator, PolicyFault, stored_grants},
    audit::Auditor,
    clock::{Clock, Ids},
    config::Config,
    engine::{Around, Engine, Port},
    observe::Observer,
    store::{Inventory, Store, StoreError, StoreOptions},
};

/// Everything that a request needs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct App {
    /// What hvd must not forget.
    pub store: Store,
    /// What carries out changes.
    pub engine: Engine,
    /// What decides who may do what.
    pub access: Access,
    /// What is known of VMs and the host, in memory.
    pub inventory: Inventory,
    /// The host, for what is no change: consoles.
    pub port: Port,
    /// What keeps the audit log.
    pub audit: Auditor,
    /// What tells the time.
    pub clock: Clock,
    /// Who people and programs are.
    pub authenticator: Authenticator,
    /// The configuration.
    pub config: Arc<Config>,
    /// What was wrong with hvd's own rights when it started.
    pub rights: Arc<[Finding]>,
}

/// What an [`App`] is made of.
pub struct Parts {
    /// The configuration; its state folder must exist.
    pub config: Config,
    /// The host.
    pub host: Arc<dyn Hypervisor>,
    /// What tells the time.
    pub clock: Clock,
    /// What makes ids.
    pub ids: Ids,
    /// The kernel's id of this boot of the host; VMs are started with the host when it changes.
    pub boot: String,
    /// What is wrong with hvd's own rights.
    pub rights: Vec<Finding>,
    /// What a test does to the store.
    pub store_options: StoreOptions,
}

impl Parts {
    /// An app with the system's clock, random ids and nothing special.
    pub fn new(config: Config, host: Arc<dyn Hypervisor>, boot: String) -> Self {
        Self {
            config,
            host,
            clock: Clock::system(),
            ids: Ids::random(),
            boot,
            rights: Vec::new(),
            store_options: StoreOptions::default(),
        }
    }
}

/// Why the daemon can't begin to work.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Not even the policies of every installation can be put in force.
    #[error(transparent)]
    Policy(#[from] PolicyFault),
}

impl App {
    /// Opens the store and begins to work: operations that an earlier run left are finished or
    /// undone, the host is listened to, reconcilers run. Must be called within a runtime.
    pub fn start(parts: Parts) -> Result<Self, StartError> {
        let Parts {
            config,
            host,
            clock,
            ids,
            boot,
            rights,
            store_options,
        } = parts;
        let store = Store::open_with(&config.state_dir, clock.clone(), ids.clone(), store_options)?;
        let audit = Auditor::new(
            &config.state_dir,
            config.audit.clone(),
            store.clone(),
            clock.clone(),
        )?;
        let authenticator = Authenticator::new(
            &config.state_dir,
            store.clone(),
            clock.clone(),
            config.sessions.clone(),
        )?;
        let config = Arc::new(config);
        let stored = store.read_at_start(stored_grants)?;
        let access = Access::start(&config.access, stored, &clock)?;
        let inventory = store.inventory().clone();
        let port = Port::new(host);
        let observer = Observer::new(
            store.clone(),
            port.clone(),
            clock.clone(),
            config.trash.keep(),
        );
        let engine = Engine::new(Around {
            store: store.clone(),
            port: port.clone(),
            clock: clock.clone(),
            ids,
            config: Arc::clone(&config),
            observer: observer.clone(),
            access: access.clone(),
            boot,
        });
        let app = Self {
            store,
            engine,
            access,
            inventory,
            port,
            audit,
            clock,
            authenticator,
            config,
            rights: rights.into(),
        };
        app.audit.run();
        observer.run();
        app.authenticator.run();
        app.engine.run();
        Ok(app)
    }

    /// Ends all work at once. Operations that are under way are finished or undone at the next
    /// start.
    pub fn end(&self) {
        self.store.end();
        self.engine.end();
    }
}
