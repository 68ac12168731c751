// SPDX-License-Identifier: GPL-3.0-or-later
//! A domain's serial console, pumped to and from a descriptor.
//!
//! ```text
//!              ┌────────────── Pump: one thread ───────────────┐
//!  guest ──────┤ stream ──> output (bounded, surplus dropped) ──> descriptor ──── viewer
//!        <─────┤        <── input (bounded, the viewer waits) <──            <────
//!              └───────────────────────────────────────────────┘
//! ```
//! A guest that floods its console, with a viewer that does not read, loses output, as on a real
//! serial line; it never makes this process grow. A guest that does not read makes the viewer wait.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use uuid::Uuid;
use virt_sys as sys;

use crate::connection::Connection;
use crate::error::{Error, ErrorKind, Result, done, text};
use crate::stream::{Arm, Mode, Moved, Signal, Stream};

/// Output that is kept for a viewer that does not read.
const OUTPUT_MAX: usize = 256 * 1024;
/// Bytes that are moved at once.
const CHUNK: usize = 16 * 1024;
/// Receives in a row before the descriptor gets its turn.
const RECEIVES_MAX: usize = 16;
/// How long the last output waits for the viewer after the guest's end.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// What happens to somebody who already has the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsoleAccess {
    /// They keep it, and opening fails with `InvalidState` or `Busy`.
    Shared,
    /// They lose it.
    Force,
}

/// An open console.
pub struct Console {
    stream: Stream,
    /// Of its own, so that a stuck console holds nothing else up; closed after the stream.
    connection: Connection,
}

/// A console that is being pumped. Dropping this lets the pump go on until either side closes.
pub struct Pump {
    thread: JoinHandle<Result<()>>,
    stop: Arc<Stop>,
}

/// What ends a pump from outside.
struct Stop {
    asked: AtomicBool,
    /// The connection broke. libvirt does not tell its streams, so the connection's notice does.
    lost: AtomicBool,
    signal: Arc<Signal>,
}

impl Connection {
    /// Opens the console of a running domain, on a connection of its own.
    ///
    /// `device` is the alias of a serial port or console, such as `serial0`; `None` is the first.
    pub fn open_console(
        &self,
        domain: Uuid,
        device: Option<&str>,
        access: ConsoleAccess,
    ) -> Result<Console> {
        const FUNCTION: &str = "virDomainOpenConsole";
        let device = device.map(|device| text(device, FUNCTION)).transpose()?;
        let device = device
            .as_ref()
            .map_or(std::ptr::null(), |device| device.as_ptr());
        let flags = match access {
            ConsoleAccess::Shared => 0,
            ConsoleAccess::Force => sys::VIR_DOMAIN_CONSOLE_FORCE,
        };
        let connection = self.another()?;
        let domain = connection.domain_by_uuid(domain)?;
        // SAFETY: the connection is live.
        let mut stream = unsafe { Stream::new(connection.as_ptr(), Mode::NonBlocking) }?;
        // SAFETY: domain and stream are live and of one connection; the alias is null or a valid
        // string for the call.
        let opened =
            unsafe { sys::virDomainOpenConsole(domain.as_ptr(), device, stream.as_ptr(), flags) };
        done(opened, FUNCTION)?;
        stream.opened();
        Ok(Console { stream, connection })
    }
}

impl Console {
    /// Copies both ways between the console and `descriptor`, which is most often an end of a
    /// socket pair, until either side closes. Makes the descriptor non-blocking.
    pub fn pump(self, descriptor: OwnedFd) -> Result<Pump> {
        let Self {
            mut stream,
            connection,
        } = self;
        let signal = Arc::new(Signal::new()?);
        set_nonblocking(&descriptor)?;
        stream.watch(Arc::clone(&signal))?;
        let stop = Arc::new(Stop {
            asked: AtomicBool::new(false),
            lost: AtomicBool::new(false),
            signal,
        });
        let told = Arc::clone(&stop);
        connection.on_close(move |_reason| told.lose())?;
        if !connection.is_alive() {
            stop.lose();
        }
        let shared = Arc::clone(&stop);
        let run = move || {
            // Dropped in the reverse order: the viewer sees its end even while libvirt is slow to
            // confirm the stream's, and the stream ends on its connection.
            let _connection = connection;
            let mut stream = stream;
            let mut copy = Copy::new(descriptor, shared);
            copy.run(&mut stream)?;
            let ended = copy.ended;
            drop(copy);
            if ended { stream.finish() } else { Ok(()) }
        };
        let thread = thread::Builder::new()
            .name("libvirt-console".to_owned())
            .spawn(run);
        thread.map(|thread| Pump { thread, stop }).map_err(|error| {
            let message = format!("a thread for the console can't start: {error}");
            Error::new(ErrorKind::Internal, message, "virDomainOpenConsole")
        })
    }
}

impl Stop {
    fn lose(&self) {
        self.lost.store(true, Ordering::Release);
        self.signal.wake();
    }
}

impl Pump {
    /// Ends the pump; both sides see the end.
    pub fn stop(&self) {
        self.stop.asked.store(true, Ordering::Release);
        self.stop.signal.wake();
    }

    /// Whether it has ended.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for its end; an error is one of libvirt's side.
    pub fn wait(self) -> Result<()> {
        self.thread.join().unwrap_or_else(|_panic| {
            let message = "the console's thread panicked".to_owned();
            Err(Error::new(ErrorKind::Internal, message, "virStreamRecv"))
        })
    }
}

