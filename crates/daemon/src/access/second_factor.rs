// SPDX-License-Identifier: GPL-3.0-or-later
//! Getting a second factor: a secret for an app, a first code from it, recovery codes.

use hv_model::{
    account::{RecoveryCodes, TotpEnrolment},
    name::UserName,
    problem::{Problem, ProblemKind},
    secret::Secret,
};

use super::{
    Authenticator,
    authenticate::{faulty, typed},
    recovery,
    totp::TotpSecret,
};

impl Authenticator {
    /// Gives an account a second factor, which counts once a code of it is shown.
    pub async fn begin_totp(&self, name: &UserName) -> Result<TotpEnrolment, Problem> {
        let inner = &self.0;
        let secret = TotpSecret::new()?;
        let sealed = inner.key.seal(name.as_str(), secret.bytes())?;
        let enrolment = TotpEnrolment {
            secret: secret.text(),
            uri: secret.uri(name),
        };
        let name = name.clone();
        let begun = inner.store.write("begin a second factor", move |write| {
            if write.known_account(&name)?.second_factor().is_some() {
                let detail = format!("{name} has a second factor already.");
                let mut problem = Problem::new(ProblemKind::WrongState, detail);
                "Remove it first.".clone_into(&mut problem.hint);
                let command = format!("hv access account totp {name} --remove");
                return Err(problem.with_try(command).into());
            }
            write.begin_totp(&name, &sealed)
        });
        begun.await?;
        Ok(enrolment)
    }

    /// Makes a second factor count, since a code of it was shown. Its recovery codes are told this
    /// once.
    pub async fn confirm_totp(
        &self,
        name: &UserName,
        code: &Secret,
    ) -> Result<RecoveryCodes, Problem> {
        let inner = &self.0;
        let look = name.clone();
        let row = inner.store.read(move |read| read.account(&look)).await?;
        let waiting = row.and_then(|row| row.totp).filter(|totp| !totp.confirmed);
        let Some(waiting) = waiting else {
            let detail = format!("No second factor of {name} waits for its first code.");
            let mut problem = Problem::new(ProblemKind::WrongState, detail);
            "Begin with: hv access account totp.".clone_into(&mut problem.hint);
            return Err(problem);
        };
        let secret = TotpSecret::kept(inner.key.open(name.as_str(), &waiting.sealed)?);
        let Some(step) = secret.step_of(&typed(code), inner.clock.now(), None) else {
            let what = "it is not the code that an app with the right time would show now";
            return Err(faulty("code", what));
        };
        let codes = recovery::codes(&inner.key)?;
        let digests: Vec<_> = codes.iter().map(|(_, digest)| *digest).collect();
        let name = name.clone();
        let confirmed = inner.store.write("confirm a second factor", move |write| {
            // Somebody may have begun another one meanwhile.
            let row = write.known_account(&name)?;
            if row
                .totp
                .is_none_or(|totp| totp.confirmed || totp.sealed != waiting.sealed)
            {
                let detail = format!("The second factor of {name} changed meanwhile.");
                return Err(Problem::new(ProblemKind::PreconditionFailed, detail).into());
            }
            write.confirm_totp(&name, step, &digests)
        });
        confirmed.await?;
        let codes = codes.into_iter().map(|(code, _)| code).collect();
        Ok(RecoveryCodes { codes })
    }
}
