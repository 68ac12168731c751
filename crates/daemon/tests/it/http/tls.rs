// SPDX-License-Identifier: GPL-3.0-or-later
//! The API over TLS, asked by the typed client.

use axum::{
    body::Body,
    http::{Request, header},
};
use hv_client::{Client, ClientError, Fingerprint, OfWhom, RemoteAddress, Trust, VmFilter};
use hv_model::{
    access::Principal,
    hypervisor::Takeover,
    problem::ProblemKind,
    session::{Carry, Login},
};
use hvd::{
    access::Subject,
    config::{Listen, Tls},
    http::{Ending, Peer, Server, Transport},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    task::JoinHandle,
};

use super::{Daemon, accounts::PASSWORD};

/// A daemon that is served over TLS, with a certificate of its own.
struct Secured {
    daemon: Daemon,
    address: RemoteAddress,
    fingerprint: Fingerprint,
    _ending: watch::Sender<bool>,
    _server: JoinHandle<()>,
}

impl Secured {
    async fn start() -> Self {
        let daemon = Daemon::with_ada().await;
        let mut config = (*daemon.app.config).clone();
        config.listen = Some(Listen {
            tls: Some(Tls::SelfMade),
            ..Listen::at("127.0.0.1:0".parse().unwrap())
        });
        let server = Server::listen(&config).await.unwrap();
        let address = format!("https://{}", server.tcp_address().unwrap());
        let fingerprint = server.fingerprint().unwrap().parse().unwrap();
        let (ending, ends) = watch::channel(false);
        let server = tokio::spawn(server.serve(daemon.app.clone(), Ending::new(ends)));
        Self {
            daemon,
            address: address.parse().unwrap(),
            fingerprint,
            _ending: ending,
            _server: server,
        }
    }

    /// A client that knows the host, and whom the host does not know.
    fn stranger(&self) -> Client {
        let trust = Trust::Fingerprint(self.fingerprint);
        Client::tls(self.address.clone(), trust).unwrap()
    }

    /// The same after ada has logged in.
    async fn ada(&self) -> Client {
        let opened = self.stranger().log_in(&ada()).await.unwrap();
        self.stranger().with_bearer(opened.bearer.unwrap())
    }
}

fn ada() -> Login {
    Login {
        name: "ada".to_owned(),
        password: PASSWORD.into(),
        code: None,
        carry: Carry::Bearer,
    }
}

#[tokio::test]
async fn over_tls_a_person_is_known_by_their_session() {
    let secured = Secured::start().await;
    let refused = secured.stranger().vms(&VmFilter::default()).await;
    assert_eq!(refused.unwrap_err().kind(), ProblemKind::LoginNeeded);
    let ada = secured.ada().await;
    let me = ada.who_am_i().await.unwrap();
    assert_eq!(me.principal.label(), "ada");
    assert_eq!(me.session.unwrap().from, "127.0.0.1");
    ada.vms(&VmFilter::default()).await.unwrap();
    ada.log_out().await.unwrap();
    let over = ada.who_am_i().await.unwrap_err();
    assert_eq!(over.kind(), ProblemKind::SessionOver);
}

#[tokio::test]
async fn a_host_shows_the_certificate_whose_fingerprint_it_says() {
    let secured = Secured::start().await;
    let seen = Client::look_at(secured.address.clone()).await.unwrap();
    assert_eq!(seen.fingerprint, secured.fingerprint);
    assert!(!seen.vouched_for);
}

#[tokio::test]
async fn a_host_with_another_certificate_is_told_nothing() {
    let secured = Secured::start().await;
    let known: Fingerprint = "AB".repeat(32).parse().unwrap();
    let client = Client::tls(secured.address.clone(), Trust::Fingerprint(known)).unwrap();
    let refused = client.log_in(&ada()).await.unwrap_err();
    let ClientError::OtherHost { seen, .. } = &refused else {
        panic!("{refused:?}")
    };
    assert_eq!(*seen, secured.fingerprint.to_string());
    let by_authority = Client::tls(secured.address.clone(), Trust::System).unwrap();
    let refused = by_authority.log_in(&ada()).await.unwrap_err();
    assert!(
        matches!(refused, ClientError::Unknown { .. }),
        "{refused:?}"
    );
    let sessions = secured.ada().await.sessions(&OfWhom::Own).await.unwrap();
    assert_eq!(sessions.items.len(), 1, "neither of them logged in");
}

#[tokio::test]
async fn a_stream_ends_with_its_session() {
    let secured = Secured::start().await;
    secured.daemon.running_vm("web").await;
    let (mine, other) = (secured.ada().await, secured.ada().await);
    let mut console = other.console("web", Takeover::Refuse).await.unwrap();
    console.write_all(b"hello\n").await.unwrap();
    let mut echo = [0; 6];
    console.read_exact(&mut echo).await.unwrap();
    let id = other.who_am_i().await.unwrap().session.unwrap().id;
    mine.end_session(id).await.unwrap();
    let ended = console.read(&mut echo).await;
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    assert!(mine.who_am_i().await.is_ok());
}

#[tokio::test]
async fn who_does_not_speak_tls_gets_nothing_and_others_go_on() {
    let secured = Secured::start().await;
    let socket = (secured.address.host(), secured.address.port());
    let mut plain = TcpStream::connect(socket).await.unwrap();
    let request = b"GET /v1/version HTTP/1.1\r\nHost: localhost\r\n\r\n";
    plain.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    // It may be cut off while it is read.
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/"), "{answer:?}");
    secured.stranger().version().await.unwrap();
}

#[tokio::test]
async fn browsers_are_told_to_come_over_tls_alone_and_to_no_other_name() {
    let daemon = Daemon::with_ada().await;
    let ask = async |host: &str| {
        let peer = Peer::new(Subject::new(Principal::Anonymous), Transport::Tls);
        let request = Request::get("/v1/version").header(header::HOST, host);
        daemon
            .send(peer, request.body(Body::empty()).unwrap())
            .await
    };
    let answer = ask("localhost:8443").await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("strict-transport-security"),
        "max-age=31536000"
    );
    let refused = ask("evil.example").await;
    assert_eq!(refused.json()["kind"], "denied", "{}", refused.told());
}
