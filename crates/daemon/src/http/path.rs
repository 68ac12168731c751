// SPDX-License-Identifier: GPL-3.0-or-later
//! The part of an address that names something.

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};
use hv_model::problem::{Problem, ProblemKind};

use super::refusal::Refusal;

/// How much of a name is shown when it is refused.
const SHOWN: usize = 80;

/// A name or an id in an address.
#[derive(Debug)]
pub(super) struct Key(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Key {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(key)) => Ok(Self(key)),
            Err(error) => {
                let detail = format!("The address cannot be read: {error}.");
                Err(Refusal::new(ProblemKind::BadRequest, detail))
            }
        }
    }
}

impl Key {
    /// The refusal that nothing of that kind has this name or id.
    pub(super) fn not_found(&self, kind: &str, list: &str) -> Refusal {
        let shown: String = self.0.chars().take(SHOWN).collect();
        let detail = format!("There is no {kind} {shown:?}.");
        Problem::new(ProblemKind::NotFound, detail)
            .with_try(list)
            .into()
    }
}
