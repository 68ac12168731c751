// SPDX-License-Identifier: GPL-3.0-or-later
//! A terminal of the test's own, with the program in it.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
    process::{Child, Stdio},
};

use rustix::{
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize},
};

use crate::stage::Stage;

/// A terminal of 100 columns.
pub(crate) struct Terminal {
    screen: File,
    line: OwnedFd,
    seen: String,
    child: Child,
}

impl Terminal {
    pub(crate) fn open(stage: &Stage, arguments: &str) -> Self {
        let screen =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&screen).unwrap();
        unlockpt(&screen).unwrap();
        let size = Winsize {
            ws_row: 24,
            ws_col: 100,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&screen, size).unwrap();
        let name = ptsname(&screen, Vec::new()).unwrap();
        let line = File::options()
            .read(true)
            .write(true)
            .open(name.to_str().unwrap())
            .unwrap();
        let end = || Stdio::from(line.try_clone().unwrap());
        let child = stage
            .command(arguments)
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        Self {
            screen: screen.into(),
            line: line.into(),
            seen: String::new(),
            child,
        }
    }

    /// Reads until the screen shows this.
    pub(crate) fn expect(&mut self, text: &str) {
        let mut piece = [0; 4096];
        while !self.seen.contains(text) {
            let length = self.screen.read(&mut piece).unwrap();
            self.seen
                .push_str(&String::from_utf8_lossy(&piece[..length]));
        }
    }

    pub(crate) fn type_in(&mut self, keys: &[u8]) {
        self.screen.write_all(keys).unwrap();
    }

    /// Whether keys are passed on one by one and unseen.
    pub(crate) fn is_raw(&self) -> bool {
        let modes = tcgetattr(&self.line).unwrap().local_modes;
        !modes.intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn end(mut self) -> (Option<i32>, bool, String) {
        let status = self.child.wait().unwrap();
        (status.code(), self.is_raw(), self.seen)
    }
}
