// SPDX-License-Identifier: GPL-3.0-or-later
//! The port's near half: a host that is asked over a socket.

use std::{
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, TrySendError, sync_channel},
    },
    thread,
    time::Duration,
};

use hv_model::hypervisor::{Behalf, Fact, HypervisorError, HypervisorErrorKind, Result};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use crate::{
    ALIVE_EVERY,
    call::{Call, Patience, Request, value},
    deadline::Deadline,
    pool::Pool,
    wire::{ANSWER_LIMIT, CALL_LIMIT, Frame, Wire, WireError},
};

/// How many facts may wait for their reader. One who is slower has missed some, and is told by the
/// end of the channel.
const FACTS_WAITING: usize = 4096;

/// After so long a silence a subscription counts as broken.
const SILENCE: Duration = ALIVE_EVERY.saturating_mul(5);

/// A host behind a broker.
///
/// Connects at the first call, and again after the broker was restarted. A call whose connection
/// breaks fails with `Unavailable` and is never repeated here, since it may have been carried out.
#[derive(Debug)]
pub struct Client {
    line: Arc<Line>,
    behalf: Option<Behalf>,
}

/// The way to one broker, which is shared by whomever calls are made for.
#[derive(Debug)]
struct Line {
    path: PathBuf,
    timeouts: Timeouts,
    pool: Pool,
}

/// How long calls may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Looking something up, or passing something on.
    pub brief: Duration,
    /// Defining, starting, stopping, saving.
    pub long: Duration,
    /// Moving as many bytes as a disk has.
    pub bulk: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            brief: Duration::from_secs(30),
            long: Duration::from_secs(300),
            bulk: Duration::from_secs(6 * 3600),
        }
    }
}

impl Client {
    /// A host behind the broker that listens at this path. Nothing is connected yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self::with_timeouts(path, Timeouts::default())
    }

    /// The same, with other time limits.
    pub fn with_timeouts(path: impl Into<PathBuf>, timeouts: Timeouts) -> Self {
        let line = Line {
            path: path.into(),
            timeouts,
            pool: Pool::default(),
        };
        Self {
            line: Arc::new(line),
            behalf: None,
        }
    }

    /// The same host, whose calls are made for this person.
    pub(crate) fn with_behalf(&self, person: Behalf) -> Self {
        Self {
            line: Arc::clone(&self.line),
            behalf: Some(person),
        }
    }

    /// Where the broker listens.
    pub fn path(&self) -> &Path {
        &self.line.path
    }

    /// Makes a call for whom this client calls, and waits for its answer.
    pub(crate) fn call(
        &self,
        patience: Patience,
        method: Call,
        descriptor: Option<OwnedFd>,
    ) -> Result<Frame> {
        let behalf = self.behalf.clone();
        self.line
            .ask(patience, &Request::Call { behalf, method }, descriptor)
    }

    /// Opens a connection on which facts come.
    pub(crate) fn open_facts(&self) -> Result<Receiver<Fact>> {
        self.line.open_facts()
    }
}

impl Line {
    /// Sends a request, and waits for its answer.
    fn ask(
        &self,
        patience: Patience,
        request: &Request,
        descriptor: Option<OwnedFd>,
    ) -> Result<Frame> {
        let limit = match patience {
            Patience::Brief => self.timeouts.brief,
            Patience::Long => self.timeouts.long,
            Patience::Bulk => self.timeouts.bulk,
        };
        let deadline = Deadline::after(limit);
        let payload = encode(request)?;
        let Some(mut place) = self.pool.take(deadline) else {
            let message = format!(
                "too many calls wait for the broker at {}",
                self.path.display()
            );
            return Err(HypervisorError::new(HypervisorErrorKind::TimedOut, message));
        };
        let wire = match place.idle.take() {
            Some(wire) => wire,
            None => self.connect(deadline)?,
        };
        let sent = wire.send(&payload, descriptor.as_ref().map(AsFd::as_fd), deadline);
        drop(descriptor);
        let frame = match (sent, wire.receive(ANSWER_LIMIT, deadline)) {
            (_, Ok(frame)) => frame,
            (Err(error), _) | (Ok(()), Err(error)) => return Err(self.failed(&error, limit)),
        };
        place.keep(wire);
        Ok(frame)
    }

