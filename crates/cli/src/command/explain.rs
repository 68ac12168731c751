// SPDX-License-Identifier: GPL-3.0-or-later
//! `hv explain`: the catalogue of problems.

use clap::Args;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use hv_model::{
    document::nearest,
    page::Page,
    problem::{Explanation, Problem, ProblemKind},
};

use crate::{
    complete,
    failure::Failure,
    output::{Column, Table, problem},
    session::{Form, Session},
};

/// What to explain.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The problem's name, as it stands behind `hv explain` in what was printed.
    #[arg(value_name = "PROBLEM", required_unless_present = "list", add = ArgValueCompleter::new(candidates))]
    problem: Option<String>,
    /// List every kind of problem.
    #[arg(long, conflicts_with = "problem")]
    list: bool,
}

/// Explains a problem, or lists them.
pub(crate) fn run(session: &Session, explain: &Explain) -> Result<(), Failure> {
    let Some(slug) = &explain.problem else {
        return list(session);
    };
    let Some(kind) = ProblemKind::from_slug(slug) else {
        return Err(unknown(slug));
    };
    session.answer(&Explanation::from(kind), |_| {
        problem::explain(kind, session.look)
    })
}

fn list(session: &Session) -> Result<(), Failure> {
    if session.form == Form::Json {
        let all = ProblemKind::ALL.iter().map(|kind| Explanation::from(*kind));
        return session.print_json(&Page::whole(all.collect()));
    }
    let mut table = Table::new([
        Column::text("PROBLEM"),
        Column::number("EXIT"),
        Column::text("WHAT IT SAYS"),
    ]);
    for kind in ProblemKind::ALL {
        let entry = kind.entry();
        table.row([
            entry.slug.into(),
            (entry.exit as u8).to_string().into(),
            entry.title.into(),
        ]);
    }
    session.print(&table.render(session.look))
}

fn unknown(slug: &str) -> Failure {
    let mut problem = Problem::new(
        ProblemKind::NotFound,
        format!("there is no kind of problem called {slug:?}"),
    );
    "hv explain --list shows all there are.".clone_into(&mut problem.hint);
    let slugs = ProblemKind::ALL.iter().map(|kind| kind.entry().slug);
    if let Some(meant) = nearest(slug, slugs) {
        problem = problem.with_try(format!("hv explain {meant}"));
    }
    problem.into()
}

fn candidates(current: &std::ffi::OsStr) -> Vec<CompletionCandidate> {
    let all = ProblemKind::ALL.iter().map(|kind| kind.entry());
    complete::matching(
        current,
        all.map(|entry| (entry.slug.to_owned(), entry.title.to_owned())),
    )
}
