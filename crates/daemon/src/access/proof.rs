// SPDX-License-Identifier: GPL-3.0-or-later
//! Fresh proofs of who somebody is, for what a mere session is not enough.
//!
//! They are held in memory alone: a restart of the daemon asks for new ones.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use hv_model::{
    id::SessionId,
    name::UserName,
    problem::{Problem, ProblemKind},
    session::{Proof, Prove},
};
use jiff::Timestamp;

use super::{
    Authenticator, Whence,
    authenticate::Shown,
    random::{self, Digest},
};
use crate::clock::later;

/// How long a proof is good.
const GOOD: Duration = Duration::from_secs(5 * 60);
/// How many proofs there may be at once.
const AT_MOST: usize = 10_000;
/// What a proof begins with.
const KIND: &str = "hvp_";

/// To whom a proof is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prover {
    /// To a session.
    Session(SessionId),
    /// To a user of the host.
    User(u32),
}

/// The proofs that were given.
#[derive(Debug, Default)]
pub(super) struct Proofs(Mutex<HashMap<Digest, (Prover, Timestamp)>>);

impl Proofs {
    fn given(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, (Prover, Timestamp)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Authenticator {
    /// Proves that somebody is who they are, by what their account asks for.
    pub async fn prove(
        &self,
        prover: Prover,
        person: &UserName,
        prove: &Prove,
        whence: &Whence,
    ) -> Result<Proof, Problem> {
        let look = person.clone();
        let known = self.0.store.read(move |read| read.account(&look)).await?;
        if known.is_none() {
            let detail =
                format!("{person} has no account here, so there is nothing to prove with.");
            let mut problem = Problem::new(ProblemKind::WrongState, detail);
            "An administrator can add the account.".clone_into(&mut problem.hint);
            return Err(problem.with_try(format!("hv access account add {person}")));
        }
        let shown = Shown::All {
            password: prove.password.as_ref(),
            code: prove.code.as_ref(),
        };
        self.check(person.as_str(), shown, whence).await?;
        let proof = random::secret(KIND)?;
        let now = self.0.clock.now();
        let expires = later(now, GOOD);
        let mut given = self.0.proofs.given();
        given.retain(|_, (_, expires)| now < *expires);
        if given.len() >= AT_MOST {
            let detail = "Too many proofs are good at once. Try again in a moment.";
            return Err(Problem::new(ProblemKind::TooManyAttempts, detail));
        }
        given.insert(random::digest(proof.expose()), (prover, expires));
        Ok(Proof { proof, expires })
    }

    /// Whether this is a proof of theirs that is still good.
    pub fn is_proof(&self, proof: &str, of: Prover) -> bool {
        let now = self.0.clock.now();
        let given = self.0.proofs.given();
        given
            .get(&random::digest(proof))
            .is_some_and(|(prover, expires)| *prover == of && now < *expires)
    }
}
