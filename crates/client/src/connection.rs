// SPDX-License-Identifier: GPL-3.0-or-later
//! Where the daemon is, and one connection to it.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hv_model::{id::ApprovalId, secret::Secret};
use hyper::{
    client::conn::http1::{SendRequest, handshake},
    header::{self, HeaderName},
};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use zeroize::Zeroizing;

use crate::{
    ClientError, RemoteAddress, Result, SeenCertificate, Trust, request::Body, tls::Verifier,
};

/// How long a host may take to answer and to shake hands.
const HANDSHAKE: Duration = Duration::from_secs(15);

/// A daemon, by its address.
#[derive(Debug, Clone)]
pub struct Client {
    address: Arc<Address>,
    /// The secret of a session or a token.
    bearer: Option<Secret>,
    /// A fresh proof of who asks.
    proof: Option<Secret>,
    /// How many seconds old the last answer was, or [`FRESH`], or [`UNKNOWN`].
    age: Arc<AtomicU64>,
    /// What a second person approved, for requests that need it.
    approval: Option<ApprovalId>,
}

/// The age of an answer that is not stale.
const FRESH: u64 = u64::MAX;
/// The age of an answer from a host that was never reached.
const UNKNOWN: u64 = u64::MAX - 1;

/// How old an answer is that the daemon gave without being able to ask the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Staleness {
    /// So long.
    Since(Duration),
    /// The host was never reached.
    Unknown,
}

#[derive(Debug)]
enum Address {
    Unix(PathBuf),
    Tcp(String),
    Tls(Box<TlsAddress>),
}

/// A host that is reached over TLS.
struct TlsAddress {
    remote: RemoteAddress,
    authority: String,
    name: ServerName<'static>,
    verifier: Arc<Verifier>,
    connector: TlsConnector,
}

impl fmt::Debug for TlsAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.remote)
    }
}

impl TlsAddress {
    fn new(remote: RemoteAddress, trust: Option<Trust>) -> Result<Self> {
        let unusable = |why: String| ClientError::Protocol(why);
        let name = ServerName::try_from(remote.host().to_owned())
            .map_err(|error| unusable(format!("{remote}: {error}")))?;
        let verifier = Arc::new(Verifier::new(trust));
        let config = verifier
            .config()
            .map_err(|error| unusable(format!("TLS cannot be spoken: {error}")))?;
        Ok(Self {
            authority: remote.authority(),
            name,
            verifier,
            connector: TlsConnector::from(Arc::new(config)),
            remote,
        })
    }

    async fn connect(&self) -> Result<TlsStream<TcpStream>> {
        let unreachable = |why: String| ClientError::Unreachable {
            socket: self.remote.to_string(),
            why,
        };
        let shaking = async {
            let stream = TcpStream::connect((self.remote.host(), self.remote.port())).await?;
            stream.set_nodelay(true)?;
            self.connector.connect(self.name.clone(), stream).await
        };
        let shaken = tokio::time::timeout(HANDSHAKE, shaking)
            .await
            .map_err(|_| unreachable(format!("no answer within {} s", HANDSHAKE.as_secs())))?;
        shaken.map_err(|error| match refused(&error) {
            Some(rustls::CertificateError::ApplicationVerificationFailure) => {
                ClientError::OtherHost {
                    address: self.remote.to_string(),
                    seen: self
                        .verifier
                        .seen()
                        .map(|seen| seen.fingerprint.to_string())
                        .unwrap_or_default(),
                }
            }
            Some(_) => ClientError::Unknown {
                address: self.remote.to_string(),
                why: error.to_string(),
            },
            None => unreachable(error.to_string()),
        })
    }
}

/// Why a certificate was refused, if that is why a connection was not made.
fn refused(error: &io::Error) -> Option<&rustls::CertificateError> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(error) => Some(error),
        _ => None,
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => path.display().fmt(f),
            Self::Tcp(address) => f.write_str(address),
            Self::Tls(tls) => tls.remote.fmt(f),
        }
    }
}

