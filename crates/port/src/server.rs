// SPDX-License-Identifier: GPL-3.0-or-later
//! The port's far half: serves a host to the users who may reach it.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Write},
    os::{
        fd::AsFd,
        unix::{
            fs::{MetadataExt, PermissionsExt, chown},
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use hv_model::hypervisor::{Fact, Hypervisor, HypervisorError, HypervisorErrorKind, Result};
use rustix::event::PollFlags;

use crate::{
    ALIVE_EVERY,
    call::{Answer, Request},
    deadline::Deadline,
    descriptors::{self, Waited},
    wire::{ANSWER_LIMIT, CALL_LIMIT, INSIDE_A_FRAME, Wire, WireError},
};

/// How many connections can be open at once.
const CONNECTIONS: usize = 64;

/// How long calls under way may go on after the server was told to stop.
const GRACE: Duration = Duration::from_secs(5);

/// How long a client has to take an answer.
const SENDING: Duration = Duration::from_secs(30);

/// A listening server.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
    inode: (u64, u64),
    users: BTreeSet<u32>,
    stopped: UnixStream,
    stop: Stop,
}

/// Who can reach a server's socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SocketOwner {
    /// The user whom it belongs to; this process's, if not given.
    pub user: Option<u32>,
    /// The group that can reach it, too; none, if not given.
    pub group: Option<u32>,
}

/// Ends a server: it takes no more calls, and returns once those under way are over.
#[derive(Debug, Clone)]
pub struct Stop(Arc<UnixStream>);

/// Why a server can't listen.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Another one does already.
    #[error("another broker listens at {}", .0.display())]
    Taken(PathBuf),
    /// The socket can't be made.
    #[error("can't listen at {}: {error}", .path.display())]
    Socket {
        /// Where it was to be.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
}

impl Stop {
    /// Tells the server to stop. Doing so twice does no harm.
    pub fn stop(&self) {
        // The byte is never read, so that everyone who waits sees it. A second one may not fit,
        // and need not.
        if let Err(error) = (&*self.0).write(&[0]) {
            tracing::debug!(%error, "the server was told to stop before");
        }
    }
}

impl Server {
    /// Listens at `path`, in place of what an earlier server left there.
    ///
    /// Only these users are served, whoever else can reach the socket.
    pub fn bind(
        path: &Path,
        users: BTreeSet<u32>,
        owner: SocketOwner,
    ) -> std::result::Result<Self, ServerError> {
        if UnixStream::connect(path).is_ok() {
            return Err(ServerError::Taken(path.to_owned()));
        }
        let made = || -> io::Result<Self> {
            // Made under another name, so that whoever sees the socket can connect.
            let mut name = path
                .file_name()
                .ok_or(io::ErrorKind::InvalidInput)?
                .to_owned();
            name.push(format!(".{}", std::process::id()));
            let unfinished = path.with_file_name(name);
            match fs::remove_file(&unfinished) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let listener = UnixListener::bind(&unfinished)?;
            listener.set_nonblocking(true)?;
            chown(&unfinished, owner.user, owner.group)?;
            let mode = if owner.group.is_some() { 0o660 } else { 0o600 };
            fs::set_permissions(&unfinished, fs::Permissions::from_mode(mode))?;
            let status = fs::symlink_metadata(&unfinished)?;
            fs::rename(&unfinished, path)?;
            let (stopped, stop) = UnixStream::pair()?;
            stop.set_nonblocking(true)?;
            Ok(Self {
                listener,
                path: path.to_owned(),
                inode: (status.dev(), status.ino()),
                users,
                stopped,
                stop: Stop(Arc::new(stop)),
            })
        };
        made().map_err(|error| ServerError::Socket {
            path: path.to_owned(),
            error,
        })
    }

    /// What ends this server.
    pub fn stopper(&self) -> Stop {
        self.stop.clone()
    }

