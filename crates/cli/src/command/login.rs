// SPDX-License-Identifier: GPL-3.0-or-later
//! `hv login`, `hv logout`, `hv whoami`: hosts that are reached over the network.

use clap::Args;
use hv_client::{Client, ClientError, Fingerprint, RemoteAddress, SeenCertificate, Trust};
use hv_model::{
    access::Principal,
    name::HostName,
    problem::ProblemKind,
    secret::Secret,
    session::{Carry, LoggedIn, Login, WhoAmI},
};
use jiff::{Timestamp, tz::TimeZone};

use crate::{
    failure::Failure,
    hosts::{Hosts, KnownHost},
    output::{Facts, Look, Paint, moment, shown},
    prompt::{self, From},
    session::{Asking, Session},
};

/// A host to log in to.
#[derive(Debug, Args)]
pub(crate) struct LogIn {
    /// Where it is: `https://host.example.org:8443`.
    address: RemoteAddress,
    /// What to call it from now on; if not given, as its address does.
    #[arg(long, value_name = "NAME")]
    name: Option<HostName>,
    /// As whom; if not given, as the user that you are here.
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// The fingerprint of its certificate, as the host says; without it you are asked.
    #[arg(long, value_name = "SHA256")]
    fingerprint: Option<Fingerprint>,
    /// Read the password from standard input, and a code, if one is needed, from its second line.
    #[arg(long)]
    password_stdin: bool,
    /// Read an API token from standard input, and use it in place of a session.
    #[arg(long, conflicts_with = "password_stdin")]
    token_stdin: bool,
}

/// Logs in to a host, and remembers it.
pub(crate) async fn log_in(session: &Session, log_in: LogIn) -> Result<(), Failure> {
    let mut hosts = Hosts::load()?;
    let name = match &log_in.name {
        Some(name) => name.clone(),
        None => name_of(&log_in.address)?,
    };
    let known = hosts.get(&name).cloned();
    let trust = trust(session, &log_in, known.as_ref()).await?;
    let client = Client::tls(log_in.address.clone(), trust.clone())?;
    let from = if log_in.password_stdin || log_in.token_stdin {
        From::Pipe
    } else {
        From::Person
    };
    let user = log_in.user.or_else(|| std::env::var("USER").ok());
    let (user, secret, until) = if log_in.token_stdin {
        let token = prompt::secret(session, from, "")?;
        let me = client.with_bearer(token.clone()).who_am_i().await?;
        (me.principal.label().to_owned(), token, None)
    } else {
        let user = user.ok_or_else(|| {
            Failure::usage("it is not known as whom to log in", "Say it: --user NAME.")
        })?;
        let opened = open_session(session, &client, from, &user, &log_in.address).await?;
        let secret = opened.bearer.ok_or_else(|| {
            ClientError::Protocol("it opened a session and did not say which".to_owned())
        })?;
        (user, secret, Some(opened.session.expires))
    };
    let host = KnownHost {
        address: log_in.address.to_string(),
        fingerprint: match trust {
            Trust::System => None,
            Trust::Fingerprint(fingerprint) => Some(fingerprint.to_string()),
        },
        user: user.clone(),
        session: Some(secret),
    };
    hosts.keep(name.clone(), host)?;
    session.say(&welcome(&name, &user, until, &session.zone(), session.look))
}

fn welcome(
    name: &HostName,
    user: &str,
    until: Option<Timestamp>,
    zone: &TimeZone,
    look: Look,
) -> String {
    let until = until.map_or_else(String::new, |until| {
        format!(", at most until {}", moment::on_clock(until, zone))
    });
    let command = look.paint(Paint::Command, &format!("hv --host {name} vm list"));
    format!(
        "You are {} at {name}{until}.\nAsk it: {command}\n",
        shown(user)
    )
}

/// What a host is called whose address has this name. Colons of an address of IP are no part of a
/// name.
fn name_of(address: &RemoteAddress) -> Result<HostName, Failure> {
    let name = address.host().replace(':', "-");
    name.trim_start_matches('-')
        .parse()
        .map_err(|error| Failure::usage(format!("{error}"), "Give it a name: --name NAME."))
}

/// How the host is to be known: by whoever vouches for it, or by the fingerprint of a certificate
/// that the person has compared.
async fn trust(
    session: &Session,
    log_in: &LogIn,
    known: Option<&KnownHost>,
) -> Result<Trust, Failure> {
    let seen = Client::look_at(log_in.address.clone()).await?;
    let address = log_in.address.to_string();
    if let Some(wanted) = log_in.fingerprint {
        if wanted == seen.fingerprint {
            return Ok(Trust::Fingerprint(wanted));
        }
        let seen = seen.fingerprint.to_string();
        return Err(ClientError::OtherHost { address, seen }.into());
    }
    let before = known
        .filter(|known| known.address == address)
        .and_then(|known| known.fingerprint.as_deref())
        .and_then(|text| text.parse::<Fingerprint>().ok());
    if before == Some(seen.fingerprint) {
        return Ok(Trust::Fingerprint(seen.fingerprint));
    }
    if seen.vouched_for && before.is_none() {
        return Ok(Trust::System);
    }
    if !session.has_person() || log_in.password_stdin || log_in.token_stdin {
        return Err(Failure::usage(
            format!("nobody has confirmed the certificate of {address}"),
            "Ask the host for its fingerprint, and give it: --fingerprint SHA256.",
        ));
    }
    session.note(&introduction(&address, &seen, before, session.error_look));
    session.confirm(Asking::Ask, "Is it the one that the host says?")?;
    Ok(Trust::Fingerprint(seen.fingerprint))
}

