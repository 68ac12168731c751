// SPDX-License-Identifier: GPL-3.0-or-later
//! An image's bytes on their way from the connection to the host, hashed as they pass.
//!
//! ```text
//!  body ──▶ BLAKE3 ──▶ pipe ──▶ the job hands its other end to the host
//!              └──────▶ digest, or how the body broke off ──▶ the job
//! ```
//!
//! The pipe is the only buffer, so a slow disk slows the sender down and fills no memory.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use axum::body::Body;
use http_body_util::BodyExt;
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use tokio::{
    io::{AsyncWriteExt, Interest},
    net::unix::pipe::Sender,
    sync::oneshot,
};

use crate::engine::{self, BrokenOff};

/// How long the sender may send nothing.
const IDLE: Duration = Duration::from_secs(60);
/// How much the pipe holds, if the system allows it.
const PIPE: usize = 1 << 20;

/// Our end of an upload.
pub(super) struct Upload {
    pipe: Sender,
    digest: oneshot::Sender<Result<String, BrokenOff>>,
}

impl Upload {
    /// An upload, and the end of it that the job takes.
    pub(super) fn open() -> io::Result<(Self, engine::Upload)> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        // A smaller pipe works as well, a little slower.
        fcntl_setpipe_size(write.as_fd(), PIPE).ok();
        Self::of(read, write)
    }

    fn of(read: OwnedFd, write: OwnedFd) -> io::Result<(Self, engine::Upload)> {
        let pipe = Sender::from_owned_fd(write)?;
        let (digest, digested) = oneshot::channel();
        Ok((
            Self { pipe, digest },
            engine::Upload {
                body: read,
                digest: digested,
            },
        ))
    }

    /// Passes a body of this length on, and tells the job how it ended. It ends early when the job
    /// takes no more or is asked to stop.
    pub(super) async fn pass_on(
        mut self,
        body: Body,
        length: u64,
        stopped: impl Future<Output = ()>,
    ) {
        let passed = tokio::select! {
            biased;
            () = stopped => Err(BrokenOff::NotWanted),
            passed = self.copy(body, length) => passed,
        };
        // A job that has failed meanwhile does not wait for it.
        self.digest.send(passed).ok();
    }

    async fn copy(&mut self, mut body: Body, length: u64) -> Result<String, BrokenOff> {
        let mut hasher = blake3::Hasher::new();
        let mut arrived = 0_u64;
        // Not longer than that: the reader leaves once it has them all.
        while arrived < length {
            let frame = tokio::select! {
                // A reader that is gone is noticed even while the sender sends nothing.
                _ = self.pipe.ready(Interest::ERROR) => return Err(BrokenOff::NotWanted),
                frame = tokio::time::timeout(IDLE, body.frame()) => frame,
            };
            let frame = frame.map_err(|_| {
                BrokenOff::Wrong(format!("nothing arrived for {} seconds", IDLE.as_secs()))
            })?;
            let Some(frame) = frame else { break };
            let frame =
                frame.map_err(|error| BrokenOff::Left(format!("the sender left: {error}")))?;
            let Ok(piece) = frame.into_data() else {
                continue;
            };
            arrived += piece.len() as u64;
            hasher.update(&piece);
            self.pipe
                .write_all(&piece)
                .await
                .map_err(|_| BrokenOff::NotWanted)?;
        }
        if arrived == length {
            return Ok(hasher.finalize().to_hex().to_string());
        }
        Err(BrokenOff::Wrong(format!(
            "{arrived} of {length} bytes arrived"
        )))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, future::pending, io::Read};

    use super::*;

    #[tokio::test]
    async fn the_job_gets_every_byte_and_then_their_digest() {
        let bytes = vec![7; 3 << 20];
        let (upload, job) = Upload::open().unwrap();
        let reader = tokio::task::spawn_blocking(move || {
            let mut read = Vec::new();
            File::from(job.body).read_to_end(&mut read).unwrap();
            read
        });
        upload
            .pass_on(Body::from(bytes.clone()), bytes.len() as u64, pending())
            .await;
        assert_eq!(
            job.digest.await.unwrap(),
            Ok(blake3::hash(&bytes).to_hex().to_string())
        );
        assert!(reader.await.unwrap() == bytes);
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_told_as_such() {
        let (upload, job) = Upload::open().unwrap();
        upload.pass_on(Body::from("abc"), 4, pending()).await;
        assert_eq!(
            job.digest.await.unwrap(),
            Err(BrokenOff::Wrong("3 of 4 bytes arrived".to_owned()))
        );
    }

    #[tokio::test]
    async fn a_sender_that_leaves_is_told_as_such() {
        let (upload, job) = Upload::open().unwrap();
        let lost = Err::<bytes::Bytes, _>(io::Error::other("connection closed"));
        let body = Body::from_stream(futures_util::stream::iter([lost]));
        upload.pass_on(body, 4, pending()).await;
        let left = BrokenOff::Left("the sender left: connection closed".to_owned());
        assert_eq!(job.digest.await.unwrap(), Err(left));
    }

    #[tokio::test]
    async fn a_job_that_takes_no_more_ends_the_upload() {
        let (upload, job) = Upload::open().unwrap();
        drop(job.body);
        upload
            .pass_on(Body::from(vec![0; 4 << 20]), 4 << 20, pending())
            .await;
        assert_eq!(job.digest.await.unwrap(), Err(BrokenOff::NotWanted));
    }

    #[tokio::test]
    async fn a_reader_that_is_gone_is_noticed_while_the_sender_sends_nothing() {
        let (upload, job) = Upload::open().unwrap();
        drop(job.body);
        let silent = Body::from_stream(futures_util::stream::pending::<io::Result<bytes::Bytes>>());
        upload.pass_on(silent, 1, pending()).await;
        assert_eq!(job.digest.await.unwrap(), Err(BrokenOff::NotWanted));
    }

    #[tokio::test]
    async fn an_upload_ends_when_it_is_asked_to_stop() {
        let (upload, job) = Upload::open().unwrap();
        let silent = Body::from_stream(futures_util::stream::pending::<io::Result<bytes::Bytes>>());
        upload.pass_on(silent, 1, async {}).await;
        assert_eq!(job.digest.await.unwrap(), Err(BrokenOff::NotWanted));
    }
}
