// SPDX-License-Identifier: GPL-3.0-or-later
//! Clients that break the rules: they lose their connection, and nobody else notices.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
};

use hv_model::hypervisor::{Hypervisor, HypervisorErrorKind, Result};

use crate::fake::Served;

const GREETING: &[u8] = b"HV-PORT\n\0\0\0\x03";

/// Says these bytes and nothing more, and returns the server's last words.
fn last_words(served: &Served, bytes: &[u8]) -> String {
    let mut socket = UnixStream::connect(&served.path).unwrap();
    socket.write_all(bytes).unwrap();
    socket.shutdown(std::net::Shutdown::Write).unwrap();
    let mut said = Vec::new();
    // What the server did not read makes its end a reset; its words come first all the same.
    if let Err(error) = socket.read_to_end(&mut said) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    assert_eq!(&said[..12], GREETING);
    let Some(payload) = said.get(16..).filter(|payload| !payload.is_empty()) else {
        return String::new();
    };
    let error = serde_json::from_slice::<Result<()>>(payload)
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind, HypervisorErrorKind::Invalid);
    error.message
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [GREETING, &length, payload].concat()
}

#[test]
fn rule_breakers_are_told_why_and_others_go_on() {
    let served = Served::new();
    served.client.host().unwrap();
    let deep = format!(
        "{{\"call\":{{\"method\":{}1{}}}}}",
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    for (bytes, words) in [
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "does not speak"),
        (b"HV-PORT\n\0\0\0\x01".to_vec(), "version 1"),
        (
            [GREETING, &0x0010_0001_u32.to_be_bytes()].concat(),
            "1048577 bytes",
        ),
        ([GREETING, &[0; 4]].concat(), "0 bytes"),
        (frame(b"{nonsense"), "can't be understood"),
        (
            frame(br#"{"call":{"method":{"format_disk":{}}}}"#),
            "unknown variant",
        ),
        (
            frame(br#"{"call":{"method":{"host":{"extra":1}}}}"#),
            "unknown field",
        ),
        (
            frame(br#"{"call":{"method":{"rename":{"vm":"x","name":"../x"}}}}"#),
            "can't be understood",
        ),
        // What earlier versions sent.
        (frame(br#"{"call":{"host":{}}}"#), "unknown field"),
        (
            frame(br#"{"call":{"behalf":{"name":"../root"},"method":{"host":{}}}}"#),
            "not a user name",
        ),
        (
            frame(br#"{"call":{"behalf":{"name":"ada","uid":-1},"method":{"host":{}}}}"#),
            "invalid value",
        ),
        (
            frame(br#"{"call":{"behalf":{"name":"ada","gid":0},"method":{"host":{}}}}"#),
            "unknown field",
        ),
        (frame(deep.as_bytes()), "can't be understood"),
        (frame(b"\xff\xfe"), "can't be understood"),
    ] {
        let said = last_words(&served, &bytes);
        assert!(said.contains(words), "{said:?} instead of {words:?}");
    }
    served.client.host().unwrap();
    assert_eq!(served.fake.asked().len(), 2);
}

#[test]
fn an_upload_without_its_descriptor_is_refused_and_the_connection_goes_on() {
    let served = Served::new();
    let call = br#"{"call":{"method":{"upload_image":{"volume":{"pool":"images","name":"a"},"format":"raw","length":1,"source":null}}}}"#;
    let said = last_words(&served, &frame(call));
    assert!(said.contains("descriptor"), "{said}");
}

#[test]
fn one_who_sends_half_a_frame_and_waits_keeps_nobody_waiting() {
    let served = Served::new();
    let mut slow = UnixStream::connect(&served.path).unwrap();
    slow.write_all(&[GREETING, &[0, 0]].concat()).unwrap();
    served.client.host().unwrap();
}

#[test]
fn connections_beyond_the_limit_are_turned_away_until_some_end() {
    let served = Served::new();
    let open = || {
        let mut socket = UnixStream::connect(&served.path).unwrap();
        socket.write_all(GREETING).unwrap();
        let mut greeting = [0; 12];
        socket.read_exact(&mut greeting).unwrap();
        socket
    };
    let crowd: Vec<_> = (0..64).map(|_| open()).collect();
    let error = served.client.host().unwrap_err();
    assert_eq!(error.kind, HypervisorErrorKind::Busy);
    drop(crowd);
    while served.client.host().is_err() {
        std::thread::yield_now();
    }
}
