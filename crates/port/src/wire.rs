// SPDX-License-Identifier: GPL-3.0-or-later
//! Framing: a greeting with a version, then frames of a length and JSON.

use std::{
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    deadline::Deadline,
    descriptors::{self, Waited},
};

/// The version of the port's wire form. Both sides must have the same; they come in one package.
pub const VERSION: u32 = 3;

/// What a greeting begins with.
const MAGIC: [u8; 8] = *b"HV-PORT\n";

/// How many bytes a call may have.
pub(crate) const CALL_LIMIT: usize = 1 << 20;

/// How many bytes an answer or a fact may have.
pub(crate) const ANSWER_LIMIT: usize = 16 << 20;

/// How long the rest of a frame may take once its first byte is there, and how long a greeting.
pub(crate) const INSIDE_A_FRAME: Duration = Duration::from_secs(10);

/// What went wrong on a connection. It can't be used any more afterwards.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    /// The other side closed between two frames.
    #[error("the other side closed the connection")]
    Closed,
    /// The greeting is no greeting.
    #[error("the other side does not speak the port's protocol")]
    Stranger,
    /// The greeting names another version.
    #[error(
        "the other side speaks version {theirs} of the port's protocol, this side {VERSION}: \
         after an update restart both hvd and hv-broker"
    )]
    Version {
        /// The other side's version.
        theirs: u32,
    },
    /// A frame is longer than allowed, or empty.
    #[error("a frame of {length} bytes; allowed are 1 to {limit}")]
    Length {
        /// How long it is.
        length: u64,
        /// How long it may be.
        limit: usize,
    },
    /// A frame came with more than one descriptor.
    #[error("a frame with {0} descriptors; allowed is one")]
    Descriptors(usize),
    /// A frame does not hold what it should.
    #[error("a frame that can't be understood: {0}")]
    Json(#[from] serde_json::Error),
    /// The socket failed, or the time is up.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl WireError {
    /// Whether it is that the time is up.
    pub(crate) fn is_timeout(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::TimedOut)
    }

    /// Whether it is that the other side is gone, at whatever moment it went.
    pub(crate) fn is_departure(&self) -> bool {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
        let gone = |error: &io::Error| {
            matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
        };
        matches!(self, Self::Closed) || matches!(self, Self::Io(error) if gone(error))
    }
}

/// What one frame carries.
#[derive(Debug)]
pub(crate) struct Frame {
    /// JSON that nobody has looked at yet.
    pub(crate) payload: Vec<u8>,
    /// The descriptor that came with it.
    pub(crate) descriptor: Option<OwnedFd>,
}

impl Frame {
    /// What it says.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, WireError> {
        Ok(serde_json::from_slice(&self.payload)?)
    }
}

/// A connection with the port's framing.
#[derive(Debug)]
pub(crate) struct Wire(UnixStream);

impl Wire {
    /// Wraps a connection on which nothing has been said.
    pub(crate) fn new(socket: UnixStream) -> Self {
        Self(socket)
    }

    /// Sends this side's greeting.
    pub(crate) fn send_greeting(&self, deadline: Deadline) -> Result<(), WireError> {
        let mut greeting = MAGIC.to_vec();
        greeting.extend(VERSION.to_be_bytes());
        Ok(descriptors::send(&self.0, &greeting, None, deadline)?)
    }

    /// Reads the other side's greeting, and compares versions.
    pub(crate) fn receive_greeting(&self, deadline: Deadline) -> Result<(), WireError> {
        let (mut magic, mut version) = ([0; MAGIC.len()], [0; 4]);
        let mut passed = Vec::new();
        descriptors::receive_exactly(&self.0, &mut magic, &mut passed, deadline)?;
        if magic != MAGIC {
            return Err(WireError::Stranger);
        }
        descriptors::receive_exactly(&self.0, &mut version, &mut passed, deadline)?;
        match u32::from_be_bytes(version) {
            _ if !passed.is_empty() => Err(WireError::Descriptors(passed.len())),
            VERSION => Ok(()),
            theirs => Err(WireError::Version { theirs }),
        }
    }

