// SPDX-License-Identifier: GPL-3.0-or-later
//! The console, in a terminal and in a pipe.

use std::{
    io::{Read, Write},
    process::Stdio,
};

use rustix::process::Signal;

use crate::{stage::Stage, terminal::Terminal};

fn running() -> Stage {
    let stage = Stage::set();
    stage.done("vm create web");
    stage.done("vm start web");
    stage
}

#[test]
fn the_escape_key_leaves_and_the_terminal_is_as_before() {
    let stage = running();
    let mut terminal = Terminal::open(&stage, "vm console web");
    terminal.expect("Ctrl-] leaves it");
    // The simulated guest sends back what it is sent.
    terminal.type_in(b"hello\r");
    terminal.expect("hello");
    assert!(terminal.is_raw());
    terminal.type_in(b"\x03\x04still here");
    terminal.expect("still here");
    terminal.type_in(b"\x1d");
    terminal.expect("You left the console of web.");
    let (code, is_raw, _) = terminal.end();
    assert_eq!((code, is_raw), (Some(0), false));
}

#[test]
fn another_key_can_leave() {
    let stage = running();
    let mut terminal = Terminal::open(&stage, "vm console web --escape ^A");
    terminal.expect("Ctrl-A leaves it");
    terminal.type_in(b"go\x1d");
    terminal.expect("go");
    terminal.type_in(b"\x01");
    terminal.expect("You left the console of web.");
    assert_eq!(terminal.end().0, Some(0));
}

#[test]
fn a_signal_leaves_the_terminal_as_before() {
    for signal in [Signal::TERM, Signal::HUP, Signal::INT, Signal::QUIT] {
        let stage = running();
        let mut terminal = Terminal::open(&stage, "vm console web");
        terminal.expect("leaves it");
        terminal.type_in(b"up");
        terminal.expect("up");
        assert!(terminal.is_raw());
        terminal.signal(signal);
        let (code, is_raw, _) = terminal.end();
        assert_eq!((code, is_raw), (Some(130), false), "{signal:?}");
    }
}

#[test]
fn what_could_harm_the_terminal_does_not_pass_unless_it_is_asked_for() {
    let stage = running();
    let attack = b"<\x1b]52;c;ZXZpbA==\x07\x1b[6n\x1b[31m>";
    let mut terminal = Terminal::open(&stage, "vm console web");
    terminal.expect("leaves it");
    terminal.type_in(attack);
    terminal.expect("<\x1b[31m>");
    terminal.type_in(b"\x1d");
    assert_eq!(terminal.end().0, Some(0));
    let mut terminal = Terminal::open(&stage, "vm console web --raw --force");
    terminal.expect("leaves it");
    terminal.type_in(attack);
    terminal.expect("<\x1b]52;c;ZXZpbA==\x07\x1b[6n\x1b[31m>");
    terminal.type_in(b"\x1d");
    assert_eq!(terminal.end().0, Some(0));
}

#[test]
fn a_pipe_passes_every_byte_and_stays_open_to_listen() {
    let stage = running();
    let mut child = stage
        .command("vm console web")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"uname\x1d -a\n").unwrap();
    drop(input);
    let mut output = child.stdout.take().unwrap();
    let mut seen = Vec::new();
    let mut byte = [0];
    while !seen.ends_with(b"-a\n") {
        output.read_exact(&mut byte).unwrap();
        seen.push(byte[0]);
    }
    assert_eq!(seen, b"uname -a\n");
    child.kill().unwrap();
    child.wait().unwrap();
}
