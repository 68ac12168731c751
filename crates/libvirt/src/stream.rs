// SPDX-License-Identifier: GPL-3.0-or-later
//! libvirt's streams: bytes that travel on a connection beside its calls.
//!
//! What is sound, from libvirt's own code:
//! - A *blocking* stream belongs to one thread. A thread that waits in a receive is not reliably
//!   woken by an abort from another one, so nothing here tries that; transfers of volumes, which
//!   end by themselves, use blocking streams.
//! - A *non-blocking* stream is driven by readiness: the callback runs in the event loop, and
//!   libvirt calls it again and again as long as the stream is ready. So the callback only takes
//!   back its own arming and then wakes the thread that drives the stream; that thread moves the
//!   bytes until it would block and arms the callback anew. Waking after disarming means that no
//!   readiness is lost.
//! - Sending may block inside libvirt even on a non-blocking stream, while libvirtd does not read
//!   the socket. It must never happen in the event loop, which serves all connections.
//! - What arrives and is not received queues up in this process without a limit. Whoever drives a
//!   stream has to receive, and to throw away what its own side does not take.

use std::ffi::{c_int, c_void};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;

use rustix::event::{EventfdFlags, eventfd};
use virt_sys as sys;

use crate::error::{Error, ErrorKind, Result, done, pointer};
use crate::registry::{Key, Registry};

/// The most bytes of one message of a stream.
pub(crate) const MESSAGE_MAX: usize = 262_120;

/// libvirt's "would block".
const WOULD_BLOCK: c_int = -2;

static SIGNALS: Registry<Signal> = Registry::new();

/// How a stream waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// In the call.
    Blocking,
    /// Not at all; see [`Stream::watch`].
    NonBlocking,
}

/// What became of an attempt to move bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    /// So many bytes; 0 received is the end of the stream.
    Bytes(usize),
    /// None yet.
    WouldBlock,
}

/// A stream; aborted when it is dropped before it is finished.
pub(crate) struct Stream {
    pointer: NonNull<sys::virStream>,
    watched: Option<Key>,
    open: bool,
}

// SAFETY: libvirt's streams may be used from any thread, and `Stream` is not `Sync`: one at a time.
unsafe impl Send for Stream {}

impl Stream {
    /// A stream that is not yet connected to anything.
    ///
    /// # Safety
    /// `connection` must be valid during the call.
    pub(crate) unsafe fn new(connection: sys::virConnectPtr, mode: Mode) -> Result<Self> {
        let flags = match mode {
            Mode::Blocking => 0,
            Mode::NonBlocking => sys::VIR_STREAM_NONBLOCK,
        };
        // SAFETY: the caller promises a valid connection, on which the stream takes a reference.
        let stream = unsafe { sys::virStreamNew(connection, flags) };
        Ok(Self {
            pointer: pointer(stream, "virStreamNew")?,
            watched: None,
            open: false,
        })
    }

    /// The stream as C takes it; valid as long as `self`.
    pub(crate) fn as_ptr(&self) -> sys::virStreamPtr {
        self.pointer.as_ptr()
    }

    /// Notes that a call has connected the stream, so that it has to be finished or aborted.
    pub(crate) fn opened(&mut self) {
        self.open = true;
    }

