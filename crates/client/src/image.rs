// SPDX-License-Identifier: GPL-3.0-or-later
//! Adding an image: a file, or anything else that can be read, sent as it is read.

use std::{io, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hv_model::{name::ImageName, operation::Operation, storage::VolumeFormat};
use hyper::{Method, StatusCode, body::Frame, header};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::oneshot,
};

use crate::{
    ChangeOptions, Client, Result,
    request::{Body, Call},
};

/// How much is read and sent at once.
const PIECE: usize = 256 << 10;
/// How long a daemon may take to say that it wants the bytes. One that does not say it gets them.
const GO_AHEAD: Duration = Duration::from_secs(5);

impl Client {
    /// Adds an image of exactly `length` bytes. `progress` is told how many bytes were sent.
    ///
    /// The bytes are sent once the daemon asks for them, so that a taken name or a full pool is
    /// told before anything is sent.
    pub async fn add_image<R, P>(
        &self,
        name: &ImageName,
        format: VolumeFormat,
        length: u64,
        source: R,
        progress: P,
        options: &ChangeOptions,
    ) -> Result<Operation>
    where
        R: AsyncRead + Send + Sync + Unpin + 'static,
        P: FnMut(u64) + Send + Sync + 'static,
    {
        let (go_ahead, wanted) = oneshot::channel();
        let call = Call::new(Method::PUT, &["images", name.as_str()])
            .query("format", format.as_str())
            .options(options)
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header(header::CONTENT_LENGTH, length.to_string())
            .header(header::EXPECT, "100-continue");
        let body = upload(wanted, length, source, progress);
        let mut request = call.into_request(self, Some(body))?;
        let go_ahead = std::sync::Mutex::new(Some(go_ahead));
        hyper::ext::on_informational(&mut request, move |answer| {
            if answer.status() == StatusCode::CONTINUE
                && let Ok(mut go_ahead) = go_ahead.lock()
                && let Some(go_ahead) = go_ahead.take()
            {
                // The body may be gone with its connection.
                go_ahead.send(()).unwrap_or_default();
            }
        });
        let response = self.send(request).await?;
        self.read(response).await
    }
}

struct Upload<R, P> {
    wanted: Option<oneshot::Receiver<()>>,
    left: u64,
    sent: u64,
    source: R,
    progress: P,
}

fn upload<R, P>(wanted: oneshot::Receiver<()>, length: u64, source: R, progress: P) -> Body
where
    R: AsyncRead + Send + Sync + Unpin + 'static,
    P: FnMut(u64) + Send + Sync + 'static,
{
    let upload = Upload {
        wanted: Some(wanted),
        left: length,
        sent: 0,
        source,
        progress,
    };
    let pieces = stream::try_unfold(upload, |mut upload| async move {
        let piece = upload.piece().await?;
        Ok::<_, io::Error>(piece.map(|piece| (Frame::data(piece), upload)))
    });
    StreamBody::new(pieces).boxed()
}

impl<R: AsyncRead + Unpin, P: FnMut(u64)> Upload<R, P> {
    async fn piece(&mut self) -> io::Result<Option<Bytes>> {
        if let Some(wanted) = self.wanted.take() {
            // No word within that time is a go-ahead, too: HTTP says so.
            tokio::time::timeout(GO_AHEAD, wanted).await.ok();
        }
        if self.left == 0 {
            return Ok(None);
        }
        let size = PIECE.min(usize::try_from(self.left).unwrap_or(PIECE));
        let mut piece = vec![0; size];
        let read = self.source.read(&mut piece).await?;
        if read == 0 {
            let left = self.left;
            let text = format!("the file ended {left} bytes before it should");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        }
        piece.truncate(read);
        let read = read as u64;
        self.left = self.left.saturating_sub(read);
        self.sent += read;
        (self.progress)(self.sent);
        Ok(Some(Bytes::from(piece)))
    }
}
