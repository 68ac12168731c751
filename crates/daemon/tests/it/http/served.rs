// SPDX-License-Identifier: GPL-3.0-or-later
//! The API over its real sockets, asked by the typed client.

use std::{
    io::Cursor,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use hv_client::{AuditFilter, ChangeOptions, Client, ClientError, EventFilter, VmAction, VmFilter};
use hv_model::{
    access::{Origin, Role},
    audit::AuditEvent,
    event::EventKind,
    hypervisor::Takeover,
    inventory::{AskGuest, CreateVm, ThenStart},
    operation::OperationState,
    problem::ProblemKind,
    storage::VolumeFormat,
    vm::VmSpec,
};
use hvd::{
    config::Listen,
    http::{Ending, Server},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    sync::watch,
    task::JoinHandle,
};

use super::{Daemon, grant};

/// A daemon behind its sockets.
struct Served {
    daemon: Daemon,
    client: Client,
    tcp: String,
    ending: watch::Sender<bool>,
    server: JoinHandle<()>,
}

impl Served {
    /// One that lets whoever runs the tests do everything.
    async fn start() -> Self {
        let name = uzers::get_current_username().unwrap();
        let tester = format!("user:{}", name.to_string_lossy());
        let daemon = Daemon::with(|config| {
            let grant = grant("tester", &tester, Role::Admin, "everything");
            config.access.grants.push(grant);
        });
        Self::of(daemon.await).await
    }

    async fn of(daemon: Daemon) -> Self {
        let mut config = (*daemon.app.config).clone();
        config.listen = Some(Listen::at("127.0.0.1:0".parse().unwrap()));
        let server = Server::listen(&config).await.unwrap();
        let tcp = server.tcp_address().unwrap().to_string();
        let (ending, ends) = watch::channel(false);
        let server = tokio::spawn(server.serve(daemon.app.clone(), Ending::new(ends)));
        let client = Client::unix(&config.socket);
        Self {
            daemon,
            client,
            tcp,
            ending,
            server,
        }
    }

    fn socket(&self) -> PathBuf {
        self.daemon.app.config.socket.clone()
    }

    /// Ends serving, and waits for it.
    async fn end(self) -> Daemon {
        self.ending.send_replace(true);
        self.server.await.unwrap();
        self.daemon
    }
}

fn vm(name: &str, then: ThenStart) -> CreateVm {
    CreateVm {
        spec: VmSpec::new(name.parse().unwrap()),
        then,
    }
}

fn patiently() -> ChangeOptions {
    ChangeOptions::default().wait(Duration::from_secs(60))
}

#[tokio::test]
async fn whoever_opens_the_socket_is_known_to_the_kernel() {
    let served = Served::start().await;
    let made = served
        .client
        .create_vm(&vm("web", ThenStart::Nothing), &patiently())
        .await
        .unwrap();
    assert_eq!(made.state, OperationState::Succeeded);
    let uid = uzers::get_current_uid();
    let name = uzers::get_user_by_uid(uid)
        .unwrap()
        .name()
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(made.actor.label(), name);
    let list = served.client.vms(&VmFilter::default()).await.unwrap();
    assert_eq!(list.items[0].owner.as_ref().unwrap().as_str(), name);
}

#[tokio::test]
async fn where_a_request_comes_from_is_recorded() {
    let served = Served::start().await;
    let web = vm("web", ThenStart::Nothing);
    served.client.create_vm(&web, &patiently()).await.unwrap();
    let log = served.client.audit(&AuditFilter::default()).await.unwrap();
    let from: Vec<Option<Origin>> = log
        .items
        .into_iter()
        .filter_map(|entry| match entry.event {
            AuditEvent::Decided(decided) => Some(decided.from),
            _ => None,
        })
        .collect();
    let us = Origin::Unix {
        uid: uzers::get_current_uid(),
        pid: Some(std::process::id()),
    };
    assert_eq!(from[0], Some(us));
}

#[tokio::test]
async fn over_tcp_nobody_gets_anything_without_a_login() {
    let served = Served::start().await;
    let client = Client::tcp(&served.tcp);
    let refused = client.vms(&VmFilter::default()).await;
    assert_eq!(refused.unwrap_err().kind(), ProblemKind::LoginNeeded);
    let refused = client
        .create_vm(&vm("web", ThenStart::Nothing), &patiently())
        .await;
    assert_eq!(refused.unwrap_err().kind(), ProblemKind::LoginNeeded);
}

#[tokio::test]
async fn a_console_is_a_stream_both_ways() {
    let served = Served::start().await;
    served.daemon.running_vm("web").await;
    let mut console = served
        .client
        .console("web", Takeover::Refuse)
        .await
        .unwrap();
    console.write_all(b"hello\n").await.unwrap();
    let mut echo = [0; 6];
    console.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"hello\n");
}

