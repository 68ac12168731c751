// SPDX-License-Identifier: GPL-3.0-or-later
//! What every command gets: the daemon, the clock, and where to print.

use std::io::{self, IsTerminal, Write};

use hv_client::{Client, Staleness};
use jiff::{Timestamp, tz::TimeZone};
use serde::Serialize;

use crate::{
    failure::Failure,
    output::{Look, Paint, look::Colour, moment},
};

/// In which form answers are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// For people.
    Text,
    /// The API's JSON.
    Json,
}

/// Whether questions are asked before something is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asking {
    /// They are.
    Ask,
    /// They are answered with yes already.
    Yes,
}

impl From<bool> for Asking {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::Ask }
    }
}

/// One run of the command line.
#[derive(Debug)]
pub(crate) struct Session {
    /// The daemon.
    pub client: Client,
    /// In which form answers are printed.
    pub form: Form,
    /// The look of standard output.
    pub look: Look,
    /// The look of standard error.
    pub error_look: Look,
}

impl Session {
    /// A session with this daemon on this process's streams.
    pub(crate) fn new(client: Client, form: Form, colour: Colour) -> Self {
        Self {
            client,
            form,
            look: Look::of(&io::stdout(), colour),
            error_look: Look::of_errors(colour),
        }
    }

    /// What time it is.
    #[expect(
        clippy::unused_self,
        reason = "a session is where commands get everything"
    )]
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    /// The zone in which times are told.
    #[expect(
        clippy::unused_self,
        reason = "a session is where commands get everything"
    )]
    pub(crate) fn zone(&self) -> TimeZone {
        TimeZone::system()
    }

    /// Whether somebody sits at a terminal and can answer questions.
    #[expect(
        clippy::unused_self,
        reason = "a session is where commands get everything"
    )]
    pub(crate) fn has_person(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Whether progress is shown: to people at a terminal.
    pub(crate) fn shows_progress(&self) -> bool {
        self.form == Form::Text && io::stderr().is_terminal()
    }

    /// Prints an answer.
    #[expect(clippy::unused_self, reason = "a session is where commands print")]
    pub(crate) fn print(&self, text: &str) -> Result<(), Failure> {
        let mut output = io::stdout().lock();
        output
            .write_all(text.as_bytes())
            .and_then(|()| output.flush())
            .map_err(Failure::of_output)
    }

    /// Prints an answer for people; with `--json` nothing.
    pub(crate) fn say(&self, text: &str) -> Result<(), Failure> {
        match self.form {
            Form::Text => self.print(text),
            Form::Json => Ok(()),
        }
    }

    /// Prints an answer as JSON.
    pub(crate) fn print_json(&self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value).map_err(io::Error::from);
        self.print(&(text.map_err(Failure::local("cannot write JSON"))? + "\n"))
    }

    /// Prints an answer in the form that was asked for.
    pub(crate) fn answer<T: Serialize>(
        &self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        match self.form {
            Form::Text => self.print(&text(value)),
            Form::Json => self.print_json(value),
        }
    }

    /// Tells something beside the answer, on standard error; it is no failure if nobody reads it.
    #[expect(clippy::unused_self, reason = "a session is where commands print")]
    pub(crate) fn note(&self, text: &str) {
        let mut errors = io::stderr().lock();
        errors
            .write_all(text.as_bytes())
            .and_then(|()| errors.flush())
            .unwrap_or_default();
    }

    /// Says how old the answer is that the daemon gave last, if it could not ask the host.
    pub(crate) fn warn_if_stale(&self) {
        let age = match self.client.staleness() {
            None => return,
            Some(Staleness::Since(age)) => format!("{} old", moment::rough(age)),
            Some(Staleness::Unknown) => "of unknown age".into(),
        };
        let look = self.error_look;
        let text = format!(
            "{} this is {age}, since the host cannot be reached. Why: {}\n",
            look.paint(Paint::Warning, "stale:"),
            look.paint(Paint::Command, "hv"),
        );
        self.note(&text);
    }

    /// Asks before something is lost.
    pub(crate) fn confirm(&self, asking: Asking, question: &str) -> Result<(), Failure> {
        if asking == Asking::Yes {
            return Ok(());
        }
        if !self.has_person() {
            return Err(Failure::usage(
                "this needs a yes, and nobody is there to ask",
                "Say it on the command line: --yes.",
            ));
        }
        self.note(&format!("{question} [y/N] "));
        let mut answer = String::new();
        io::stdin()
            .read_line(&mut answer)
            .map_err(Failure::local("cannot read the answer"))?;
        match answer.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(Failure::Declined),
        }
    }
}
