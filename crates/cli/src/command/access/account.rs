// SPDX-License-Identifier: GPL-3.0-or-later
//! `hv access account`: people who come over the network.

use clap::{Args, Subcommand};
use hv_model::{
    account::{Account, AccountState, NewAccount, SecondFactor, SetPassword, TotpEnrolment},
    name::UserName,
    problem::ProblemKind,
};
use jiff::Timestamp;
use qrcode::{QrCode, render::unicode};

use crate::{
    arguments::examples,
    failure::Failure,
    output::{Column, Look, Paint, Table, moment, table::Cell},
    prompt::{self, From},
    proof::with_proof,
    session::Session,
};

/// What to do with accounts.
#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// List accounts; only your own, if you may not see others.
    #[command(visible_alias = "ls", after_help = examples!(
        "hv access account list" => "who can log in, and with what",
        "hv access account list --json" => "the same for a program",
    ))]
    List,
    /// Add an account. Its password is asked for.
    #[command(after_help = examples!(
        "hv access account add ada" => "then grant her a role: hv access grant user:ada operator",
        "pass show ada | hv access account add ada --password-stdin" => "the password from a pipe",
    ))]
    Add(Named),
    /// Set a password. All other sessions of the account end.
    #[command(after_help = examples!(
        "hv access account password ada" => "ada's own, with the one that it was; or that of others",
        "hv access account password ada --password-stdin" => "each from a line: the old one, if it is yours, and the new one",
    ))]
    Password(Named),
    /// Get a second factor for your own account, or remove one.
    #[command(after_help = examples!(
        "hv access account totp ada" => "shows a code for a phone, and ten recovery codes",
        "hv access account totp ada --remove" => "the password alone is enough again",
    ))]
    Totp(Totp),
    /// Let an account be used again.
    #[command(after_help = examples!(
        "hv access account enable ada" => "she can log in again",
        "hv access account enable ada --json" => "the account, for a program",
    ))]
    Enable(Named),
    /// Keep an account from being used: its sessions end, its tokens are refused.
    #[command(after_help = examples!(
        "hv access account disable ada" => "nobody can log in with it",
        "hv access account disable ada --json" => "the account, for a program",
    ))]
    Disable(Named),
    /// Delete an account with its sessions and tokens.
    #[command(visible_alias = "rm", after_help = examples!(
        "hv access account delete ada" => "asks before; her VMs and grants stay",
        "hv access account delete ada --yes" => "without asking",
    ))]
    Delete(Delete),
}

/// An account.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// Whose.
    name: UserName,
    /// Read passwords from standard input, one a line.
    #[arg(long)]
    password_stdin: bool,
}

impl Named {
    const fn from(&self) -> From {
        if self.password_stdin {
            From::Pipe
        } else {
            From::Person
        }
    }
}

/// A second factor.
#[derive(Debug, Args)]
pub(crate) struct Totp {
    /// Whose.
    name: UserName,
    /// Remove it.
    #[arg(long)]
    remove: bool,
}

/// An account to delete.
#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// Whose.
    name: UserName,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
}

/// Runs a command about accounts.
pub(crate) async fn run(session: &Session, command: AccountCommand) -> Result<(), Failure> {
    match command {
        AccountCommand::List => {
            let accounts = session.client.accounts().await?;
            session.answer(&accounts, |page| {
                table(&page.items, session.now(), session.look)
            })
        }
        AccountCommand::Add(named) => add(session, named).await,
        AccountCommand::Password(named) => set_password(session, named).await,
        AccountCommand::Totp(totp) if totp.remove => remove_totp(session, totp).await,
        AccountCommand::Totp(totp) => get_totp(session, totp).await,
        AccountCommand::Enable(named) => set_state(session, named, AccountState::Enabled).await,
        AccountCommand::Disable(named) => set_state(session, named, AccountState::Disabled).await,
        AccountCommand::Delete(delete) => self::delete(session, delete).await,
    }
}

/// The first account of a host.
#[derive(Debug, Args)]
pub(crate) struct Bootstrap {
    /// Whose.
    name: UserName,
    /// Read the password from standard input.
    #[arg(long)]
    password_stdin: bool,
}

/// Makes the first account.
pub(crate) async fn bootstrap(session: &Session, first: Bootstrap) -> Result<(), Failure> {
    let from = if first.password_stdin {
        From::Pipe
    } else {
        From::Person
    };
    let new = NewAccount {
        password: prompt::new_password(session, from, first.name.as_str())?,
        name: first.name,
    };
    let account = session.client.bootstrap(&new).await?;
    session.answer(&account, |account| {
        let name = &account.name;
        let command = format!("hv access account totp {name}");
        let command = session.look.paint(Paint::Command, &command);
        format!("{name} has the first account and may do everything.\nGet a second factor for it: {command}\n")
    })
}

async fn add(session: &Session, named: Named) -> Result<(), Failure> {
    let from = named.from();
    let new = NewAccount {
        password: prompt::new_password(session, from, named.name.as_str())?,
        name: named.name,
    };
    let added = with_proof(session, from, async |client| client.add_account(&new).await);
    session.answer(&added.await?, |account| {
        format!("{} has an account.\n", account.name)
    })
}

async fn set_password(session: &Session, named: Named) -> Result<(), Failure> {
    let (from, name) = (named.from(), named.name.as_str());
    let me = session.client.who_am_i().await?.principal;
    let is_own = !me.is_root() && me.person() == Some(&named.name);
    let current_password = if is_own {
        Some(prompt::secret(session, from, "Current password: ")?)
    } else {
        None
    };
    let set = SetPassword {
        password: prompt::new_password(session, from, name)?,
        current_password,
    };
    let done = with_proof(session, from, async |client| {
        client.set_password(name, &set).await
    });
    done.await?;
    session.say(&format!("The password of {name} is set.\n"))
}