    /// Waits for the first byte of a frame, or until `interrupt` can be read.
    pub(crate) fn wait(
        &self,
        interrupt: Option<BorrowedFd<'_>>,
        deadline: Deadline,
    ) -> Result<Waited, WireError> {
        Ok(descriptors::wait_readable(&self.0, interrupt, deadline)?)
    }

    /// Whether nothing has come and the other side is there: so it is between two calls.
    pub(crate) fn is_quiet(&self) -> bool {
        let waited = descriptors::wait_readable(&self.0, None, Deadline::after(Duration::ZERO));
        waited.is_err_and(|error| error.kind() == io::ErrorKind::TimedOut)
    }

    /// Sends a frame.
    pub(crate) fn send(
        &self,
        payload: &[u8],
        descriptor: Option<BorrowedFd<'_>>,
        deadline: Deadline,
    ) -> Result<(), WireError> {
        let length = u32::try_from(payload.len())
            .ok()
            .filter(|length| *length > 0);
        let Some(length) = length else {
            return Err(WireError::Length {
                length: payload.len() as u64,
                limit: ANSWER_LIMIT,
            });
        };
        let mut frame = Vec::with_capacity(4 + payload.len());
        frame.extend(length.to_be_bytes());
        frame.extend(payload);
        Ok(descriptors::send(&self.0, &frame, descriptor, deadline)?)
    }

    /// Reads a frame of at most `limit` bytes.
    ///
    /// Its first byte may come until `first`; what follows must come soon, so that nobody can hold
    /// this side up with a byte now and then.
    pub(crate) fn receive(&self, limit: usize, first: Deadline) -> Result<Frame, WireError> {
        self.receive_within(limit, first, INSIDE_A_FRAME)
    }

