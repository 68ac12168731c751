// SPDX-License-Identifier: GPL-3.0-or-later
//! A connection to libvirt: opened with a time limit, watched by keepalives, closed once.
//!
//! Every call blocks its thread until libvirt answers or the connection breaks. A hung libvirtd is
//! noticed by the keepalive (15–20 s by default): calls under way then fail with
//! [`ErrorKind::Unavailable`] and [`Connection::on_close`] tells.
//!
//! A connection, with all that was found through it, serves one thread at a time. libvirt's
//! documentation allows more, but not its code before 10.4: where a connection breaks while two
//! threads wait in it, the second waits until libvirtd answers after all, and then libvirt reads a
//! stack that is gone (CVE-2024-4418). libvirt's own threads are no others in this sense.
//!
//! libvirt carries all calls and streams of a connection in one order. A stream whose other end
//! does not read can hold up everything behind it, so consoles and volume transfers deserve a
//! connection of their own: [`Connection::another`].

use std::ffi::{c_int, c_void};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use virt_sys as sys;

use crate::codes::code_enum;
use crate::error::{Error, ErrorKind, Result, checked, done, pointer, text};
use crate::event_loop;
use crate::registry::{Key, Registry};
use crate::typed_parameter::Parameters;

/// A connection to a libvirt; cheap to clone, closed when the last clone and handle is gone.
#[derive(Clone)]
pub struct Connection {
    inner: Arc<Inner>,
}

/// How to open a [`Connection`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenOptions {
    /// What the connection may do.
    pub access: Access,
    /// How a hung or vanished libvirtd is noticed; `None`: not at all.
    pub keepalive: Option<Keepalive>,
    /// How long opening may take.
    pub timeout: Duration,
}

/// What a connection may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everything that libvirt grants this user.
    ReadWrite,
    /// Only look.
    ReadOnly,
}

/// A connection counts as broken after `count` unanswered probes, `interval` apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// Seconds between two probes; at least 1.
    pub interval_seconds: u16,
    /// Unanswered probes before the connection is closed.
    pub count: u16,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            access: Access::ReadWrite,
            keepalive: Some(Keepalive {
                interval_seconds: 5,
                count: 3,
            }),
            timeout: Duration::from_secs(15),
        }
    }
}

code_enum! {
    /// Why a connection ended.
    pub enum CloseReason {
        /// An input/output error.
        Error = VIR_CONNECT_CLOSE_REASON_ERROR,
        /// libvirtd closed it, most often because it stopped.
        EndOfFile = VIR_CONNECT_CLOSE_REASON_EOF,
        /// libvirtd did not answer the keepalives.
        Keepalive = VIR_CONNECT_CLOSE_REASON_KEEPALIVE,
        /// This side closed it.
        Client = VIR_CONNECT_CLOSE_REASON_CLIENT,
    }
}

/// Whom libvirt's access control is to see as the caller of this connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The name of the user.
    pub user_name: String,
    /// The user's numeric id.
    pub user_id: u32,
    /// The numeric id of the user's group.
    pub group_id: u32,
    /// The caller's process.
    pub process_id: i64,
    /// When the process started, in clock ticks after boot (field 22 of `/proc/PID/stat`).
    pub process_time: u64,
}

impl Identity {
    /// A user whose process is this one: who calls from elsewhere has none on this host.
    pub fn through_this_process(user_name: &str, user_id: u32, group_id: u32) -> Result<Self> {
        const STAT: &str = "/proc/self/stat";
        let stat = std::fs::read_to_string(STAT).ok();
        let started = stat.as_deref().and_then(start_time);
        let process_time = started.ok_or_else(|| {
            let message = format!("{STAT} does not tell when this process started");
            Error::new(ErrorKind::Internal, message, "virConnectSetIdentity")
        })?;
        Ok(Self {
            user_name: user_name.to_owned(),
            user_id,
            group_id,
            process_id: std::process::id().into(),
            process_time,
        })
    }
}

/// Field 22 of `/proc/PID/stat`. The second field is a program's name, which may hold anything.
fn start_time(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(19)?.parse().ok()
}

/// The parts of a connection that its clones share.
struct Inner {
    pointer: NonNull<sys::virConnect>,
    uri: String,
    options: OpenOptions,
    close_notice: Mutex<Option<Key>>,
    /// Whom libvirt takes for the caller, if that is not this process.
    identity: Mutex<Option<Identity>>,
    /// Whether there is a subscription to its events.
    subscribed: AtomicBool,
}

// SAFETY: libvirt documents connections as usable from any thread.
unsafe impl Send for Inner {}
// SAFETY: libvirt documents connections as usable from several threads at once; it locks inside.
unsafe impl Sync for Inner {}

type CloseReceiver = dyn Fn(CloseReason) + Send + Sync;

static CLOSE_RECEIVERS: Registry<CloseReceiver> = Registry::new();