impl Client {
    /// The daemon behind this unix socket.
    pub fn unix(socket: impl AsRef<Path>) -> Self {
        Self::at(Address::Unix(socket.as_ref().to_owned()))
    }

    /// The daemon at this loopback address, such as `127.0.0.1:8006`.
    pub fn tcp(address: impl Into<String>) -> Self {
        Self::at(Address::Tcp(address.into()))
    }

    /// The daemon on another host, which is known in this way.
    pub fn tls(remote: RemoteAddress, trust: Trust) -> Result<Self> {
        let address = TlsAddress::new(remote, Some(trust))?;
        Ok(Self::at(Address::Tls(Box::new(address))))
    }

    /// The certificate that another host shows, to which nothing is sent.
    pub async fn look_at(remote: RemoteAddress) -> Result<SeenCertificate> {
        let address = TlsAddress::new(remote, None)?;
        drop(address.connect().await?);
        address
            .verifier
            .seen()
            .ok_or_else(|| ClientError::Protocol("it has shown no certificate".to_owned()))
    }

    /// The same, known by the secret of a session or a token.
    #[must_use]
    pub fn with_bearer(mut self, secret: Secret) -> Self {
        self.bearer = Some(secret);
        self
    }

    /// The same, with a fresh proof of who asks.
    #[must_use]
    pub fn with_proof(mut self, proof: Secret) -> Self {
        self.proof = Some(proof);
        self
    }

    /// The headers by which the daemon knows who asks.
    pub(crate) fn credentials(&self) -> impl Iterator<Item = (HeaderName, Zeroizing<String>)> {
        let bearer = self.bearer.as_ref().map(|secret| {
            let value = Zeroizing::new(format!("Bearer {}", secret.expose()));
            (header::AUTHORIZATION, value)
        });
        let proof = self.proof.as_ref().map(|proof| {
            let value = Zeroizing::new(proof.expose().to_owned());
            (HeaderName::from_static("hv-proof"), value)
        });
        bearer.into_iter().chain(proof)
    }

    fn at(address: Address) -> Self {
        Self {
            address: Arc::new(address),
            bearer: None,
            proof: None,
            age: Arc::new(AtomicU64::new(FRESH)),
            approval: None,
        }
    }

    /// The same, naming what a second person approved.
    #[must_use]
    pub fn approved(mut self, approval: ApprovalId) -> Self {
        self.approval = Some(approval);
        self
    }

    /// What a second person approved, if it is named.
    pub(crate) const fn approval_named(&self) -> Option<ApprovalId> {
        self.approval
    }

    /// How old the last answer is, if the daemon said that it could not ask the host.
    pub fn staleness(&self) -> Option<Staleness> {
        match self.age.load(Ordering::Relaxed) {
            FRESH => None,
            UNKNOWN => Some(Staleness::Unknown),
            seconds => Some(Staleness::Since(Duration::from_secs(seconds))),
        }
    }

    /// Notes how old an answer is: the text of its header `Hv-Stale`, if it has one.
    pub(crate) fn note_age(&self, seconds: Option<&str>) {
        let age = seconds.map_or(FRESH, |seconds| seconds.parse().unwrap_or(UNKNOWN));
        self.age.store(age, Ordering::Relaxed);
    }

    /// Where the daemon is looked for.
    pub fn socket(&self) -> String {
        self.address.to_string()
    }

    /// The socket on this host through which the daemon is reached, if it is not by the network.
    pub fn unix_socket(&self) -> Option<&Path> {
        match &*self.address {
            Address::Unix(path) => Some(path),
            Address::Tcp(_) | Address::Tls(_) => None,
        }
    }

    /// What the `Host` header says.
    pub(crate) fn host(&self) -> &str {
        match &*self.address {
            Address::Unix(_) => "localhost",
            Address::Tcp(address) => address,
            Address::Tls(tls) => &tls.authority,
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
            // What TLS needs is large, and most calls go without it.
            Address::Tls(tls) => {
                Box::pin(async { self.shake_hands(tls.connect().await?).await }).await
            }
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
