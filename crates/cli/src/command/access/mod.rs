// SPDX-License-Identifier: GPL-3.0-or-later
//! `hv access`: who people and programs are, who may do what, why, and how that is changed.

mod account;
mod explain;
mod grant;
mod quota;
mod session;
mod token;

use clap::Subcommand;

use self::{
    account::{AccountCommand, Bootstrap},
    explain::Explain,
    grant::{Give, Take},
    quota::QuotaCommand,
    session::SessionCommand,
    token::TokenCommand,
};
use crate::{arguments::examples, failure::Failure, session::Session};

/// What to do about who may do what.
#[derive(Debug, Subcommand)]
pub(crate) enum AccessCommand {
    /// List who has which role, and where.
    #[command(visible_alias = "ls", after_help = examples!(
        "hv access list" => "every grant, whether configured or given at run time",
        "hv access list --json" => "the same for a program",
    ))]
    List,
    /// Give somebody a role.
    #[command(after_help = examples!(
        "hv access grant operator user:ada --on tag:prod" => "ada runs the VMs with the tag prod",
        "hv access grant creator group:staff --on own" => "the staff make VMs of their own",
    ))]
    Grant(Give),
    /// Take a grant away.
    #[command(after_help = examples!(
        "hv access revoke operator-user-ada-tag-prod" => "by the name that hv access list shows",
        "hv access revoke staff --json" => "the same for a program",
    ))]
    Revoke(Take),
    /// Explain whether somebody may do something, and what would change that.
    #[command(after_help = examples!(
        "hv access explain ada vm.start web" => "why ada may start web, or may not",
        "hv access explain ada image.add" => "an action that is done to no VM",
    ))]
    Explain(Explain),
    /// Show and set how much of the host each user may have.
    #[command(subcommand, after_help = examples!(
        "hv access quota list" => "who has how much, and may have",
        "hv access quota set ada --vms 40" => "more VMs for ada than each user may have",
    ))]
    Quota(QuotaCommand),
    /// Have the owner's own policies read again.
    #[command(after_help = examples!(
        "hv access reload" => "after a file in the policies' folder changed",
        "hv access reload --json" => "the same for a program",
    ))]
    Reload,
    /// Print the words that policies can use: Cedar's schema.
    #[command(after_help = examples!(
        "hv access schema" => "what there is to decide about",
        "hv access schema > hv.cedarschema" => "a file that an editor can check against",
    ))]
    Schema,
    /// Make the first account of a host, on the host and as root. Its password is asked for.
    #[command(after_help = examples!(
        "hv access bootstrap ada" => "ada may do everything",
        "hv access bootstrap ada --password-stdin < password" => "the password from a file",
    ))]
    Bootstrap(Bootstrap),
    /// Manage accounts: people who come over the network.
    #[command(subcommand, after_help = examples!(
        "hv access account list" => "who can log in, and with what",
        "hv access account totp ada" => "get a second factor",
    ))]
    Account(AccountCommand),
    /// See who is logged in, and end that.
    #[command(subcommand, after_help = examples!(
        "hv access session list" => "where you are logged in",
        "hv access session list --all" => "who is logged in at all",
    ))]
    Session(SessionCommand),
    /// Manage API tokens: what programs carry.
    #[command(subcommand, after_help = examples!(
        "hv access token create ci --role operator --vm web" => "may run one VM",
        "hv access token revoke ci" => "it is refused from now on",
    ))]
    Token(TokenCommand),
}

/// Runs a command about who may do what.
pub(crate) async fn run(session: &Session, command: AccessCommand) -> Result<(), Failure> {
    match command {
        AccessCommand::List => grant::list(session).await,
        AccessCommand::Grant(give) => grant::give(session, give).await,
        AccessCommand::Revoke(take) => grant::take(session, &take).await,
        AccessCommand::Explain(explain) => explain::run(session, explain).await,
        AccessCommand::Quota(command) => quota::run(session, command).await,
        AccessCommand::Reload => {
            session.client.reload_access().await?;
            session.say("The policies are in force.\n")
        }
        AccessCommand::Schema => session.print(&session.client.access_schema().await?),
        AccessCommand::Bootstrap(first) => account::bootstrap(session, first).await,
        AccessCommand::Account(command) => account::run(session, command).await,
        AccessCommand::Session(command) => self::session::run(session, command).await,
        AccessCommand::Token(command) => token::run(session, command).await,
    }
}
