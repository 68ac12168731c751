// SPDX-License-Identifier: GPL-3.0-or-later
//! Servers that trust whoever speaks to them: what the port and the API would be without limits.
//!
//! They are what an attempt on a limit is shown to work against. A server is this test's own
//! program, run once more with a limit on memory and files, as a unit would have.

use std::{
    collections::BTreeMap,
    env,
    io::{self, IoSliceMut, Read, Write},
    mem::MaybeUninit,
    os::{
        fd::OwnedFd,
        unix::net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio, exit},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

const SOCKET: &str = "HV_TRUSTING_SOCKET";
const KIND: &str = "HV_TRUSTING_KIND";
const TEST: &str = "attack::a_server_that_trusts";
/// How many connections are served at once.
const PLACES: usize = 512;

/// How many are served.
static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// A connection's stack: small, so that memory ends by what is sent and not by how many send.
const STACK: usize = 128 << 10;

/// What a server serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The port.
    Port,
    /// HTTP.
    Http,
    /// A guest's agent: it asks, and reads the answer.
    Agent,
}

/// A server that trusts, in a process of its own.
pub(super) struct Trusting {
    child: Child,
    socket: PathBuf,
}

impl Trusting {
    pub(super) fn start(kind: Kind, folder: &Path) -> Self {
        let socket = folder.join("trusting.sock");
        let _ = std::fs::remove_file(&socket);
        let child = Command::new("prlimit")
            .args(["--as=500000000", "--nofile=700", "--core=0"])
            .arg(env::current_exe().expect("a process knows"))
            .args(["--exact", TEST, "--nocapture"])
            .env(SOCKET, &socket)
            .env(KIND, format!("{kind:?}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("prlimit is installed");
        hv_e2e::wait_for("the server to listen", || socket.exists().then_some(()));
        Self { child, socket }
    }

    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Whether it has ended, or answers nobody within so long.
    pub(super) fn is_lost(&mut self, patience: Duration) -> bool {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return true;
        }
        let answers = || -> io::Result<()> {
            let mut stream = UnixStream::connect(&self.socket)?;
            stream.set_read_timeout(Some(patience))?;
            stream.write_all(b"HELLO\r\n\r\n     ")?;
            stream.read_exact(&mut [0])
        };
        answers().is_err()
    }
}

impl Drop for Trusting {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether this process is to be such a server.
pub(super) fn is_asked_for() -> bool {
    env::var_os(SOCKET).is_some()
}

/// Serves until it ends, one way or another.
pub(super) fn serve() {
    let socket = env::var_os(SOCKET).expect("it was asked for");
    let serve_one: fn(UnixStream) = match env::var(KIND).as_deref() {
        Ok("Port") => port,
        Ok("Http") => http,
        _ => agent,
    };
    let listener = UnixListener::bind(socket).expect("our own folder");
    for stream in listener.incoming() {
        let Ok(stream) = stream else { exit(1) };
        while TAKEN.load(Ordering::SeqCst) >= PLACES {
            thread::sleep(Duration::from_millis(10));
        }
        TAKEN.fetch_add(1, Ordering::SeqCst);
        let serving = thread::Builder::new().stack_size(STACK).spawn(move || {
            serve_one(stream);
            TAKEN.fetch_sub(1, Ordering::SeqCst);
        });
        if serving.is_err() {
            exit(1);
        }
    }
}

/// Whoever trusts does not ask whether there is more to read.
fn read_exactly(stream: &mut UnixStream, bytes: &mut [u8]) {
    if stream.read_exact(bytes).is_err() {
        exit(1);
    }
}

/// Descriptors that were passed and nobody asked for, kept as a leak keeps them.
static KEPT: Mutex<Vec<OwnedFd>> = Mutex::new(Vec::new());

/// Frames without limits: as long as they say, as deep as they are, with all that is passed.
fn port(mut stream: UnixStream) {
    let mut greeting = [0; 12];
    read_exactly(&mut stream, &mut greeting);
    if stream.write_all(&greeting).is_err() || greeting.starts_with(b"HELLO") {
        return;
    }
    let mut length = [0; 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(64))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(
        &stream,
        &mut [IoSliceMut::new(&mut length)],
        &mut control,
        RecvFlags::empty(),
    );
    let Ok(received) = received else { exit(1) };
    if received.bytes < 4 {
        let rest = &mut length[received.bytes..];
        read_exactly(&mut stream, rest);
    }
    let mut passed = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            passed.extend(descriptors);
        }
    }
    // Filled, so that the memory is really taken.
    let mut payload = vec![b' '; u32::from_be_bytes(length) as usize];
    read_exactly(&mut stream, &mut payload);
    depth(&payload, &mut 0);
    let text = String::from_utf8_lossy(&payload).into_owned();
    if text.contains("upload_image") {
        let Some(source) = passed.pop() else { exit(1) };
        let mut bytes = Vec::new();
        // All of it, however much that is.
        if std::fs::File::from(source).read_to_end(&mut bytes).is_err() {
            exit(1);
        }
    }
    KEPT.lock().expect("nobody panics").extend(passed);
    // What it is there for takes a file.
    if std::fs::File::open("/dev/null").is_err() {
        exit(1);
    }
    if text.contains("subscribe") {
        let mut waiting: Vec<Vec<u8>> = Vec::new();
        stream.set_nonblocking(true).expect("a socket");
        // What is not read is kept, however much that is.
        loop {
            waiting.push(vec![b'x'; 1 << 20]);
            let _ = stream.write(&vec![b'x'; 1 << 16]);
        }
    }
    let _ = stream.write_all(&[0, 0, 0, 2, b'{', b'}']);
}

