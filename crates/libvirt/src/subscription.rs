// SPDX-License-Identifier: GPL-3.0-or-later
//! The C side of events: which ones libvirt is asked for, and how each reaches its receiver.

mod callback;

use std::ffi::c_int;
use std::sync::Arc;

use virt_sys as sys;

use crate::connection::Connection;
use crate::error::{Error, ErrorKind, Result, checked, done};
use crate::event::Event;
use crate::registry::Key;
use callback::{DomainCallback, RECEIVERS, domain_callbacks, network_callback, pool_callbacks};

/// A receiver of events. Once this is dropped it hears no more of them, except that one which is
/// being delivered may still end.
pub struct Subscription {
    connection: Connection,
    key: Key,
    callbacks: Vec<Callback>,
}

/// What libvirt calls a callback by, for each of its three lists.
enum Callback {
    Domain(c_int),
    Network(c_int),
    Pool(c_int),
}

impl Connection {
    /// Calls `receiver` with every event of domains, networks and pools from now on.
    ///
    /// A connection has one subscription at a time: libvirt refuses a callback that it already
    /// has. The receiver runs in the event loop of the process, one event at a time and in
    /// libvirt's order. It must be brief and must not call libvirt: put the event into a queue.
    /// Networks and pools are left out where this libvirt has no driver for them. Events that
    /// happen while the connection is down are lost; look at everything anew after a reconnect.
    pub fn subscribe(
        &self,
        receiver: impl Fn(Event) + Send + Sync + 'static,
    ) -> Result<Subscription> {
        if !self.claim_events() {
            let message = "this connection has a subscription already".to_owned();
            let function = "virConnectDomainEventRegisterAny";
            return Err(Error::new(ErrorKind::AlreadyExists, message, function));
        }
        let key = RECEIVERS.add(Arc::new(receiver));
        // From here on a failure drops the subscription, which takes back what was registered.
        let mut subscription = Subscription {
            connection: self.clone(),
            key,
            callbacks: Vec::new(),
        };
        for (event, callback) in domain_callbacks() {
            subscription.register_domain(event, callback)?;
        }
        subscription.register_others()?;
        Ok(subscription)
    }
}

impl Subscription {
    fn register_domain(&mut self, event: u32, callback: DomainCallback) -> Result<()> {
        let connection = self.connection.as_ptr();
        // SAFETY: the connection is live; the callback has the arguments of this event, lives for
        // ever, and reads its opaque value as a number, so that no free function is needed.
        let registered = unsafe {
            sys::virConnectDomainEventRegisterAny(
                connection,
                std::ptr::null_mut(),
                event.cast_signed(),
                callback,
                self.key.opaque(),
                None,
            )
        };
        let id = checked(registered, "virConnectDomainEventRegisterAny")?;
        self.callbacks.push(Callback::Domain(id));
        Ok(())
    }

    fn register_others(&mut self) -> Result<()> {
        let connection = self.connection.as_ptr();
        let opaque = self.key.opaque();
        let (event, callback) = network_callback();
        // SAFETY: as in `register_domain`.
        let network = unsafe {
            sys::virConnectNetworkEventRegisterAny(
                connection,
                std::ptr::null_mut(),
                event.cast_signed(),
                callback,
                opaque,
                None,
            )
        };
        let network = checked(network, "virConnectNetworkEventRegisterAny");
        self.callbacks
            .extend(if_supported(network)?.map(Callback::Network));
        for (event, callback) in pool_callbacks() {
            // SAFETY: as in `register_domain`.
            let pool = unsafe {
                sys::virConnectStoragePoolEventRegisterAny(
                    connection,
                    std::ptr::null_mut(),
                    event.cast_signed(),
                    callback,
                    opaque,
                    None,
                )
            };
            let pool = checked(pool, "virConnectStoragePoolEventRegisterAny");
            self.callbacks
                .extend(if_supported(pool)?.map(Callback::Pool));
        }
        Ok(())
    }
}

fn if_supported(registered: Result<c_int>) -> Result<Option<c_int>> {
    match registered {
        Ok(id) => Ok(Some(id)),
        Err(error) if error.kind == ErrorKind::Unsupported => Ok(None),
        Err(error) => Err(error),
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        RECEIVERS.remove(self.key);
        let connection = self.connection.as_ptr();
        for callback in &self.callbacks {
            // SAFETY: the connection is live, and each id is from its own list.
            let deregistered = unsafe {
                match *callback {
                    Callback::Domain(id) => sys::virConnectDomainEventDeregisterAny(connection, id),
                    Callback::Network(id) => {
                        sys::virConnectNetworkEventDeregisterAny(connection, id)
                    }
                    Callback::Pool(id) => {
                        sys::virConnectStoragePoolEventDeregisterAny(connection, id)
                    }
                }
            };
            // The receiver is already deaf, and a broken connection forgets its callbacks.
            if let Err(error) = done(deregistered, "virConnectDomainEventDeregisterAny") {
                tracing::debug!(%error, "libvirt kept an event callback");
            }
        }
        self.connection.release_events();
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Subscription")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
