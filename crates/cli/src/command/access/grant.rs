// SPDX-License-Identifier: GPL-3.0-or-later
//! `hv access list`, `grant` and `revoke`: who has which role, and where.

use clap::Args;
use hv_model::{
    access::{AccessView, Grant, GrantSource, Grantee, Profile, Role, Scope},
    name::{self, GrantName},
};
use jiff::{Timestamp, tz::TimeZone};

use crate::{
    failure::Failure,
    output::{Column, Look, Paint, Table, moment, shown, table::Cell},
    prompt::From,
    proof::with_proof,
    session::Session,
};

/// A role for somebody.
#[derive(Debug, Args)]
pub(crate) struct Give {
    /// What they may do: viewer, operator, creator, backup-operator, auditor or admin.
    role: Role,
    /// Who: user:NAME or group:NAME.
    to: Grantee,
    /// Where: everything, own, vm:NAME, tag:TAG, owner:NAME or pool:NAME.
    #[arg(long, default_value = "everything", value_name = "WHERE")]
    on: Scope,
    /// The grant's name; made of the rest, if not given.
    #[arg(long, value_name = "NAME")]
    name: Option<GrantName>,
    /// Until when, such as 2027-01-31T00:00Z; without end, if not given.
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
}

/// A grant to take away.
#[derive(Debug, Args)]
pub(crate) struct Take {
    /// Its name.
    name: GrantName,
}

/// Gives somebody a role.
pub(super) async fn give(session: &Session, give: Give) -> Result<(), Failure> {
    let name = match give.name {
        Some(name) => name,
        None => made_name(give.role, &give.to, &give.on)?,
    };
    let grant = Grant {
        name,
        to: give.to,
        role: give.role,
        on: give.on,
        until: give.until,
    };
    let given = with_proof(session, From::Person, async |client| {
        client.give(&grant).await
    })
    .await?;
    session.answer(&given, |grant| {
        format!(
            "{} is {} on {}, by the grant {}.\n",
            grant.to, grant.role, grant.on, grant.name
        )
    })
}

/// A name that says what the grant gives, as far as names go.
fn made_name(role: Role, to: &Grantee, on: &Scope) -> Result<GrantName, Failure> {
    let text = match on {
        Scope::Everything => format!("{role}-{to}"),
        on => format!("{role}-{to}-{on}"),
    };
    let text = text.replace(':', "-");
    let short: String = text.chars().take(name::MAX_LENGTH).collect();
    short.parse().map_err(|_| {
        Failure::usage(
            "no name can be made of this grant",
            "Give it one: --name NAME.",
        )
    })
}

/// Takes a grant away.
pub(super) async fn take(session: &Session, take: &Take) -> Result<(), Failure> {
    with_proof(session, From::Person, async |client| {
        client.take(&take.name).await
    })
    .await?;
    session.say(&format!("The grant {} is taken away.\n", take.name))
}

/// Lists every grant.
pub(super) async fn list(session: &Session) -> Result<(), Failure> {
    let access = session.client.access().await?;
    session.answer(&access, |access| {
        text(access, &session.zone(), session.look)
    })
}

fn text(access: &AccessView, zone: &TimeZone, look: Look) -> String {
    let mut text = match access.profile {
        Profile::Production => {
            "Profile production: what is grave needs a fresh proof of identity.\n"
        }
        Profile::Strict => "Profile strict: what is grave needs a second person.\n",
    }
    .to_owned();
    if let Some(fault) = &access.fault {
        let label = look.paint(Paint::Bad, "fault:");
        text.extend([&label, " ", &shown(fault), "\n"]);
    }
    if !access.files.is_empty() {
        let files: Vec<_> = access.files.iter().map(|file| shown(file)).collect();
        text.extend(["Own policies: ", &files.join(", "), "\n"]);
    }
    let mut table = Table::new([
        Column::text("NAME"),
        Column::text("WHO"),
        Column::text("ROLE"),
        Column::text("ON"),
        Column::text("UNTIL"),
        Column::text("FROM"),
    ]);
    for view in &access.grants {
        let grant = &view.grant;
        table.row([
            grant.name.as_str().into(),
            grant.to.to_string().into(),
            grant.role.as_str().into(),
            grant.on.to_string().into(),
            grant
                .until
                .map(|until| moment::on_clock(until, zone))
                .unwrap_or_default()
                .into(),
            Cell::from(match view.source {
                GrantSource::Configuration => "configuration",
                GrantSource::RunTime => "run time",
            }),
        ]);
    }
    if table.is_empty() {
        text += "Nobody but root has a role. Give one: hv access grant ROLE user:NAME\n";
        return text;
    }
    text + "\n" + &table.render(look)
}

#[cfg(test)]
mod tests {
    use hv_model::access::GrantView;

    use super::*;

    #[test]
    fn grants_are_a_table_that_says_where_each_comes_from() {
        let view = |name: &str, to: &str, role, on: &str, source| GrantView {
            grant: Grant {
                name: name.parse().unwrap(),
                to: to.parse().unwrap(),
                role,
                on: on.parse().unwrap(),
                until: None,
            },
            source,
        };
        let access = AccessView {
            profile: Profile::Production,
            grants: vec![
                view(
                    "operator-user-ada-tag-prod",
                    "user:ada",
                    Role::Operator,
                    "tag:prod",
                    GrantSource::RunTime,
                ),
                view(
                    "staff",
                    "group:staff",
                    Role::Creator,
                    "own",
                    GrantSource::Configuration,
                ),
            ],
            files: vec!["house.cedar".into()],
            fault: None,
        };
        insta::assert_snapshot!(text(&access, &TimeZone::UTC, Look::plain()));
    }

    #[test]
    fn a_grant_without_a_name_gets_one_that_says_what_it_gives() {
        let made = |role, to: &str, on: &str| {
            made_name(role, &to.parse().unwrap(), &on.parse().unwrap())
                .unwrap()
                .to_string()
        };
        assert_eq!(
            made(Role::Admin, "user:ada", "everything"),
            "admin-user-ada"
        );
        assert_eq!(
            made(Role::Operator, "group:staff", "vm:web"),
            "operator-group-staff-vm-web"
        );
        let long = format!("user:{}", "x".repeat(63));
        assert_eq!(made(Role::Admin, &long, "own").len(), 63);
    }
}
