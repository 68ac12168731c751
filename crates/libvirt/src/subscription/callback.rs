// SPDX-License-Identifier: GPL-3.0-or-later
//! The functions that libvirt calls when something happened.

use std::ffi::{c_char, c_int, c_ulonglong, c_void};

use virt_sys as sys;

use crate::domain::{self, JobStats};
use crate::error::borrowed_text;
use crate::event::{DomainEvent, Event, Lifecycle, PoolEvent};
use crate::registry::Registry;
use crate::typed_parameter::visit;
use crate::{network, storage};

/// What a subscription calls with each event.
pub(super) type Receiver = dyn Fn(Event) + Send + Sync;

/// The receivers of all subscriptions.
pub(super) static RECEIVERS: Registry<Receiver> = Registry::new();

pub(super) type DomainCallback = sys::virConnectDomainEventGenericCallback;
pub(super) type NetworkCallback = sys::virConnectNetworkEventGenericCallback;
pub(super) type PoolCallback = sys::virConnectStoragePoolEventGenericCallback;

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
pub(super) fn domain_callbacks() -> [(u32, DomainCallback); 10] {
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

/// The network events that are asked for.
pub(super) fn network_callback() -> (u32, NetworkCallback) {
    (
        sys::VIR_NETWORK_EVENT_ID_LIFECYCLE,
        erased!(network_lifecycle: sys::virConnectNetworkEventLifecycleCallback as NetworkCallback),
    )
}

/// The pool events that are asked for.
pub(super) fn pool_callbacks() -> [(u32, PoolCallback); 2] {
    [
        (
            sys::VIR_STORAGE_POOL_EVENT_ID_LIFECYCLE,
            erased!(
                pool_lifecycle: sys::virConnectStoragePoolEventLifecycleCallback as PoolCallback
            ),
        ),
        (sys::VIR_STORAGE_POOL_EVENT_ID_REFRESH, Some(pool_refresh)),
    ]
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