impl std::fmt::Debug for Pump {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Pump")
            .field("finished", &self.is_finished())
            .finish()
    }
}

fn set_nonblocking(descriptor: &OwnedFd) -> Result<()> {
    let set =
        fcntl_getfl(descriptor).and_then(|flags| fcntl_setfl(descriptor, flags | OFlags::NONBLOCK));
    set.map_err(|error| descriptor_error("can't be made non-blocking", error))
}

fn descriptor_error(what: &str, error: Errno) -> Error {
    let message = format!("the console's descriptor {what}: {error}");
    Error::new(ErrorKind::Internal, message, "virDomainOpenConsole")
}

/// The two directions of a console under way.
struct Copy {
    descriptor: OwnedFd,
    stop: Arc<Stop>,
    /// From the guest, not yet written to the descriptor.
    output: VecDeque<u8>,
    /// From the descriptor, not yet sent to the guest.
    input: Vec<u8>,
    chunk: Vec<u8>,
    /// The stream has more to receive than this turn took.
    more: bool,
    /// The guest's side has ended.
    ended: bool,
    /// The viewer's side has gone.
    gone: bool,
    flush_until: Option<Instant>,
}

impl Copy {
    fn new(descriptor: OwnedFd, stop: Arc<Stop>) -> Self {
        Self {
            descriptor,
            stop,
            output: VecDeque::new(),
            input: Vec::new(),
            chunk: vec![0; CHUNK],
            more: true,
            ended: false,
            gone: false,
            flush_until: None,
        }
    }

    fn run(&mut self, stream: &mut Stream) -> Result<()> {
        loop {
            self.stop.signal.clear();
            if self.stop.asked.load(Ordering::Acquire) {
                return Ok(());
            }
            if self.stop.lost.load(Ordering::Acquire) {
                let message = "the connection to libvirt broke".to_owned();
                return Err(Error::new(ErrorKind::Unavailable, message, "virStreamRecv"));
            }
            if !self.ended {
                self.receive(stream)?;
            }
            self.write();
            self.read();
            let blocked = self.send(stream)?;
            if self.gone || (self.ended && self.flushed()) {
                return Ok(());
            }
            if !self.more && !self.ended {
                stream.arm(if blocked {
                    Arm::Sending
                } else {
                    Arm::Receiving
                })?;
            }
            self.wait()?;
        }
    }

    /// Takes what the guest has written; what does not fit any more is lost.
    fn receive(&mut self, stream: &mut Stream) -> Result<()> {
        for _ in 0..RECEIVES_MAX {
            match stream.receive(&mut self.chunk)? {
                Moved::WouldBlock => {
                    self.more = false;
                    return Ok(());
                }
                Moved::Bytes(0) => {
                    self.ended = true;
                    self.more = false;
                    return Ok(());
                }
                Moved::Bytes(count) => {
                    let room = OUTPUT_MAX.saturating_sub(self.output.len());
                    self.output.extend(self.chunk.iter().take(count.min(room)));
                }
            }
        }
        self.more = true;
        Ok(())
    }

    fn write(&mut self) {
        while !self.output.is_empty() {
            match rustix::io::write(&self.descriptor, self.output.as_slices().0) {
                Ok(count) => drop(self.output.drain(..count)),
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => {}
                Err(_closed) => {
                    self.gone = true;
                    return;
                }
            }
        }
    }

    fn read(&mut self) {
        if !self.input.is_empty() || self.ended {
            return;
        }
        match rustix::io::read(&self.descriptor, &mut self.chunk[..]) {
            Ok(0) => self.gone = true,
            Ok(count) => self.input.extend(self.chunk.iter().take(count)),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_closed) => self.gone = true,
        }
    }

    /// Whether sending has to wait for room.
    fn send(&mut self, stream: &mut Stream) -> Result<bool> {
        if self.ended {
            self.input.clear();
        }
        while !self.input.is_empty() {
            match stream.send(&self.input)? {
                Moved::WouldBlock => return Ok(true),
                Moved::Bytes(count) => drop(self.input.drain(..count.min(self.input.len()))),
            }
        }
        Ok(false)
    }

    /// Whether the last output is out, or has waited long enough.
    fn flushed(&mut self) -> bool {
        let now = Instant::now();
        let until = *self.flush_until.get_or_insert(now + FLUSH_TIMEOUT);
        self.output.is_empty() || now >= until
    }

    /// Sleeps until there is something to do.
    fn wait(&mut self) -> Result<()> {
        let mut wanted = PollFlags::empty();
        if self.input.is_empty() && !self.ended {
            wanted |= PollFlags::IN;
        }
        if !self.output.is_empty() {
            wanted |= PollFlags::OUT;
        }
        let timeout = match self.flush_until {
            _ if self.more => Some(Duration::ZERO),
            Some(until) => Some(until.saturating_duration_since(Instant::now())),
            None => None,
        };
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let mut descriptors = [
            PollFd::from_borrowed_fd(self.descriptor.as_fd(), wanted),
            PollFd::from_borrowed_fd(self.stop.signal.as_fd(), PollFlags::IN),
        ];
        match poll(&mut descriptors, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(descriptor_error("can't be waited for", error)),
        }
        let [descriptor, _signal] = descriptors;
        let closed = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
        // While input waits for the guest nothing is read, so that a hang-up shows here alone.
        if !wanted.contains(PollFlags::IN) && descriptor.revents().intersects(closed) {
            self.gone = true;
        }
        Ok(())
    }
}