    fn open_facts(&self) -> Result<Receiver<Fact>> {
        let limit = self.timeouts.brief;
        let deadline = Deadline::after(limit);
        let wire = self.connect(deadline)?;
        let sent = wire.send(&encode(&Request::Subscribe)?, None, deadline);
        let answer = match (wire.receive(ANSWER_LIMIT, deadline), sent) {
            (Ok(frame), _) => frame,
            (Err(_), Err(error)) | (Err(error), Ok(())) => return Err(self.failed(&error, limit)),
        };
        value::<()>(&answer)?;
        let (sender, receiver) = sync_channel(FACTS_WAITING);
        let pass_on = move || {
            loop {
                let fact = wire.receive(ANSWER_LIMIT, Deadline::after(SILENCE));
                let fact = match fact.and_then(|frame| frame.read::<Fact>()) {
                    Ok(fact) => fact,
                    Err(error) => {
                        tracing::info!(%error, "the broker's facts ended");
                        return;
                    }
                };
                match sender.try_send(fact) {
                    Ok(()) => {}
                    Err(TrySendError::Full(_)) => {
                        tracing::warn!(
                            waiting = FACTS_WAITING,
                            "facts come faster than they are read"
                        );
                        return;
                    }
                    Err(TrySendError::Disconnected(_)) => return,
                }
            }
        };
        let spawned = thread::Builder::new()
            .name("port-facts".to_owned())
            .spawn(pass_on);
        spawned.map(|_| receiver).map_err(|error| {
            let message = format!("a thread for facts can't start: {error}");
            HypervisorError::new(HypervisorErrorKind::Internal, message)
        })
    }

    fn connect(&self, deadline: Deadline) -> Result<Wire> {
        let socket = open(&self.path).map_err(|error| {
            let message = format!(
                "the broker can't be reached at {}: {error}",
                self.path.display()
            );
            HypervisorError::new(HypervisorErrorKind::Unavailable, message)
        })?;
        let wire = Wire::new(socket);
        // A broker that turns this user away greets, says so and closes: that is worth reading
        // even where it closed before our own greeting.
        let sent = wire.send_greeting(deadline);
        let greeted = wire
            .receive_greeting(deadline)
            .map_err(|error| match (error, sent) {
                // Nothing came that says more than why our own greeting could not be sent.
                (WireError::Io(_), Err(unsent)) => unsent,
                (told, _) => told,
            });
        greeted.map_err(|error| self.failed(&error, self.timeouts.brief))?;
        Ok(wire)
    }

    fn failed(&self, error: &WireError, limit: Duration) -> HypervisorError {
        let path = self.path.display();
        match error {
            WireError::Io(_) if error.is_timeout() => {
                let seconds = limit.as_secs_f32();
                let message = format!("the broker at {path} did not answer within {seconds} s");
                HypervisorError::new(HypervisorErrorKind::TimedOut, message)
            }
            error if error.is_departure() => {
                let message = format!("the broker at {path} closed the connection");
                HypervisorError::new(HypervisorErrorKind::Unavailable, message)
            }
            _ => {
                let message = format!("the connection to the broker at {path} broke: {error}");
                HypervisorError::new(HypervisorErrorKind::Unavailable, message)
            }
        }
    }
}

/// Connects, and fails at once where a broker that hangs takes no connections.
fn open(path: &Path) -> io::Result<UnixStream> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket.into())
}

fn encode(request: &Request) -> Result<Vec<u8>> {
    let refuse = |why: String| {
        let message = format!("the request can't be sent to the broker: {why}");
        Err(HypervisorError::new(HypervisorErrorKind::Invalid, message))
    };
    match serde_json::to_vec(request) {
        Ok(payload) if payload.len() <= CALL_LIMIT => Ok(payload),
        Ok(payload) => refuse(format!(
            "it has {} bytes; allowed are {CALL_LIMIT}",
            payload.len()
        )),
        Err(error) => refuse(error.to_string()),
    }
}
