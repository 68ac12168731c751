// SPDX-License-Identifier: GPL-3.0-or-later
//! A load generator: HTTP/1.1 over kept-alive unix sockets, with as little work of its own as
//! can be, since it shares the CPUs with the server.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rustix::{
    process::{Gid, Uid},
    thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};

use crate::{
    api::Side,
    failure::{During, Failure, Result},
    sample::Sample,
};

/// How much is read at once.
const PIECE: usize = 256 << 10;

/// A `GET` of a path with more header lines.
pub(crate) fn get(path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let host = [("Host", "localhost")];
    let headers = host.iter().chain(headers);
    let lines: String = headers
        .map(|(name, value)| [name, ": ", value, "\r\n"].concat())
        .collect();
    format!("GET {path} HTTP/1.1\r\n{lines}\r\n").into_bytes()
}

/// Somebody else than whoever measures.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Who {
    /// Their number.
    pub(crate) user: u32,
    /// The one group that they are in.
    pub(crate) group: u32,
}

impl Who {
    /// Makes this thread theirs, for as long as it lives.
    fn become_them(self) -> io::Result<()> {
        let (user, group) = (Uid::from_raw(self.user), Gid::from_raw(self.group));
        set_thread_groups(&[])?;
        set_thread_res_gid(group, group, group)?;
        Ok(set_thread_res_uid(user, user, user)?)
    }
}

/// A kept-alive connection.
pub(crate) struct Connection {
    stream: UnixStream,
    buffer: Vec<u8>,
}

/// An answer.
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: u16,
    /// Everything before its body.
    pub(crate) head: String,
    /// How long its body is.
    pub(crate) length: usize,
}

impl Answer {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    fn read(head: &[u8]) -> Result<Self> {
        let head = String::from_utf8_lossy(head).into_owned();
        let status = head
            .get(9..12)
            .and_then(|status| status.parse().ok())
            .during("read an answer's status")?;
        let mut answer = Self {
            status,
            head,
            length: 0,
        };
        answer.length = match answer.header("content-length") {
            Some(length) => length.parse().during("read an answer's length")?,
            None if matches!(status, 204 | 304) => 0,
            None => {
                return Err(Failure::new(
                    "read an answer",
                    "it does not tell its length",
                ));
            }
        };
        Ok(answer)
    }
}

impl Connection {
    /// Connects.
    pub(crate) fn open(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket).during(&socket.to_string_lossy())?;
        Ok(Self {
            stream,
            buffer: vec![0; PIECE],
        })
    }

    /// Connects as somebody else: the kernel tells the server who it was that connected.
    pub(crate) fn open_as(socket: &Path, who: Who) -> Result<Self> {
        let connect = || {
            who.become_them().during("become somebody else")?;
            Self::open(socket)
        };
        let opened = thread::scope(|scope| scope.spawn(connect).join());
        opened.map_err(|_| Failure::new("connect as somebody else", "a thread panicked"))?
    }

    /// Sends a request and reads its answer to the end, without keeping the body.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Result<Answer> {
        self.exchange(request, |_| {})
    }

    /// The same, and the body.
    pub(crate) fn fetch(&mut self, request: &[u8]) -> Result<(Answer, Vec<u8>)> {
        let mut body = Vec::new();
        let answer = self.exchange(request, |piece| body.extend_from_slice(piece))?;
        Ok((answer, body))
    }

    fn exchange(&mut self, request: &[u8], mut take: impl FnMut(&[u8])) -> Result<Answer> {
        self.stream.write_all(request).during("send a request")?;
        let mut filled = 0;
        let (answer, mut have) = loop {
            let rest = self.buffer.get_mut(filled..).unwrap_or_default();
            let read = self.stream.read(rest).during("read an answer")?;
            if read == 0 {
                return Err(Failure::new("read an answer", "the connection ended"));
            }
            filled += read;
            let seen = self.buffer.get(..filled).unwrap_or_default();
            if let Some(end) = seen.windows(4).position(|four| four == b"\r\n\r\n") {
                let (head, body) = seen.split_at(end + 4);
                let answer = Answer::read(head)?;
                take(body);
                break (answer, body.len());
            }
        };
        while have < answer.length {
            let read = self
                .stream
                .read(&mut self.buffer)
                .during("read an answer")?;
            if read == 0 {
                return Err(Failure::new("read an answer", "the connection ended"));
            }
            take(self.buffer.get(..read).unwrap_or_default());
            have += read;
        }
        Ok(answer)
    }
}

/// What a server did under load.
#[derive(Debug, Default)]
pub(crate) struct Served {
    /// How long each answer took.
    pub(crate) latencies: Sample,
    /// For how long it was asked.
    pub(crate) time: Duration,
}

impl Served {
    /// How many answers came each second.
    pub(crate) fn per_second(&self) -> f64 {
        let answers = u32::try_from(self.latencies.count()).unwrap_or(u32::MAX);
        f64::from(answers) / self.time.as_secs_f64()
    }

    /// Takes over what was measured in another round.
    pub(crate) fn extend(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.time += other.time;
    }
}

/// Asks for the same over and over on so many connections, each as soon as it has its answer.
pub(crate) fn load(side: &Side<'_>, connections: usize, time: Duration) -> Result<Served> {
    let Side {
        socket,
        request,
        status,
        who,
    } = side;
    let begun = Instant::now();
    let ask = || -> Result<Sample> {
        let mut connection = match who {
            Some(who) => Connection::open_as(socket, *who)?,
            None => Connection::open(socket)?,
        };
        let mut latencies = Sample::default();
        while begun.elapsed() < time {
            let answer = latencies.time(|| connection.ask(request))?;
            if answer.status != *status {
                let why = format!("the status is {}, not {status}", answer.status);
                return Err(Failure::new(socket.to_string_lossy(), why));
            }
        }
        Ok(latencies)
    };
    let samples: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..connections).map(|_| scope.spawn(ask)).collect();
        threads
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .collect()
    });
    let mut served = Served {
        time: begun.elapsed(),
        ..Served::default()
    };
    for sample in samples {
        let sample = sample.map_err(|_| Failure::new("ask under load", "a thread panicked"))?;
        served.latencies.extend(sample?);
    }
    Ok(served)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn an_answer_in_pieces_is_read_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let listener = UnixListener::bind(&socket).unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).unwrap();
            for piece in [
                "HTTP/1.1 200 OK\r\nContent-",
                "Length: 5\r\nETag: \"7\"\r\n\r\nhe",
                "llo",
            ] {
                stream.write_all(piece.as_bytes()).unwrap();
            }
            let _ = stream.read(&mut request).unwrap();
            stream
                .write_all(b"HTTP/1.1 304 Not Modified\r\n\r\n")
                .unwrap();
        });
        let mut connection = Connection::open(&socket).unwrap();
        let (answer, body) = connection.fetch(&get("/", &[])).unwrap();
        assert_eq!((answer.status, body.as_slice()), (200, b"hello".as_slice()));
        assert_eq!(answer.header("etag"), Some("\"7\""));
        let unchanged = connection
            .ask(&get("/", &[("If-None-Match", "\"7\"")]))
            .unwrap();
        assert_eq!(unchanged.status, 304);
        server.join().unwrap();
    }
}
