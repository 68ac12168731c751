// SPDX-License-Identifier: GPL-3.0-or-later
//! The port as an attacker speaks it: every byte and every descriptor as they want it.

use std::{
    io::{self, IoSlice, Read, Write},
    mem::MaybeUninit,
    os::{fd::BorrowedFd, unix::net::UnixStream},
    path::Path,
    time::Duration,
};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much of an answer is read.
const LONGEST: usize = 16 << 20;

/// A connection to the port on which nothing is checked.
#[derive(Debug)]
pub struct Frames(pub UnixStream);

impl Frames {
    /// Connects, and greets with the version that the broker speaks.
    pub fn open(port: &Path) -> io::Result<Self> {
        Self::greet(port, &greeting(hv_port::VERSION))
    }

    /// Connects, and says this in place of a greeting.
    pub fn greet(port: &Path, words: &[u8]) -> io::Result<Self> {
        let mut stream = UnixStream::connect(port)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(words)?;
        Ok(Self(stream))
    }

    /// Sends a frame with this in it.
    pub fn send(&mut self, payload: &[u8]) -> io::Result<()> {
        self.0.write_all(&framed(payload))
    }

    /// Sends a frame, and these descriptors with it.
    pub fn send_with(&mut self, payload: &[u8], passed: &[BorrowedFd<'_>]) -> io::Result<()> {
        let frame = framed(payload);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(64))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(passed)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let sent = sendmsg(
            &self.0,
            &[IoSlice::new(&frame)],
            &mut control,
            SendFlags::NOSIGNAL,
        )?;
        self.0.write_all(frame.get(sent..).unwrap_or_default())
    }

    /// A call in JSON, without a descriptor, and everything that was answered to it.
    pub fn call(port: &Path, method: &str) -> io::Result<String> {
        let mut frames = Self::open(port)?;
        frames.send(format!("{{\"call\":{{\"method\":{method}}}}}").as_bytes())?;
        frames.hear()
    }

    /// The answer to what was sent, greeting included, until the other side closes or says nothing
    /// more.
    pub fn hear(&mut self) -> io::Result<String> {
        let mut heard = Vec::new();
        let mut piece = vec![0; 64 << 10];
        while heard.len() < LONGEST && !is_whole(&heard) {
            match self.0.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => heard.extend_from_slice(piece.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if heard.is_empty() => return Err(error),
                Err(_) => break,
            }
        }
        let answer = heard.get(16..).unwrap_or_default();
        Ok(String::from_utf8_lossy(answer).into_owned())
    }
}

/// A greeting of this version.
pub(crate) fn greeting(version: u32) -> Vec<u8> {
    [b"HV-PORT\n".as_slice(), &version.to_be_bytes()].concat()
}

fn framed(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), payload].concat()
}

/// Whether a greeting and a whole frame were heard.
fn is_whole(heard: &[u8]) -> bool {
    let length = heard.get(12..16).and_then(|bytes| bytes.try_into().ok());
    length.is_some_and(|bytes| heard.len() >= 16 + u32::from_be_bytes(bytes) as usize)
}