/// What somebody must know before they say that a certificate is the host's.
fn introduction(
    address: &str,
    seen: &SeenCertificate,
    before: Option<Fingerprint>,
    look: Look,
) -> String {
    let mut facts = Facts::default();
    let said = match before {
        Some(before) => {
            facts.add("  was", before.to_string());
            look.paint(
                Paint::Bad,
                &format!(
                    "THE CERTIFICATE OF {address} HAS CHANGED.\n\
                     Somebody may stand between you and the host, to learn your password. Go on \
                     only if\nwhoever runs the host says that it has a new certificate."
                ),
            )
        }
        None => format!(
            "Nobody that this system trusts vouches for {address}.\n\
             On the host, hvd says the fingerprint of its certificate when it starts."
        ),
    };
    facts.add("  is", seen.fingerprint.to_string());
    format!("{said}\n{}", facts.render(look))
}

async fn open_session(
    session: &Session,
    client: &Client,
    from: From,
    user: &str,
    address: &RemoteAddress,
) -> Result<LoggedIn, Failure> {
    let question = format!("Password of {} at {address}: ", shown(user));
    let mut login = Login {
        name: user.to_owned(),
        password: prompt::secret(session, from, &question)?,
        code: None,
        carry: Carry::Bearer,
    };
    match client.log_in(&login).await {
        Err(error) if error.kind() == ProblemKind::CodeNeeded => {
            login.code = Some(prompt::secret(session, from, "Code: ")?);
            Ok(client.log_in(&login).await?)
        }
        done => Ok(done?),
    }
}

/// Ends the session with a host: the one that is named, or the only one.
pub(crate) async fn log_out(session: &Session, host: Option<&HostName>) -> Result<(), Failure> {
    let mut hosts = Hosts::load()?;
    let Some(name) = host.or_else(|| hosts.only()).cloned() else {
        let fix = "Say which: hv --host NAME logout.";
        return Err(Failure::usage("there is not just one session to end", fix));
    };
    let known = hosts.named(&name)?.clone();
    let is_token = known
        .session
        .as_ref()
        .is_some_and(|secret: &Secret| secret.expose().starts_with("hvt_"));
    if known.session.is_some() && !is_token {
        match known.client()?.log_out().await {
            Err(error) if error.kind() != ProblemKind::SessionOver => return Err(error.into()),
            _ => {}
        }
    }
    hosts.forget_session(&name)?;
    session.say(&format!("You are logged out of {name}.\n"))
}

/// Says who the daemon takes one for.
pub(crate) async fn who_am_i(session: &Session) -> Result<(), Failure> {
    let me = session.client.who_am_i().await?;
    session.answer(&me, |me| page(me, &session.zone(), session.look))
}

fn page(me: &WhoAmI, zone: &TimeZone, look: Look) -> String {
    let mut facts = Facts::default();
    facts.add("name", shown(me.principal.label()));
    match &me.principal {
        Principal::User { uid, .. } => facts.add("known by", format!("the host, as user {uid}")),
        Principal::Account { .. } => facts.add("known by", "a session"),
        Principal::Token { token, .. } => facts.add("known by", format!("the token {token}")),
        Principal::System | Principal::Anonymous => &mut facts,
    };
    if let Some(session) = &me.session {
        facts.add("since", moment::on_clock(session.created, zone));
        facts.add("until", moment::on_clock(session.expires, zone));
    }
    if let Some(scope) = &me.scope {
        facts.add("roles", joined(&scope.roles));
        facts.add_known("VMs", Some(joined(&scope.vms)));
    }
    facts.render(look)
}

/// Words with commas between them.
pub(super) fn joined<T: ToString>(words: &[T]) -> String {
    words
        .iter()
        .map(T::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(pair: &str) -> Fingerprint {
        pair.repeat(32).parse().unwrap()
    }

    #[test]
    fn a_certificate_is_shown_before_it_is_trusted_and_a_changed_one_is_warned_of() {
        let seen = SeenCertificate {
            fingerprint: fingerprint("AB"),
            vouched_for: false,
        };
        let address = "https://host.example.org:8443";
        let pages = [None, Some(fingerprint("CD"))]
            .map(|before| introduction(address, &seen, before, Look::plain()));
        insta::assert_snapshot!(pages.join("\n"));
    }

    #[test]
    fn a_host_is_called_as_its_address_does() {
        for (address, name) in [
            ("https://host.example.org:8443", "host.example.org"),
            ("https://[2001:db8::7]", "2001-db8--7"),
        ] {
            assert_eq!(name_of(&address.parse().unwrap()).unwrap().as_str(), name);
        }
    }
}
