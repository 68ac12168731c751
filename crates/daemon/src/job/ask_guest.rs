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

/// Asks a guest through its agent, as soon as that answers, and by the power button: at once where
/// no agent answers, and again where nothing came of it in half of the time.
pub(super) async fn ask(
    context: &mut Context,
    row: &VmRow,
    question: &Question,
    time: Duration,
    is_done: impl Fn(&Snapshot) -> bool + Send + Sync,
) -> Result<Answer, Stop> {
    let half = time / 2;
    let vm = row.id;
    let answers = move |known: &Snapshot| {
        let record = known.vm_by_id(vm);
        record.is_some_and(|record| record.row.agent == Some(AgentLink::Connected))
    };
    let mut waited = Duration::ZERO;
    if row.agent != Some(AgentLink::Connected) {
        // A guest that is still booting misses the press; its agent will tell when it is there.
        asked(context, row, question, GuestRequest::Acpi).await?;
        let stirs = |known: &Snapshot| is_done(known) || answers(known);
        waited = wait(context, waited, half, time, &stirs).await?;
    }
    if !is_done(&context.snapshot())
        && answers(&context.snapshot())
        && asked(context, row, question, GuestRequest::Agent).await? == Answer::Done
    {
        waited = wait(context, waited, half, time, &is_done).await?;
    }
    if is_done(&context.snapshot()) {
        return Ok(Answer::Done);
    }
    asked(context, row, question, GuestRequest::Acpi).await?;
    wait(context, waited, time, time, &is_done).await?;
    Ok(if is_done(&context.snapshot()) {
        Answer::Done
    } else {
        Answer::Nothing
    })
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
        Err(error)
            if matches!(
                error.kind,
                HypervisorErrorKind::Unavailable | HypervisorErrorKind::Denied
            ) =>
        {
            Err(error.into())
        }
        Err(error) => {
            tracing::info!(%vm, %error, "the guest of {vm} can't be asked this way");
            Ok(Answer::Nothing)
        }
    }
}

/// Waits from one time to another, or until something holds, telling how much of all the time is
/// over. Returns how much is, rounded down to when it was last told.
async fn wait(
    context: &mut Context,
    from: Duration,
    until: Duration,
    whole: Duration,
    holds: &(impl Fn(&Snapshot) -> bool + Send + Sync),
) -> Result<Duration, Stop> {
    let mut waited = from;
    while waited < until {
        let part = TELL_EVERY.min(until.saturating_sub(waited));
        if context.wait_until(part, holds).await? {
            break;
        }
        waited += part;
        let (done, total) = (waited.as_secs(), whole.as_secs());
        let unit = ProgressUnit::Seconds;
        context.progress(Progress { done, total, unit }).await?;
    }
    Ok(waited)
}