async fn get_totp(session: &Session, totp: Totp) -> Result<(), Failure> {
    if !session.has_person() {
        return Err(Failure::usage(
            "a second factor is for people, and nobody is there",
            "Do it at a terminal.",
        ));
    }
    let name = totp.name.as_str();
    let begun = with_proof(session, From::Person, async |client| {
        client.begin_totp(name).await
    });
    session.note(&invitation(&begun.await?)?);
    let codes = loop {
        let code = prompt::secret(session, From::Person, "The code that it shows now: ")?;
        match session.client.confirm_totp(name, code).await {
            Err(error) if error.kind() == ProblemKind::BadRequest => {
                session.note("That is not it. Is the phone's clock right?\n");
            }
            codes => break codes?,
        }
    };
    session.note(&format!(
        "From now on logging in as {name} takes a code. Each of these recovery codes stands in for a\n\
         lost phone, once. Write them down now: they are not shown again.\n"
    ));
    session.answer(&codes, |codes| {
        let codes = codes
            .codes
            .iter()
            .map(|code| format!("  {}", code.expose()));
        codes.collect::<Vec<_>>().join("\n") + "\n"
    })
}

/// A second factor as a phone reads it.
fn invitation(begun: &TotpEnrolment) -> Result<String, Failure> {
    let code = QrCode::new(begun.uri.expose().as_bytes()).map_err(|error| {
        Failure::local("cannot draw a code for a phone")(std::io::Error::other(error))
    })?;
    // Dark on light, as phones expect, is light on dark on most terminals.
    let picture = code
        .render::<unicode::Dense1x2>()
        .dark_color(unicode::Dense1x2::Light)
        .light_color(unicode::Dense1x2::Dark)
        .build();
    let secret = begun.secret.expose();
    Ok(format!(
        "{picture}\nRead this with an app for one-time codes on a phone, or type its secret: {secret}\n"
    ))
}

async fn remove_totp(session: &Session, totp: Totp) -> Result<(), Failure> {
    let name = totp.name.as_str();
    let removed = with_proof(session, From::Person, async |client| {
        client.remove_totp(name).await
    });
    removed.await?;
    session.say(&format!("{name} has no second factor any more.\n"))
}

async fn set_state(session: &Session, named: Named, state: AccountState) -> Result<(), Failure> {
    let (from, name) = (named.from(), named.name.as_str());
    let set = with_proof(session, from, async |client| {
        client.set_account_state(name, state).await
    });
    session.answer(&set.await?, |account| {
        format!(
            "The account {} is {}.\n",
            account.name,
            account.state.as_str()
        )
    })
}

async fn delete(session: &Session, delete: Delete) -> Result<(), Failure> {
    let name = delete.name.as_str();
    let question = format!("Delete the account {name} with its sessions and tokens?");
    session.confirm(delete.yes.into(), &question)?;
    let gone = with_proof(session, From::Person, async |client| {
        client.delete_account(name).await
    });
    gone.await?;
    session.say(&format!("The account {name} is gone.\n"))
}

fn table(accounts: &[Account], now: Timestamp, look: Look) -> String {
    let mut table = Table::new([
        Column::shrinking("NAME"),
        Column::text("STATE"),
        Column::text("SECOND FACTOR"),
        Column::number("RECOVERY CODES"),
        Column::text("LAST LOGIN"),
    ]);
    for account in accounts {
        let (state, codes) = (account.state.as_str(), account.recovery_codes.to_string());
        let has_factor = account.second_factor == SecondFactor::Totp;
        let paint = |is_well: bool| {
            if is_well {
                Paint::Plain
            } else {
                Paint::Warning
            }
        };
        let is_enabled = account.state == AccountState::Enabled;
        table.row([
            account.name.as_str().into(),
            Cell::painted(paint(is_enabled), state),
            Cell::painted(paint(has_factor), account.second_factor.as_str()),
            if has_factor { codes.into() } else { "".into() },
            account
                .last_login
                .map_or_else(|| "never".to_owned(), |time| moment::ago(time, now))
                .into(),
        ]);
    }
    if table.is_empty() {
        let command = look.paint(Paint::Command, "sudo hv access bootstrap NAME");
        return format!("Nobody has an account. Make the first one: {command}\n");
    }
    table.render(look)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_a_table_and_without_any_the_first_step_is_told() {
        let time = |second| Timestamp::from_second(second).unwrap();
        let account = |name: &str, second_factor, last_login| Account {
            name: name.parse().unwrap(),
            state: AccountState::Enabled,
            second_factor,
            recovery_codes: 9,
            created: time(1_780_000_000),
            password_set: time(1_780_000_000),
            last_login,
        };
        let mut eve = account("eve", SecondFactor::None, None);
        eve.state = AccountState::Disabled;
        let ada = account("ada", SecondFactor::Totp, Some(time(1_780_000_060)));
        let now = time(1_780_003_660);
        let pages = [
            table(&[ada, eve], now, Look::plain()),
            table(&[], now, Look::plain()),
        ];
        insta::assert_snapshot!(pages.join("\n"));
    }

    #[test]
    fn a_phone_can_read_a_second_factor() {
        let begun = TotpEnrolment {
            secret: "GEZDGNBVGY3TQOJQ".into(),
            uri: "otpauth://totp/Hyper-NixOS:ada?secret=GEZDGNBVGY3TQOJQ".into(),
        };
        insta::assert_snapshot!(invitation(&begun).unwrap());
    }
}
