// SPDX-License-Identifier: GPL-3.0-or-later
//! Why a command did not do what was asked, and the exit code that says so.

use std::io;

use hv_client::ClientError;
use hv_model::{
    id::OperationId,
    operation::{Operation, OperationState},
    problem::{ExitCode, Problem, ProblemKind},
};
use serde::Serialize;

use crate::{
    output::{
        Facts, Look, Paint,
        problem::{self, About},
        shown,
        text::{quoted, wrapped},
    },
    spec::SpecFaults,
};

/// Everything that can keep a command from doing what was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The daemon refused, or can't be reached.
    Problem {
        /// What it said.
        problem: Box<Problem>,
        /// The name of the VM that it is about.
        about: Option<String>,
    },
    /// An operation ended in another way than by doing what was asked.
    Operation(Box<Operation>),
    /// A spec file has faults.
    Spec(Box<SpecFaults>),
    /// The command line asks for something that makes no sense.
    Usage {
        /// What is wrong.
        what: String,
        /// How to go on.
        fix: String,
    },
    /// What was looked at is not as it should be.
    Finding {
        /// What was found.
        what: String,
        /// How to go on.
        fix: String,
    },
    /// Something on this side failed: a file, the terminal.
    Local {
        /// What failed.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// The question was answered with no.
    Declined,
    /// Ctrl-C: what was being followed goes on.
    Detached(Vec<Left>),
    /// Ctrl-C: what was going on needed this process, and ended with it.
    BrokenOff(String),
    /// What was looked for was found, and told already.
    Found,
    /// Standard output was closed: whoever read it has enough.
    OutputClosed,
    /// Several things were asked for and some failed, each of which was told already.
    Several(Vec<Self>),
}

/// An operation that goes on without being followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Left {
    /// Its id.
    pub id: OperationId,
    /// What it does: `shut down web`.
    pub what: String,
}

impl Failure {
    /// A local failure, for `map_err`.
    pub(crate) fn local(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Local { what, source }
    }

    /// Standard output that can't be written to.
    pub(crate) fn of_output(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Local {
                what: "cannot write the answer".into(),
                source: error,
            },
        }
    }

    /// A wrong use of the command line.
    pub(crate) fn usage(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Usage {
            what: what.into(),
            fix: fix.into(),
        }
    }

    /// The same failure with the name of the VM that it is about.
    #[must_use]
    pub(crate) fn about(self, name: &str) -> Self {
        match self {
            Self::Problem { problem, .. } => Self::Problem {
                problem,
                about: Some(name.to_owned()),
            },
            other => other,
        }
    }

    /// What the process's exit code says: the worst of several, which is the smallest but 0.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Problem { problem, .. } => problem.kind.entry().exit as u8,
            Self::Operation(operation) => operation
                .problem
                .as_ref()
                .map_or(ExitCode::Failed, |problem| problem.kind.entry().exit)
                as u8,
            Self::Spec(_) | Self::Usage { .. } => ExitCode::Usage as u8,
            Self::Local { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => ExitCode::NotFound as u8,
                io::ErrorKind::PermissionDenied => ExitCode::Denied as u8,
                _ => ExitCode::Failed as u8,
            },
            Self::Declined | Self::Finding { .. } | Self::Found => ExitCode::Failed as u8,
            Self::Detached(_) | Self::BrokenOff(_) => 130,
            Self::OutputClosed => 0,
            Self::Several(failures) => failures
                .iter()
                .map(Self::exit_code)
                .filter(|code| *code > 0)
                .min()
                .unwrap_or(0),
        }
    }

    /// What is printed to standard error for a person; nothing if all is said already.
    pub(crate) fn render(&self, look: Look) -> String {
        match self {
            Self::Problem { problem, about } => {
                problem::render(problem, About(about.as_deref()), look)
            }
            Self::Operation(operation) => ended(operation, look),
            Self::Spec(faults) => faults.render(look),
            Self::Usage { what, fix } | Self::Finding { what, fix } => {
                with_fix(&shown(what), fix, look)
            }
            Self::Local { what, source } => {
                problem::error_line(&format!("{}: {source}", shown(what)), look)
            }
            Self::Declined => "Nothing was changed.\n".into(),
            Self::Detached(left) => left.iter().map(|left| detached(left, look)).collect(),
            Self::BrokenOff(what) => format!("{what}\n"),
            Self::Found | Self::OutputClosed => String::new(),
            Self::Several(failures) => failures
                .iter()
                .map(|failure| failure.render(look))
                .collect(),
        }
    }

    /// The same for a program, where the API has words for it.
    pub(crate) fn json(&self) -> Option<String> {
        let problem = match self {
            Self::Problem { problem, .. } => (**problem).clone(),
            Self::Spec(faults) => faults.problem(),
            Self::Usage { what, .. } => Problem::new(ProblemKind::BadRequest, what.clone()),
            Self::Several(failures) => {
                return Some(failures.iter().filter_map(Self::json).collect())
                    .filter(|text: &String| !text.is_empty());
            }
            // The operation itself went to standard output.
            _ => return None,
        };
        to_json(&problem)
    }
}

