// SPDX-License-Identifier: GPL-3.0-or-later
//! What is typed, read by a thread of its own.
//!
//! A terminal must not be made non-blocking, since the shell shares it, and a blocking read cannot
//! be cancelled. So a thread reads, and is left behind when the process ends.

use std::io::{self, Read};

use tokio::sync::mpsc;

/// How much is read at once.
const PIECE: usize = 4096;

/// Pieces of standard input, until it ends.
pub(crate) fn keyboard() -> io::Result<mpsc::Receiver<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel(16);
    std::thread::Builder::new()
        .name("keyboard".into())
        .spawn(move || {
            let mut input = io::stdin().lock();
            let mut piece = vec![0; PIECE];
            loop {
                match input.read(&mut piece) {
                    Ok(0) => return,
                    Ok(length) => {
                        let typed = piece.get(..length).unwrap_or_default().to_vec();
                        if sender.blocking_send(typed).is_err() {
                            return;
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    // A terminal that is gone has no more to say.
                    Err(_) => return,
                }
            }
        })?;
    Ok(receiver)
}
