// SPDX-License-Identifier: GPL-3.0-or-later
//! Waiting for what another process does.

use std::time::{Duration, Instant};

/// Asks again and again until there is an answer; panics after a minute.
///
/// Other processes tell a test nothing by themselves, so it has to look. It looks often, so that
/// waiting takes no longer than what it waits for.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "waited a minute for {what}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}
