// SPDX-License-Identifier: GPL-3.0-or-later
//! Nothing that a VM's console may show can steer a terminal, however it comes in pieces.
#![no_main]

use hv::console::Filter;
use libfuzzer_sys::fuzz_target;

/// Up to how many bytes an input is cut at each place.
const SHORT: usize = 128;

fuzz_target!(|input: &[u8]| {
    let mut whole = Filter::default();
    let mut output = Vec::new();
    whole.push(input, &mut output);

    let text = std::str::from_utf8(&output).expect("what passes is text");
    let screen = look(text);
    assert_eq!(
        !whole.leave().is_empty(),
        screen == Screen::Other,
        "leaving brings back the usual screen where the other one is seen"
    );
    assert_eq!(filtered(&[&output]), output, "what passed passes again");

    let single: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(filtered(&single), output, "byte by byte");
    let sum: usize = input.iter().map(|byte| usize::from(*byte)).sum();
    let some = sum.checked_rem(input.len()).unwrap_or_default();
    let cuts = if input.len() <= SHORT {
        0..input.len()
    } else {
        some..some + 1
    };
    for cut in cuts {
        let (head, tail) = input.split_at(cut);
        assert_eq!(filtered(&[head, tail]), output, "cut at {cut}");
    }
});

fn filtered(pieces: &[&[u8]]) -> Vec<u8> {
    let mut filter = Filter::default();
    let mut output = Vec::new();
    for piece in pieces {
        filter.push(piece, &mut output);
    }
    output
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Screen {
    Usual,
    Other,
}

/// Reads what passed as a terminal would, with eyes of its own; fails on what must not be there.
fn look(text: &str) -> Screen {
    let mut screen = Screen::Usual;
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        if character != '\x1b' {
            let draws = !character.is_control() || ('\x07'..='\x0f').contains(&character);
            assert!(draws, "{character:?} passed");
            continue;
        }
        match rest.next() {
            Some('[') => {
                let mut sequence = String::new();
                while let Some(part) = rest.next_if(|next| (' '..='?').contains(next)) {
                    sequence.push(part);
                }
                let last = rest.next().expect("a sequence that passed is whole");
                screen = sequence_of(&sequence, last).unwrap_or(screen);
            }
            Some('(' | ')' | '*' | '+') => {
                let set = rest.next();
                assert!(matches!(set, Some('A' | 'B' | '0')), "set {set:?} passed");
            }
            Some('7' | '8' | 'D' | 'E' | 'H' | 'M' | '=' | '>') => {}
            other => panic!("ESC {other:?} passed"),
        }
    }
    screen
}

/// Judges a whole `ESC [ sequence last`; tells the screen that it switches to.
fn sequence_of(sequence: &str, last: char) -> Option<Screen> {
    let shown = format!("ESC [ {sequence} {last}");
    let (mark, numbers) = match sequence.strip_prefix('?') {
        Some(numbers) => ("?", numbers),
        None => ("", sequence),
    };
    let end = numbers
        .find(|c: char| !c.is_ascii_digit() && c != ';' && c != ':')
        .unwrap_or(numbers.len());
    let (numbers, between) = numbers.split_at(end);
    let numbers: Vec<u32> = numbers
        .split([';', ':'])
        .filter(|number| !number.is_empty())
        .map(|number| number.parse().expect("a number"))
        .collect();
    assert!(numbers.iter().all(|number| *number < 10_000), "{shown}");
    match (mark, between, last) {
        ("", "", 'J') | ("?", "", 'J') => assert!(!numbers.contains(&3), "{shown}"),
        ("", "", 'h' | 'l') => assert_eq!(numbers, [4], "{shown}"),
        ("?", "", 'h' | 'l') => {
            // What a terminal would answer, tell of itself, or keep after the console is left.
            let known = [
                1, 5, 7, 12, 25, 47, 1000, 1002, 1006, 1047, 1048, 1049, 2004, 2026,
            ];
            let unknown = numbers.iter().find(|mode| !known.contains(mode));
            assert_eq!(unknown, None, "{shown}");
            let switches = numbers.iter().any(|mode| [47, 1047, 1049].contains(mode));
            let to = if last == 'h' {
                Screen::Other
            } else {
                Screen::Usual
            };
            return switches.then_some(to);
        }
        // Requests for an answer, printing, windows, keys and pointers.
        ("", "", 'c' | 'i' | 'n' | 'p' | 'q' | 't' | 'x' | 'y') => panic!("{shown} passed"),
        ("", "", '@'..='~') | ("?", "", 'K') | ("", " ", 'q') | ("", "!", 'p') => {}
        _ => panic!("{shown} passed"),
    }
    None
}
