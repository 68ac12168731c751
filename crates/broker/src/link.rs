// SPDX-License-Identifier: GPL-3.0-or-later
//! The link to libvirt: connects, notices the end, and connects again.
//!
//! ```text
//!   Connecting ──▶ Up ──(closed, or keepalives unanswered)──▶ Connecting …
//!       └──(refused, or too slow)──▶ Down ──(every tenth of a second)──▶ Up
//! ```
//! One thread does it, so a libvirt that hangs costs a caller one wait at most: while the link is
//! down, calls fail at once.
//!
//! The link's connection carries events and tells whether libvirt is there. Each thread that calls
//! has one more, of its own, since a connection of libvirt's may serve one thread at a time only
//! (see [`hv_libvirt::Connection`]).

use std::{
    cell::RefCell,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel},
    },
    thread,
    time::Duration,
};

use hv_libvirt::{Connection, ErrorKind, Keepalive, OpenOptions, Subscription};
use hv_model::hypervisor::{Fact, HypervisorErrorKind, Result};
use thread_local::ThreadLocal;

use crate::{
    facts::{self, Hub},
    failure::{Explain, fail},
};

/// A hung libvirtd is noticed after `interval × count` seconds, and fails what waits for it.
const OPTIONS: OpenOptions = OpenOptions {
    access: hv_libvirt::Access::ReadWrite,
    keepalive: Some(Keepalive {
        interval_seconds: 2,
        count: 4,
    }),
    timeout: Duration::from_secs(5),
};

/// How long a call waits for a link that is just being made.
const PATIENCE: Duration = Duration::from_secs(8);

/// How often a link that is down is tried. Being refused costs next to nothing.
const RETRY: Duration = Duration::from_millis(100);

/// How many events may wait to be translated.
const EVENTS_WAITING: usize = 16_384;

/// The link to libvirt.
#[derive(Debug)]
pub(crate) struct Link {
    shared: Arc<Shared>,
    wake: Sender<Wake>,
    /// The connection of each thread; one whose thread has ended serves the next new thread.
    own: ThreadLocal<RefCell<Option<Connection>>>,
}

#[derive(Debug)]
struct Shared {
    uri: String,
    state: Mutex<State>,
    changed: Condvar,
    hub: Arc<Hub>,
}

#[derive(Debug)]
enum State {
    Connecting,
    Up(Connection),
    Down { why: String },
}

#[derive(Debug)]
enum Wake {
    Closed(String),
    Stop,
}

impl Link {
    /// Starts to connect; facts go to `hub`.
    pub(crate) fn new(uri: &str, hub: Arc<Hub>) -> std::io::Result<Self> {
        let state = Mutex::new(State::Connecting);
        let shared = Arc::new(Shared {
            uri: uri.to_owned(),
            state,
            changed: Condvar::new(),
            hub,
        });
        let (wake, woken) = channel();
        let (keeper, closed) = (Arc::clone(&shared), wake.clone());
        let keep = move || keeper.keep(&woken, &closed);
        thread::Builder::new().name("link".to_owned()).spawn(keep)?;
        let own = ThreadLocal::new();
        Ok(Self { shared, wake, own })
    }

    /// This thread's connection, or at once why there is none.
    ///
    /// Neither it nor what is found through it may go to another thread.
    pub(crate) fn connection(&self) -> Result<Connection> {
        let main = self.main()?;
        let mut own = self.own.get_or_default().borrow_mut();
        if let Some(connection) = own.as_ref().filter(|own| own.is_alive()) {
            return Ok(connection.clone());
        }
        let tried = || format!("libvirt can't be reached at {}", main.uri());
        let opened = main.another().explain(tried)?;
        Ok(own.insert(opened).clone())
    }

    /// The connection that carries events, which only the link's own threads may call on.
    fn main(&self) -> Result<Connection> {
        let connecting = |state: &mut State| matches!(state, State::Connecting);
        let state = self.shared.lock();
        let waited = self
            .shared
            .changed
            .wait_timeout_while(state, PATIENCE, connecting);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let uri = &self.shared.uri;
        match &*state {
            State::Up(connection) => Ok(connection.clone()),
            State::Down { why } => {
                let message = format!("libvirt can't be reached at {uri}: {why}");
                fail(HypervisorErrorKind::Unavailable, message)
            }
            State::Connecting => {
                let message = format!("libvirt does not answer at {uri}");
                fail(HypervisorErrorKind::TimedOut, message)
            }
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if self.wake.send(Wake::Stop).is_err() {
            tracing::debug!("the link had ended before");
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, state: State) {
        *self.lock() = state;
        self.changed.notify_all();
    }

    /// Keeps the link up until told to stop.
    fn keep(&self, woken: &Receiver<Wake>, closed: &Sender<Wake>) {
        loop {
            match self.open(closed) {
                Ok((connection, subscription)) => {
                    tracing::info!(uri = self.uri, "libvirt is reached");
                    self.set(State::Up(connection));
                    self.hub.push(&Fact::Found);
                    let Ok(Wake::Closed(why)) = woken.recv() else {
                        return;
                    };
                    tracing::warn!(uri = self.uri, why, "libvirt is lost");
                    self.set(State::Connecting);
                    self.hub.push(&Fact::Lost { why });
                    drop(subscription);
                }
                Err(error) => {
                    let why = error.message;
                    if !matches!(&*self.lock(), State::Down { why: known } if *known == why) {
                        tracing::warn!(uri = self.uri, why, "libvirt can't be reached");
                    }
                    self.set(State::Down { why: why.clone() });
                    self.hub.push(&Fact::Lost { why });
                    match woken.recv_timeout(RETRY) {
                        Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                        // The end of a connection that is known to be lost.
                        Ok(Wake::Closed(_)) | Err(RecvTimeoutError::Timeout) => {}
                    }
                }
            }
        }
    }

    fn open(&self, closed: &Sender<Wake>) -> hv_libvirt::Result<(Connection, Subscription)> {
        let connection = Connection::open(&self.uri, OPTIONS)?;
        let (sender, events) = sync_channel(EVENTS_WAITING);
        let (hub, full) = (Arc::clone(&self.hub), Arc::clone(&self.hub));
        let asked = connection.clone();
        let translate = move || facts::translate(&asked, &events, &hub);
        let spawned = thread::Builder::new()
            .name("facts".to_owned())
            .spawn(translate);
        if let Err(error) = spawned {
            tracing::error!(%error, "a thread for facts can't start");
        }
        let subscription = connection.subscribe(move |event| {
            // Without its events a subscriber must resync, which the end of its channel tells.
            if sender.try_send(event).is_err() {
                full.close();
            }
        })?;
        let closed = closed.clone();
        let told = connection.on_close(move |reason| {
            if closed.send(Wake::Closed(format!("{reason:?}"))).is_err() {
                tracing::debug!("a connection closed after the link's end");
            }
        });
        // A driver inside this process never breaks, and has no such callback.
        if let Err(error) = told {
            tracing::debug!(%error, "the end of this connection will not be told");
        }
        // It may have ended before its end could be told.
        if !connection.is_alive() {
            let message = "the connection closed at once".to_owned();
            let (kind, function) = (ErrorKind::Unavailable, "virConnectIsAlive");
            return Err(hv_libvirt::Error {
                kind,
                code: 0,
                domain: 0,
                message,
                function,
            });
        }
        Ok((connection, subscription))
    }
}
