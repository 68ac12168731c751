// SPDX-License-Identifier: GPL-3.0-or-later
//! `hv audit export`: the whole log, verified as it passes.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use clap::{Args, ValueHint};
use hv_client::AuditExport;
use hv_model::audit::{End, FirstFault, Summary, Trust, Verifier};

use super::verify::{finding, page};
use crate::{
    failure::Failure,
    session::{Form, Session},
};

/// Where the log is exported to.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// A file that is not there yet; standard output, if none is named.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
}

/// Exports the log.
pub(super) async fn run(session: &Session, export: &Export) -> Result<(), Failure> {
    let lines = session.client.audit_export().await?;
    let Some(path) = &export.file else {
        let mut output = BufWriter::new(io::stdout());
        let checked = copy(lines, &mut output, Failure::of_output).await?;
        return checked.map(drop).map_err(|fault| finding(&fault));
    };
    let what = || format!("cannot write {}", path.display());
    let file = create(path).map_err(Failure::local(what()))?;
    let mut output = BufWriter::new(file);
    let copied = copy(lines, &mut output, |error| Failure::local(what())(error)).await;
    if copied.is_err() {
        // Half a log is of no use; whoever wants it can ask again.
        fs::remove_file(path).map_err(Failure::local(what()))?;
    }
    let summary = copied?.map_err(|fault| finding(&fault))?;
    let zone = session.zone();
    match session.form {
        Form::Text => session.print(&page(&summary, &zone, session.look)),
        Form::Json => session.print_json(&summary),
    }
}

fn create(path: &Path) -> io::Result<File> {
    // It tells who did what, which is not for everybody.
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// Writes each line, and verifies it, too. All are written, whatever is found.
async fn copy(
    mut lines: AuditExport,
    output: &mut impl Write,
    failed: impl Fn(io::Error) -> Failure,
) -> Result<Result<Summary, FirstFault>, Failure> {
    let mut verifier = Verifier::new(Trust::default());
    let mut fits = Ok(());
    while let Some(line) = lines.next_line().await? {
        writeln!(output, "{line}").map_err(&failed)?;
        if fits.is_ok() {
            fits = verifier.check(&line).map(drop);
        }
    }
    output.flush().map_err(&failed)?;
    Ok(fits.and_then(|()| verifier.finish(End::Signed)))
}
