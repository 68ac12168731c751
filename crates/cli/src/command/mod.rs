// SPDX-License-Identifier: GPL-3.0-or-later
//! The commands, a file a noun: their arguments, what they ask the daemon, what they show.

pub(crate) mod access;
pub(crate) mod approve;
pub(crate) mod attack;
pub(crate) mod attention;
pub(crate) mod audit;
pub(crate) mod audit_security;
pub(crate) mod completions;
pub(crate) mod explain;
pub(crate) mod host;
pub(crate) mod image;
pub(crate) mod login;
pub(crate) mod network;
pub(crate) mod operation;
pub(crate) mod schema;
pub(crate) mod vm;

use hv_model::name::HostName;

use crate::{arguments::Command, failure::Failure, session::Session};

/// Runs a command; without one, says what needs attention.
pub(crate) async fn run(
    session: &Session,
    host: Option<&HostName>,
    command: Option<Command>,
) -> Result<(), Failure> {
    match command {
        None => attention::run(session).await,
        Some(Command::Vm(command)) => vm::run(session, command).await,
        Some(Command::Op(command)) => operation::run(session, command).await,
        Some(Command::Image(command)) => image::run(session, command).await,
        Some(Command::Network(command)) => network::run(session, command).await,
        Some(Command::Host(command)) => host::run(session, command).await,
        Some(Command::Access(command)) => access::run(session, command).await,
        Some(Command::Approve(command)) => approve::run(session, command).await,
        Some(Command::Login(login)) => login::log_in(session, login).await,
        Some(Command::Logout) => login::log_out(session, host).await,
        Some(Command::Whoami) => login::who_am_i(session).await,
        Some(Command::Audit(command)) => audit::run(session, command).await,
        Some(Command::Attack(arguments)) => attack::run(session, arguments),
        Some(Command::Schema(command)) => schema::run(session, &command),
        Some(Command::Explain(explain)) => explain::run(session, &explain),
        Some(Command::Completions(completions)) => completions::run(session, completions),
    }
}