/// Attempts to open that outlived their time limit and still hold a thread.
static ABANDONED: AtomicUsize = AtomicUsize::new(0);
const ABANDONED_MAX: usize = 8;

impl Connection {
    /// Opens `uri`, such as `qemu:///system`, within the time limit of `options`.
    ///
    /// libvirt itself knows no limit here. An attempt that exceeds it goes on in a thread, and its
    /// late connection is closed; with too many of them waiting, further ones are refused.
    pub fn open(uri: &str, options: OpenOptions) -> Result<Self> {
        const FUNCTION: &str = "virConnectOpen";
        event_loop::start()?;
        let late = |message| Error::new(ErrorKind::TimedOut, message, FUNCTION);
        if ABANDONED.load(Ordering::Acquire) >= ABANDONED_MAX {
            return Err(late(format!(
                "{ABANDONED_MAX} earlier attempts still wait for libvirt"
            )));
        }
        let (sender, opened) = mpsc::sync_channel(0);
        let wanted = uri.to_owned();
        let attempt = move || {
            let result = open_blocking(&wanted, options);
            if sender.send(result).is_err() {
                ABANDONED.fetch_sub(1, Ordering::AcqRel);
            }
        };
        let spawned = thread::Builder::new()
            .name("libvirt-open".to_owned())
            .spawn(attempt);
        if let Err(error) = spawned {
            let message = format!("a thread to connect in can't start: {error}");
            return Err(Error::new(ErrorKind::Internal, message, FUNCTION));
        }
        match opened.recv_timeout(options.timeout) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => {
                // Counted before the channel closes, so that the attempt can't count down first.
                ABANDONED.fetch_add(1, Ordering::AcqRel);
                drop(opened);
                let seconds = options.timeout.as_secs_f32();
                Err(late(format!(
                    "libvirt did not answer {uri} within {seconds} s"
                )))
            }
            Err(RecvTimeoutError::Disconnected) => {
                let message = format!("the attempt to open {uri} ended without a result");
                Err(Error::new(ErrorKind::Internal, message, FUNCTION))
            }
        }
    }

    /// Opens one more connection, to the same libvirt, in the same way and with the same identity.
    pub fn another(&self) -> Result<Self> {
        let another = Self::open(&self.inner.uri, self.inner.options)?;
        if let Some(identity) = &*self.identity() {
            another.set_identity(identity)?;
        }
        Ok(another)
    }

    /// The URI that this connection was opened with.
    pub fn uri(&self) -> &str {
        &self.inner.uri
    }

    /// Whether the connection still stands, as far as this side knows; no call to libvirtd.
    pub fn is_alive(&self) -> bool {
        // SAFETY: the pointer is a live connection for as long as `self` is.
        unsafe { sys::virConnectIsAlive(self.as_ptr()) == 1 }
    }

    /// Calls `receiver` once when the connection breaks; replaces an earlier receiver.
    ///
    /// It runs in the event loop: it must be brief and must not call libvirt. It hears nothing of
    /// a connection that broke before, so look at [`is_alive`](Self::is_alive) afterwards. Drivers
    /// inside the process, such as `test:///default`, never break.
    pub fn on_close(&self, receiver: impl Fn(CloseReason) + Send + Sync + 'static) -> Result<()> {
        const FUNCTION: &str = "virConnectRegisterCloseCallback";
        let mut notice = self
            .inner
            .close_notice
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.inner.forget_close(notice.take());
        let key = CLOSE_RECEIVERS.add(Arc::new(receiver));
        // SAFETY: the connection is live; the callback lives for ever and reads its opaque value
        // as a number; no free function is needed.
        let registered = unsafe {
            let callback = Some(closed as unsafe extern "C" fn(_, _, _));
            sys::virConnectRegisterCloseCallback(self.as_ptr(), callback, key.opaque(), None)
        };
        let registered = done(registered, FUNCTION);
        if registered.is_ok() {
            *notice = Some(key);
        } else {
            CLOSE_RECEIVERS.remove(key);
        }
        registered
    }

    /// Makes libvirt judge everything that this connection does as done by `identity`, and so
    /// every connection that is opened from it.
    ///
    /// On an error nothing has changed: the connection still has its own rights. Where libvirt
    /// judges at all, it takes the right `connect.write`, so that somebody who lacks it can't
    /// become another again; where it does not (`access_drivers` is not set), this succeeds and
    /// means nothing.
    pub fn set_identity(&self, identity: &Identity) -> Result<()> {
        const FUNCTION: &str = "virConnectSetIdentity";
        let mut parameters = Parameters::new(FUNCTION);
        parameters.add_text(sys::VIR_CONNECT_IDENTITY_USER_NAME, &identity.user_name)?;
        parameters.add_u64(
            sys::VIR_CONNECT_IDENTITY_UNIX_USER_ID,
            identity.user_id.into(),
        )?;
        parameters.add_u64(
            sys::VIR_CONNECT_IDENTITY_UNIX_GROUP_ID,
            identity.group_id.into(),
        )?;
        parameters.add_i64(sys::VIR_CONNECT_IDENTITY_PROCESS_ID, identity.process_id)?;
        parameters.add_u64(
            sys::VIR_CONNECT_IDENTITY_PROCESS_TIME,
            identity.process_time,
        )?;
        let (list, count) = parameters.raw();
        // SAFETY: the connection is live, and the list with its count is valid for the call.
        let set = unsafe { sys::virConnectSetIdentity(self.as_ptr(), list, count, 0) };
        done(set, FUNCTION)?;
        *self.identity() = Some(identity.clone());
        Ok(())
    }

    fn identity(&self) -> MutexGuard<'_, Option<Identity>> {
        self.inner
            .identity
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the one place of a subscription to events; false if it is taken.
    pub(crate) fn claim_events(&self) -> bool {
        !self.inner.subscribed.swap(true, Ordering::AcqRel)
    }

    /// Gives the place of a subscription back.
    pub(crate) fn release_events(&self) {
        self.inner.subscribed.store(false, Ordering::Release);
    }

    /// The connection as C takes it; valid as long as `self`.
    pub(crate) fn as_ptr(&self) -> sys::virConnectPtr {
        self.inner.pointer.as_ptr()
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Connection")
            .field("uri", &self.inner.uri)
            .finish_non_exhaustive()
    }
}

