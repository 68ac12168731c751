// SPDX-License-Identifier: GPL-3.0-or-later
//! Receivers of C callbacks, found by number.
//!
//! libvirt hands a callback back the opaque pointer that it was given. Here that "pointer" is a
//! number and never points at anything: the callback looks the receiver up. So a late callback
//! finds nothing instead of freed memory, and no leak depends on whether a driver calls its free
//! function.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The receivers of one sort of callback.
pub(crate) struct Registry<T: ?Sized>(Mutex<Receivers<T>>);

struct Receivers<T: ?Sized> {
    next: usize,
    by_key: BTreeMap<usize, Arc<T>>,
}

/// The number under which a receiver is registered; 0 is never one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(usize);

impl Key {
    /// The key in the shape in which libvirt carries it.
    pub(crate) fn opaque(self) -> *mut c_void {
        std::ptr::without_provenance_mut(self.0)
    }
}

impl<T: ?Sized> Registry<T> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Receivers {
            next: 1,
            by_key: BTreeMap::new(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Receivers<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, receiver: Arc<T>) -> Key {
        let mut receivers = self.lock();
        let key = receivers.next;
        receivers.next += 1;
        receivers.by_key.insert(key, receiver);
        Key(key)
    }

    pub(crate) fn remove(&self, key: Key) {
        let removed = self.lock().by_key.remove(&key.0);
        // Dropped with the lock released: a receiver's drop may take locks of its own.
        drop(removed);
    }

    /// Gives the receiver behind `opaque` to `deliver`, if it is still registered.
    ///
    /// For the body of a C callback: a panic ends here, since it must not unwind into C.
    pub(crate) fn deliver(&self, opaque: *mut c_void, deliver: impl FnOnce(&T)) {
        let receiver = self.lock().by_key.get(&opaque.addr()).cloned();
        let Some(receiver) = receiver else { return };
        let caught = catch_unwind(AssertUnwindSafe(move || {
            deliver(&receiver);
            drop(receiver);
        }));
        if caught.is_err() {
            tracing::error!("a receiver of libvirt's callbacks panicked; the notice is lost");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_receiver_hears_nothing() {
        static RECEIVERS: Registry<dyn Fn() + Send + Sync> = Registry::new();
        let (sender, heard) = std::sync::mpsc::channel();
        let key = RECEIVERS.add(Arc::new(move || sender.send(()).unwrap()));
        RECEIVERS.deliver(key.opaque(), |receiver| receiver());
        RECEIVERS.remove(key);
        RECEIVERS.deliver(key.opaque(), |receiver| receiver());
        assert_eq!(heard.iter().count(), 1);
    }

    #[test]
    fn a_panic_in_a_receiver_stays_here() {
        static RECEIVERS: Registry<dyn Fn() + Send + Sync> = Registry::new();
        let key = RECEIVERS.add(Arc::new(|| panic!("on purpose")));
        RECEIVERS.deliver(key.opaque(), |receiver| receiver());
        RECEIVERS.remove(key);
    }
}
