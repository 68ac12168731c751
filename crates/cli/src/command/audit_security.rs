// SPDX-License-Identifier: GPL-3.0-or-later
//! `hv audit security`: what of this host is open that should not be.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum, ValueHint, builder::PossibleValue};
use hv_model::security::{Category, ControlsView, Framework, Report, Severity};
use serde::Serialize;

use crate::{
    failure::Failure,
    output::{Look, shown},
    security,
    session::{Form, Session},
};

/// What of this host is looked at, and how that is shown.
#[derive(Debug, Args)]
pub(crate) struct AuditSecurity {
    /// Look at one category only.
    #[arg(long, value_name = "CATEGORY", value_parser = named(Category::ALL, Category::as_str))]
    category: Option<Category>,
    /// Show findings of this severity and worse only; the exit code is about these.
    #[arg(long, value_name = "SEVERITY", value_parser = named(Severity::ALL, Severity::as_str))]
    min_severity: Option<Severity>,
    /// How it is shown.
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "text")]
    format: Format,
    /// Show what the findings say about the controls of a framework; without a name, of each.
    #[arg(
        long,
        value_name = "FRAMEWORK",
        num_args = 0..=1,
        default_missing_value = "all",
        conflicts_with_all = ["category", "min_severity"],
        value_parser = frameworks(),
    )]
    compliance: Option<Frameworks>,
    /// Write it to a file that only you can read.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
}

/// In which form the audit is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a terminal.
    Text,
    /// For a program.
    Json,
    /// For a report that people go on writing.
    Markdown,
    /// One file for a browser.
    Html,
}

/// Some frameworks.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Frameworks(Vec<Framework>);

/// Looks at this host.
pub(crate) async fn run(session: &Session, what: AuditSecurity) -> Result<(), Failure> {
    let report = security::audit(&session.client, what.category, session.now()).await;
    let report = match what.min_severity {
        Some(severity) => report.at_least(severity),
        None => report,
    };
    let format = match session.form {
        Form::Json => Format::Json,
        Form::Text => what.format,
    };
    let look = match what.output {
        Some(_) => Look::plain(),
        None => session.look,
    };
    let page = match &what.compliance {
        Some(frameworks) => controls(&ControlsView::of(&report, &frameworks.0), format, look),
        None => findings(&report, format, look),
    }?;
    match &what.output {
        Some(path) => {
            write(path, &page)
                .map_err(Failure::local(format!("cannot write {}", path.display())))?;
            session.note(&format!(
                "It is written to {}.\n",
                shown(&path.display().to_string())
            ));
        }
        None => session.print(&page)?,
    }
    if report.fails() {
        // All of it is told already; what is left is the exit code.
        return Err(Failure::Found);
    }
    Ok(())
}

fn findings(report: &Report, format: Format, look: Look) -> Result<String, Failure> {
    Ok(match format {
        Format::Text => security::text::render(report, look),
        Format::Json => json(report)?,
        Format::Markdown => security::markdown::report(report),
        Format::Html => security::html::report(report),
    })
}

fn controls(view: &ControlsView, format: Format, look: Look) -> Result<String, Failure> {
    Ok(match format {
        Format::Text => security::controls::render(view, look),
        Format::Json => json(view)?,
        Format::Markdown => security::markdown::controls(view),
        Format::Html => security::html::controls(view),
    })
}

fn json(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value).map_err(io::Error::from);
    Ok(text.map_err(Failure::local("cannot write JSON"))? + "\n")
}

/// Writes a file that only its owner can read, whole or not at all. What was at its path before, a link
/// that somebody planted included, is replaced and not followed.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut name = path
        .file_name()
        .ok_or(io::ErrorKind::InvalidInput)?
        .to_owned();
    name.push(format!(".{}.partial", std::process::id()));
    let partial = path.with_file_name(name);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&partial)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    let placed = written.and_then(|()| fs::rename(&partial, path));
    if placed.is_err() {
        // The first error is the one to tell.
        fs::remove_file(&partial).unwrap_or_default();
    }
    placed
}

/// A parser of values by their names.
fn named<T: Copy + Send + Sync + 'static>(
    all: &'static [T],
    name: fn(T) -> &'static str,
) -> impl clap::builder::TypedValueParser<Value = T> {
    use clap::builder::TypedValueParser;
    let names = all
        .iter()
        .map(move |value| PossibleValue::new(name(*value)));
    clap::builder::PossibleValuesParser::new(names).try_map(move |text| {
        let found = all.iter().copied().find(|value| name(*value) == text);
        found.ok_or("it has no such name")
    })
}

fn frameworks() -> impl clap::builder::TypedValueParser<Value = Frameworks> {
    use clap::builder::TypedValueParser;
    let names = Framework::ALL
        .iter()
        .map(|framework| PossibleValue::new(framework.as_str()));
    let names = names.chain([PossibleValue::new("all")]);
    clap::builder::PossibleValuesParser::new(names).map(|text| {
        let wanted = Framework::ALL
            .iter()
            .copied()
            .filter(|one| text == "all" || one.as_str() == text);
        Frameworks(wanted.collect())
    })
}
