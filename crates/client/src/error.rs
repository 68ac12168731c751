// SPDX-License-Identifier: GPL-3.0-or-later
//! Why a call did not succeed.

use hv_model::problem::{Problem, ProblemKind};

/// Why a call did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The daemon answered that it can't or won't.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// The daemon did not answer at all.
    #[error("hvd cannot be reached at {socket}: {why}")]
    Unreachable {
        /// Where it was looked for: a path or an address.
        socket: String,
        /// What the system said.
        why: String,
    },
    /// Whoever answers is not the host that is known.
    #[error("the certificate of {address} is not the one that is known: it is {seen} now")]
    OtherHost {
        /// The address.
        address: String,
        /// The fingerprint of the certificate that it has shown.
        seen: String,
    },
    /// Nobody vouches for whoever answers.
    #[error("no authority that this system trusts vouches for {address}: {why}")]
    Unknown {
        /// The address.
        address: String,
        /// Why.
        why: String,
    },
    /// Something answered in a way that this client does not understand.
    #[error("hvd gave an answer that is not understood: {0}")]
    Protocol(String),
}

impl ClientError {
    /// The kind of problem that this is.
    pub fn kind(&self) -> ProblemKind {
        match self {
            Self::Problem(problem) => problem.kind,
            Self::Unreachable { .. } => ProblemKind::DaemonUnreachable,
            Self::OtherHost { .. } | Self::Unknown { .. } => ProblemKind::UntrustedHost,
            Self::Protocol(_) => ProblemKind::Internal,
        }
    }
}

impl From<Problem> for ClientError {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

impl From<ClientError> for Problem {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Problem(problem) => *problem,
            other => Self::new(other.kind(), other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreachable_daemon_is_the_problem_that_explains_it() {
        let error = ClientError::Unreachable {
            socket: "/run/hvd.sock".into(),
            why: "No such file or directory (os error 2)".into(),
        };
        let problem = Problem::from(error);
        assert_eq!(problem.kind, ProblemKind::DaemonUnreachable);
        assert!(
            problem.detail.contains("/run/hvd.sock"),
            "{}",
            problem.detail
        );
    }

    #[test]
    fn a_problem_of_the_daemon_passes_unchanged() {
        let problem = Problem::new(ProblemKind::NameTaken, "web is taken");
        assert_eq!(Problem::from(ClientError::from(problem.clone())), problem);
    }
}