    /// Sends the beginning of `bytes`.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<Moved> {
        let bytes = bytes.get(..MESSAGE_MAX).unwrap_or(bytes);
        // SAFETY: the stream is live; libvirt reads at most as many bytes as there are.
        let sent = unsafe { sys::virStreamSend(self.as_ptr(), bytes.as_ptr().cast(), bytes.len()) };
        self.moved(sent, "virStreamSend")
    }

    /// Receives into the beginning of `buffer`.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> Result<Moved> {
        let length = buffer.len().min(MESSAGE_MAX);
        // SAFETY: the stream is live; libvirt writes at most `length` bytes, which there are.
        let received =
            unsafe { sys::virStreamRecv(self.as_ptr(), buffer.as_mut_ptr().cast(), length) };
        self.moved(received, "virStreamRecv")
    }

    fn moved(&mut self, returned: c_int, function: &'static str) -> Result<Moved> {
        match usize::try_from(returned) {
            Ok(count) => Ok(Moved::Bytes(count)),
            Err(_) if returned == WOULD_BLOCK => Ok(Moved::WouldBlock),
            Err(_) => {
                let error = Error::last(function);
                // libvirt has aborted the stream.
                self.open = false;
                Err(error)
            }
        }
    }

    /// Ends the stream and waits until the other end has taken everything.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.open = false;
        self.unwatch();
        // SAFETY: the stream is live.
        done(
            unsafe { sys::virStreamFinish(self.as_ptr()) },
            "virStreamFinish",
        )
    }

    /// Wakes `signal` each time that the stream is ready for what it was armed for; see
    /// [`arm`](Self::arm).
    pub(crate) fn watch(&mut self, signal: Arc<Signal>) -> Result<()> {
        self.unwatch();
        let key = SIGNALS.add(signal);
        // SAFETY: the stream is live; the callback lives for ever and reads its opaque value as a
        // number, so that no free function is needed.
        let added = unsafe {
            let callback = Some(ready as unsafe extern "C" fn(_, _, _));
            sys::virStreamEventAddCallback(self.as_ptr(), 0, callback, key.opaque(), None)
        };
        let added = done(added, "virStreamEventAddCallback");
        if added.is_ok() {
            self.watched = Some(key);
        } else {
            SIGNALS.remove(key);
        }
        added
    }

    /// Asks to be woken once: when there is something to receive or the stream ended, and with
    /// `Sending` also when there is room to send.
    pub(crate) fn arm(&self, for_what: Arm) -> Result<()> {
        let events = match for_what {
            Arm::Receiving => sys::VIR_STREAM_EVENT_READABLE,
            Arm::Sending => sys::VIR_STREAM_EVENT_READABLE | sys::VIR_STREAM_EVENT_WRITABLE,
        };
        // SAFETY: the stream is live.
        let armed =
            unsafe { sys::virStreamEventUpdateCallback(self.as_ptr(), events.cast_signed()) };
        done(armed, "virStreamEventUpdateCallback")
    }

    fn unwatch(&mut self) {
        let Some(key) = self.watched.take() else {
            return;
        };
        SIGNALS.remove(key);
        // SAFETY: the stream is live and has a callback.
        let removed = unsafe { sys::virStreamEventRemoveCallback(self.as_ptr()) };
        if let Err(error) = done(removed, "virStreamEventRemoveCallback") {
            tracing::debug!(%error, "libvirt kept a stream's callback");
        }
    }
}

/// What a stream is to wake for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arm {
    Receiving,
    Sending,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.unwatch();
        if self.open {
            // SAFETY: the stream is live.
            let aborted = unsafe { sys::virStreamAbort(self.as_ptr()) };
            if let Err(error) = done(aborted, "virStreamAbort") {
                tracing::debug!(%error, "a stream was not aborted cleanly");
            }
        }
        // SAFETY: the reference is owned and given up once, here.
        let freed = unsafe { sys::virStreamFree(self.as_ptr()) };
        if let Err(error) = done(freed, "virStreamFree") {
            tracing::debug!(%error, "libvirt did not free a stream");
        }
    }
}

/// What libvirt calls in the event loop when an armed stream is ready.
unsafe extern "C" fn ready(stream: sys::virStreamPtr, _events: c_int, opaque: *mut c_void) {
    // SAFETY: libvirt calls with a valid stream that has this callback. Disarming fails only if
    // the callback was removed meanwhile, and then nothing is left to disarm.
    unsafe { sys::virStreamEventUpdateCallback(stream, 0) };
    SIGNALS.deliver(opaque, Signal::wake);
}

/// Something that a thread can wait for together with other descriptors.
pub(crate) struct Signal(OwnedFd);

impl Signal {
    pub(crate) fn new() -> Result<Self> {
        let made = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        made.map(Self).map_err(|error| {
            let message = format!("no descriptor to wait for a stream: {error}");
            Error::new(ErrorKind::Internal, message, "virStreamEventAddCallback")
        })
    }

    /// Makes the descriptor readable.
    pub(crate) fn wake(&self) {
        // It fails only when the counter is at its top, and then it is readable already.
        let _already_awake = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    /// Makes the descriptor not readable again.
    pub(crate) fn clear(&self) {
        // It fails only when it is not readable, which is what is wanted.
        let _already_clear = rustix::io::read(&self.0, &mut [0; 8]);
    }
}

impl AsFd for Signal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
