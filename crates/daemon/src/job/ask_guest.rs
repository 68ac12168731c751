// SPDX-License-Identifier: GPL-3.0-or-later
//! Asking a guest for something that it may ignore: to shut down, to reboot.

use std::time::Duration;

use hv_model::{
    hypervisor::{AgentLink, GuestRequest, Hypervisor, HypervisorErrorKind, Result as PortResult},
    id::VmId,
    inventory::AskGuest,
    operation::{Progress, ProgressUnit},
    problem::{Problem, ProblemKind},
};

use crate::{
    engine::{Context, Step, Stop},
    store::{Snapshot, VmRow},
};

/// How often is told how long the guest has been waited for.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// How a guest is asked for one thing.
pub(super) struct Question {
    /// What it is asked for, in a word of virsh's.
    pub(super) verb: &'static str,
    /// The call that asks it.
    pub(super) call: fn(&dyn Hypervisor, VmId, GuestRequest) -> PortResult<()>,
}

/// Whether a guest did what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Done,
    Nothing,
}

/// How long a guest is waited for.
pub(super) fn patience(ask: &AskGuest) -> Result<Duration, Problem> {
    let seconds = ask.timeout_seconds;
    if (1..=3600).contains(&seconds) {
        return Ok(Duration::from_secs(seconds.into()));
    }
    let detail = format!("A guest can't be waited for {seconds} seconds: allowed are 1 to 3600.");
    Err(Problem::new(ProblemKind::BadRequest, detail))
}

/// Asks a guest through its agent and, where that brings nothing in half of the time, by the power
/// button.
pub(super) async fn ask(
    context: &mut Context,
    row: &VmRow,
    question: &Question,
    time: Duration,
    is_done: impl Fn(&Snapshot) -> bool + Send + Sync,
) -> Result<Answer, Stop> {
    let half = time / 2;
    let first = match row.agent {
        Some(AgentLink::Connected) => GuestRequest::Agent,
        _ => GuestRequest::Acpi,
    };
    if asked(context, row, question, first).await? == Answer::Done
        && wait(context, Duration::ZERO, half, time, &is_done).await? == Answer::Done
    {
        return Ok(Answer::Done);
    }
    if is_done(&context.snapshot()) {
        return Ok(Answer::Done);
    }
    // A guest that was still booting may have missed the first press.
    asked(context, row, question, GuestRequest::Acpi).await?;
    wait(context, half, time, time, &is_done).await
}

/// Asks once. A guest that can't be asked this way is no failure yet.
async fn asked(
    context: &mut Context,
    row: &VmRow,
    question: &Question,
    way: GuestRequest,
) -> Result<Answer, Stop> {
    let (vm, name, verb, call) = (row.id, &row.name, question.verb, question.call);
    let step = match way {
        GuestRequest::Agent => Step::new(format!("Ask the guest agent to {verb}"))
            .command(format!("virsh {verb} {name} --mode agent")),
        GuestRequest::Acpi => {
            Step::new("Press the power button").command(format!("virsh {verb} {name} --mode acpi"))
        }
    };
    let outcome = context
        .try_call(step, "ask_guest", move |host| call(host, vm, way))
        .await?;
    match outcome {
        Ok(()) => Ok(Answer::Done),
        Err(error) if error.kind == HypervisorErrorKind::Unavailable => Err(error.into()),
        Err(error) => {
            tracing::info!(%vm, %error, "the guest of {vm} can't be asked this way");
            Ok(Answer::Nothing)
        }
    }
}

/// Waits from one time to another, telling how much of all the time is over.
async fn wait(
    context: &mut Context,
    from: Duration,
    until: Duration,
    whole: Duration,
    is_done: &(impl Fn(&Snapshot) -> bool + Send + Sync),
) -> Result<Answer, Stop> {
    let mut waited = from;
    while waited < until {
        let part = TELL_EVERY.min(until.saturating_sub(waited));
        if context.wait_until(part, is_done).await? {
            return Ok(Answer::Done);
        }
        waited += part;
        let (done, total) = (waited.as_secs(), whole.as_secs());
        context
            .progress(Progress {
                done,
                total,
                unit: ProgressUnit::Seconds,
            })
            .await?;
    }
    Ok(Answer::Nothing)
}
