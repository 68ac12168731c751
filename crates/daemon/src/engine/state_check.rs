// SPDX-License-Identifier: GPL-3.0-or-later
//! What can be asked of a VM in the state that it is in.

use hv_model::{
    inventory::{DeleteVm, IfRunning},
    operation::OperationKind,
    problem::{Problem, ProblemKind},
    vm::VmState,
};

use super::JobRequest;
use crate::store::{Origin, VmRow};

/// Refuses what can't be asked of such a VM, whatever it is doing.
pub(crate) fn may_be_asked(row: &VmRow, kind: OperationKind) -> Result<(), Problem> {
    use OperationKind as Kind;
    let name = &row.name;
    let about_trash = matches!(kind, Kind::VmUndelete | Kind::VmPurge);
    if row.is_trashed() && !about_trash {
        let detail = format!("{name} lies in the trash.");
        return Err(Problem::new(ProblemKind::WrongState, detail)
            .with_try(format!("hv vm undelete {name}")));
    }
    if !row.is_trashed() && about_trash {
        let detail = format!("{name} does not lie in the trash.");
        return Err(Problem::new(ProblemKind::WrongState, detail));
    }
    let trash = row.managed().and_then(|managed| managed.trash.as_ref());
    if kind == Kind::VmUndelete && trash.is_some_and(|trash| trash.is_final) {
        let detail = format!("{name} is being destroyed, and some of it is gone.");
        return Err(
            Problem::new(ProblemKind::WrongState, detail).with_try(format!("hv vm purge {name}"))
        );
    }
    let is_foreign = row.managed().is_none();
    if is_foreign && matches!(kind, Kind::VmRename | Kind::VmChange | Kind::VmDelete) {
        let detail = format!("{name} was made with another tool.");
        return Err(
            Problem::new(ProblemKind::ForeignVm, detail).with_try(format!("hv vm adopt {name}"))
        );
    }
    if kind == Kind::VmAdopt && !is_foreign {
        let detail = format!("{name} is managed already.");
        return Err(Problem::new(ProblemKind::WrongState, detail));
    }
    Ok(())
}

/// Refuses what can't be done in the state that the VM is in.
pub(super) fn in_right_state(row: &VmRow, request: &JobRequest) -> Result<(), Problem> {
    if let (JobRequest::VmAdopt(_), Origin::Foreign(foreign)) = (request, &row.origin)
        && (foreign.definition.is_none() || !foreign.obstacles.is_empty())
    {
        let obstacles = foreign.obstacles.join("; ");
        let detail = format!("{} can't be adopted: {obstacles}.", row.name);
        return Err(Problem::new(ProblemKind::CannotAdopt, detail));
    }
    if let JobRequest::VmDelete(_, how) = request {
        return may_be_deleted(row, how);
    }
    state_fits(row, request.kind())
}

/// Refuses to delete a VM that runs or has saved memory, unless that may be lost.
pub(crate) fn may_be_deleted(row: &VmRow, how: &DeleteVm) -> Result<(), Problem> {
    let what = match row.state {
        state if state.is_active() => "still runs",
        VmState::Saved => "has saved memory, which would be lost",
        _ => return Ok(()),
    };
    if how.running == IfRunning::ForceOff {
        return Ok(());
    }
    let name = &row.name;
    Err(
        Problem::new(ProblemKind::WrongState, format!("{name} {what}."))
            .with_try(format!("hv vm stop {name}")),
    )
}

/// Refuses what can't be done in the state that the VM is in.
pub(crate) fn state_fits(row: &VmRow, kind: OperationKind) -> Result<(), Problem> {
    use OperationKind as Kind;
    use VmState as State;
    let state = row.state;
    let (fits, otherwise) = match kind {
        Kind::VmStart => (
            matches!(state, State::Off | State::Crashed | State::Saved),
            match state {
                State::Paused => Some("resume"),
                _ => None,
            },
        ),
        Kind::VmShutDown => (
            matches!(
                state,
                State::Running | State::Sleeping | State::ShuttingDown
            ),
            match state {
                State::Paused => Some("resume"),
                _ => None,
            },
        ),
        Kind::VmForceOff => (state.is_active() || state == State::Crashed, None),
        Kind::VmReboot | Kind::VmPause => (state == State::Running, Some("start")),
        Kind::VmReset => (
            matches!(state, State::Running | State::Paused),
            Some("start"),
        ),
        Kind::VmResume => (state == State::Paused, Some("start")),
        Kind::VmSave => (matches!(state, State::Running | State::Paused), None),
        Kind::VmRename => (
            matches!(state, State::Off | State::Crashed),
            state.is_active().then_some("stop"),
        ),
        _ => (true, None),
    };
    if fits {
        return Ok(());
    }
    let (name, action) = (&row.name, kind.words());
    let detail = match (kind, state) {
        (Kind::VmStart, State::Running) => format!("{name} runs already."),
        (Kind::VmShutDown | Kind::VmForceOff, State::Off) => format!("{name} is off already."),
        (Kind::VmPause, State::Paused) => format!("{name} is paused already."),
        (Kind::VmResume, State::Running) => format!("{name} runs; there is nothing to resume."),
        (Kind::VmRename, state) if state.is_active() => {
            format!(
                "{name} is {}, and libvirt renames only VMs that are off.",
                state.as_str()
            )
        }
        _ => format!(
            "{name} is {}, which is no state to {action} it in.",
            state.as_str()
        ),
    };
    let problem = Problem::new(ProblemKind::WrongState, detail);
    let useful = otherwise.filter(|command| match *command {
        "resume" => state == State::Paused,
        "start" => !state.is_active(),
        _ => true,
    });
    Err(match useful {
        Some(command) => problem.with_try(format!("hv vm {command} {name}")),
        None => problem,
    })
}
