// SPDX-License-Identifier: GPL-3.0-or-later
//! libvirt's failures as the port's.

use hv_guard::{PolicyError, Refusals};
use hv_libvirt::ErrorKind;
use hv_model::hypervisor::{HypervisorError, HypervisorErrorKind, Result};

/// Says what was tried when it failed.
pub(crate) trait Explain<T> {
    /// The same with what was tried in front of libvirt's words.
    fn explain(self, tried: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Explain<T> for hv_libvirt::Result<T> {
    fn explain(self, tried: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| {
            let message = format!("{}: {}", tried(), error.message);
            // Whom libvirt's own rules refused, be it a person or this broker.
            if error.is_access_denied() {
                return HypervisorError::new(HypervisorErrorKind::Denied, message);
            }
            HypervisorError::new(kind(error.kind), message)
        })
    }
}

const fn kind(kind: ErrorKind) -> HypervisorErrorKind {
    match kind {
        ErrorKind::NotFound => HypervisorErrorKind::NotFound,
        ErrorKind::AlreadyExists => HypervisorErrorKind::AlreadyExists,
        ErrorKind::InvalidState => HypervisorErrorKind::WrongState,
        ErrorKind::Denied => HypervisorErrorKind::Refused,
        ErrorKind::Unavailable => HypervisorErrorKind::Unavailable,
        ErrorKind::TimedOut => HypervisorErrorKind::TimedOut,
        ErrorKind::NoSpace => HypervisorErrorKind::NoSpace,
        ErrorKind::Unsupported => HypervisorErrorKind::Unsupported,
        ErrorKind::Invalid => HypervisorErrorKind::Invalid,
        ErrorKind::Busy => HypervisorErrorKind::Busy,
        ErrorKind::Aborted | ErrorKind::Internal => HypervisorErrorKind::Internal,
    }
}

/// A failure of this kind.
pub(crate) fn fail<T>(kind: HypervisorErrorKind, message: impl Into<String>) -> Result<T> {
    Err(HypervisorError::new(kind, message))
}

/// What the policy does not allow.
#[expect(clippy::needless_pass_by_value, reason = "it is the end of it")]
pub(crate) fn refused(refusals: Refusals) -> HypervisorError {
    tracing::warn!(%refusals, "the host's policy refused a call");
    HypervisorError::new(HypervisorErrorKind::Refused, refusals.to_string())
}

/// Without a policy nothing is allowed.
#[expect(clippy::needless_pass_by_value, reason = "it is the end of it")]
pub(crate) fn no_policy(error: PolicyError) -> HypervisorError {
    tracing::error!(%error, "without the host's policy everything is refused");
    HypervisorError::new(HypervisorErrorKind::Refused, error.to_string())
}

/// Success where the thing was gone already.
pub(crate) fn unless_gone(result: Result<()>) -> Result<()> {
    match result {
        Err(error) if error.kind == HypervisorErrorKind::NotFound => Ok(()),
        other => other,
    }
}
