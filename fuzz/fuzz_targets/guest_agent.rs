// SPDX-License-Identifier: GPL-3.0-or-later
//! Answers of a guest's agent: whatever it says, what is passed on is short, plain and useful.
//!
//! Each line of the input is one value: `name=text`, `name#number`, or `@address`.
#![no_main]

use std::net::IpAddr;

use hv_broker::guest::believe;
use hv_libvirt::{GuestInfo, InterfaceAddresses, Value};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut info = GuestInfo::default();
    let mut interface = InterfaceAddresses {
        name: String::new(),
        mac: None,
        addresses: Vec::new(),
    };
    for line in text.split('\n') {
        if let Some(address) = line.strip_prefix('@') {
            let address = address.parse().ok();
            interface
                .addresses
                .extend(address.map(|address| (address, 24)));
        } else if let Some((name, text)) = line.split_once('=') {
            info.take(name, Value::Text(text.to_owned()));
        } else if let Some((name, number)) = line.split_once('#') {
            let value = match (number.parse(), number.parse()) {
                (Ok(number), _) => Value::Unsigned(number),
                (_, Ok(number)) => Value::Signed(number),
                _ => Value::Boolean(number == "true"),
            };
            info.take(name, value);
        }
    }
    assert!(
        info.filesystems.len() <= 256,
        "memory for what is not there"
    );

    let guest = believe(&info, &[interface]);
    for text in [&guest.os, &guest.kernel, &guest.hostname]
        .into_iter()
        .flatten()
    {
        assert!(!text.is_empty() && text.trim() == text, "{text:?}");
        assert!(text.chars().count() <= 200, "{text:?}");
        assert!(!text.contains(moves), "{text:?}");
    }
    assert!(guest.addresses.len() <= 32);
    for address in &guest.addresses {
        let parsed: IpAddr = address.parse().expect("an address");
        assert_eq!(parsed.to_string(), *address);
        let reached = parsed.to_canonical();
        assert!(
            !reached.is_loopback() && !reached.is_unspecified(),
            "{address}"
        );
    }
});

/// Whether a character could move a cursor, turn text around or break its line: Unicode's controls,
/// its Bidi_Control characters, and its separators of lines and paragraphs.
fn moves(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
        )
}
