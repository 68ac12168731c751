// SPDX-License-Identifier: GPL-3.0-or-later
//! HTTP as an attacker speaks it: every byte as they want it.

use std::{
    io::{self, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    os::unix::net::UnixStream,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::tls;

/// How much of an answer is read.
const LONGEST: u64 = 16 << 20;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where hvd is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Door {
    /// Its unix socket.
    Unix(PathBuf),
    /// Its address.
    Tcp(String),
    /// The same, where it speaks TLS.
    Tls(String),
}

/// A connection of either kind.
pub trait Stream: Read + Write + Send {
    /// Limits how long a read may take.
    fn patience(&self, time: Duration) -> io::Result<()>;
}

impl Stream for UnixStream {
    fn patience(&self, time: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(time))?;
        self.set_write_timeout(Some(time))
    }
}

impl Stream for TcpStream {
    fn patience(&self, time: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(time))?;
        self.set_write_timeout(Some(time))
    }
}

/// An answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Its status; 0, if there was none.
    pub status: u16,
    /// Its first line and headers.
    pub head: String,
    /// What follows.
    pub body: Vec<u8>,
}

impl Answer {
    /// Whether what was asked for was done.
    pub const fn is_success(&self) -> bool {
        matches!(self.status, 101 | 200..=299)
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// How it refuses, in a line.
    pub fn refusal(&self) -> String {
        let said = self.json();
        let detail = said.get("detail").and_then(Value::as_str);
        match detail {
            Some(detail) => format!("{}: {detail}", self.status),
            None => self.head.lines().next().unwrap_or("no answer").to_owned(),
        }
    }

    fn of(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let (head, body) = match end {
            Some(end) => (
                bytes.get(..end).unwrap_or_default(),
                bytes.get(end + 4..).unwrap_or_default(),
            ),
            None => (bytes, &[][..]),
        };
        let head = String::from_utf8_lossy(head).into_owned();
        let status = head.split(' ').nth(1).and_then(|text| text.parse().ok());
        Self {
            status: status.unwrap_or(0),
            head,
            body: body.to_vec(),
        }
    }
}

impl Door {
    /// A new connection.
    pub fn open(&self) -> io::Result<Box<dyn Stream>> {
        let stream: Box<dyn Stream> = match self {
            Self::Unix(path) => Box::new(UnixStream::connect(path)?),
            Self::Tcp(address) => Box::new(connect(address)?),
            Self::Tls(address) => Box::new(tls::over(connect(address)?)?),
        };
        stream.patience(PATIENCE)?;
        Ok(stream)
    }

    /// The origin of a page that this door serves, under the name that requests give it.
    pub(crate) const fn origin(&self) -> &'static str {
        match self {
            Self::Tls(_) => "https://localhost",
            Self::Unix(_) | Self::Tcp(_) => "http://localhost",
        }
    }

    /// Sends these bytes, and reads what comes until the other side closes or says nothing more for
    /// `quiet`.
    pub fn send(&self, bytes: &[u8], quiet: Duration) -> io::Result<Vec<u8>> {
        let mut stream = self.open()?;
        // Who refuses may close before everything is sent.
        let sent = stream.write_all(bytes);
        stream.patience(quiet)?;
        let read = read_all(&mut *stream, quiet);
        match (read.is_empty(), sent) {
            (true, Err(error)) => Err(error),
            _ => Ok(read),
        }
    }

    /// Asks, with these headers besides.
    pub fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> io::Result<Answer> {
        let bytes = request(method, path, headers, body);
        Ok(Answer::of(&self.send(&bytes, PATIENCE)?))
    }

    /// Reads.
    pub fn get(&self, path: &str) -> io::Result<Answer> {
        self.ask("GET", path, &[], None)
    }

    /// Changes something, and waits for its end where that is an operation's.
    pub fn change(&self, method: &str, path: &str, body: &Value) -> io::Result<Answer> {
        let sign = if path.contains('?') { '&' } else { '?' };
        let is_operation = ["/v1/vms", "/v1/images", "/v1/operations"];
        let path = if is_operation.iter().any(|start| path.starts_with(start)) {
            format!("{path}{sign}wait=60s")
        } else {
            path.to_owned()
        };
        self.send_json(method, &path, body)
    }

    /// Sends JSON.
    pub fn send_json(&self, method: &str, path: &str, body: &Value) -> io::Result<Answer> {
        let body = body.to_string();
        let headers = [("Content-Type", "application/json")];
        self.ask(method, path, &headers, Some(body.as_bytes()))
    }

    /// Follows a stream of events for a while.
    pub fn follow(&self, path: &str, time: Duration) -> io::Result<Answer> {
        let headers = [("Accept", "text/event-stream"), ("Last-Event-ID", "0")];
        let bytes = request("GET", path, &headers, None);
        let mut stream = self.open()?;
        stream.write_all(&bytes)?;
        stream.patience(Duration::from_millis(100))?;
        Ok(Answer::of(&read_for(&mut *stream, time)))
    }
}

fn connect(address: &str) -> io::Result<TcpStream> {
    let mut found = address.to_socket_addrs()?;
    let address = found.next().ok_or(io::ErrorKind::NotFound)?;
    TcpStream::connect_timeout(&address, Duration::from_secs(5))
}

/// The bytes of a request after which the connection is closed.
pub(crate) fn request(
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\n");
    if !headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("host"))
    {
        text.push_str("Host: localhost\r\n");
    }
    if !headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("connection"))
    {
        text.push_str("Connection: close\r\n");
    }
    for (name, value) in headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    if let Some(body) = body {
        text.extend(["Content-Length: ", &body.len().to_string(), "\r\n"]);
    }
    text.push_str("\r\n");
    [text.as_bytes(), body.unwrap_or_default()].concat()
}

fn read_all(stream: &mut dyn Stream, quiet: Duration) -> Vec<u8> {
    let mut read = Vec::new();
    let mut piece = vec![0; 64 << 10];
    let end = Instant::now() + quiet.max(PATIENCE);
    while (read.len() as u64) < LONGEST && Instant::now() < end {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => read.extend_from_slice(piece.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    read
}

/// Reads for a while; the stream's own patience is short.
pub(crate) fn read_for(stream: &mut dyn Stream, time: Duration) -> Vec<u8> {
    let mut read = Vec::new();
    let mut piece = vec![0; 64 << 10];
    let end = Instant::now() + time;
    while (read.len() as u64) < LONGEST && Instant::now() < end {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => read.extend_from_slice(piece.get(..count).unwrap_or_default()),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock
                        | io::ErrorKind::TimedOut
                        | io::ErrorKind::Interrupted
                ) => {}
            Err(_) => break,
        }
    }
    read
}
