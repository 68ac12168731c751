// SPDX-License-Identifier: GPL-3.0-or-later
//! libvirt's states as ours, with the reason in one word.

use std::fmt::Debug;

use hv_libvirt::{
    Lifecycle, PausedReason, ResumedDetail, RunningReason, ShutoffReason, StartedDetail, State,
    StoppedDetail, SuspendedDetail,
};
use hv_model::vm::VmState;

/// What a domain is doing, and why.
pub(crate) type Stated = (VmState, String);

/// Whether a domain that is off has its memory saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Memory {
    /// It has.
    Saved,
    /// It has not.
    Gone,
}

/// A state that libvirt was asked for.
pub(crate) fn of(state: State, memory: Memory) -> Stated {
    match state {
        State::Running(reason) => (VmState::Running, word(reason, RunningReason::NotGiven)),
        State::Blocked => (VmState::Running, "blocked".to_owned()),
        State::Paused(reason) => (VmState::Paused, word(reason, PausedReason::NotGiven)),
        State::Shutdown(_) => (VmState::ShuttingDown, "requested".to_owned()),
        State::Shutoff(_) if memory == Memory::Saved => (VmState::Saved, "saved".to_owned()),
        State::Shutoff(ShutoffReason::Crashed) => (VmState::Crashed, "crashed".to_owned()),
        State::Shutoff(reason) => (VmState::Off, word(reason, ShutoffReason::NotGiven)),
        State::Crashed(_) => (VmState::Crashed, "panicked".to_owned()),
        State::PmSuspended => (VmState::Sleeping, "guest".to_owned()),
        State::NoState | State::Unknown(_) => (VmState::Unknown, "unknown".to_owned()),
    }
}

/// What a step of a domain's life says of its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is in this state now.
    State(Stated),
    /// Its state must be asked for.
    Ask,
    /// Its definition is there, or another one.
    Defined,
    /// Its definition is gone.
    Undefined,
    /// Nothing that concerns us.
    Nothing,
}

/// A step that libvirt told.
pub(crate) fn after(step: Lifecycle) -> Step {
    let state = |state, word: String| Step::State((state, word));
    match step {
        Lifecycle::Defined(_) => Step::Defined,
        // The new name is told by what follows.
        Lifecycle::Undefined(hv_libvirt::UndefinedDetail::Renamed) => Step::Nothing,
        Lifecycle::Undefined(_) => Step::Undefined,
        Lifecycle::Started(detail) => {
            state(VmState::Running, word(detail, StartedDetail::Unknown(0)))
        }
        Lifecycle::Suspended(SuspendedDetail::Paused) => state(VmState::Paused, "user".to_owned()),
        Lifecycle::Suspended(detail) => {
            state(VmState::Paused, word(detail, SuspendedDetail::Unknown(0)))
        }
        Lifecycle::Resumed(detail) => {
            state(VmState::Running, word(detail, ResumedDetail::Unknown(0)))
        }
        Lifecycle::Stopped(StoppedDetail::Saved) => state(VmState::Saved, "saved".to_owned()),
        Lifecycle::Stopped(StoppedDetail::Crashed) => state(VmState::Crashed, "crashed".to_owned()),
        // A start that failed, or a QEMU that vanished: the event does not tell which.
        Lifecycle::Stopped(StoppedDetail::Failed | StoppedDetail::Unknown(_))
        | Lifecycle::Unknown { .. } => Step::Ask,
        Lifecycle::Stopped(detail) => state(VmState::Off, word(detail, StoppedDetail::Failed)),
        Lifecycle::Shutdown(_) => state(VmState::ShuttingDown, "requested".to_owned()),
        Lifecycle::PmSuspended(_) => state(VmState::Sleeping, "guest".to_owned()),
        Lifecycle::Crashed(_) => state(VmState::Crashed, "panicked".to_owned()),
    }
}

/// A reason as one word: the variant's name in small letters, `unknown` where none is given.
fn word<T: Copy + Debug + PartialEq>(reason: T, none: T) -> String {
    let name = format!("{reason:?}");
    if reason == none || name.contains('(') {
        "unknown".to_owned()
    } else {
        name.to_lowercase()
    }
}

#[cfg(test)]
mod tests {
    use hv_libvirt::{DefinedDetail, UndefinedDetail};

    use super::*;

    #[test]
    fn reasons_are_single_words() {
        let cases = [
            (
                State::Running(RunningReason::Booted),
                VmState::Running,
                "booted",
            ),
            (
                State::Running(RunningReason::Unknown(99)),
                VmState::Running,
                "unknown",
            ),
            (
                State::Paused(PausedReason::IoError),
                VmState::Paused,
                "ioerror",
            ),
            (
                State::Shutoff(ShutoffReason::NotGiven),
                VmState::Off,
                "unknown",
            ),
            (
                State::Shutoff(ShutoffReason::Destroyed),
                VmState::Off,
                "destroyed",
            ),
            (
                State::Shutoff(ShutoffReason::Crashed),
                VmState::Crashed,
                "crashed",
            ),
            (State::Unknown(12), VmState::Unknown, "unknown"),
        ];
        for (state, expected, reason) in cases {
            assert_eq!(
                of(state, Memory::Gone),
                (expected, reason.to_owned()),
                "{state:?}"
            );
        }
    }

    #[test]
    fn one_whose_memory_is_saved_is_saved_also_after_libvirtd_forgot_why() {
        let (state, _) = of(State::Shutoff(ShutoffReason::NotGiven), Memory::Saved);
        assert_eq!(state, VmState::Saved);
    }

    #[test]
    fn a_renamed_vm_is_never_told_as_gone() {
        let renamed = Lifecycle::Undefined(UndefinedDetail::Renamed);
        assert_eq!(after(renamed), Step::Nothing);
        assert_eq!(
            after(Lifecycle::Defined(DefinedDetail::Renamed)),
            Step::Defined
        );
    }

    #[test]
    fn a_vm_that_failed_is_asked_for() {
        assert_eq!(after(Lifecycle::Stopped(StoppedDetail::Failed)), Step::Ask);
        let destroyed = after(Lifecycle::Stopped(StoppedDetail::Destroyed));
        assert_eq!(
            destroyed,
            Step::State((VmState::Off, "destroyed".to_owned()))
        );
    }
}
