// SPDX-License-Identifier: GPL-3.0-or-later
//! Regenerates and checks what is generated.

mod api;
mod generated;
mod reference;

use std::{env, process::ExitCode};

use generated::{Generated, Outcome, root};

const USAGE: &str = "\
Usage: ./dev gen [--check]

Writes what is generated from the code: the API's description, the command line's reference and
its man pages, and deletes the pages of commands that are gone. With --check it writes nothing, and
fails with the difference if something is not up to date.
";

/// Everything that is generated.
fn everything() -> Outcome<Vec<Generated>> {
    Ok(api::all()?.into_iter().chain(reference::all()?).collect())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["gen"] => everything().and_then(|files| generated::write(&root(), &files)),
        ["gen", "--check"] => everything().and_then(|files| generated::check(&root(), &files)),
        ["--help" | "-h"] => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
