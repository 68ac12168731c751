// SPDX-License-Identifier: GPL-3.0-or-later
//! Serving: accepts connections, tells each request who asks, and ends in order.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hv_model::access::{Origin, Principal};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};
use tower::ServiceExt;

use super::{
    Api, Ending, Peer, Transport,
    connection::{Impatient, Users, origin},
    listener::{ListenError, UnixSocket, listen_tcp},
    router,
};
use crate::{access::Subject, app::App, config::Config};

/// How many connections there may be at once. More wait until one ends.
const CONNECTIONS: usize = 1_024;
/// How long a client may take to ask, and how long it may keep a connection without asking.
const HEADERS: Duration = Duration::from_secs(30);
/// How much of a request that is not its body is read.
const BUFFER: usize = 64 << 10;
/// How long requests may take to end once the daemon does.
const GRACE: Duration = Duration::from_secs(5);
/// How long to wait when the system lets no connection in, as when files have run out.
const BREATH: Duration = Duration::from_millis(100);

/// The API where it can be reached, before anybody is let in.
#[derive(Debug)]
pub struct Server {
    unix: UnixSocket,
    tcp: Option<TcpListener>,
}

impl Server {
    /// Takes the places that the configuration names.
    pub async fn listen(config: &Config) -> Result<Self, ListenError> {
        let unix = UnixSocket::listen(&config.socket, config.socket_group.as_deref()).await?;
        let tcp = match &config.listen {
            Some(listen) => Some(listen_tcp(listen.address).await?),
            None => None,
        };
        Ok(Self { unix, tcp })
    }

    /// The TCP address that is served, if one is.
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        self.tcp.as_ref()?.local_addr().ok()
    }

    /// Serves until `ending` says so, then lets requests that are under way end.
    pub async fn serve(self, app: App, mut ending: Ending) {
        let api = Api::new(app, ending.clone());
        let door = Door {
            router: router(api),
            users: Arc::default(),
            free: Arc::new(Semaphore::new(CONNECTIONS)),
            ending: ending.clone(),
        };
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = ending.comes() => break,
                Some(_) = connections.join_next() => {}
                entered = door.next(&self) => match entered {
                    Ok(connection) => { connections.spawn(connection); }
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be let in");
                        tokio::time::sleep(BREATH).await;
                    }
                },
            }
        }
        drop(self);
        let all = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, all).await.is_err() {
            tracing::warn!(left = connections.len(), "requests were cut off at the end");
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
    free: Arc<Semaphore>,
    ending: Ending,
}

type Connection = futures_util::future::BoxFuture<'static, ()>;

impl Door {
    /// The next connection, once there is room for one.
    async fn next(&self, server: &Server) -> io::Result<Connection> {
        let room = Arc::clone(&self.free)
            .acquire_owned()
            .await
            .map_err(io::Error::other)?;
        let tcp = async {
            match &server.tcp {
                Some(tcp) => tcp.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            accepted = server.unix.listener.accept() => Ok(self.unix(accepted?.0, room)),
            accepted = tcp => {
                let (stream, address) = accepted?;
                stream.set_nodelay(true)?;
                let peer = Peer::new(Subject::new(Principal::Anonymous), Transport::Tcp)
                    .from(Origin::Tcp { address });
                Ok(Box::pin(serve_one(self.router.clone(), stream, peer, self.ending.clone(), room)))
            }
        }
    }

    fn unix(&self, stream: UnixStream, room: OwnedSemaphorePermit) -> Connection {
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
                    serve_one(router, stream, peer, ending, room).await;
                }
                Err(error) => tracing::warn!(%error, "a connection's user cannot be found out"),
            }
        })
    }
}

async fn serve_one<S>(
    router: Router,
    stream: S,
    peer: Peer,
    mut ending: Ending,
    room: OwnedSemaphorePermit,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let stream = TokioIo::new(Impatient::new(stream, peer.patience()));
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
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