    /// Serves `host` until told to stop; then removes the socket.
    pub fn run(self, host: &Arc<dyn Hypervisor>) -> io::Result<()> {
        let crowd = Arc::new(Crowd::default());
        loop {
            let stopped = Some(self.stopped.as_fd());
            let waited = descriptors::wait(
                self.listener.as_fd(),
                PollFlags::IN,
                stopped,
                Deadline::NEVER,
            )?;
            if waited == Waited::Interrupted {
                break;
            }
            match self.listener.accept() {
                Ok((socket, _)) => self.admit(socket, host, &crowd),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    // Such as too many open files: it passes as connections end.
                    tracing::error!(%error, "a connection can't be accepted");
                    let pause = Deadline::after(Duration::from_millis(100));
                    if descriptors::wait_readable(&self.stopped, None, pause).is_ok() {
                        break;
                    }
                }
            }
        }
        if !crowd.wait_until_gone(Deadline::after(GRACE)) {
            tracing::warn!(seconds = GRACE.as_secs(), "calls under way are cut off");
        }
        // A newer server may have put its own socket here.
        if fs::symlink_metadata(&self.path).is_ok_and(|now| (now.dev(), now.ino()) == self.inode) {
            fs::remove_file(&self.path)?;
        }
        Ok(())
    }

    fn admit(&self, socket: UnixStream, host: &Arc<dyn Hypervisor>, crowd: &Arc<Crowd>) {
        let peer = match rustix::net::sockopt::socket_peercred(&socket) {
            Ok(peer) => peer,
            Err(error) => {
                tracing::warn!(%error, "a connection without credentials");
                return;
            }
        };
        let (user, process) = (peer.uid.as_raw(), peer.pid.as_raw_nonzero().get());
        let wire = Wire::new(socket);
        if !self.users.contains(&user) {
            tracing::warn!(
                user,
                process,
                "a user who may not use the port was turned away"
            );
            let message = format!("user {user} may not use this broker");
            turn_away(&wire, HypervisorErrorKind::Refused, message);
            return;
        }
        let Some(place) = Crowd::enter(crowd) else {
            tracing::warn!(user, process, "too many connections");
            let message = format!("{CONNECTIONS} connections to this broker are open already");
            turn_away(&wire, HypervisorErrorKind::Busy, message);
            return;
        };
        let (host, stopped) = (Arc::clone(host), self.stopped.try_clone());
        let serve = move || {
            // Dropped in the reverse order: the connection is closed before its place is free, so
            // that a server that ended has no connection left that a client could still try.
            let _place = place;
            let wire = wire;
            let ended = stopped.map_err(WireError::from);
            match ended.and_then(|stopped| serve(&wire, &*host, &stopped)) {
                Ok(()) => tracing::debug!(user, process, "a client left"),
                Err(error) if error.is_departure() => {
                    tracing::debug!(user, process, %error, "a client left");
                }
                Err(error) => {
                    tracing::warn!(user, process, %error, "a client's connection was ended");
                    tell(&wire, HypervisorErrorKind::Invalid, error.to_string());
                }
            }
        };
        if let Err(error) = thread::Builder::new().name("port".to_owned()).spawn(serve) {
            tracing::error!(%error, "a thread for a connection can't start");
        }
    }
}

/// Answers on this thread what one client has said already, for the fuzzer.
#[cfg(fuzzing)]
pub fn serve_alone(socket: UnixStream, host: &dyn Hypervisor) {
    let wire = Wire::new(socket);
    let never = UnixStream::pair().map_err(WireError::from);
    if let Err(error) = never.and_then(|(stopped, _stop)| serve(&wire, host, &stopped)) {
        tell(&wire, HypervisorErrorKind::Invalid, error.to_string());
    }
}