fn open_blocking(uri: &str, options: OpenOptions) -> Result<Connection> {
    const FUNCTION: &str = "virConnectOpen";
    let name = text(uri, FUNCTION)?;
    // SAFETY: the name is a valid string for the call; the event loop is registered.
    let opened = unsafe {
        match options.access {
            Access::ReadWrite => sys::virConnectOpen(name.as_ptr()),
            Access::ReadOnly => sys::virConnectOpenReadOnly(name.as_ptr()),
        }
    };
    let inner = Inner {
        pointer: pointer(opened, FUNCTION)?,
        uri: uri.to_owned(),
        options,
        close_notice: Mutex::new(None),
        identity: Mutex::new(None),
        subscribed: AtomicBool::new(false),
    };
    if let Some(keepalive) = options.keepalive {
        let interval = c_int::from(keepalive.interval_seconds.max(1));
        // SAFETY: the connection was just opened and is live.
        let set = unsafe {
            sys::virConnectSetKeepAlive(inner.pointer.as_ptr(), interval, keepalive.count.into())
        };
        match checked(set, "virConnectSetKeepAlive") {
            Ok(0) => {}
            Ok(_) => tracing::debug!(uri, "this libvirtd answers no keepalives"),
            // A driver inside the process has nothing that could hang on the way.
            Err(error) if error.kind == ErrorKind::Unsupported => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Connection {
        inner: Arc::new(inner),
    })
}

/// What libvirt calls when a connection breaks.
unsafe extern "C" fn closed(_connection: sys::virConnectPtr, reason: c_int, opaque: *mut c_void) {
    CLOSE_RECEIVERS.deliver(opaque, |receiver| receiver(CloseReason::from(reason)));
}

impl Inner {
    fn forget_close(&self, notice: Option<Key>) {
        let Some(key) = notice else { return };
        CLOSE_RECEIVERS.remove(key);
        // SAFETY: the connection is live; this is the callback that was registered.
        let unregistered = unsafe {
            let callback = Some(closed as unsafe extern "C" fn(_, _, _));
            sys::virConnectUnregisterCloseCallback(self.pointer.as_ptr(), callback)
        };
        // The receiver is already deaf; libvirt refusing here only keeps a few bytes longer.
        if let Err(error) = done(unregistered, "virConnectUnregisterCloseCallback") {
            tracing::debug!(%error, "libvirt kept a close callback");
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let notice = self
            .close_notice
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        self.forget_close(notice);
        // SAFETY: this gives up the one reference that `open_blocking` was given; handles such as
        // domains hold references of their own, so the memory outlives them.
        let closed = unsafe { sys::virConnectClose(self.pointer.as_ptr()) };
        if let Err(error) = done(closed, "virConnectClose") {
            tracing::debug!(%error, uri = self.uri, "a connection did not close cleanly");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_of_a_process_is_read_behind_whatever_name_it_has() {
        let stat = "7 (a ) S 1 (b) R 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        assert_eq!(start_time(stat), Some(4711));
        assert_eq!(start_time("7 (short) R 1"), None);
    }

    #[test]
    fn an_identity_through_this_process_names_it() {
        let ada = Identity::through_this_process("ada", 1000, 1001).unwrap();
        assert_eq!((ada.user_id, ada.group_id), (1000, 1001));
        assert_eq!(ada.process_id, i64::from(std::process::id()));
        assert!(ada.process_time > 0);
    }
}