/// How deeply brackets are nested, found out by going down into them.
fn depth(text: &[u8], place: &mut usize) -> usize {
    let mut deepest = 0;
    while let Some(byte) = text.get(*place) {
        *place += 1;
        match byte {
            b'[' | b'{' => deepest = deepest.max(1 + depth(text, place)),
            b']' | b'}' => return std::hint::black_box(deepest),
            _ => {}
        }
    }
    deepest
}

/// HTTP without limits.
fn http(mut stream: UnixStream) {
    let mut unsent: Vec<u8> = Vec::new();
    let mut kept: Vec<u8> = Vec::new();
    loop {
        let mut looked_at = 0;
        let end = loop {
            let new = kept.get(looked_at..).unwrap_or_default();
            if let Some(end) = new.windows(4).position(|four| four == b"\r\n\r\n") {
                break looked_at + end + 4;
            }
            looked_at = kept.len().saturating_sub(3);
            let mut piece = vec![0; 64 << 10];
            match stream.read(&mut piece) {
                Ok(0) | Err(_) => return,
                Ok(count) => kept.extend_from_slice(&piece[..count]),
            }
        };
        let head = String::from_utf8_lossy(&kept[..end]).into_owned();
        kept.drain(..end);
        let fields: BTreeMap<String, String> = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        // Of two lengths the chunks' is believed, and what follows is the next request.
        let length = match fields.get("transfer-encoding") {
            Some(_) if fields.contains_key("content-length") => 5,
            Some(_) => usize::MAX,
            None => fields
                .get("content-length")
                .and_then(|text| text.parse().ok())
                .unwrap_or(0),
        };
        while kept.len() < length {
            let mut piece = vec![0; 64 << 10];
            match stream.read(&mut piece) {
                Ok(0) | Err(_) => return,
                Ok(count) => kept.extend_from_slice(&piece[..count]),
            }
        }
        let body: Vec<u8> = kept.drain(..length).collect();
        depth(&body, &mut 0);
        if head.contains("/v1/events") {
            loop {
                unsent.resize(unsent.len() + (1 << 20), b'x');
                stream.set_nonblocking(true).expect("a socket");
                let _ = stream.write(&unsent);
            }
        }
        let said = if head.contains("openapi.json") {
            format!("{{\"openapi\": \"{}\"}}", "3".repeat(32 << 10))
        } else {
            "{}".to_owned()
        };
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{said}",
            said.len()
        );
        // What is not read yet is kept.
        unsent.extend_from_slice(answer.as_bytes());
        stream.set_nonblocking(true).expect("a socket");
        if let Ok(count) = stream.write(&unsent) {
            unsent.drain(..count);
        }
        stream.set_nonblocking(false).expect("a socket");
        if fields
            .get("connection")
            .is_some_and(|value| value == "close")
            && kept.is_empty()
        {
            return;
        }
    }
}

/// Reads what an agent answers, to its end and to its depth.
fn agent(mut stream: UnixStream) {
    let mut answer = Vec::new();
    let mut piece = vec![0; 64 << 10];
    let _ = stream.write_all(b"?");
    loop {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(count) => answer.extend_from_slice(&piece[..count]),
        }
    }
    depth(&answer, &mut 0);
}
