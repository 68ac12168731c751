// SPDX-License-Identifier: GPL-3.0-or-later
//! Using up what hvd has, so that others are answered late or never.
//!
//! While an attempt goes on, root asks hvd for something again and again: who waits too long shows
//! that it succeeded. So does a hvd that ended, or that took much memory.

use std::{
    io::Write,
    thread,
    time::{Duration, Instant},
};

use super::web::by_any_way;
use crate::{
    Actor, Attempt, Door, Layer, Loot, Off, Trouble,
    http::{Stream, request},
};

/// Who can open a connection to hvd.
const CALLERS: &[Actor] = &[Actor::Operator, Actor::Anonymous];

/// How long connections are held: longer than others may have to wait.
const HELD: Duration = Duration::from_secs(8);

macro_rules! floods {
    ($($name:literal, $goal:literal, $success:literal, $run:expr;)*) => {
        pub(super) const ATTEMPTS: &[Attempt] = &[$(Attempt {
            name: $name,
            goal: $goal,
            success: $success,
            actors: CALLERS,
            layer: Layer::Limits,
            off: &[Off::Past],
            run: |arena, _| {
                let run: fn(&Door, &mut Loot) -> Result<(), Trouble> = $run;
                by_any_way(arena, run)
            },
            ..Attempt::PLAIN
        }),*];
    };
}

floods! {
    "endless-headers", "send headers without an end", "hvd took the memory, or ended",
        |door, loot| {
            let mut stream = door.open()?;
            stream.write_all(b"GET /v1/version HTTP/1.1\r\nHost: localhost\r\n")?;
            let line = format!("X-Filler: {}\r\n", "x".repeat(16 << 10));
            pour(&mut *stream, line.as_bytes(), 512 << 20, loot);
            Ok(())
        };
    "endless-address", "ask for an address without an end", "hvd took the memory, or ended",
        |door, loot| {
            let mut stream = door.open()?;
            stream.write_all(b"GET /")?;
            pour(&mut *stream, &[b'x'; 64 << 10], 512 << 20, loot);
            Ok(())
        };
    "huge-body", "send JSON without an end", "hvd took the memory, or ended",
        |door, loot| {
            let mut stream = door.open()?;
            let head = "POST /v1/vms HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                        Content-Length: 4294967296\r\n\r\n[";
            stream.write_all(head.as_bytes())?;
            pour(&mut *stream, &[b' '; 64 << 10], 512 << 20, loot);
            Ok(())
        };
    "huge-chunks", "send JSON in chunks without an end", "hvd took the memory, or ended",
        |door, loot| {
            let mut stream = door.open()?;
            let head = "POST /v1/vms HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                        Transfer-Encoding: chunked\r\n\r\n";
            stream.write_all(head.as_bytes())?;
            let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x1_0000));
            pour(&mut *stream, chunk.as_bytes(), 512 << 20, loot);
            Ok(())
        };
    "deep-json", "nest JSON so deeply that reading it overflows hvd's stack", "hvd has ended",
        |door, loot| {
            for (open, close) in [("[", "]"), ("{\"spec\":", "}"), ("{\"a\":[", "]}")] {
                let depth = 900_000 / (open.len() + close.len());
                let deep = format!("{}1{}", open.repeat(depth), close.repeat(depth));
                let headers = [("Content-Type", "application/json")];
                match door.ask("POST", "/v1/vms", &headers, Some(deep.as_bytes())) {
                    Ok(answer) => loot.answer(&answer),
                    Err(error) => loot.told(error),
                }
            }
            Ok(())
        };
    "idle-connections", "hold more connections than hvd takes, and say nothing on them",
        "others wait for an answer for seconds",
        |door, loot| {
            let held: Vec<_> = (0..1_500).map_while(|_| door.open().ok()).collect();
            loot.told(format!("{} connections were let in or wait", held.len()));
            thread::sleep(HELD);
            Ok(())
        };
    "slow-requests", "hold many connections with a byte of a request now and then",
        "others wait for an answer for seconds",
        |door, loot| {
            let mut held: Vec<_> = (0..1_200).map_while(|_| door.open().ok()).collect();
            let request = b"POST /v1/vms HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n";
            let end = Instant::now() + HELD;
            for byte in request.iter().cycle() {
                if Instant::now() > end {
                    break;
                }
                for stream in &mut held {
                    stream.write_all(&[*byte]).ok();
                }
            }
            loot.told(format!("{} connections were let in or wait", held.len()));
            Ok(())
        };
    "streams-never-read", "follow events on many connections, and read none",
        "hvd took the memory, or others wait for an answer for seconds",
        |door, loot| {
            let ask = request("GET", "/v1/events", &[("Accept", "text/event-stream"), ("Last-Event-ID", "0")], None);
            let mut held: Vec<_> = (0..200).map_while(|_| door.open().ok()).collect();
            for stream in &mut held {
                stream.write_all(&ask).ok();
            }
            loot.told("nothing more was sent to who does not read");
            thread::sleep(Duration::from_secs(2));
            Ok(())
        };
    "pipelined-requests", "ask a hundred thousand times without reading an answer",
        "hvd took the memory, or others wait for an answer for seconds",
        |door, loot| {
            let ask = request("GET", "/v1/openapi.json", &[("Connection", "keep-alive")], None);
            let mut stream = door.open()?;
            stream.patience(Duration::from_secs(2))?;
            pour(&mut *stream, &ask, ask.len() * 100_000, loot);
            Ok(())
        };
}

/// Sends the same again and again, at most so many bytes, until the other side takes no more.
fn pour(stream: &mut dyn Stream, piece: &[u8], most: usize, loot: &mut Loot) {
    stream.patience(Duration::from_secs(2)).ok();
    let mut sent = 0;
    while sent < most {
        if let Err(error) = stream.write_all(piece) {
            loot.told(format!("after {sent} bytes no more were taken: {error}"));
            return;
        }
        sent += piece.len();
    }
}
