// SPDX-License-Identifier: GPL-3.0-or-later
//! From inside a VM: at the terminal of who looks at its console.
//!
//! The guest says sequences that terminals obey, again and again; see `stage::ESCAPES`.

use std::process::Command;

use crate::{Actor, Arena, Attempt, Layer, Loot, Off, Trouble};

macro_rules! escapes {
    ($($name:literal, $goal:literal, $sequence:expr;)*) => {
        pub(super) const ATTEMPTS: &[Attempt] = &[$(Attempt {
            name: $name,
            goal: concat!("have the terminal of who opens the VM's console ", $goal),
            success: "the sequence for it was sent to the terminal",
            actors: &[Actor::Guest],
            layer: Layer::Terminal,
            off: &[Off::Past],
            run: |arena, _| on_a_terminal(arena),
            evidence: |_, _, loot| {
                loot.holds($sequence).then(|| format!("the terminal was sent {:?}", $sequence))
            },
            ..Attempt::PLAIN
        }),*];
    };
}

escapes! {
    "terminal-clipboard", "put a text into the clipboard", "\x1b]52;";
    "terminal-clipboard-by-c1", "do the same by control characters beyond ASCII", "\u{9d}52;";
    "terminal-title", "take another title", "\x1b]0;hv-attack-title";
    "terminal-answer", "type its title as if somebody had", "\x1b[21t";
    "terminal-question", "type what its settings are", "\x1bP$q";
    "terminal-print", "print what follows", "\x1b[5i";
}

/// What a terminal is sent by `hv vm console` in a few seconds.
fn on_a_terminal(arena: &Arena) -> Result<Loot, Trouble> {
    let mut loot = Loot::default();
    let console = format!(
        "{} vm console {} --force --socket {}",
        arena.program.display(),
        arena.own.name,
        arena.socket.display()
    );
    let text = on_terminal(&console, "5")?;
    // The guest says its text twice a second: a terminal that was sent nothing was not reached.
    if !text.contains("hv-attack-guest") {
        let text: String = text.chars().take(200).collect();
        return Err(Trouble(format!("the console showed nothing: {text:?}")));
    }
    loot.take(&text);
    loot.told("the text around it was shown, and the sequence was left out");
    Ok(loot)
}

/// What a command sends to the terminal on which it is run, for at most so many seconds.
pub(super) fn on_terminal(command: &str, seconds: &str) -> Result<String, Trouble> {
    let output = Command::new("timeout")
        .args([
            seconds,
            "script",
            "--quiet",
            "--return",
            "--command",
            command,
            "/dev/null",
        ])
        .env("TERM", "xterm")
        .output();
    let output = output.map_err(|error| {
        Trouble(format!(
            "timeout and script, which are in coreutils and bsdutils: {error}"
        ))
    })?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
