// SPDX-License-Identifier: GPL-3.0-or-later
//! `hv access token`: what programs carry.

use clap::{Args, Subcommand};
use hv_model::{
    access::{ApiToken, NewToken, Role, TokenScope},
    name::{TokenName, VmName},
};
use jiff::Timestamp;

use super::session::Whose;
use crate::{
    arguments::examples,
    command::login::joined,
    failure::Failure,
    output::{Column, Look, Paint, Table, moment, shown, table::Cell},
    prompt::From,
    proof::with_proof,
    session::Session,
};

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// List tokens: your own, or those of others.
    #[command(visible_alias = "ls", after_help = examples!(
        "hv access token list" => "yours, and when each was last used",
        "hv access token list --all" => "those of everybody",
    ))]
    List(Whose),
    /// Make a token for a program of yours. It is shown once.
    #[command(visible_alias = "add", after_help = examples!(
        "hv access token create ci --role operator --vm web --days 30" => "may run one VM, for a month",
        "hv access token create metrics --role viewer" => "may only look",
    ))]
    Create(Create),
    /// Revoke a token, by its id or one of yours by its name.
    #[command(visible_alias = "rm", after_help = examples!(
        "hv access token revoke ci" => "one of yours",
        "hv access token revoke 0198c1f0-1111-7222-8333-444455556666" => "one of others, by the id that the list shows",
    ))]
    Revoke {
        /// Which.
        token: String,
    },
}

/// A token to make.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// What to call it.
    name: TokenName,
    /// In which role it may act, at most as far as you may; give it again for more.
    #[arg(long = "role", value_name = "ROLE", required = true)]
    roles: Vec<Role>,
    /// On which VM; give it again for more. On all, if not given.
    #[arg(long = "vm", value_name = "VM")]
    vms: Vec<VmName>,
    /// For how many days it is good.
    #[arg(long, default_value_t = 90, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=365))]
    days: u32,
}

/// Runs a command about tokens.
pub(crate) async fn run(session: &Session, command: TokenCommand) -> Result<(), Failure> {
    match command {
        TokenCommand::List(whose) => {
            let tokens = session.client.tokens(&whose.into()).await?;
            session.answer(&tokens, |page| {
                table(&page.items, session.now(), session.look)
            })
        }
        TokenCommand::Create(create) => make(session, create).await,
        TokenCommand::Revoke { token } => {
            let revoked = with_proof(session, From::Person, async |client| {
                client.revoke_token(&token).await
            });
            revoked.await?;
            session.say(&format!(
                "The token {} is refused from now on.\n",
                shown(&token)
            ))
        }
    }
}

async fn make(session: &Session, create: Create) -> Result<(), Failure> {
    let new = NewToken {
        name: create.name,
        scope: TokenScope {
            roles: create.roles,
            vms: create.vms,
        },
        days: create.days,
    };
    let made = with_proof(session, From::Person, async |client| {
        client.make_token(&new).await
    });
    let made = made.await?;
    session.answer(&made, |made| format!("{}\n", made.bearer.expose()))?;
    session.note(&format!(
        "This is the token {}, good until {}. It is not shown again.\n",
        made.token.name,
        moment::on_clock(made.token.expires, &session.zone())
    ));
    Ok(())
}

fn table(tokens: &[ApiToken], now: Timestamp, look: Look) -> String {
    let mut table = Table::new([
        Column::shrinking("NAME"),
        Column::text("OWNER"),
        Column::text("ROLES"),
        Column::shrinking("VMS"),
        Column::text("ENDS IN"),
        Column::text("USED"),
        Column::text("FROM"),
        Column::text("ID"),
    ]);
    for token in tokens {
        let left = moment::between(now, token.expires);
        let ends = moment::rough(left);
        let vms = joined(&token.scope.vms);
        table.row([
            token.name.as_str().into(),
            token.owner.as_str().into(),
            joined(&token.scope.roles).into(),
            if vms.is_empty() {
                "all".into()
            } else {
                vms.into()
            },
            if left < SOON {
                Cell::painted(Paint::Warning, ends)
            } else {
                ends.into()
            },
            token
                .last_used
                .map_or_else(|| "never".to_owned(), |time| moment::ago(time, now))
                .into(),
            shown(token.last_from.as_deref().unwrap_or_default()).into(),
            token.id.to_string().into(),
        ]);
    }
    if table.is_empty() {
        let command = look.paint(Paint::Command, "hv access token create NAME --role ROLE");
        return format!("There are no tokens. Make one: {command}\n");
    }
    table.render(look)
}

/// How soon a token ends that somebody should see to.
const SOON: std::time::Duration = std::time::Duration::from_secs(7 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_a_table_without_their_secrets() {
        let time = |second| Timestamp::from_second(second).unwrap();
        let token = ApiToken {
            id: "0198c1f0-1111-7222-8333-444455556666".parse().unwrap(),
            name: "ci".parse().unwrap(),
            owner: "ada".parse().unwrap(),
            scope: TokenScope {
                roles: vec![Role::Viewer, Role::Operator],
                vms: vec!["web".parse().unwrap()],
            },
            created: time(1_780_000_000),
            expires: time(1_780_400_000),
            last_used: Some(time(1_780_000_300)),
            last_from: Some("192.0.2.7".into()),
        };
        let now = time(1_780_000_400);
        let pages = [
            table(&[token], now, Look::plain()),
            table(&[], now, Look::plain()),
        ];
        insta::assert_snapshot!(pages.join("\n"));
    }
}
