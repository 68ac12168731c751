// SPDX-License-Identifier: GPL-3.0-or-later
//! What passes the filter, and what never does.

use super::*;
use proptest::prelude::*;

fn filtered(input: &[u8]) -> Vec<u8> {
    let mut output = Vec::new();
    Filter::default().push(input, &mut output);
    output
}

#[test]
fn what_draws_passes_unchanged() {
    for text in [
        "plain text\r\n\ttab \x08 bell \x07",
        "grün 日本語 🦀",
        "\x1b[1;31mred\x1b[0m \x1b[38;2;1;2;3mtrue\x1b[38:5:1m",
        "\x1b[2J\x1b[H\x1b[10;20Hx\x1b[K\x1b[3A\x1b[1;24r\x1b[2L",
        "\x1b[?1049h\x1b[?25l\x1b[?1;2004h\x1b[4h\x1b[?7l",
        "\x1b7\x1b8\x1bM\x1b(0lqk\x1b(B\x1b=\x1b>\x0e\x0f",
        "\x1b[5 q\x1b[!p\x1b[20b",
    ] {
        assert_eq!(
            String::from_utf8(filtered(text.as_bytes())).unwrap(),
            text,
            "{text:?}"
        );
    }
}

#[test]
fn what_steers_the_terminal_or_makes_it_answer_is_dropped() {
    for attack in [
        "\x1b]52;c;ZXZpbA==\x07",
        "\x1b]0;title\x1b\\",
        "\x1b]8;;http://evil\x07",
        "\x1bP$qm\x1b\\",
        "\x1bPtmux;\x1b\x1b]52;c;x\x07\x1b\\",
        "\x1b_Gi=1;x\x1b\\",
        "\x1b^private\x1b\\",
        "\x1bXstring\x1b\\",
        "\x1b[6n",
        "\x1b[5n",
        "\x1b[c",
        "\x1b[>c",
        "\x1b[=c",
        "\x1bZ",
        "\x1b[21t",
        "\x1b[8;9999;9999t",
        "\x1b[?5i",
        "\x1b[4i",
        "\x1b[x",
        "\x1b[?6n",
        "\x1b[>q",
        "\x1b[?u",
        "\x1b[>1u",
        "\x1b[>4;2m",
        "\x1b[?2$p",
        "\x1b[3J",
        "\x1b[?3h",
        "\x1b[?6h",
        "\x1b[12l",
        "\x1b#8",
        "\x1b%G",
        "\x1b F",
        "\x1b[1;99999999b",
        "\x05",
        "\x13",
        "\x7f",
        "\0",
        "\u{9b}6n",
        "\u{9d}52;c;x\u{9c}",
    ] {
        let passed = String::from_utf8(filtered(format!("a{attack}b").as_bytes())).unwrap();
        assert!(
            !passed.contains('\x1b') && passed.starts_with('a') && passed.ends_with('b'),
            "{attack:?} -> {passed:?}"
        );
        assert!(
            !passed.chars().any(char::is_control),
            "{attack:?} -> {passed:?}"
        );
    }
}

#[test]
fn a_string_inside_a_string_does_not_get_out() {
    assert_eq!(filtered(b"\x1b]0;a\x1b]52;c;x\x07b"), b"b");
    assert_eq!(filtered(b"\x1b]0;a\x1b[31mred"), b"\x1b[31mred");
}

#[test]
fn a_string_without_an_end_cannot_swallow_the_console() {
    let mut input = b"\x1b]0;".to_vec();
    input.extend(vec![b'x'; 2 * MAX_STRING]);
    assert!(filtered(&input).len() >= MAX_STRING);
    assert_eq!(filtered(b"\x1b]0;\x18shown"), b"shown");
}

#[test]
fn a_full_reset_becomes_a_soft_one() {
    assert_eq!(filtered(b"\x1bc"), SOFT_RESET);
}

#[test]
fn the_other_screen_is_left_when_it_is_seen() {
    let left = |input: &[u8]| {
        let mut filter = Filter::default();
        filter.push(input, &mut Vec::new());
        filter.leave()
    };
    assert_eq!(left(b"plain \x1b[?25l"), b"");
    assert_eq!(left(b"\x1b[?1;1049h"), b"\x1b[?1049l");
    assert_eq!(left(b"\x1b[?1049h\x1b[?25l\x1b[?1049l"), b"");
}

#[test]
fn bytes_that_are_no_text_are_marked() {
    assert_eq!(
        filtered(b"a\xffb\xc3(c\xed\xa0\x80"),
        "a\u{fffd}b\u{fffd}(c\u{fffd}".as_bytes()
    );
}

/// More cases are drawn where there is time.
fn cases() -> u32 {
    if std::env::var_os("HV_LONG").is_some() {
        50_000
    } else {
        400
    }
}

/// Bytes that are likely to meet each other in sequences.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        3 => Just(ESC),
        2 => prop::sample::select(b"[]P_^X\\?>=<!$; 0123456789".to_vec()),
        2 => prop::sample::select(b"mnchltuxqpJKZi".to_vec()),
        1 => prop::sample::select(vec![BEL, CAN, SUB, 0x05, 0x9b, 0xc2, 0x9d, 0x90]),
        1 => any::<u8>(),
    ];
    prop::collection::vec(byte, 0..200)
}

/// Reads what was passed with eyes of its own: after each ESC stands one of the allowed forms.
fn is_tame(output: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(output) else {
        return false;
    };
    let mut parts = text.split('\x1b');
    let first = parts.next().unwrap_or_default();
    let draws = |text: &str| {
        !text
            .chars()
            .any(|c| c.is_control() && !('\x07'..='\x0f').contains(&c))
    };
    draws(first)
        && parts.all(|part| {
            let mut characters = part.chars();
            let allowed = match characters.next() {
                Some('[') => {
                    let body: String = characters
                        .clone()
                        .take_while(|c| !('@'..='~').contains(c))
                        .collect();
                    let end = characters.nth(body.chars().count());
                    let is_query = end.is_some_and(|c| "nctxiy".contains(c));
                    let has_mark = body.starts_with(['>', '<', '=']) || body.contains('$');
                    end.is_some() && !is_query && !has_mark
                }
                Some('(' | ')' | '*' | '+') => characters.next().is_some_and(|c| "AB0".contains(c)),
                Some(other) => "78DEHM=>".contains(other),
                None => false,
            };
            allowed && draws(part)
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn nothing_that_passes_can_steer_a_terminal(input in hostile()) {
        let output = filtered(&input);
        prop_assert!(is_tame(&output), "{:?} -> {:?}", input, String::from_utf8_lossy(&output));
    }

    #[test]
    fn pieces_make_no_difference(input in hostile(), cut in 0_usize..200) {
        let (head, tail) = input.split_at(cut.min(input.len()));
        let (mut filter, mut output) = (Filter::default(), Vec::new());
        filter.push(head, &mut output);
        filter.push(tail, &mut output);
        prop_assert_eq!(output, filtered(&input));
    }

    #[test]
    fn what_passed_passes_again(input in hostile()) {
        let once = filtered(&input);
        prop_assert_eq!(filtered(&once), once);
    }

    #[test]
    fn text_passes(text in "[^\\p{C}]*") {
        prop_assert_eq!(filtered(text.as_bytes()), text.as_bytes());
    }
}
