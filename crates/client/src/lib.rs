// SPDX-License-Identifier: GPL-3.0-or-later
//! Typed client of the HTTP API.
//!
//! A [`Client`] is an address; each call makes a connection of its own, so a client can be shared
//! and cloned freely, and a restarted daemon is not noticed between two calls. What changes
//! something comes back as an [`Operation`](hv_model::operation::Operation): pass
//! [`ChangeOptions::wait`] to wait for its end, or [`Client::follow`] it.
//!
//! ```no_run
//! # async fn example() -> Result<(), hv_client::ClientError> {
//! use hv_client::{ChangeOptions, Client, VmAction, VmFilter};
//!
//! let client = Client::unix("/run/hyper-nixos/hvd.sock");
//! for vm in client.vms(&VmFilter::default()).await?.items {
//!     println!("{} {}", vm.name, vm.state.as_str());
//! }
//! let started = client.act("web", &VmAction::Start, &ChangeOptions::default()).await?;
//! let mut updates = client.follow(started.id);
//! while let Some(operation) = updates.next().await? {
//!     println!("{}", operation.state.as_str());
//! }
//! # Ok(())
//! # }
//! ```

mod access;
mod account;
mod address;
mod audit;
mod call;
mod connection;
mod error;
mod follow;
mod image;
mod options;
mod quota;
mod request;
mod sse;
mod tls;
mod vm;

pub use self::{
    account::OfWhom,
    address::{RemoteAddress, RemoteAddressError},
    audit::AuditExport,
    connection::{Client, Staleness},
    error::ClientError,
    follow::{Events, Updates},
    options::{
        AuditFilter, ChangeOptions, EventFilter, OperationFilter, Shelf, VmAction, VmFilter,
    },
    tls::{Fingerprint, FingerprintError, SeenCertificate, Trust},
    vm::Console,
};

/// What a call comes to.
pub type Result<T> = std::result::Result<T, ClientError>;
