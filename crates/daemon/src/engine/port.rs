// SPDX-License-Identifier: GPL-3.0-or-later
//! The host, for those who must not block.

use std::{fmt, sync::Arc, time::Instant};

use hv_model::{
    access::Principal,
    hypervisor::{Behalf, Hypervisor, HypervisorError, HypervisorErrorKind, Result},
};
use tokio::sync::Semaphore;

/// How many calls can be under way. They have threads of a pool that reads of the store need, too,
/// and a host that hangs must not take all of them.
const CALLS: usize = 64;

/// The host, for those who must not block. Cheap to clone.
#[derive(Clone)]
pub struct Port {
    host: Arc<dyn Hypervisor>,
    free: Arc<Semaphore>,
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port")
            .field("free", &self.free)
            .finish_non_exhaustive()
    }
}

impl Port {
    /// This host.
    pub fn new(host: Arc<dyn Hypervisor>) -> Self {
        Self {
            host,
            free: Arc::new(Semaphore::new(CALLS)),
        }
    }

    /// The same host, whose changes are made for whoever asked for them.
    ///
    /// The daemon's own acts are the service's. Those of a person without an account on the host
    /// carry their name alone, and it is for the host to say whether it knows them.
    pub fn acting_for(&self, principal: &Principal) -> Result<Self> {
        let (name, uid) = match principal {
            Principal::System => return Ok(self.clone()),
            Principal::User { name, uid } => (name, Some(*uid)),
            Principal::Account { name } | Principal::Token { name, .. } => (name, None),
            Principal::Anonymous => {
                let message = "nothing is changed for somebody who cannot be known";
                return Err(HypervisorError::new(HypervisorErrorKind::Denied, message));
            }
        };
        let name = name.clone();
        Ok(Self {
            host: self.host.on_behalf_of(&Behalf { name, uid }).into(),
            free: Arc::clone(&self.free),
        })
    }

    /// Makes a call on a thread that may block. It goes on even if nobody waits for it any more.
    pub async fn call<T, F>(&self, name: &'static str, call: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Hypervisor) -> Result<T> + Send + 'static,
    {
        let internal = |what: String| HypervisorError::new(HypervisorErrorKind::Internal, what);
        let turn = Arc::clone(&self.free)
            .acquire_owned()
            .await
            .map_err(|error| internal(format!("{name}: {error}")))?;
        let host = Arc::clone(&self.host);
        let blocking = tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            let outcome = call(&*host);
            drop(turn);
            let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            match &outcome {
                Ok(_) => tracing::debug!(name, milliseconds, "port call"),
                Err(error) => {
                    tracing::debug!(name, milliseconds, kind = ?error.kind, %error, "port call failed");
                }
            }
            outcome
        });
        blocking
            .await
            .map_err(|error| internal(format!("{name}: {error}")))?
    }
}
