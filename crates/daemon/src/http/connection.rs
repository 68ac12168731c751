// SPDX-License-Identifier: GPL-3.0-or-later
//! One connection: who is on its other side, and how long it may keep us waiting.

use std::{
    collections::HashMap,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use hv_model::{
    access::{Origin, Principal},
    name::UserName,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::UnixStream,
    time::Sleep,
};

/// How long the other side may leave what is sent to it unread.
const UNREAD: Duration = Duration::from_secs(30);
/// How long a user's name is remembered.
const REMEMBERED: Duration = Duration::from_secs(60);

/// Where a unix connection comes from, as the kernel says.
pub(super) fn origin(stream: &UnixStream) -> io::Result<Origin> {
    let credentials = stream.peer_cred()?;
    Ok(Origin::Unix {
        uid: credentials.uid(),
        pid: credentials.pid().and_then(|pid| u32::try_from(pid).ok()),
    })
}

/// Finds out who opened a unix connection.
#[derive(Debug, Default)]
pub(super) struct Users(Mutex<HashMap<u32, (UserName, Instant)>>);

impl Users {
    /// The user on the other side, as the kernel says.
    pub(super) async fn of(&self, stream: &UnixStream) -> io::Result<Principal> {
        let uid = stream.peer_cred()?.uid();
        if let Some(name) = self.remembered(uid) {
            return Ok(Principal::User { name, uid });
        }
        // Names may come from a directory in the network, which may take its time.
        let found = tokio::task::spawn_blocking(move || uzers::get_user_by_uid(uid)).await;
        let found = found.map_err(io::Error::other)?;
        let name = found.and_then(|user| user.name().to_str()?.parse().ok());
        let name = name.map_or_else(|| unnamed(uid), Ok)?;
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(uid, (UserName::clone(&name), Instant::now()));
        Ok(Principal::User { name, uid })
    }

    fn remembered(&self, uid: u32) -> Option<UserName> {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (name, since) = names.get(&uid)?;
        (since.elapsed() < REMEMBERED).then(|| name.clone())
    }
}

/// The name of a user who has none, or one that our rule for names does not allow.
fn unnamed(uid: u32) -> io::Result<UserName> {
    format!("uid-{uid}").parse().map_err(io::Error::other)
}

/// A connection whose other side must read what is sent to it, unless it may be patient.
#[derive(Debug)]
pub(super) struct Impatient<S> {
    stream: S,
    patience: Arc<AtomicBool>,
    /// Until when something must have been read.
    until: Option<Pin<Box<Sleep>>>,
}

impl<S> Impatient<S> {
    pub(super) const fn new(stream: S, patience: Arc<AtomicBool>) -> Self {
        Self {
            stream,
            patience,
            until: None,
        }
    }

    fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() || self.patience.load(Ordering::Relaxed) {
            self.until = None;
            return written;
        }
        let until = self
            .until
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(UNREAD)));
        ready!(until.as_mut().poll(context));
        let why = format!("nothing was read for {} seconds", UNREAD.as_secs());
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, why)))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watch(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.watch(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn the_kernel_says_who_opened_a_connection() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let users = Users::default();
        let principal = users.of(&ours).await.unwrap();
        let Principal::User { uid, .. } = &principal else {
            panic!("{principal:?}")
        };
        assert_eq!(*uid, uzers::get_current_uid());
        assert_eq!(users.of(&ours).await.unwrap(), principal);
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_nothing_for_half_a_minute_is_cut_off() {
        let (ours, _theirs) = tokio::io::duplex(1);
        let mut impatient = Impatient::new(ours, Arc::default());
        let error = impatient.write_all(b"more than fits").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn who_may_be_patient_is_not_cut_off() {
        let (ours, _theirs) = tokio::io::duplex(1);
        let mut impatient = Impatient::new(ours, Arc::new(AtomicBool::new(true)));
        let writing = impatient.write_all(b"more than fits");
        assert!(tokio::time::timeout(UNREAD * 10, writing).await.is_err());
    }
}
