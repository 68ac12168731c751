// SPDX-License-Identifier: GPL-3.0-or-later
//! The one event loop of the process, which carries events, keepalives and stream readiness.
//!
//! libvirt asks that the loop is registered before the first connection is opened and that it
//! never stops. So it starts with the first [`Connection`](crate::Connection) and runs in a thread
//! of its own until the process ends.

use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use virt_sys as sys;

use crate::error::{Error, ErrorKind, Result, done};

static STARTED: OnceLock<Result<()>> = OnceLock::new();

/// Starts the loop if it does not run yet.
pub(crate) fn start() -> Result<()> {
    STARTED.get_or_init(register_and_spawn).clone()
}

fn register_and_spawn() -> Result<()> {
    // SAFETY: takes nothing; may be called from any thread and more than once.
    done(unsafe { sys::virInitialize() }, "virInitialize")?;
    // SAFETY: the handler is a function of this crate that lives for ever and takes no data.
    unsafe { sys::virSetErrorFunc(std::ptr::null_mut(), Some(ignore_error)) };
    // SAFETY: takes nothing; `STARTED` sees to it that it is called once.
    let registered = unsafe { sys::virEventRegisterDefaultImpl() };
    done(registered, "virEventRegisterDefaultImpl")?;
    let spawned = thread::Builder::new()
        .name("libvirt-events".to_owned())
        .spawn(run);
    spawned.map(drop).map_err(|error| {
        let message = format!("the event loop's thread can't start: {error}");
        Error::new(ErrorKind::Internal, message, "virEventRunDefaultImpl")
    })
}

fn run() {
    loop {
        // SAFETY: takes nothing; the implementation is registered, and this thread alone runs it.
        let turned = done(
            unsafe { sys::virEventRunDefaultImpl() },
            "virEventRunDefaultImpl",
        );
        if let Err(error) = turned {
            tracing::error!(%error, "libvirt's event loop failed a turn");
            // A loop that fails at once, every time, must not take a whole CPU.
            thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Replaces libvirt's printing of every error to stderr: callers get them as values.
unsafe extern "C" fn ignore_error(_data: *mut std::ffi::c_void, _error: sys::virErrorPtr) {}
