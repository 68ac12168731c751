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

use hv_model::access::Origin;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::UnixStream,
    time::Sleep,
};

use crate::access::{Subject, people};

/// How long the other side may leave what is sent to it unread.
const UNREAD: Duration = Duration::from_secs(30);
/// How long a user's name and groups are remembered.
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
pub(super) struct Users(Mutex<HashMap<u32, (Subject, Instant)>>);

impl Users {
    /// The user on the other side, as the kernel says, with the groups that the host has them in.
    pub(super) async fn of(&self, stream: &UnixStream) -> io::Result<Subject> {
        let uid = stream.peer_cred()?.uid();
        if let Some(subject) = self.remembered(uid) {
            return Ok(subject);
        }
        // Names may come from a directory in the network, which may take its time.
        let found = tokio::task::spawn_blocking(move || people::user_of_number(uid)).await;
        let subject = found.map_err(io::Error::other)?.map_err(io::Error::other)?;
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(uid, (subject.clone(), Instant::now()));
        Ok(subject)
    }

    fn remembered(&self, uid: u32) -> Option<Subject> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (subject, since) = known.get(&uid)?;
        (since.elapsed() < REMEMBERED).then(|| subject.clone())
    }
}

/// A connection whose other side must read what is sent to it, unless it may be patient, and that
/// can be cut off.
pub(super) struct Impatient<S> {
    stream: S,
    patience: Arc<AtomicBool>,
    /// Comes when the connection is cut off.
    cut: futures_util::future::BoxFuture<'static, ()>,
    /// Until when something must have been read.
    until: Option<Pin<Box<Sleep>>>,
}

impl<S> Impatient<S> {
    pub(super) fn new(
        stream: S,
        patience: Arc<AtomicBool>,
        cut: futures_util::future::BoxFuture<'static, ()>,
    ) -> Self {
        Self {
            stream,
            patience,
            cut,
            until: None,
        }
    }

    /// Fails once the connection is cut off; else whoever waits is woken when that happens.
    fn check_whole(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.cut.as_mut().poll(context) {
            Poll::Pending => Ok(()),
            Poll::Ready(()) => {
                // What is over is not asked again.
                self.cut = Box::pin(std::future::ready(()));
                let why = "the session or token is no longer good";
                Err(io::Error::new(io::ErrorKind::ConnectionAborted, why))
            }
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
        self.check_whole(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check_whole(context)?;
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check_whole(context)?;
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watch(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_whole(context)?;
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.watch(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use hv_model::{access::Principal, name::UserGroupName};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn the_kernel_says_who_opened_a_connection() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let users = Users::default();
        let subject = users.of(&ours).await.unwrap();
        let Principal::User { uid, .. } = &subject.principal else {
            panic!("{subject:?}")
        };
        assert_eq!(*uid, uzers::get_current_uid());
        let group = uzers::get_group_by_gid(uzers::get_current_gid()).unwrap();
        let group: UserGroupName = group.name().to_str().unwrap().parse().unwrap();
        assert!(subject.groups.contains(&group), "{subject:?}");
        assert_eq!(users.of(&ours).await.unwrap(), subject);
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_nothing_for_half_a_minute_is_cut_off() {
        let (ours, _theirs) = tokio::io::duplex(1);
        let mut impatient = Impatient::new(ours, Arc::default(), Box::pin(pending()));
        let error = impatient.write_all(b"more than fits").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_connection_that_is_cut_off_is_neither_read_nor_written() {
        let (ours, _theirs) = tokio::io::duplex(64);
        let (cut, comes) = tokio::sync::oneshot::channel();
        let cut_off = Box::pin(async { comes.await.unwrap() });
        let mut impatient = Impatient::new(ours, Arc::default(), cut_off);
        impatient.write_all(b"still whole").await.unwrap();
        let mut buffer = [0];
        let (read, ()) = tokio::join!(impatient.read(&mut buffer), async {
            cut.send(()).unwrap();
        });
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        assert!(impatient.write_all(b"no more").await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn who_may_be_patient_is_not_cut_off() {
        let (ours, _theirs) = tokio::io::duplex(1);
        let mut impatient =
            Impatient::new(ours, Arc::new(AtomicBool::new(true)), Box::pin(pending()));
        let writing = impatient.write_all(b"more than fits");
        assert!(tokio::time::timeout(UNREAD * 10, writing).await.is_err());
    }
}
