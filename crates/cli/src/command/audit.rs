// SPDX-License-Identifier: GPL-3.0-or-later
//! `hv audit`: who did what.

use clap::Subcommand;
use hv_client::AuditFilter;
use hv_model::{access::Decision, audit::AuditEntry};
use jiff::tz::TimeZone;

use crate::{
    arguments::examples,
    command::{
        audit_security::{self, AuditSecurity},
        operation::short_id,
    },
    failure::Failure,
    output::{Column, Look, Paint, Table, moment, shown, table::Cell},
    session::Session,
};

/// What to do with the audit log.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// List who asked for what, and whether they might; the newest first.
    #[command(visible_alias = "ls", after_help = examples!(
        "hv audit list" => "the newest entries",
        "hv audit list --limit 500 --json" => "more of them, for a program",
    ))]
    List {
        /// How many entries at most.
        #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
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
        AuditCommand::Security(what) => audit_security::run(session, what).await,
        AuditCommand::List { limit } => {
            let filter = AuditFilter {
                limit: Some(limit),
                page: None,
            };
            let entries = session.client.audit(&filter).await?;
            session.answer(&entries, |page| {
                table(&page.items, &session.zone(), session.look)
            })
        }
    }
}

fn table(entries: &[AuditEntry], zone: &TimeZone, look: Look) -> String {
    let mut table = Table::new([
        Column::text("TIME"),
        Column::text("WHO"),
        Column::text("WHAT"),
        Column::shrinking("ON"),
        Column::text("DECISION"),
        Column::yielding("POLICY"),
        Column::text("OPERATION"),
    ]);
    for entry in entries {
        let (decision, policy) = match &entry.decision {
            Decision::Allow { policy } => (Cell::from("allowed"), policy),
            Decision::Deny { policy } => (Cell::painted(Paint::Warning, "denied"), policy),
            Decision::Ask { policy, .. } => (Cell::painted(Paint::Warning, "asked"), policy),
        };
        table.row([
            moment::on_clock(entry.time, zone).into(),
            entry.principal.label().to_owned().into(),
            entry.action.as_str().into(),
            shown(&entry.target).into(),
            decision,
            shown(policy).into(),
            entry.operation.map(short_id).unwrap_or_default().into(),
        ]);
    }
    if table.is_empty() {
        "Nothing was asked for yet.\n".into()
    } else {
        table.render(look)
    }
}
