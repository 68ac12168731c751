// SPDX-License-Identifier: GPL-3.0-or-later
//! Reference-counted objects of libvirt, and lists of them.

use std::ffi::c_int;
use std::ptr::NonNull;

use crate::error::{Result, checked};

/// A type that owns one reference to an object of libvirt and gives it up when dropped.
macro_rules! handle {
    ($(#[$outer:meta])* pub struct $name:ident(virt_sys::$raw:ident), freed by $free:ident) => {
        $(#[$outer])*
        pub struct $name {
            pointer: std::ptr::NonNull<virt_sys::$raw>,
        }

        // SAFETY: libvirt documents its objects as usable from any thread.
        unsafe impl Send for $name {}
        // SAFETY: libvirt documents its objects as usable from several threads at once; nothing
        // here changes an object in place.
        unsafe impl Sync for $name {}

        impl $name {
            /// Takes over one reference.
            ///
            /// # Safety
            /// The pointer must be valid, and the caller must own the reference that it gives.
            pub(crate) unsafe fn from_raw(pointer: std::ptr::NonNull<virt_sys::$raw>) -> Self {
                Self { pointer }
            }

            /// The object as C takes it; valid as long as `self`.
            pub(crate) fn as_ptr(&self) -> *mut virt_sys::$raw {
                self.pointer.as_ptr()
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                // SAFETY: the reference is owned and given up once, here.
                let freed = unsafe { virt_sys::$free(self.pointer.as_ptr()) };
                if let Err(error) = $crate::error::done(freed, stringify!($free)) {
                    tracing::debug!(%error, "libvirt did not free a handle");
                }
            }
        }
    };
}

pub(crate) use handle;

/// Calls a libvirt function that returns a list, and takes over the list and all its members.
///
/// # Safety
/// On success `call` must have stored a `malloc`ed array of as many owned, valid pointers as it
/// returned; `wrap` is given each of them once and takes it over.
pub(crate) unsafe fn list<T, H>(
    function: &'static str,
    call: impl FnOnce(*mut *mut *mut T) -> c_int,
    wrap: impl Fn(NonNull<T>) -> H,
) -> Result<Vec<H>> {
    let mut array: *mut *mut T = std::ptr::null_mut();
    let count = checked(call(&raw mut array), function)?;
    let count = usize::try_from(count).unwrap_or(0);
    if array.is_null() {
        return Ok(Vec::new());
    }
    // SAFETY: the caller promises `count` valid pointers.
    let members = unsafe { std::slice::from_raw_parts(array, count) };
    let handles = members
        .iter()
        .filter_map(|member| NonNull::new(*member))
        .map(wrap)
        .collect();
    // SAFETY: the array itself comes from malloc, and its members have new owners.
    unsafe { libc::free(array.cast()) };
    Ok(handles)
}
