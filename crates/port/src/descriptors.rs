// SPDX-License-Identifier: GPL-3.0-or-later
//! Bytes with at most one file descriptor, over a unix stream socket and within a deadline.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
    },
};

use crate::deadline::Deadline;

/// What came of waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waited {
    /// The socket is ready, or broken, which the next call on it tells.
    Ready,
    /// The other descriptor became readable first.
    Interrupted,
}

/// Waits until a socket can be read, or until `interrupt` can be.
pub(crate) fn wait_readable(
    socket: &UnixStream,
    interrupt: Option<BorrowedFd<'_>>,
    deadline: Deadline,
) -> io::Result<Waited> {
    wait(socket.as_fd(), PollFlags::IN, interrupt, deadline)
}

/// Waits until a descriptor is ready for `flags`, or until `interrupt` can be read.
pub(crate) fn wait(
    descriptor: BorrowedFd<'_>,
    flags: PollFlags,
    interrupt: Option<BorrowedFd<'_>>,
    deadline: Deadline,
) -> io::Result<Waited> {
    loop {
        let wanted = PollFd::from_borrowed_fd(descriptor, flags);
        let mut watched = vec![wanted];
        watched.extend(interrupt.map(|other| PollFd::from_borrowed_fd(other, PollFlags::IN)));
        let limit = deadline.remaining().map(Timespec::try_from).transpose();
        let limit = limit.map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        match poll(&mut watched, limit.as_ref()) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_)
                if watched
                    .get(1)
                    .is_some_and(|other| !other.revents().is_empty()) =>
            {
                return Ok(Waited::Interrupted);
            }
            Ok(_) => return Ok(Waited::Ready),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Sends all of `bytes`; the descriptor travels with the first of them.
pub(crate) fn send(
    socket: &UnixStream,
    mut bytes: &[u8],
    mut descriptor: Option<BorrowedFd<'_>>,
    deadline: Deadline,
) -> io::Result<()> {
    while !bytes.is_empty() {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let passed = descriptor.as_slice();
        if !passed.is_empty() && !control.push(SendAncillaryMessage::ScmRights(passed)) {
            return Err(io::Error::other("no room for a descriptor"));
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        match sendmsg(socket, &[IoSlice::new(bytes)], &mut control, flags) {
            Ok(count) => {
                bytes = bytes.get(count..).unwrap_or_default();
                descriptor = None;
            }
            Err(rustix::io::Errno::AGAIN) => {
                wait(socket.as_fd(), PollFlags::OUT, None, deadline)?;
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Fills `buffer`, and puts descriptors that come along into `descriptors`.
///
/// Fails with `UnexpectedEof` where the other side closed first. Never reads past `buffer`, so a
/// descriptor belongs to the bytes that are read.
pub(crate) fn receive_exactly(
    socket: &UnixStream,
    mut buffer: &mut [u8],
    descriptors: &mut Vec<OwnedFd>,
    deadline: Deadline,
) -> io::Result<()> {
    while !buffer.is_empty() {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        match recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut control, flags) {
            Ok(received) => {
                for message in control.drain() {
                    if let RecvAncillaryMessage::ScmRights(passed) = message {
                        descriptors.extend(passed);
                    }
                }
                if received.flags.contains(ReturnFlags::CTRUNC) {
                    return Err(io::Error::other(
                        "more descriptors than one message may carry",
                    ));
                }
                if received.bytes == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                buffer = buffer.get_mut(received.bytes..).unwrap_or_default();
            }
            Err(rustix::io::Errno::AGAIN) => {
                wait_readable(socket, None, deadline)?;
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
