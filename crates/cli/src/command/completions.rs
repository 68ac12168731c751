// SPDX-License-Identifier: GPL-3.0-or-later
//! `hv completions`: the script that completes commands and names in a shell.

use clap::{Args, ValueEnum};
use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Zsh};

use crate::{failure::Failure, session::Session};

/// For which shell.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Completions {
    /// The shell.
    shell: Shell,
}

/// A shell that can complete.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
    Elvish,
}

/// Prints the script.
pub(crate) fn run(session: &Session, completions: Completions) -> Result<(), Failure> {
    let completer: &dyn EnvCompleter = match completions.shell {
        Shell::Bash => &Bash,
        Shell::Zsh => &Zsh,
        Shell::Fish => &Fish,
        Shell::Elvish => &Elvish,
    };
    let mut script = Vec::new();
    completer
        .write_registration("COMPLETE", "hv", "hv", "hv", &mut script)
        .map_err(Failure::local("cannot write the script"))?;
    session.print(&String::from_utf8_lossy(&script))
}
