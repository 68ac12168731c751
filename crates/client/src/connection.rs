// SPDX-License-Identifier: GPL-3.0-or-later
//! Where the daemon is, and one connection to it.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};

use crate::{ClientError, Result, request::Body};

/// A daemon, by its address.
#[derive(Debug, Clone)]
pub struct Client {
    address: Arc<Address>,
}

#[derive(Debug)]
enum Address {
    Unix(PathBuf),
    Tcp(String),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => path.display().fmt(f),
            Self::Tcp(address) => f.write_str(address),
        }
    }
}

impl Client {
    /// The daemon behind this unix socket.
    pub fn unix(socket: impl AsRef<Path>) -> Self {
        let address = Address::Unix(socket.as_ref().to_owned());
        Self {
            address: Arc::new(address),
        }
    }

    /// The daemon at this loopback address, such as `127.0.0.1:8006`.
    pub fn tcp(address: impl Into<String>) -> Self {
        Self {
            address: Arc::new(Address::Tcp(address.into())),
        }
    }

    /// Where the daemon is looked for.
    pub fn socket(&self) -> String {
        self.address.to_string()
    }

    /// What the `Host` header says.
    pub(crate) fn host(&self) -> &str {
        match &*self.address {
            Address::Unix(_) => "localhost",
            Address::Tcp(address) => address,
        }
    }

    /// A new connection, which a task of its own keeps going until it is no longer used.
    pub(crate) async fn connect(&self) -> Result<SendRequest<Body>> {
        match &*self.address {
            Address::Unix(path) => match UnixStream::connect(path).await {
                Ok(stream) => self.shake_hands(stream).await,
                Err(error) => Err(self.unreachable(&error)),
            },
            Address::Tcp(address) => match TcpStream::connect(address).await {
                Ok(stream) => {
                    stream
                        .set_nodelay(true)
                        .map_err(|error| self.unreachable(&error))?;
                    self.shake_hands(stream).await
                }
                Err(error) => Err(self.unreachable(&error)),
            },
        }
    }

    async fn shake_hands<S>(&self, stream: S) -> Result<SendRequest<Body>>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.broken(&error))?;
        // What goes wrong with the connection is told to the request that uses it, too.
        tokio::spawn(async move { connection.with_upgrades().await.unwrap_or_default() });
        Ok(sender)
    }

    fn unreachable(&self, error: &io::Error) -> ClientError {
        ClientError::Unreachable {
            socket: self.socket(),
            why: error.to_string(),
        }
    }

    /// The connection broke before there was an answer.
    pub(crate) fn broken(&self, error: &hyper::Error) -> ClientError {
        if error.is_parse() {
            return ClientError::Protocol(with_source(error));
        }
        ClientError::Unreachable {
            socket: self.socket(),
            why: with_source(error),
        }
    }
}

/// An error's text and that of its cause, which hyper leaves out of its own.
fn with_source(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
