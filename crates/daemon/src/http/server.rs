// SPDX-License-Identifier: GPL-3.0-or-later
//! Serving: accepts connections, tells each request who asks, and ends in order.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::Router;
use futures_util::future::BoxFuture;
use hv_model::access::{Origin, Principal};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use super::{
    Api, Arrival, Ending, Peer, Transport,
    connection::{Impatient, Users, origin},
    crowd::Crowd,
    listener::{ListenError, UnixSocket, listen_tcp},
    router,
    tls::TlsServer,
};
use crate::{access::Subject, app::App, config::Config};

/// How many connections there may be at once on the unix socket, and how many over TCP. More wait
/// until one ends; those of the one never wait for those of the other.
const CONNECTIONS: usize = 1_024;
const TCP_CONNECTIONS: usize = 512;
/// How many of them one user of the host may have. Root, who has to be let in to mend things, may
/// have any number.
const OF_ONE_USER: usize = 128;
/// How many of them may come from one address. From this machine, where a proxy may stand, there
/// may be any number.
const FROM_ONE_ADDRESS: usize = 64;
/// How long a client may take to shake hands.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a client may take to ask, and how long it may keep a connection without asking.
const HEADERS: Duration = Duration::from_secs(30);
/// How much of a request that is not its body is read.
const BUFFER: usize = 64 << 10;
/// How long a connection that is cut off may take to get its last answer through, which may be the
/// one that says that the session is over.
const LAST_WORD: Duration = Duration::from_secs(1);
/// How long requests may take to end once the daemon does.
const GRACE: Duration = Duration::from_secs(5);
/// How long to wait when the system lets no connection in, as when files have run out.
const BREATH: Duration = Duration::from_millis(100);

/// The API where it can be reached, before anybody is let in.
#[derive(Debug)]
pub struct Server {
    unix: UnixSocket,
    tcp: Option<TcpListener>,
    tls: Option<TlsServer>,
}

impl Server {
    /// Takes the places that the configuration names.
    pub async fn listen(config: &Config) -> Result<Self, ListenError> {
        let unix = UnixSocket::listen(&config.socket, config.socket_group.as_deref()).await?;
        let (tcp, tls) = match &config.listen {
            Some(listen) => {
                let tls = TlsServer::of(config, listen)?;
                (Some(listen_tcp(listen).await?), tls)
            }
            None => (None, None),
        };
        Ok(Self { unix, tcp, tls })
    }

    /// The TCP address that is served, if one is.
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        self.tcp.as_ref()?.local_addr().ok()
    }

    /// The fingerprint of the certificate that is served, as `openssl x509 -fingerprint -sha256`
    /// writes it, if TLS is served.
    pub fn fingerprint(&self) -> Option<String> {
        self.tls.as_ref().map(TlsServer::fingerprint)
    }

    /// Serves until `ending` says so, then lets requests that are under way end.
    pub async fn serve(self, app: App, mut ending: Ending) {
        let api = Api::new(app, ending.clone());
        let door = Door {
            router: router(api),
            users: Arc::default(),
            tls: self.tls.as_ref().map(TlsServer::acceptor),
            free: Arc::new(Semaphore::new(CONNECTIONS)),
            free_tcp: Arc::new(Semaphore::new(TCP_CONNECTIONS)),
            of_user: Crowd::new(),
            from_address: Crowd::new(),
            ending: ending.clone(),
        };
        let mut connections = JoinSet::new();
        tokio::select! {
            biased;
            () = ending.comes() => {}
            () = self.keep_certificate() => {}
            () = self.let_in(&door, &mut connections) => {}
        }
        drop(self);
        let all = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, all).await.is_err() {
            tracing::warn!(left = connections.len(), "requests were cut off at the end");
        }
    }

    /// Lets connections in, for ever.
    async fn let_in(&self, door: &Door, connections: &mut JoinSet<()>) {
        loop {
            tokio::select! {
                biased;
                Some(_) = connections.join_next() => {}
                entered = door.next(self) => match entered {
                    Ok(connection) => { connections.spawn(connection); }
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be let in");
                        tokio::time::sleep(BREATH).await;
                    }
                },
            }
        }
    }

    /// Keeps the certificate current, for ever.
    async fn keep_certificate(&self) {
        match &self.tls {
            Some(tls) => tls.keep_current().await,
            None => std::future::pending().await,
        }
    }
}

/// Serves the API until `ending` says so.
pub async fn serve(app: App, ending: Ending) -> Result<(), ListenError> {
    let server = Server::listen(&app.config).await?;
    server.serve(app, ending).await;
    Ok(())
}

/// What each connection gets on its way in.
struct Door {
    router: Router,
    users: Arc<Users>,
    tls: Option<TlsAcceptor>,
    free: Arc<Semaphore>,
    free_tcp: Arc<Semaphore>,
    of_user: Arc<Crowd<u32>>,
    from_address: Arc<Crowd<IpAddr>>,
    ending: Ending,
}

