// SPDX-License-Identifier: GPL-3.0-or-later
//! Headers that say who asks: what is found in them is what was written there.
//!
//! Each line of the input is a header.
#![no_main]

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use hvd::{
    access::Bearer,
    http::credential::{bearer, cookie},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut headers = HeaderMap::new();
    for line in input.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        let name = HeaderName::from_bytes(name);
        let value = HeaderValue::from_bytes(value.trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    if let Ok(Some(secret)) = bearer(&headers) {
        assert_eq!(headers.get_all(header::AUTHORIZATION).iter().count(), 1);
        let alone = only(header::AUTHORIZATION, &format!("Bearer {secret}"));
        assert_eq!(bearer(&alone).ok(), Some(Some(secret)));
        token(secret);
    }
    if let Ok(Some(secret)) = cookie(&headers) {
        assert!(!secret.contains(';'), "{secret:?}");
        let alone = only(header::COOKIE, &format!("a=b; __Host-hv={secret}; c=d"));
        assert_eq!(cookie(&alone).ok(), Some(Some(secret)));
        token(secret);
    }
    if let Ok(text) = std::str::from_utf8(input) {
        token(text);
    }
});

fn only(name: HeaderName, value: &str) -> HeaderMap {
    let value = HeaderValue::from_bytes(value.as_bytes()).expect("it came in a header");
    HeaderMap::from_iter([(name, value)])
}

/// A token is written in one way alone, and says what it is made of.
fn token(text: &str) {
    let Some(read) = Bearer::read(text) else {
        return;
    };
    assert_eq!(read.write().expose(), text);
    assert!(text.is_ascii() && text.ends_with(read.secret), "{text:?}");
}
