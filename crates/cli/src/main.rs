// SPDX-License-Identifier: GPL-3.0-or-later
//! The command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    hv::run(std::env::args_os())
}
