// SPDX-License-Identifier: GPL-3.0-or-later
//! The HTTP API: one file a resource.
//!
//! ```text
//!  connection ──▶ who is it? ──▶ route ──▶ may they? ──▶ inventory or store ──▶ answer
//!                                             │
//!                                             └──▶ engine: an operation ──▶ 202, or 200 once over
//! ```
//!
//! Routes and their description (`OpenAPI` 3.1) come from the same place, so neither can say what
//! the other does not. Looks at VMs and the host are answered from memory. Every error is a
//! problem of the catalogue, whoever noticed it.

mod access;
mod account;
mod allowance;
mod approval;
mod arrival;
mod audit;
mod body;
mod bootstrap;
mod caller;
mod connection;
mod console;
pub mod credential;
mod crowd;
mod description;
mod ending;
mod event;
mod guard;
mod health;
mod host;
mod image;
mod listener;
mod login;
mod membership;
mod network;
mod operation;
mod origin;
mod path;
mod pool;
mod precondition;
mod problem;
mod query;
mod quota;
mod refusal;
mod server;
mod session;
mod sse;
mod stored_list;
mod tls;
mod token;
mod upload;
mod version;
mod visibility;
mod vm;
mod vm_action;

use std::{sync::Arc, time::Duration};

use axum::{Router, middleware};
use hv_model::name::UserName;

use self::{allowance::Allowance, caller::Hand, membership::Memberships, stored_list::StoredLists};
pub use self::{
    arrival::Arrival,
    caller::{Peer, Transport},
    credential::Credentials,
    description::openapi,
    ending::Ending,
    listener::ListenError,
    refusal::Refusal,
    server::{Server, serve},
};
use crate::app::App;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How much a person may ask for in a minute that is written to the audit log: changes, and what
/// they may not do. It is more than anybody types, and a script that makes many VMs waits a little.
const RECORDED_A_MINUTE: u32 = 600;
/// And in a day: with what becomes of it that is some 20 MB of the log.
const RECORDED_A_DAY: u32 = 20_000;

/// What every request is answered from. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Api(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    app: App,
    /// The list of VMs as it was last sent to each who asked.
    vms: StoredLists,
    /// The names by which others reach this host.
    names: Vec<String>,
    /// The groups of people who come over the network.
    memberships: Memberships,
    /// How many failed logins are written to the audit log.
    guesses: Allowance,
    /// How much each person, and the tokens of each, may ask for that is written there.
    asked: [Allowance<(UserName, Hand)>; 2],
    /// Held by whoever searches the audit log, which is work.
    searching: tokio::sync::Mutex<()>,
    /// Whether the daemon ends, so that streams without an end must.
    ending: Ending,
}

impl Api {
    /// The API of this app, whose streams end when `ending` says so.
    pub fn new(app: App, ending: Ending) -> Self {
        let names = tls::names(app.config.listen.as_ref());
        Self(Arc::new(Inner {
            app,
            names,
            memberships: Memberships::default(),
            vms: StoredLists::default(),
            guesses: Allowance::new(60, MINUTE),
            asked: [
                Allowance::new(RECORDED_A_MINUTE, MINUTE),
                Allowance::new(RECORDED_A_DAY, DAY),
            ],
            searching: tokio::sync::Mutex::default(),
            ending,
        }))
    }

    fn app(&self) -> &App {
        &self.0.app
    }

    fn names(&self) -> &[String] {
        &self.0.names
    }

    fn memberships(&self) -> &Memberships {
        &self.0.memberships
    }

    fn guesses(&self) -> &Allowance {
        &self.0.guesses
    }

    fn searching(&self) -> &tokio::sync::Mutex<()> {
        &self.0.searching
    }

    fn vms(&self) -> &StoredLists {
        &self.0.vms
    }

    fn ending(&self) -> Ending {
        self.0.ending.clone()
    }
}

/// The routes of the API, ready to answer. Requests must carry their [`Peer`].
pub fn router(api: Api) -> Router {
    let (routes, _) = description::routes().split_for_parts();
    routes
        .fallback(guard::no_such_address)
        .method_not_allowed_fallback(guard::no_such_method)
        .layer(middleware::from_fn_with_state(
            api.clone(),
            credential::recognize,
        ))
        .layer(middleware::from_fn_with_state(api.clone(), guard::guard))
        .with_state(api)
}