/// Answers one client's calls until it leaves or the server stops.
fn serve(
    wire: &Wire,
    host: &dyn Hypervisor,
    stopped: &UnixStream,
) -> std::result::Result<(), WireError> {
    let soon = Deadline::after(INSIDE_A_FRAME);
    wire.send_greeting(soon)?;
    wire.receive_greeting(soon)?;
    loop {
        if wire.wait(Some(stopped.as_fd()), Deadline::NEVER)? == Waited::Interrupted {
            return Ok(());
        }
        let frame = wire.receive(CALL_LIMIT, Deadline::NEVER)?;
        match frame.read::<Request>()? {
            Request::Call { behalf, method } => {
                let name = method.name();
                let host_for = behalf.map(|person| host.on_behalf_of(&person));
                let answer = method.serve(host_for.as_deref().unwrap_or(host), frame.descriptor);
                tracing::trace!(call = name, bytes = answer.payload.len(), "answered");
                let descriptor = answer.descriptor.as_ref().map(AsFd::as_fd);
                wire.send(&answer.payload, descriptor, Deadline::after(SENDING))?;
            }
            Request::Subscribe => return push_facts(wire, host.subscribe(), stopped),
        }
    }
}

/// Sends facts as they come, and a sign of life when none do.
fn push_facts(
    wire: &Wire,
    facts: Result<Receiver<Fact>>,
    stopped: &UnixStream,
) -> std::result::Result<(), WireError> {
    let (outcome, facts) = match facts {
        Ok(facts) => (Ok(()), Some(facts)),
        Err(error) => (Err(error), None),
    };
    wire.say(&outcome)?;
    let Some(facts) = facts else { return Ok(()) };
    let is_over = || {
        let now = Deadline::after(Duration::ZERO);
        descriptors::wait_readable(stopped, None, now).is_ok() || !wire.is_quiet()
    };
    loop {
        let fact = match facts.recv_timeout(ALIVE_EVERY) {
            Ok(fact) => fact,
            Err(RecvTimeoutError::Timeout) => Fact::Alive,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        if is_over() {
            return Ok(());
        }
        let payload = serde_json::to_vec(&fact)?;
        if payload.len() > ANSWER_LIMIT {
            return Err(WireError::Length {
                length: payload.len() as u64,
                limit: ANSWER_LIMIT,
            });
        }
        wire.send(&payload, None, Deadline::after(INSIDE_A_FRAME))?;
    }
}

/// Greets, says why not, and leaves it at that.
fn turn_away(wire: &Wire, kind: HypervisorErrorKind, message: String) {
    // Both fit into an empty socket's buffer, so the one who accepts never waits here.
    match wire.send_greeting(Deadline::after(Duration::ZERO)) {
        Ok(()) => tell(wire, kind, message),
        Err(error) => tracing::debug!(%error, "a client left before it was turned away"),
    }
}

fn tell(wire: &Wire, kind: HypervisorErrorKind, message: String) {
    let answer = Answer::with_value(&Result::<()>::Err(HypervisorError::new(kind, message)));
    if let Err(error) = wire.send(&answer.payload, None, Deadline::after(Duration::ZERO)) {
        tracing::debug!(%error, "a client left before it was told why");
    }
}

/// The connections that are open.
#[derive(Debug, Default)]
struct Crowd {
    count: Mutex<usize>,
    left: Condvar,
}

/// A connection's place; free again when dropped.
#[derive(Debug)]
struct Place(Arc<Crowd>);

impl Crowd {
    fn enter(crowd: &Arc<Self>) -> Option<Place> {
        let mut count = crowd.count.lock().unwrap_or_else(PoisonError::into_inner);
        if *count >= CONNECTIONS {
            return None;
        }
        *count += 1;
        Some(Place(Arc::clone(crowd)))
    }

    /// Waits until nobody is left; false, if somebody still is at the deadline.
    fn wait_until_gone(&self, deadline: Deadline) -> bool {
        let count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        let left = deadline.remaining().unwrap_or(Duration::MAX);
        let waited = self
            .left
            .wait_timeout_while(count, left, |count| *count > 0);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.count.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.left.notify_all();
    }
}
