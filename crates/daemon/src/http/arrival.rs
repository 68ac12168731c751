// SPDX-License-Identifier: GPL-3.0-or-later
//! Where a connection over TCP comes from and where it arrived.

use std::{convert::Infallible, net::SocketAddr};

use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
};

use crate::access::{Cutter, Whence};

/// Where a connection comes from and where it arrived. Whoever serves one puts it into each
/// request; there is none on the unix socket.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The other side's address.
    pub remote: SocketAddr,
    /// Ours, as the other side reached it.
    pub local: SocketAddr,
    /// What cuts the connection off.
    pub(super) cutter: Cutter,
}

impl Arrival {
    /// A connection from there to here.
    pub fn new(remote: SocketAddr, local: SocketAddr) -> Self {
        Self {
            remote,
            local,
            cutter: Cutter::default(),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Whence {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(whence(parts))
    }
}

/// Where a request comes from.
pub(super) fn whence(parts: &Parts) -> Whence {
    let agent = parts.headers.get(header::USER_AGENT);
    Whence {
        address: parts
            .extensions
            .get::<Arrival>()
            .map(|arrival| arrival.remote.ip()),
        agent: agent
            .and_then(|agent| agent.to_str().ok())
            .map(str::to_owned),
    }
}
