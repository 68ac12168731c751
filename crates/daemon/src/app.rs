// SPDX-License-Identifier: GPL-3.0-or-later
//! Everything that a request needs. Cheap to clone.

use std::sync::Arc;

use hv_model::hypervisor::Hypervisor;
use hv_port::rights::Finding;

use crate::{
    clock::{Clock, Ids},
    config::Config,
    engine::{Engine, Port},
    observe::Observer,
    store::{Inventory, Result, Store, StoreOptions},
};

/// Everything that a request needs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct App {
    /// What hvd must not forget.
    pub store: Store,
    /// What carries out changes.
    pub engine: Engine,
    /// What is known of VMs and the host, in memory.
    pub inventory: Inventory,
    /// The host, for what is no change: consoles.
    pub port: Port,
    /// What tells the time.
    pub clock: Clock,
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

impl App {
    /// Opens the store and begins to work: operations that an earlier run left are finished or
    /// undone, the host is listened to, reconcilers run. Must be called within a runtime.
    pub fn start(parts: Parts) -> Result<Self> {
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
        let config = Arc::new(config);
        let inventory = store.inventory().clone();
        let port = Port::new(host);
        let observer = Observer::new(
            store.clone(),
            port.clone(),
            clock.clone(),
            config.trash.keep(),
        );
        let engine = Engine::new(
            store.clone(),
            port.clone(),
            clock.clone(),
            ids,
            Arc::clone(&config),
            observer.clone(),
            boot,
        );
        let app = Self {
            store,
            engine,
            inventory,
            port,
            clock,
            config,
            rights: rights.into(),
        };
        observer.run();
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
