// SPDX-License-Identifier: GPL-3.0-or-later
//! The C side of events: which ones libvirt is asked for, and how each reaches its receiver.

use std::ffi::{c_char, c_int, c_ulonglong, c_void};
use std::sync::Arc;

use virt_sys as sys;

use crate::connection::Connection;
use crate::domain::{self, JobStats};
use crate::error::{Error, ErrorKind, Result, borrowed_text, checked, done};
use crate::event::{DomainEvent, Event, Lifecycle, PoolEvent};
use crate::registry::{Key, Registry};
use crate::typed_parameter::visit;
use crate::{network, storage};

type Receiver = dyn Fn(Event) + Send + Sync;

static RECEIVERS: Registry<Receiver> = Registry::new();

/// A receiver of events; it hears no more of them once this is dropped.
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
    /// has. The receiver runs in the event loop of the process, one event at a time and in libvirt's order. It
    /// must be brief and must not call libvirt: put the event into a queue. Networks and pools are
    /// left out where this libvirt has no driver for them. Events that happen while the connection
    /// is down are lost; look at everything anew after a reconnect.
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
        // SAFETY: as in `register_domain`.
        let network = unsafe {
            sys::virConnectNetworkEventRegisterAny(
                connection,
                std::ptr::null_mut(),
                sys::VIR_NETWORK_EVENT_ID_LIFECYCLE.cast_signed(),
                network_callback(network_lifecycle),
                opaque,
                None,
            )
        };
        let network = checked(network, "virConnectNetworkEventRegisterAny");
        self.callbacks
            .extend(if_supported(network)?.map(Callback::Network));
        for (event, callback) in [
            (
                sys::VIR_STORAGE_POOL_EVENT_ID_LIFECYCLE,
                pool_callback(pool_lifecycle),
            ),
            (
                sys::VIR_STORAGE_POOL_EVENT_ID_REFRESH,
                Some(pool_refresh as _),
            ),
        ] {
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

type DomainCallback = sys::virConnectDomainEventGenericCallback;

/// Erases a callback's own type, as libvirt's registration asks for.
macro_rules! erased {
    ($callback:ident : $own:ty as $generic:ty) => {{
        let callback: $own = Some($callback);
        // SAFETY: both are optional pointers to C functions; libvirt calls this one with the
        // arguments of its own type, which belongs to the event that it is registered for.
        unsafe { std::mem::transmute::<$own, $generic>(callback) }
    }};
}

/// The domain events that are asked for. `IO_ERROR_REASON` tells more than `IO_ERROR`.
fn domain_callbacks() -> [(u32, DomainCallback); 10] {
    [
        (
            sys::VIR_DOMAIN_EVENT_ID_LIFECYCLE,
            erased!(lifecycle: sys::virConnectDomainEventCallback as DomainCallback),
        ),
        (
            sys::VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE,
            erased!(agent: sys::virConnectDomainEventAgentLifecycleCallback as DomainCallback),
        ),
        (
            sys::VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON,
            erased!(io_error: sys::virConnectDomainEventIOErrorReasonCallback as DomainCallback),
        ),
        (
            sys::VIR_DOMAIN_EVENT_ID_WATCHDOG,
            erased!(watchdog: sys::virConnectDomainEventWatchdogCallback as DomainCallback),
        ),
        (
            sys::VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE,
            erased!(balloon: sys::virConnectDomainEventBalloonChangeCallback as DomainCallback),
        ),
        (
            sys::VIR_DOMAIN_EVENT_ID_DEVICE_ADDED,
            erased!(device_added: sys::virConnectDomainEventDeviceAddedCallback as DomainCallback),
        ),
        (
            sys::VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED,
            erased!(
                device_removed:
                    sys::virConnectDomainEventDeviceRemovedCallback as DomainCallback
            ),
        ),
        (
            sys::VIR_DOMAIN_EVENT_ID_METADATA_CHANGE,
            erased!(metadata: sys::virConnectDomainEventMetadataChangeCallback as DomainCallback),
        ),
        (
            sys::VIR_DOMAIN_EVENT_ID_JOB_COMPLETED,
            erased!(
                job_completed: sys::virConnectDomainEventJobCompletedCallback as DomainCallback
            ),
        ),
        (sys::VIR_DOMAIN_EVENT_ID_REBOOT, Some(reboot)),
    ]
}

type NetworkLifecycle =
    unsafe extern "C" fn(sys::virConnectPtr, sys::virNetworkPtr, c_int, c_int, *mut c_void);

fn network_callback(callback: NetworkLifecycle) -> sys::virConnectNetworkEventGenericCallback {
    type Own = Option<NetworkLifecycle>;
    let callback: Own = Some(callback);
    // SAFETY: both are optional pointers to C functions; libvirt calls this one with the arguments
    // of its own type, which belongs to the event that it is registered for.
    unsafe { std::mem::transmute::<Own, sys::virConnectNetworkEventGenericCallback>(callback) }
}

type PoolLifecycle =
    unsafe extern "C" fn(sys::virConnectPtr, sys::virStoragePoolPtr, c_int, c_int, *mut c_void);

fn pool_callback(callback: PoolLifecycle) -> sys::virConnectStoragePoolEventGenericCallback {
    type Own = Option<PoolLifecycle>;
    let callback: Own = Some(callback);
    // SAFETY: both are optional pointers to C functions; libvirt calls this one with the arguments
    // of its own type, which belongs to the event that it is registered for.
    unsafe { std::mem::transmute::<Own, sys::virConnectStoragePoolEventGenericCallback>(callback) }
}

/// Delivers a domain's event.
///
/// # Safety
/// `domain` must be valid during the call.
unsafe fn deliver(
    domain: sys::virDomainPtr,
    opaque: *mut c_void,
    event: impl FnOnce() -> DomainEvent,
) {
    RECEIVERS.deliver(opaque, |receiver| {
        // SAFETY: as the caller promises; it needs no call to libvirtd.
        match unsafe { domain::identity(domain) } {
            Ok((uuid, name)) => receiver(Event::Domain {
                uuid,
                name,
                event: event(),
            }),
            Err(error) => tracing::error!(%error, "an event came without a domain"),
        }
    });
}

/// # Safety
/// `value` must be null or a valid string during the call.
unsafe fn word(value: *const c_char) -> String {
    // SAFETY: as the caller promises.
    unsafe { borrowed_text(value) }.unwrap_or_default()
}

// The functions that libvirt calls. Each is called with a valid domain, network or pool, with
// strings that are null or valid, and with the key that was registered; all of it for the call.

unsafe extern "C" fn lifecycle(
    _: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    event: c_int,
    detail: c_int,
    opaque: *mut c_void,
) -> c_int {
    // SAFETY: the domain is valid during the call.
    unsafe {
        deliver(domain, opaque, || {
            DomainEvent::Lifecycle(Lifecycle::from_codes(event, detail))
        });
    }
    0
}

unsafe extern "C" fn agent(
    _: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    state: c_int,
    _reason: c_int,
    opaque: *mut c_void,
) {
    // SAFETY: the domain is valid during the call.
    unsafe { deliver(domain, opaque, || DomainEvent::Agent(state.into())) };
}

unsafe extern "C" fn io_error(
    _: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    path: *const c_char,
    device: *const c_char,
    action: c_int,
    reason: *const c_char,
    opaque: *mut c_void,
) {
    // SAFETY: the domain and the strings are valid during the call.
    unsafe {
        deliver(domain, opaque, || DomainEvent::IoError {
            path: word(path),
            device: word(device),
            action: action.into(),
            reason: word(reason),
        });
    }
}

unsafe extern "C" fn watchdog(
    _: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    action: c_int,
    opaque: *mut c_void,
) {
    // SAFETY: the domain is valid during the call.
    unsafe { deliver(domain, opaque, || DomainEvent::Watchdog(action.into())) };
}

unsafe extern "C" fn balloon(
    _: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    kibibytes: c_ulonglong,
    opaque: *mut c_void,
) {
    let bytes = kibibytes.saturating_mul(1024);
    // SAFETY: the domain is valid during the call.
    unsafe { deliver(domain, opaque, || DomainEvent::BalloonChanged(bytes)) };
}

unsafe extern "C" fn device_added(
    _: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    alias: *const c_char,
    opaque: *mut c_void,
) {
    // SAFETY: the domain and the string are valid during the call.
    unsafe { deliver(domain, opaque, || DomainEvent::DeviceAdded(word(alias))) };
}

unsafe extern "C" fn device_removed(
    _: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    alias: *const c_char,
    opaque: *mut c_void,
) {
    // SAFETY: the domain and the string are valid during the call.
    unsafe { deliver(domain, opaque, || DomainEvent::DeviceRemoved(word(alias))) };
}

unsafe extern "C" fn metadata(
    _: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    kind: c_int,
    namespace: *const c_char,
    opaque: *mut c_void,
) {
    // SAFETY: the domain and the string are valid during the call.
    unsafe {
        deliver(domain, opaque, || DomainEvent::MetadataChanged {
            kind: kind.into(),
            namespace: borrowed_text(namespace),
        });
    }
}

unsafe extern "C" fn job_completed(
    _: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    list: sys::virTypedParameterPtr,
    count: c_int,
    opaque: *mut c_void,
) {
    // SAFETY: the domain and the list of `count` parameters are valid during the call.
    unsafe {
        deliver(domain, opaque, || {
            let mut stats = JobStats::default();
            visit(list, count, |name, value| stats.take(name, value));
            DomainEvent::JobCompleted(Box::new(stats))
        });
    }
}

unsafe extern "C" fn reboot(_: sys::virConnectPtr, domain: sys::virDomainPtr, opaque: *mut c_void) {
    // SAFETY: the domain is valid during the call.
    unsafe { deliver(domain, opaque, || DomainEvent::Rebooted) };
}

unsafe extern "C" fn network_lifecycle(
    _: sys::virConnectPtr,
    network: sys::virNetworkPtr,
    event: c_int,
    _detail: c_int,
    opaque: *mut c_void,
) {
    RECEIVERS.deliver(opaque, |receiver| {
        // SAFETY: the network is valid during the call.
        match unsafe { network::identity(network) } {
            Ok((uuid, name)) => receiver(Event::Network {
                uuid,
                name,
                event: event.into(),
            }),
            Err(error) => tracing::error!(%error, "an event came without a network"),
        }
    });
}

unsafe extern "C" fn pool_lifecycle(
    _: sys::virConnectPtr,
    pool: sys::virStoragePoolPtr,
    event: c_int,
    _detail: c_int,
    opaque: *mut c_void,
) {
    // SAFETY: the pool is valid during the call.
    unsafe { deliver_pool(pool, opaque, PoolEvent::from_code(event)) };
}

unsafe extern "C" fn pool_refresh(
    _: sys::virConnectPtr,
    pool: sys::virStoragePoolPtr,
    opaque: *mut c_void,
) {
    // SAFETY: the pool is valid during the call.
    unsafe { deliver_pool(pool, opaque, PoolEvent::Refreshed) };
}

/// # Safety
/// `pool` must be valid during the call.
unsafe fn deliver_pool(pool: sys::virStoragePoolPtr, opaque: *mut c_void, event: PoolEvent) {
    RECEIVERS.deliver(opaque, |receiver| {
        // SAFETY: as the caller promises.
        match unsafe { storage::pool_identity(pool) } {
            Ok((uuid, name)) => receiver(Event::Pool { uuid, name, event }),
            Err(error) => tracing::error!(%error, "an event came without a pool"),
        }
    });
}