#[tokio::test]
async fn a_console_ends_with_the_daemon() {
    let served = Served::start().await;
    served.daemon.running_vm("web").await;
    let mut console = served
        .client
        .console("web", Takeover::Refuse)
        .await
        .unwrap();
    served.end().await;
    assert_eq!(console.read(&mut [0; 8]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn a_console_ends_with_the_grant_that_gave_it() {
    let daemon = Daemon::with_ada().await;
    let bearer = daemon.bearer().await;
    daemon.running_vm("web").await;
    let served = Served::of(daemon).await;
    let mut console = TcpStream::connect(&served.tcp).await.unwrap();
    let ask = format!(
        "GET /v1/vms/web/console HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {bearer}\r\n\
         Connection: upgrade\r\nUpgrade: hv-console\r\n\r\nhello",
        served.tcp
    );
    console.write_all(ask.as_bytes()).await.unwrap();
    let mut heard = Vec::new();
    while !heard.ends_with(b"hello") {
        assert_ne!(console.read_buf(&mut heard).await.unwrap(), 0, "{heard:?}");
    }
    let (access, clock) = (&served.daemon.app.access, &served.daemon.clock);
    let mut sources = access.sources();
    for given in &mut sources.grants {
        given.grant.until = Some(clock.now() + Duration::from_mins(3));
    }
    access.replace(sources).unwrap();
    console.write_all(b"again").await.unwrap();
    console.read_exact(&mut [0; 5]).await.unwrap();
    let ended = async { console.read(&mut [0; 8]).await.unwrap_or(0) };
    // Much less than the session lasts.
    let time_passes = async {
        for _ in 0..10 {
            clock.advance(Duration::from_secs(30));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        clock.now()
    };
    tokio::select! {
        read = ended => assert_eq!(read, 0),
        now = time_passes => panic!("it is still open at {now}"),
    }
}

#[tokio::test]
async fn a_vm_that_is_off_has_no_console() {
    let served = Served::start().await;
    served.daemon.vm("web").await;
    let refused = served
        .client
        .console("web", Takeover::Refuse)
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ProblemKind::NoConsole, "{refused}");
}

#[tokio::test]
async fn an_image_is_sent_with_its_progress() {
    let served = Served::start().await;
    let bytes = vec![7; 3 << 20];
    let told = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&told);
    let added = served
        .client
        .add_image(
            &"debian".parse().unwrap(),
            VolumeFormat::Raw,
            bytes.len() as u64,
            Cursor::new(bytes.clone()),
            move |sent| note.lock().unwrap().push(sent),
            &patiently(),
        )
        .await
        .unwrap();
    assert_eq!(
        added.state,
        OperationState::Succeeded,
        "{:?}",
        added.problem
    );
    let told = told.lock().unwrap().clone();
    assert!(
        told.is_sorted() && told.last() == Some(&(3 << 20)),
        "{told:?}"
    );
    let image = served.client.image("debian").await.unwrap();
    assert_eq!(image.blake3, blake3::hash(&bytes).to_hex().as_str());
}

#[tokio::test]
async fn a_taken_name_is_told_before_an_image_is_sent() {
    let served = Served::start().await;
    let name = "debian".parse().unwrap();
    let add = async |progress: fn(u64)| {
        let source = Cursor::new(vec![7; 4096]);
        let options = patiently();
        let added =
            served
                .client
                .add_image(&name, VolumeFormat::Raw, 4096, source, progress, &options);
        added.await
    };
    add(|_| {}).await.unwrap();
    let refused = add(|_| panic!("something was sent")).await.unwrap_err();
    assert_eq!(refused.kind(), ProblemKind::NameTaken, "{refused}");
}

#[tokio::test]
async fn a_file_that_is_shorter_than_said_leaves_nothing() {
    let served = Served::start().await;
    let name = "debian".parse().unwrap();
    let source = Cursor::new(vec![7; 4096]);
    let options = patiently();
    let added = served
        .client
        .add_image(&name, VolumeFormat::Raw, 8192, source, |_| {}, &options)
        .await;
    assert!(added.is_err(), "{added:?}");
    served.daemon.until(|snapshot| snapshot.seq > 0).await;
    let operations = served
        .client
        .operations(&hv_client::OperationFilter::default())
        .await
        .unwrap();
    let over = served
        .client
        .operation(operations.items[0].id, Some(Duration::from_secs(60)));
    assert_eq!(over.await.unwrap().state, OperationState::Cancelled);
    assert_eq!(served.daemon.host.all_volumes(), []);
}

#[tokio::test]
async fn an_image_that_is_being_sent_can_be_cancelled() {
    let served = Served::start().await;
    let (mut file, source) = tokio::io::duplex(1 << 20);
    file.write_all(&[7; 4096]).await.unwrap();
    let client = served.client.clone();
    let adding = tokio::spawn(async move {
        let (name, options) = ("debian".parse().unwrap(), patiently());
        let added = client.add_image(&name, VolumeFormat::Raw, 8192, source, |_| {}, &options);
        added.await
    });
    let mut events = served.client.events(Some(0), &EventFilter::default());
    let id = loop {
        let event = events.next().await.unwrap();
        if event.kind == EventKind::OperationChanged && event.data["step"].is_string() {
            break event.subject.id.parse().unwrap();
        }
    };
    let cancelled = served.client.cancel(id, &patiently()).await.unwrap();
    assert_eq!(
        cancelled.state,
        OperationState::Cancelled,
        "{:?}",
        cancelled.problem
    );
    assert_eq!(adding.await.unwrap().unwrap(), cancelled);
    assert_eq!(served.daemon.host.all_volumes(), []);
    drop(file);
}

#[tokio::test]
async fn an_operation_is_followed_to_its_end() {
    let served = Served::start().await;
    let options = ChangeOptions::default();
    let made = served
        .client
        .create_vm(&vm("web", ThenStart::Start), &options)
        .await
        .unwrap();
    let mut states = Vec::new();
    let over = served
        .client
        .follow(made.id)
        .until_over(|now| states.push(now.state))
        .await
        .unwrap();
    assert_eq!(over.state, OperationState::Succeeded);
    assert_eq!(states.last(), Some(&OperationState::Succeeded));
    let again = served.client.follow(made.id).next().await.unwrap().unwrap();
    assert_eq!(again, over, "one that is over is told once");
}

#[tokio::test]
async fn events_go_on_where_they_were_after_the_daemon_was_away() {
    let served = Served::start().await;
    let mut events = served.client.events(None, &EventFilter::default());
    let first = tokio::spawn(async move {
        let event = events.next().await.unwrap();
        (events, event)
    });
    // Something happens until the stream is there to tell of it.
    let mut number = 0;
    while !first.is_finished() {
        served.daemon.vm(&format!("vm-{number}")).await;
        number += 1;
    }
    let (mut events, first) = first.await.unwrap();
    let daemon = served.end().await;
    daemon.vm("meanwhile").await;
    let served = Served::of(daemon).await;
    let mut last = first.seq;
    loop {
        let event = events.next().await.unwrap();
        assert!(event.seq > last, "none comes twice");
        last = event.seq;
        if event.kind == EventKind::VmAdded && event.subject.name == "meanwhile" {
            break;
        }
    }
    drop(served);
}

#[tokio::test]
async fn a_daemon_that_does_not_run_is_unreachable() {
    let served = Served::start().await;
    let (client, socket) = (served.client.clone(), served.socket());
    served.end().await;
    assert!(!socket.exists(), "the socket is removed");
    let error = client.version().await.unwrap_err();
    assert!(
        matches!(&error, ClientError::Unreachable { .. }),
        "{error:?}"
    );
    assert_eq!(error.kind(), ProblemKind::DaemonUnreachable);
}

#[tokio::test]
async fn a_request_under_way_is_answered_before_the_daemon_ends() {
    let served = Served::start().await;
    served.daemon.running_vm("web").await;
    let id = served
        .daemon
        .app
        .inventory
        .snapshot()
        .vm("web")
        .unwrap()
        .row
        .id;
    served
        .daemon
        .host
        .set_temper(id, hvd::sim::Temper::Deaf)
        .unwrap();
    let client = served.client.clone();
    let waiting = tokio::spawn(async move {
        client
            .act(
                "web",
                &VmAction::ShutDown(AskGuest::default()),
                &patiently(),
            )
            .await
    });
    served
        .daemon
        .until(|snapshot| snapshot.vm("web").unwrap().summary.operation.is_some())
        .await;
    served.end().await;
    let operation = waiting.await.unwrap().unwrap();
    assert!(!operation.state.is_final());
}

#[tokio::test]
async fn what_is_not_http_is_refused() {
    let served = Served::start().await;
    let mut stream = UnixStream::connect(served.socket()).await.unwrap();
    stream
        .write_all(b"\x16\x03\x01 hello\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(
        answer.starts_with(b"HTTP/1.1 400"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
}

#[tokio::test]
async fn several_requests_use_one_connection() {
    let served = Served::start().await;
    let mut stream = UnixStream::connect(served.socket()).await.unwrap();
    for _ in 0..3 {
        stream
            .write_all(b"GET /v1/version HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await
            .unwrap();
        let mut answer = vec![0; 4096];
        let read = stream.read(&mut answer).await.unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 200 OK"));
    }
}
