// SPDX-License-Identifier: GPL-3.0-or-later
//! `hv vm start`, `stop`, `kill` and their like: what has a VM's name and hardly anything else.

use std::time::Duration;

use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use hv_client::{ChangeOptions, VmAction};
use hv_model::inventory::AskGuest;

use crate::{
    complete,
    failure::Failure,
    follow::{self, Manner},
    output::{moment, shown, text::joined},
    session::Session,
};

/// How long a guest may be waited for.
const LONGEST: Duration = Duration::from_secs(3600);

/// VMs to start.
#[derive(Debug, Args)]
pub(crate) struct Start {
    /// Which ones.
    #[arg(required = true, value_name = "VM", add = ArgValueCompleter::new(complete::startable_vms))]
    vms: Vec<String>,
    /// How it is followed.
    #[command(flatten)]
    manner: Manner,
}

/// VMs with which to do something.
#[derive(Debug, Args)]
pub(crate) struct Act {
    /// Which ones.
    #[arg(required = true, value_name = "VM", add = ArgValueCompleter::new(complete::vms))]
    vms: Vec<String>,
    /// How it is followed.
    #[command(flatten)]
    manner: Manner,
}

/// VMs whose guests are asked to shut down.
#[derive(Debug, Args)]
pub(crate) struct Ask {
    /// Which ones.
    #[arg(required = true, value_name = "VM", add = ArgValueCompleter::new(complete::active_vms))]
    vms: Vec<String>,
    /// How long to wait for the guest: first its agent is asked, and after half of that time the
    /// power button is pressed.
    #[arg(long, value_name = "TIME", default_value = "90s", value_parser = timeout)]
    timeout: AskGuest,
    /// How it is followed.
    #[command(flatten)]
    manner: Manner,
}

/// VMs whose guests are asked to reboot.
#[derive(Debug, Args)]
pub(crate) struct AskReboot {
    /// Which ones.
    #[arg(required = true, value_name = "VM", add = ArgValueCompleter::new(complete::active_vms))]
    vms: Vec<String>,
    /// How long to wait for the guest.
    #[arg(long, value_name = "TIME", default_value = "90s", value_parser = timeout)]
    timeout: AskGuest,
    /// How it is followed.
    #[command(flatten)]
    manner: Manner,
}

/// VMs that are not asked.
#[derive(Debug, Args)]
pub(crate) struct Cut {
    /// Which ones.
    #[arg(required = true, value_name = "VM", add = ArgValueCompleter::new(complete::active_vms))]
    vms: Vec<String>,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
    /// How it is followed.
    #[command(flatten)]
    manner: Manner,
}

/// What is pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Button {
    /// The power button, for seconds.
    Power,
    /// The reset button.
    Reset,
}

/// Starts VMs.
pub(super) async fn start(session: &Session, start: Start) -> Result<(), Failure> {
    all(session, start.manner, &start.vms, VmAction::Start).await
}

/// Does something with VMs.
pub(super) async fn act(session: &Session, act: Act, action: VmAction) -> Result<(), Failure> {
    all(session, act.manner, &act.vms, action).await
}

/// Asks guests to shut down.
pub(super) async fn shut_down(session: &Session, ask: Ask) -> Result<(), Failure> {
    all(
        session,
        ask.manner,
        &ask.vms,
        VmAction::ShutDown(ask.timeout),
    )
    .await
}

/// Asks guests to reboot.
pub(super) async fn reboot(session: &Session, ask: AskReboot) -> Result<(), Failure> {
    all(session, ask.manner, &ask.vms, VmAction::Reboot(ask.timeout)).await
}

/// Forces VMs off, or resets them.
pub(super) async fn cut(session: &Session, cut: Cut, button: Button) -> Result<(), Failure> {
    let names: Vec<String> = cut
        .vms
        .iter()
        .map(|name| shown(name).into_owned())
        .collect();
    let names = joined(&names);
    let loss = "What its guest has not written to disk is lost.";
    let (action, question) = match button {
        Button::Power => (
            VmAction::ForceOff,
            format!("Cut the power of {names}? {loss}"),
        ),
        Button::Reset => (VmAction::Reset, format!("Reset {names}? {loss}")),
    };
    session.confirm(cut.yes.into(), &question)?;
    all(session, cut.manner, &cut.vms, action).await
}

async fn all(
    session: &Session,
    manner: Manner,
    vms: &[String],
    action: VmAction,
) -> Result<(), Failure> {
    follow::each(session, manner, vms, async |vm| {
        session
            .client
            .act(vm, &action, &ChangeOptions::default())
            .await
    })
    .await
}

fn timeout(text: &str) -> Result<AskGuest, String> {
    let time = moment::parse(text)?;
    if time.is_zero() || time > LONGEST {
        return Err(format!(
            "{text} is not a time to wait: allowed are 1s to 1h"
        ));
    }
    u32::try_from(time.as_secs())
        .map(|timeout_seconds| AskGuest { timeout_seconds })
        .map_err(|_| format!("{text} is too long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_is_waited_for_as_long_as_the_api_allows() {
        assert_eq!(
            timeout("5m"),
            Ok(AskGuest {
                timeout_seconds: 300
            })
        );
        assert!(timeout("0").is_err() && timeout("2h").is_err() && timeout("soon").is_err());
    }
}
