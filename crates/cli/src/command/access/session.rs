// SPDX-License-Identifier: GPL-3.0-or-later
//! `hv access session`: who is logged in.

use clap::{Args, Subcommand};
use hv_client::OfWhom;
use hv_model::{id::SessionId, name::UserName, session::Session as Opened};
use jiff::Timestamp;

use crate::{
    arguments::examples,
    failure::Failure,
    output::{Column, Look, Table, moment, shown},
    prompt::From,
    proof::with_proof,
    session::Session,
};

/// What to do with sessions.
#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// List sessions: your own, or those of others.
    #[command(visible_alias = "ls", after_help = examples!(
        "hv access session list" => "where you are logged in",
        "hv access session list --all" => "who is logged in at all",
    ))]
    List(Whose),
    /// End a session, with everything that goes on in it.
    #[command(after_help = examples!(
        "hv access session revoke 0198c1f0-1111-7222-8333-444455556666" => "by the id that the list shows",
        "hv logout" => "your own, which this command line uses",
    ))]
    Revoke {
        /// Which, by its id.
        id: SessionId,
    },
}

/// Whose sessions or tokens.
#[derive(Debug, Args)]
pub(crate) struct Whose {
    /// Those of this person.
    #[arg(long, value_name = "USER", conflicts_with = "all")]
    of: Option<UserName>,
    /// Those of everybody.
    #[arg(long)]
    all: bool,
}

impl std::convert::From<Whose> for OfWhom {
    fn from(whose: Whose) -> Self {
        match (whose.all, whose.of) {
            (true, _) => Self::Everybody,
            (false, Some(name)) => Self::Person(name),
            (false, None) => Self::Own,
        }
    }
}

/// Runs a command about sessions.
pub(crate) async fn run(session: &Session, command: SessionCommand) -> Result<(), Failure> {
    match command {
        SessionCommand::List(whose) => {
            let sessions = session.client.sessions(&whose.into()).await?;
            session.answer(&sessions, |page| {
                table(&page.items, session.now(), session.look)
            })
        }
        SessionCommand::Revoke { id } => {
            let ended = with_proof(session, From::Person, async |client| {
                client.end_session(id).await
            });
            ended.await?;
            session.say("The session is over.\n")
        }
    }
}

fn table(sessions: &[Opened], now: Timestamp, look: Look) -> String {
    let mut table = Table::new([
        Column::text("WHO"),
        Column::text("FROM"),
        Column::shrinking("WITH"),
        Column::text("OPENED"),
        Column::text("USED"),
        Column::text("ENDS IN"),
        Column::text("ID"),
    ]);
    for session in sessions {
        let agent = session.agent.as_deref().unwrap_or_default();
        table.row([
            session.account.as_str().into(),
            shown(&session.from).into(),
            shown(agent).into(),
            moment::ago(session.created, now).into(),
            moment::ago(session.last_used, now).into(),
            moment::rough(moment::between(now, session.expires)).into(),
            session.id.to_string().into(),
        ]);
    }
    if table.is_empty() {
        return "Nobody is logged in.\n".into();
    }
    table.render(look)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hv_model::session::Carry;

    #[test]
    fn sessions_are_a_table_in_which_no_client_s_own_words_steer_the_terminal() {
        let time = |second| Timestamp::from_second(second).unwrap();
        let session = Opened {
            id: "0198c1f0-1111-7222-8333-444455556666".parse().unwrap(),
            account: "ada".parse().unwrap(),
            carry: Carry::Cookie,
            from: "192.0.2.7".into(),
            agent: Some("browser \u{1b}[31m".into()),
            created: time(1_780_000_000),
            last_used: time(1_780_000_300),
            expires: time(1_780_043_200),
        };
        let now = time(1_780_000_400);
        let pages = [
            table(&[session], now, Look::plain()),
            table(&[], now, Look::plain()),
        ];
        insta::assert_snapshot!(pages.join("\n"));
    }
}