fn to_json(value: &impl Serialize) -> Option<String> {
    serde_json::to_string_pretty(value)
        .ok()
        .map(|text| text + "\n")
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Problem::from(error).into()
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem {
            problem: Box::new(problem),
            about: None,
        }
    }
}

fn with_fix(what: &str, fix: &str, look: Look) -> String {
    let mut page = problem::error_line(what, look);
    let mut facts = Facts::default();
    facts.add("  fix", wrapped(fix, look.prose() - 8).join("\n"));
    page.push_str(&facts.render(look));
    page
}

fn ended(operation: &Operation, look: Look) -> String {
    let name = operation.target.name.as_str();
    let about = About((operation.target.kind == "vm").then_some(name));
    match (&operation.problem, operation.state) {
        (Some(problem), _) => problem::render(problem, about, look),
        (None, OperationState::Cancelled) => {
            problem::render(&Problem::new(ProblemKind::Cancelled, ""), about, look)
        }
        (None, OperationState::Interrupted) => {
            problem::render(&Problem::new(ProblemKind::Interrupted, ""), about, look)
        }
        (None, state) => {
            let what = format!(
                "{} {} {}",
                operation.kind.words(),
                quoted(&shown(name)),
                state.as_str()
            );
            problem::error_line(&what, look)
        }
    }
}

fn detached(left: &Left, look: Look) -> String {
    let mut facts = Facts::default();
    facts.add_painted(
        "  watch it",
        Paint::Command,
        format!("hv op watch {}", left.id),
    );
    facts.add_painted(
        "  cancel it",
        Paint::Command,
        format!("hv op cancel {}", left.id),
    );
    format!(
        "{} goes on without this command.\n{}",
        shown(&left.what),
        facts.render(look)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_left_alone_says_how_to_watch_and_cancel_it() {
        let id = "0198c1f0-1111-7222-8333-444455556666".parse().unwrap();
        let failure = Failure::Detached(vec![Left {
            id,
            what: "shut down web".into(),
        }]);
        assert_eq!(failure.exit_code(), 130);
        insta::assert_snapshot!(failure.render(Look::plain()));
    }

    #[test]
    fn exit_codes_come_from_the_catalogue() {
        for kind in ProblemKind::ALL {
            let failure = Failure::from(Problem::new(*kind, "x"));
            assert_eq!(failure.exit_code(), kind.entry().exit as u8);
        }
        let several = Failure::Several(vec![
            Problem::new(ProblemKind::NotFound, "x").into(),
            Problem::new(ProblemKind::Busy, "x").into(),
        ]);
        assert_eq!(several.exit_code(), 3);
    }
}
