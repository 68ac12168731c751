// SPDX-License-Identifier: GPL-3.0-or-later
//! `hv approve`: what others want to do and a second person must see.

use clap::{Args, Subcommand};
use hv_model::{
    access::{Approval, ApprovalState, Principal, Verdict},
    id::ApprovalId,
};
use jiff::tz::TimeZone;

use crate::{
    arguments::examples,
    failure::Failure,
    output::{Column, Look, Paint, Table, moment, shown, table::Cell},
    session::{Asking, Session},
};

/// What to do about requests for approval.
#[derive(Debug, Subcommand)]
pub(crate) enum ApproveCommand {
    /// List what waits for a decision, and what was approved and is not done yet.
    #[command(visible_alias = "ls", after_help = examples!(
        "hv approve list" => "the newest first",
        "hv approve list --json" => "the same for a program",
    ))]
    List,
    /// Show exactly what is asked for.
    #[command(after_help = examples!(
        "hv approve show 0197f2a4-5c1e-7d3b-9a86-0c2f51d7e3aa" => "what will happen, who wants it",
        "hv approve show 0197f2a4-5c1e-7d3b-9a86-0c2f51d7e3aa --json" => "the same for a program",
    ))]
    Show {
        /// The request's id.
        id: ApprovalId,
    },
    /// Approve a request: who asked may then do just that, once.
    #[command(after_help = examples!(
        "hv approve give 0197f2a4-5c1e-7d3b-9a86-0c2f51d7e3aa" => "shows it, and asks",
        "hv approve give 0197f2a4-5c1e-7d3b-9a86-0c2f51d7e3aa --yes" => "without asking",
    ))]
    Give(Decide),
    /// Refuse a request, also one that was approved and is not done yet; or withdraw your own.
    #[command(after_help = examples!(
        "hv approve refuse 0197f2a4-5c1e-7d3b-9a86-0c2f51d7e3aa" => "shows it, and asks",
        "hv approve refuse 0197f2a4-5c1e-7d3b-9a86-0c2f51d7e3aa --yes" => "without asking",
    ))]
    Refuse(Decide),
}

/// A request to decide on.
#[derive(Debug, Args)]
pub(crate) struct Decide {
    /// The request's id.
    id: ApprovalId,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

/// Runs a command about requests for approval.
pub(crate) async fn run(session: &Session, command: ApproveCommand) -> Result<(), Failure> {
    match command {
        ApproveCommand::List => {
            let page = session.client.approvals().await?;
            session.answer(&page, |page| {
                table(&page.items, &session.zone(), session.look)
            })
        }
        ApproveCommand::Show { id } => {
            let approval = session.client.approval(id).await?;
            session.answer(&approval, |approval| {
                text(approval, &session.zone(), session.look)
            })
        }
        ApproveCommand::Give(decide) => {
            let seen = see(session, &decide, "Approve this?").await?;
            let done = session.client.approve(decide.id, &verdict(&seen)).await?;
            session.answer(&done, |done| {
                format!(
                    "{} may do it now, once, until {}: hv --approval {} …\n",
                    done.asked_by.label(),
                    moment::on_clock(done.expires, &session.zone()),
                    done.id
                )
            })
        }
        ApproveCommand::Refuse(decide) => {
            let seen = see(session, &decide, "Refuse this?").await?;
            let done = session.client.refuse(decide.id, &verdict(&seen)).await?;
            session.answer(&done, |done| {
                let by = done.decided_by.as_ref().and_then(Principal::person);
                let is_own = by == done.asked_by.person();
                let word = if is_own { "withdrawn" } else { "refused" };
                format!("It is {word}.\n")
            })
        }
    }
}

/// Shows the request before it is decided: what is decided is what was seen.
async fn see(session: &Session, decide: &Decide, question: &str) -> Result<Approval, Failure> {
    let approval = session.client.approval(decide.id).await?;
    session.say(&text(&approval, &session.zone(), session.look))?;
    session.confirm(Asking::from(decide.yes), question)?;
    Ok(approval)
}

fn verdict(seen: &Approval) -> Verdict {
    Verdict {
        digest: seen.digest.clone(),
    }
}

fn state(approval: &Approval) -> Cell<'static> {
    let paint = match approval.state {
        ApprovalState::Waiting => Paint::Warning,
        ApprovalState::Approved => Paint::Good,
        ApprovalState::Refused | ApprovalState::Used => Paint::Faint,
    };
    Cell::painted(paint, approval.state.as_str())
}

fn table(approvals: &[Approval], zone: &TimeZone, look: Look) -> String {
    let mut table = Table::new([
        Column::text("ID"),
        Column::text("STATE"),
        Column::text("WHO"),
        Column::shrinking("WHAT WILL HAPPEN"),
        Column::text("EXPIRES"),
    ]);
    for approval in approvals {
        table.row([
            approval.id.to_string().into(),
            state(approval),
            approval.asked_by.label().to_owned().into(),
            shown(&approval.wish.summary).into(),
            moment::on_clock(approval.expires, zone).into(),
        ]);
    }
    if table.is_empty() {
        "Nothing waits for a second person.\n".into()
    } else {
        table.render(look)
    }
}

fn text(approval: &Approval, zone: &TimeZone, look: Look) -> String {
    let wish = &approval.wish;
    let mut facts = vec![
        ("asked by", approval.asked_by.label().to_owned()),
        ("asked", moment::on_clock(approval.asked, zone)),
        ("expires", moment::on_clock(approval.expires, zone)),
        ("state", approval.state.as_str().to_owned()),
        ("action", wish.action.as_str().to_owned()),
        ("on", shown(&wish.target).into()),
    ];
    if let Some(id) = &wish.id {
        facts.push(("its id", shown(id).into()));
    }
    if !wish.details.is_null() {
        facts.push(("details", shown(&wish.details.to_string()).into()));
    }
    if let Some(by) = &approval.decided_by {
        facts.push(("decided by", by.label().to_owned()));
    }
    facts.push(("digest", approval.digest.clone()));
    let lines = facts
        .iter()
        .map(|(name, value)| format!("{name:<10} {value}\n"));
    let heading = look.paint(Paint::Heading, &shown(&wish.summary));
    format!("{heading}\n\n{}", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use hv_model::access::{Action, Wish};

    use super::*;

    fn approval() -> Approval {
        Approval {
            id: "0197f2a4-5c1e-7d3b-9a86-0c2f51d7e3aa".parse().unwrap(),
            wish: Wish {
                action: Action::VmPurge,
                target: "vm/web".into(),
                id: Some("0197f2a4-0000-7000-8000-000000000001".into()),
                summary: "The VM web and its disks are destroyed for good.".into(),
                details: serde_json::Value::Null,
            },
            digest: "ab".repeat(32),
            asked_by: Principal::Account {
                name: "bob".parse().unwrap(),
            },
            asked: "2026-01-02T03:04:05Z".parse().unwrap(),
            expires: "2026-01-02T04:04:05Z".parse().unwrap(),
            state: ApprovalState::Waiting,
            decided_by: None,
        }
    }

    #[test]
    fn requests_are_a_table_and_one_says_exactly_what_will_happen() {
        let shown = table(&[approval()], &TimeZone::UTC, Look::plain());
        let whole = text(&approval(), &TimeZone::UTC, Look::plain());
        insta::assert_snapshot!(format!("{shown}\n{whole}"));
    }
}
