// SPDX-License-Identifier: GPL-3.0-or-later
//! Doing what needs a fresh proof of who asks: the daemon says so, the person is asked, and it is
//! tried once more.

use hv_client::{Client, ClientError};
use hv_model::{
    account::{Account, SecondFactor},
    problem::ProblemKind,
    secret::Secret,
    session::Prove,
};

use crate::{
    failure::Failure,
    prompt::{self, From},
    session::Session,
};

/// Does something; with a fresh proof, if that is what is missing.
pub(crate) async fn with_proof<T>(
    session: &Session,
    from: From,
    attempt: impl AsyncFn(&Client) -> Result<T, ClientError>,
) -> Result<T, Failure> {
    match attempt(&session.client).await {
        Err(error) if error.kind() == ProblemKind::ProofNeeded => {
            if from == From::Person && !session.has_person() {
                return Err(error.into());
            }
            let proof = prove(session, from).await?;
            let client = session.client.clone().with_proof(proof);
            Ok(attempt(&client).await?)
        }
        done => Ok(done?),
    }
}

/// Proves anew who asks, by what their account asks for.
async fn prove(session: &Session, from: From) -> Result<Secret, Failure> {
    let me = session.client.who_am_i().await?;
    let name = me.principal.label().to_owned();
    session.note("This needs a fresh proof of who you are.\n");
    let accounts = session.client.accounts().await?.items;
    let has_code = |account: &Account| {
        account.name.as_str() == name && account.second_factor == SecondFactor::Totp
    };
    let prove = if accounts.iter().any(has_code) {
        Prove {
            code: Some(prompt::secret(session, from, "Code: ")?),
            password: None,
        }
    } else {
        let question = format!("Password of {name}: ");
        Prove {
            password: Some(prompt::secret(session, from, &question)?),
            code: None,
        }
    };
    Ok(session.client.prove(&prove).await?.proof)
}