    fn receive_within(
        &self,
        limit: usize,
        first: Deadline,
        rest: Duration,
    ) -> Result<Frame, WireError> {
        let mut passed = Vec::new();
        descriptors::wait_readable(&self.0, None, first)?;
        let deadline = Deadline::after(rest);
        let mut length = [0; 4];
        let (start, end) = length.split_at_mut(1);
        match descriptors::receive_exactly(&self.0, start, &mut passed, deadline) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(WireError::Closed);
            }
            other => other?,
        }
        descriptors::receive_exactly(&self.0, end, &mut passed, deadline)?;
        let length = u64::from(u32::from_be_bytes(length));
        let Some(size) = usize::try_from(length)
            .ok()
            .filter(|size| (1..=limit).contains(size))
        else {
            return Err(WireError::Length { length, limit });
        };
        let mut payload = vec![0; size];
        descriptors::receive_exactly(&self.0, &mut payload, &mut passed, deadline)?;
        if passed.len() > 1 {
            return Err(WireError::Descriptors(passed.len()));
        }
        Ok(Frame {
            payload,
            descriptor: passed.pop(),
        })
    }

    /// Sends a value as a frame, with a time limit of its own.
    pub(crate) fn say<T: Serialize>(&self, value: &T) -> Result<(), WireError> {
        let payload = serde_json::to_vec(value)?;
        self.send(&payload, None, Deadline::after(INSIDE_A_FRAME))
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Read, io::Write, os::fd::AsRawFd, thread};

    use proptest::prelude::*;

    use super::*;

    fn pair() -> (Wire, UnixStream) {
        let (near, far) = UnixStream::pair().unwrap();
        (Wire::new(near), far)
    }

    fn soon() -> Deadline {
        Deadline::after(Duration::from_secs(5))
    }

    #[test]
    fn a_frame_brings_its_descriptor_and_closes_it_on_exec() {
        let (near, far) = pair();
        let (reader, writer) = std::io::pipe().unwrap();
        near.send(b"{}", Some(writer.as_fd()), soon()).unwrap();
        near.send(b"[]", None, soon()).unwrap();
        drop(writer);
        let far = Wire::new(far);
        let frame = far.receive(CALL_LIMIT, soon()).unwrap();
        let descriptor = frame.descriptor.unwrap();
        let flags = rustix::io::fcntl_getfd(&descriptor).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        File::from(descriptor).write_all(b"through").unwrap();
        let mut text = String::new();
        File::from(OwnedFd::from(reader))
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "through");
        assert!(
            far.receive(CALL_LIMIT, soon())
                .unwrap()
                .descriptor
                .is_none()
        );
    }

    #[test]
    fn descriptors_beyond_the_first_are_closed_and_end_the_connection() {
        let (near, far) = pair();
        let (reader, writer) = std::io::pipe().unwrap();
        for byte in [&[0][..], &[0, 0, 2, b'{', b'}']] {
            descriptors::send(&far, byte, Some(writer.as_fd()), soon()).unwrap();
        }
        assert!(matches!(
            near.receive(CALL_LIMIT, soon()),
            Err(WireError::Descriptors(2))
        ));
        drop(writer);
        let mut rest = Vec::new();
        File::from(OwnedFd::from(reader))
            .read_to_end(&mut rest)
            .unwrap();
        assert!(rest.is_empty(), "every copy of the writing end is closed");
    }

    #[test]
    fn another_version_and_another_protocol_are_told_apart() {
        let (near, mut far) = pair();
        far.write_all(b"HV-PORT\n\0\0\0\x09").unwrap();
        let theirs = near.receive_greeting(soon());
        assert!(
            matches!(theirs, Err(WireError::Version { theirs: 9 })),
            "{theirs:?}"
        );
        let (near, mut far) = pair();
        far.write_all(b"GET / HTTP/1.1\r\n").unwrap();
        assert!(matches!(
            near.receive_greeting(soon()),
            Err(WireError::Stranger)
        ));
    }

    #[test]
    fn a_frame_that_announces_too_much_is_refused_before_it_is_read() {
        let (near, mut far) = pair();
        far.write_all(&u32::MAX.to_be_bytes()).unwrap();
        let refused = near.receive(CALL_LIMIT, soon());
        assert!(matches!(
            refused,
            Err(WireError::Length {
                length: 0xffff_ffff,
                ..
            })
        ));
        far.write_all(&0_u32.to_be_bytes()).unwrap();
        assert!(matches!(
            near.receive(CALL_LIMIT, soon()),
            Err(WireError::Length { .. })
        ));
    }

    #[test]
    fn waiting_for_a_frame_ends_at_its_deadline() {
        let (near, _far) = pair();
        let late = near.receive(CALL_LIMIT, Deadline::after(Duration::from_millis(20)));
        assert!(late.unwrap_err().is_timeout());
    }

    #[test]
    fn a_frame_that_drips_in_is_given_up() {
        let (near, mut far) = pair();
        far.write_all(&[0, 0]).unwrap();
        let dripped = near.receive_within(CALL_LIMIT, Deadline::NEVER, Duration::from_millis(20));
        assert!(dripped.unwrap_err().is_timeout());
    }

    #[test]
    fn a_connection_is_quiet_until_something_comes_or_it_ends() {
        let (near, mut far) = pair();
        assert!(near.is_quiet() && near.as_fd().as_raw_fd() > 2);
        far.write_all(b"x").unwrap();
        assert!(!near.is_quiet());
        let (near, far) = pair();
        drop(far);
        assert!(!near.is_quiet());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn frames_come_out_as_they_went_in(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..70_000), 1..5),
            cut in 1_usize..9_000,
        ) {
            let (near, mut far) = pair();
            let mut bytes = Vec::new();
            for payload in &payloads {
                bytes.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
                bytes.extend(payload);
            }
            let writer = thread::spawn(move || {
                bytes.chunks(cut).for_each(|chunk| far.write_all(chunk).unwrap());
            });
            for payload in &payloads {
                prop_assert_eq!(&near.receive(CALL_LIMIT, soon()).unwrap().payload, payload);
            }
            prop_assert!(matches!(near.receive(CALL_LIMIT, soon()), Err(WireError::Closed)));
            writer.join().unwrap();
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let (near, mut far) = pair();
            far.write_all(&bytes).unwrap();
            drop(far);
            let _ = near.receive_greeting(soon());
            while let Ok(frame) = near.receive(CALL_LIMIT, soon()) {
                let _ = frame.read::<crate::call::Request>();
            }
        }
    }
}
