// SPDX-License-Identifier: GPL-3.0-or-later
//! The least that a server can do: an axum handler that sends the same bytes and knows nothing.

use std::path::{Path, PathBuf};

use axum::{
    Router,
    http::{StatusCode, header},
    routing::get,
};
use bytes::Bytes;
use tempfile::TempDir;
use tokio::{net::UnixListener, runtime::Runtime};

use crate::failure::{During, Result};

/// Where the bytes are.
pub(crate) const BYTES: &str = "/bytes";
/// Where nothing has changed.
pub(crate) const UNCHANGED: &str = "/unchanged";

/// A running server; it ends when this is dropped.
pub(crate) struct BareServer {
    _runtime: Runtime,
    socket: PathBuf,
    _folder: TempDir,
}

impl BareServer {
    /// Starts it.
    pub(crate) fn start(body: Vec<u8>) -> Result<Self> {
        let folder = tempfile::tempdir().during("make a folder")?;
        let socket = folder.path().join("bare.sock");
        let runtime = Runtime::new().during("start a runtime")?;
        let listener = {
            let _inside = runtime.enter();
            UnixListener::bind(&socket).during("listen")?
        };
        let body = Bytes::from(body);
        let json = [(header::CONTENT_TYPE, "application/json")];
        let unchanged = (StatusCode::NOT_MODIFIED, [(header::ETAG, "\"1\"")]);
        let router = Router::new()
            .route(BYTES, get(move || async move { (json, body) }))
            .route(UNCHANGED, get(move || async move { unchanged }));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Ok(Self {
            _runtime: runtime,
            socket,
            _folder: folder,
        })
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }
}
