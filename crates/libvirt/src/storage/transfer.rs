// SPDX-License-Identifier: GPL-3.0-or-later
//! Whole volumes sent to and fetched from libvirt, as streams.

use std::io::{Read, Write};
use std::ops::ControlFlow;

use virt_sys as sys;

use super::volume::Volume;
use crate::error::{Error, ErrorKind, Result, done, pointer};
use crate::stream::{MESSAGE_MAX, Mode, Moved, Stream};

/// Hears how many bytes have moved so far, and may stop the transfer.
pub type Progress<'call> = &'call mut dyn FnMut(u64) -> ControlFlow<()>;

impl Volume {
    /// Writes `length` bytes of `source` over the beginning of the volume.
    ///
    /// Fails, with the volume half written, if the source ends early, if it fails, or if
    /// `progress` stops it. Slow storage holds up the volume's connection, so it deserves one of
    /// its own: [`Connection::another`](crate::Connection::another).
    pub fn upload(&self, source: &mut dyn Read, length: u64, progress: Progress<'_>) -> Result<()> {
        const FUNCTION: &str = "virStorageVolUpload";
        let mut stream = self.stream()?;
        let (volume, raw) = (self.as_ptr(), stream.as_ptr());
        // SAFETY: volume and stream are live and of one connection.
        let opened = unsafe { sys::virStorageVolUpload(volume, raw, 0, length, 0) };
        done(opened, FUNCTION)?;
        stream.opened();
        let mut chunk = vec![0; MESSAGE_MAX];
        let mut sent: u64 = 0;
        while sent < length {
            let wanted = usize::try_from(length - sent)
                .unwrap_or(MESSAGE_MAX)
                .min(MESSAGE_MAX);
            let room = chunk.get_mut(..wanted).unwrap_or_default();
            let read = read_some(source, room, FUNCTION)?;
            if read == 0 {
                let message = format!("the source ended after {sent} of {length} bytes");
                return Err(Error::new(ErrorKind::Invalid, message, FUNCTION));
            }
            send_all(&mut stream, chunk.get(..read).unwrap_or_default())?;
            sent = sent.saturating_add(read as u64);
            go_on(progress(sent), FUNCTION)?;
        }
        stream.finish()
    }

    /// Writes the volume's bytes, as they are on the storage, into `sink`; returns how many.
    ///
    /// Fails if there are more than `limit`, if the sink fails, or if `progress` stops it. A slow
    /// sink holds up the volume's connection, as with [`upload`](Self::upload).
    pub fn download(
        &self,
        sink: &mut dyn Write,
        limit: u64,
        progress: Progress<'_>,
    ) -> Result<u64> {
        const FUNCTION: &str = "virStorageVolDownload";
        let mut stream = self.stream()?;
        let (volume, raw) = (self.as_ptr(), stream.as_ptr());
        // SAFETY: volume and stream are live and of one connection; a length of 0 is all.
        let opened = unsafe { sys::virStorageVolDownload(volume, raw, 0, 0, 0) };
        done(opened, FUNCTION)?;
        stream.opened();
        let mut chunk = vec![0; MESSAGE_MAX];
        let mut received: u64 = 0;
        loop {
            let count = match stream.receive(&mut chunk)? {
                Moved::Bytes(0) => break,
                Moved::Bytes(count) => count,
                Moved::WouldBlock => continue,
            };
            received = received.saturating_add(count as u64);
            if received > limit {
                let message = format!("the volume has more than the allowed {limit} bytes");
                return Err(Error::new(ErrorKind::Invalid, message, FUNCTION));
            }
            sink.write_all(chunk.get(..count).unwrap_or_default())
                .map_err(|error| {
                    let message = format!("the bytes of the volume can't be written: {error}");
                    Error::new(ErrorKind::Internal, message, FUNCTION)
                })?;
            go_on(progress(received), FUNCTION)?;
        }
        stream.finish().map(|()| received)
    }

    fn stream(&self) -> Result<Stream> {
        // SAFETY: the volume is live; the connection stays its own.
        let connection = unsafe { sys::virStorageVolGetConnect(self.as_ptr()) };
        let connection = pointer(connection, "virStorageVolGetConnect")?;
        // SAFETY: the connection is live as long as the volume.
        unsafe { Stream::new(connection.as_ptr(), Mode::Blocking) }
    }
}

fn read_some(source: &mut dyn Read, room: &mut [u8], function: &'static str) -> Result<usize> {
    loop {
        match source.read(room) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            read => {
                return read.map_err(|error| {
                    let message = format!("the source can't be read: {error}");
                    Error::new(ErrorKind::Internal, message, function)
                });
            }
        }
    }
}

fn send_all(stream: &mut Stream, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        if let Moved::Bytes(count) = stream.send(bytes)? {
            bytes = bytes.get(count..).unwrap_or_default();
        }
    }
    Ok(())
}

fn go_on(flow: ControlFlow<()>, function: &'static str) -> Result<()> {
    if flow.is_continue() {
        return Ok(());
    }
    let message = "the transfer was stopped".to_owned();
    Err(Error::new(ErrorKind::Aborted, message, function))
}
