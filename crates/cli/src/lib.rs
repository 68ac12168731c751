// SPDX-License-Identifier: GPL-3.0-or-later
//! The command line `hv`, as a library for its program and for what is generated from it.
//!
//! ```text
//!  arguments ──▶ command/<noun> ──▶ hv-client ──▶ hvd
//!                     │                 │
//!                     │                 ▼
//!                     │       values or an operation ──▶ follow (progress, outcome, Ctrl-C)
//!                     ▼                                     │
//!           output (tables, facts) ◀────────────────────────┘
//!                     │
//!  exit code ◀── Failure ◀── problem, operation, spec faults, usage
//! ```
//!
//! Commands decide what to ask for and what to show. All that is shown is made of values by pure
//! functions in [`output`], so that tests need no daemon.

mod arguments;
mod command;
mod complete;
pub mod console;
mod failure;
mod follow;
mod hosts;
mod output;
mod prompt;
mod proof;
pub mod reference;
mod security;
mod session;
pub mod spec;

use std::{ffi::OsString, process::ExitCode};

use clap::{ColorChoice, FromArgMatches};
use hv_client::Client;

pub use self::arguments::command;
use self::{
    arguments::{Arguments, Command, Global},
    failure::Failure,
    hosts::Hosts,
    output::{Look, look::Colour},
    session::{Form, Session},
};

/// Runs the command line with these arguments, of which the first is the program's name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    complete::answer_shell();
    let colour = wanted_colour(&arguments);
    let choice = match colour {
        Colour::On => ColorChoice::Auto,
        Colour::Off => ColorChoice::Never,
    };
    let parsed = command()
        .color(choice)
        .try_get_matches_from(arguments)
        .and_then(|matches| Arguments::from_arg_matches(&matches));
    let parsed = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            // Nobody reads what a closed terminal cannot show.
            error.print().unwrap_or_default();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let form = if parsed.global.json {
        Form::Json
    } else {
        Form::Text
    };
    finish(execute(parsed, form, colour), form, colour)
}

fn execute(parsed: Arguments, form: Form, colour: Colour) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::local("cannot start"))?;
    let Arguments { global, command } = parsed;
    let session = Session::new(client(&global, command.as_ref())?, form, colour);
    let result = runtime.block_on(command::run(&session, global.host.as_ref(), command));
    // A thread may be reading a terminal; nobody waits for it.
    runtime.shutdown_background();
    result
}

/// The daemon of the host that is named, or of this one. Logging in and out finds its own.
fn client(global: &Global, command: Option<&Command>) -> Result<Client, Failure> {
    let finds_its_own = matches!(command, Some(Command::Login(_) | Command::Logout));
    let client = match &global.host {
        Some(name) if !finds_its_own => Hosts::load()?.named(name)?.client()?,
        _ => Client::unix(
            global
                .socket
                .clone()
                .unwrap_or_else(arguments::usual_socket),
        ),
    };
    Ok(match global.approval {
        Some(approval) => client.approved(approval),
        None => client,
    })
}

fn finish(result: Result<(), Failure>, form: Form, colour: Colour) -> ExitCode {
    let Err(failure) = result else {
        return ExitCode::SUCCESS;
    };
    let look = Look::of_errors(colour);
    let text = match form {
        Form::Json => failure.json().unwrap_or_else(|| match &failure {
            // The operation says it itself, on standard output.
            Failure::Operation(_) | Failure::Several(_) | Failure::Found => String::new(),
            other => other.render(look),
        }),
        Form::Text => failure.render(look),
    };
    eprint_quietly(&text);
    ExitCode::from(failure.exit_code())
}

/// Prints to standard error; it is no failure of its own if nobody reads it.
fn eprint_quietly(text: &str) {
    use std::io::Write;
    std::io::stderr()
        .lock()
        .write_all(text.as_bytes())
        .unwrap_or_default();
}

/// Whether the user wants colours where there is a terminal.
fn wanted_colour(arguments: &[OsString]) -> Colour {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|value| value == "dumb")
        || arguments.iter().any(|argument| argument == "--no-color");
    if refused { Colour::Off } else { Colour::On }
}
