// SPDX-License-Identifier: GPL-3.0-or-later
//! What both daemons tell the system that runs them.
//!
//! They log to a terminal or a file with time and level, to the system's journal with each line's
//! priority, by which `journalctl -p err` finds what went wrong.

use std::io::{self, IsTerminal, Write};

use sd_notify::NotifyState;
use tracing::{Level, Metadata};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

/// Begins to log. `HV_LOG` chooses what, such as `HV_LOG=hvd=debug`.
pub fn start_log() {
    let filter = EnvFilter::try_from_env("HV_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter);
    if is_journal() {
        log.with_writer(Journal)
            .with_ansi(false)
            .without_time()
            .init();
    } else {
        log.with_writer(io::stderr)
            .with_ansi(io::stderr().is_terminal())
            .init();
    }
}

/// Tells systemd, if it waits for that, that this daemon can be asked from now on.
pub fn tell_ready() {
    if let Err(error) = sd_notify::notify(&[NotifyState::Ready]) {
        tracing::warn!(%error, "systemd can't be told that this daemon can be asked");
    }
}

/// Whether standard error is the journal's: systemd names the file that it gave, and it may have
/// been put in another place since.
fn is_journal() -> bool {
    let given = std::env::var("JOURNAL_STREAM").ok();
    let there = rustix::fs::fstat(io::stderr()).ok();
    let there = there.map(|about| format!("{}:{}", about.st_dev, about.st_ino));
    given.is_some() && given == there
}

/// Writes lines as the journal takes them from standard error.
struct Journal;

/// One line, with what stands before it.
struct Prefixed(&'static str);

impl MakeWriter<'_> for Journal {
    type Writer = Prefixed;

    fn make_writer(&self) -> Prefixed {
        Prefixed(priority(Level::INFO))
    }

    fn make_writer_for(&self, about: &Metadata<'_>) -> Prefixed {
        Prefixed(priority(*about.level()))
    }
}

impl Write for Prefixed {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // At once, so that the lines of several threads stay apart.
        io::stderr().write_all(&[self.0.as_bytes(), line].concat())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// A level as sd-daemon(3) writes it.
const fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        _ => "<7>",
    }
}