type Connection = BoxFuture<'static, ()>;

impl Door {
    /// The next connection, once there is room for one.
    async fn next(&self, server: &Server) -> io::Result<Connection> {
        let unix = async {
            let room = Self::room(&self.free).await?;
            let (stream, _) = server.unix.listener.accept().await?;
            Ok(self.unix(stream, room))
        };
        let tcp = async {
            let Some(tcp) = &server.tcp else {
                return std::future::pending().await;
            };
            let room = Self::room(&self.free_tcp).await?;
            let (stream, remote) = tcp.accept().await?;
            self.tcp(stream, remote, room)
        };
        tokio::select! {
            connection = unix => connection,
            connection = tcp => connection,
        }
    }

    async fn room(free: &Arc<Semaphore>) -> io::Result<OwnedSemaphorePermit> {
        let room = Arc::clone(free).acquire_owned().await;
        room.map_err(io::Error::other)
    }

    fn tcp(
        &self,
        stream: TcpStream,
        remote: SocketAddr,
        room: OwnedSemaphorePermit,
    ) -> io::Result<Connection> {
        let most = (!remote.ip().is_loopback()).then_some(FROM_ONE_ADDRESS);
        let Some(place) = Crowd::enter(&self.from_address, remote.ip(), most) else {
            tracing::debug!(%remote, "{remote} has too many connections");
            return Ok(Box::pin(std::future::ready(())));
        };
        stream.set_nodelay(true)?;
        let arrival = Arrival::new(remote, stream.local_addr()?);
        let (router, ending) = (self.router.clone(), self.ending.clone());
        let Some(tls) = self.tls.clone() else {
            let peer = Peer::new(Subject::new(Principal::Anonymous), Transport::Tcp)
                .from(Origin::Tcp { address: remote });
            return Ok(Box::pin(async move {
                serve_one(router, stream, peer, Some(arrival), ending, room).await;
                drop(place);
            }));
        };
        Ok(Box::pin(async move {
            match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
                Ok(Ok(stream)) => {
                    let peer = Peer::new(Subject::new(Principal::Anonymous), Transport::Tls)
                        .from(Origin::Tcp { address: remote });
                    serve_one(router, stream, peer, Some(arrival), ending, room).await;
                }
                // Whoever does not speak TLS, or takes too long for it, is of no interest.
                Ok(Err(error)) => tracing::debug!(%remote, %error, "no TLS with {remote}"),
                Err(_) => tracing::debug!(%remote, "no TLS with {remote}: it takes too long"),
            }
            drop(place);
        }))
    }

    fn unix(&self, stream: UnixStream, room: OwnedSemaphorePermit) -> Connection {
        let user = match stream.peer_cred() {
            Ok(credentials) => credentials.uid(),
            Err(error) => return unknown(&error),
        };
        let most = (user != 0).then_some(OF_ONE_USER);
        let Some(place) = Crowd::enter(&self.of_user, user, most) else {
            tracing::debug!(user, "user {user} has too many connections");
            return Box::pin(std::future::ready(()));
        };
        let (users, router) = (Arc::clone(&self.users), self.router.clone());
        let ending = self.ending.clone();
        Box::pin(async move {
            let known = match origin(&stream) {
                Ok(origin) => users.of(&stream).await.map(|user| (user, origin)),
                Err(error) => Err(error),
            };
            match known {
                Ok((subject, origin)) => {
                    let peer = Peer::new(subject, Transport::Unix).from(origin);
                    serve_one(router, stream, peer, None, ending, room).await;
                }
                Err(error) => unknown(&error).await,
            }
            drop(place);
        })
    }
}

fn unknown(error: &io::Error) -> Connection {
    tracing::warn!(%error, "a connection's user cannot be found out");
    Box::pin(std::future::ready(()))
}

async fn serve_one<S>(
    router: Router,
    stream: S,
    peer: Peer,
    arrival: Option<Arrival>,
    mut ending: Ending,
    room: OwnedSemaphorePermit,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let cut: BoxFuture<'static, ()> = match &arrival {
        Some(arrival) => {
            let cut = arrival.cutter.cut();
            Box::pin(async move {
                cut.await;
                tokio::time::sleep(LAST_WORD).await;
            })
        }
        // Who is known by the kernel stays so.
        None => Box::pin(std::future::pending()),
    };
    let stream = TokioIo::new(Impatient::new(stream, peer.patience(), cut));
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        if let Some(arrival) = &arrival {
            request.extensions_mut().insert(arrival.clone());
        }
        router.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_buf_size(BUFFER)
        .serve_connection(stream, service)
        .with_upgrades();
    tokio::pin!(connection);
    let served = tokio::select! {
        served = &mut connection => served,
        () = ending.comes() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // A client may leave, or be slow, at any time.
    if let Err(error) = served {
        tracing::debug!(%error, "a connection broke");
    }
    drop(room);
}
