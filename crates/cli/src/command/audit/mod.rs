// SPDX-License-Identifier: GPL-3.0-or-later
//! `hv audit`: who did what, and whether the record of it is whole.

mod entry;
mod export;
mod list;
mod verify;

use clap::Subcommand;

pub(crate) use self::{export::Export, list::List, verify::Verify};
use crate::{
    arguments::examples,
    command::audit_security::{self, AuditSecurity},
    failure::Failure,
    session::Session,
};

/// What to do with the audit log.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// List who asked for what, whether they might, and how it ended; the newest first.
    #[command(visible_alias = "ls", after_help = examples!(
        "hv audit list" => "the newest entries",
        "hv audit list --outcome denied --since 7d" => "what was denied in a week",
        "hv audit list --who ada --on vm/web" => "what ada asked for on a VM",
        "hv audit list --limit 500 --json" => "more of them, for a program",
    ))]
    List(List),
    /// Show everything about an entry.
    #[command(after_help = examples!(
        "hv audit show 17" => "who, from where, what, on what, by which policy",
        "hv audit show 17 --json" => "the entry itself, with its hash",
    ))]
    Show {
        /// Which one: its number in the list.
        #[arg(value_name = "NUMBER")]
        sequence: u64,
    },
    /// Export the whole log, an entry a line, for others to keep and to verify.
    #[command(after_help = examples!(
        "hv audit export audit.jsonl" => "into a file that only you may read",
        "hv audit export > audit.jsonl" => "to whatever reads it",
    ))]
    Export(Export),
    /// Verify that the log is whole: nothing changed, dropped, inserted or cut.
    #[command(after_help = examples!(
        "hv audit verify" => "the log of this host, by hvd and by this program",
        "hv audit verify audit.jsonl --heads heads.txt" => "an export, without hvd, beside what the system's log kept",
    ))]
    Verify(Verify),
    /// Look for what of this host is open that should not be.
    ///
    /// It asks this host some hundred questions in fifteen categories, as the user who calls it, and
    /// changes nothing. The exit code is 1 if something failed that is of severity medium or more.
    #[command(after_help = examples!(
        "hv audit security" => "what needs attention; root sees more",
        "hv audit security --format html --output audit.html" => "all of it, for a browser",
        "hv audit security --compliance stig" => "what that says about the rules of a framework",
    ))]
    Security(AuditSecurity),
}

/// Runs a command about the audit log.
pub(crate) async fn run(session: &Session, command: AuditCommand) -> Result<(), Failure> {
    match command {
        AuditCommand::List(list) => list::run(session, list).await,
        AuditCommand::Show { sequence } => {
            let entry = session.client.audit_entry(sequence).await?;
            session.answer(&entry, |entry| {
                entry::page(entry, &session.zone(), session.look)
            })
        }
        AuditCommand::Export(export) => export::run(session, &export).await,
        AuditCommand::Verify(verify) => verify::run(session, &verify).await,
        AuditCommand::Security(what) => audit_security::run(session, what).await,
    }
}
