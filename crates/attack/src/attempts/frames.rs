// SPDX-License-Identifier: GPL-3.0-or-later
//! Frames that break the port's rules, from hvd's own user.
//!
//! What they would do is keep the broker from answering, fill its memory, or end it: all of which is
//! looked at after each attempt.

use std::{fs::File, io::Write, os::fd::AsFd};

use crate::{Actor, Arena, Attempt, Frames, Layer, Loot, Off, Trouble, frames::greeting};

/// How often the same is sent, so that what is kept of it adds up.
const AGAIN: usize = 8;

macro_rules! frames {
    ($($name:literal, $goal:literal, $success:literal, $run:expr;)*) => {
        pub(super) const ATTEMPTS: &[Attempt] = &[$(Attempt {
            name: $name,
            goal: $goal,
            success: $success,
            actors: &[Actor::Hvd],
            layer: Layer::Frames,
            off: &[Off::Past],
            run: |arena, _| {
                let run: fn(&Arena, &mut Loot) -> Result<(), Trouble> = $run;
                let mut loot = Loot::default();
                run(arena, &mut loot)?;
                Ok(loot)
            },
            ..Attempt::PLAIN
        }),*];
    };
}

frames! {
    "frame-length-bomb", "announce a frame of four gigabytes, so that the broker makes room for it",
        "the broker took the memory, or ended",
        |arena, loot| {
            for _ in 0..AGAIN {
                let mut frames = Frames::open(&arena.port)?;
                frames.0.write_all(&u32::MAX.to_be_bytes())?;
                // The bytes that would be read: who refuses has closed by now.
                frames.0.write_all(&vec![b'['; 1 << 20]).ok();
                hear(&mut frames, loot);
            }
            Ok(())
        };
    "frame-depth-bomb", "nest a frame so deeply that reading it overflows the broker's stack",
        "the broker ended",
        |arena, loot| {
            for (open, close) in [("[", "]"), ("{\"call\":", "}"), ("{\"a\":[", "]}")] {
                let depth = 900_000 / (open.len() + close.len());
                let deep = format!("{}1{}", open.repeat(depth), close.repeat(depth));
                for payload in [deep.clone(), format!("{{\"call\":{{\"method\":{deep}}}}}")] {
                    let mut frames = Frames::open(&arena.port)?;
                    frames.send(payload.as_bytes()).ok();
                    hear(&mut frames, loot);
                }
            }
            Ok(())
        };
    "frame-cut-short", "leave in the middle of a frame, at every place",
        "the broker ended, or answers nobody any more",
        |arena, loot| {
            let whole = [&greeting(hv_port::VERSION)[..], &[0, 0, 0, 28], br#"{"call":{"method":{"vms":{}}"#].concat();
            for end in 0..whole.len() {
                let part = whole.get(..end).unwrap_or_default();
                drop(Frames::greet(&arena.port, part)?);
            }
            loot.told("each connection ended by itself");
            Ok(())
        };
    "frame-of-another-version", "speak other versions of the port's protocol, and none",
        "the broker ended, or answers nobody any more",
        |arena, loot| {
            for words in [
                greeting(0), greeting(u32::MAX), b"GET / HTTP/1.1\r\n\r\n".to_vec(),
                vec![0; 4096], vec![0xff; 1 << 16], b"HV-PORT\n".to_vec(),
            ] {
                // Who is turned away may find the connection closed.
                if let Ok(mut frames) = Frames::greet(&arena.port, &words) {
                    frames.0.shutdown(std::net::Shutdown::Write).ok();
                    hear(&mut frames, loot);
                }
            }
            Ok(())
        };
    "frame-with-many-descriptors", "fill the broker's table of open files with descriptors that nobody asked for",
        "the broker can't open files any more, or ended",
        |arena, loot| {
            let zero = File::open("/dev/zero")?;
            for _ in 0..40 {
                let mut frames = Frames::open(&arena.port)?;
                let passed = vec![zero.as_fd(); 64];
                frames.send_with(br#"{"call":{"method":{"vms":{}}}}"#, &passed).ok();
                hear(&mut frames, loot);
            }
            Ok(())
        };
    "frame-with-a-wrong-descriptor", "pass a folder, a socket and an endless file in place of an image",
        "the broker answers nobody any more, ended, or took the memory",
        |arena, loot| {
            let (near, _far) = std::os::unix::net::UnixStream::pair()?;
            let upload = |length: u64| format!(
                "{{\"call\":{{\"method\":{{\"upload_image\":{{\"volume\":{{\"pool\":\"hyper-images\",\
                 \"name\":\"hv-attack-smuggled\"}},\"format\":\"raw\",\"length\":{length},\"source\":null}}}}}}}}"
            );
            let files = ["/", "/dev/zero", "/proc/self/maps"].map(File::open);
            let [folder, endless, short] = files;
            let (folder, endless, short) = (folder?, endless?, short?);
            for (source, length) in [
                (folder.as_fd(), 1 << 20),
                (endless.as_fd(), u64::MAX),
                (short.as_fd(), 1 << 20),
                (near.as_fd(), u64::MAX),
            ] {
                let mut frames = Frames::open(&arena.port)?;
                frames.send_with(upload(length).as_bytes(), &[source])?;
                hear(&mut frames, loot);
            }
            Ok(())
        };
    "frame-without-its-descriptor", "ask for an upload and pass nothing to read from",
        "the broker read something of its own, or ended",
        |arena, loot| {
            let call = "{\"upload_image\":{\"volume\":{\"pool\":\"hyper-images\",\"name\":\"hv-attack-smuggled\"},\
                        \"format\":\"raw\",\"length\":4096,\"source\":null}}";
            let said = Frames::call(&arena.port, call)?;
            loot.frame(&said);
            Ok(())
        };
    "facts-never-read", "follow the host's facts on many connections, and read none",
        "the broker took the memory, or answers nobody any more",
        |arena, loot| {
            let mut held: Vec<_> = (0..32).map_while(|_| Frames::open(&arena.port).ok()).collect();
            for frames in &mut held {
                frames.send(br#""subscribe""#).ok();
            }
            let id = &arena.own.id;
            for _ in 0..20 {
                for call in ["pause", "resume"] {
                    let said = Frames::call(&arena.port, &format!("{{\"{call}\":{{\"vm\":\"{id}\"}}}}"))?;
                    loot.frame(&said);
                }
            }
            loot.told("nothing more was kept for who does not read");
            Ok(())
        };
}

/// Notes the broker's last words.
fn hear(frames: &mut Frames, loot: &mut Loot) {
    match frames.hear() {
        Ok(said) => loot.frame(&said),
        // A connection that is closed with bytes unread tells no more.
        Err(error) => loot.told(format!("the broker closed the connection: {error}")),
    }
}
