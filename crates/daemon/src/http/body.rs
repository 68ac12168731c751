// SPDX-License-Identifier: GPL-3.0-or-later
//! JSON bodies: bounded in size and time, and read so that every fault is told at once.

use std::time::Duration;

use axum::{
    extract::{FromRequest, Request},
    http::{StatusCode, header},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hv_model::{
    access::NewToken,
    account::{ChangeAccount, ConfirmTotp, NewAccount, SetPassword},
    document::{self, Format},
    inventory::{AskGuest, ChangeVm, CreateVm, RenameVm},
    problem::ProblemKind,
    session::{Login, Prove},
};
use serde::de::{DeserializeOwned, IgnoredAny};
use zeroize::Zeroizing;

use super::refusal::Refusal;

/// How large a JSON body may be.
pub(super) const MAX_BYTES: usize = document::MAX_BYTES;
/// How long its sender may take.
const TIME: Duration = Duration::from_secs(30);

/// Something that a request's body can say.
pub(super) trait Document: DeserializeOwned {
    /// What faults of it are called.
    const FAULTY: ProblemKind = ProblemKind::BadRequest;

    /// What no body at all means, if it means something.
    fn absent() -> Option<Self> {
        None
    }
}

impl Document for CreateVm {
    const FAULTY: ProblemKind = ProblemKind::InvalidSpec;
}

impl Document for ChangeVm {
    const FAULTY: ProblemKind = ProblemKind::InvalidSpec;
}

impl Document for RenameVm {}

impl Document for Login {}

impl Document for Prove {}

impl Document for NewAccount {}

impl Document for ChangeAccount {}

impl Document for SetPassword {}

impl Document for ConfirmTotp {}

impl Document for NewToken {}

impl Document for AskGuest {
    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}

/// A JSON body.
#[derive(Debug)]
pub(super) struct Json<T>(pub(super) T);

impl<S: Sync, T: Document> FromRequest<S> for Json<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        let media_type = request.headers().get(header::CONTENT_TYPE).cloned();
        let text = collect(request).await?;
        if matches!(text.trim(), "" | "null")
            && let Some(value) = T::absent()
        {
            return Ok(Self(value));
        }
        let media_type = media_type.as_ref().and_then(|value| value.to_str().ok());
        let named = media_type
            .and_then(|value| value.split(';').next())
            .map(str::trim);
        if !named.is_some_and(|named| named.eq_ignore_ascii_case("application/json")) {
            let detail = "The body must be JSON, and its Content-Type application/json.";
            return Err(Refusal::with_status(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                detail,
            ));
        }
        read(&text).map(Self)
    }
}

/// The whole text, which may hold a password.
async fn collect(request: Request) -> Result<Zeroizing<String>, Refusal> {
    let reading = Limited::new(request.into_body(), MAX_BYTES).collect();
    let Ok(read) = tokio::time::timeout(TIME, reading).await else {
        let detail = format!("The body did not arrive within {} seconds.", TIME.as_secs());
        return Err(Refusal::with_status(StatusCode::REQUEST_TIMEOUT, detail));
    };
    let bytes = read.map_err(|error| {
        if error.is::<LengthLimitError>() {
            let detail = format!("The body has more than {MAX_BYTES} bytes.");
            Refusal::new(ProblemKind::TooLarge, detail)
        } else {
            Refusal::new(
                ProblemKind::BadRequest,
                format!("The body broke off: {error}."),
            )
        }
    })?;
    String::from_utf8(bytes.to_bytes().into())
        .map(Zeroizing::new)
        .map_err(|error| {
            Refusal::new(
                ProblemKind::BadRequest,
                format!("The body is not UTF-8: {error}."),
            )
        })
}

fn read<T: Document>(text: &str) -> Result<T, Refusal> {
    if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
        let detail = format!("The body is not JSON: {error}.");
        return Err(Refusal::new(ProblemKind::BadRequest, detail));
    }
    document::read::<T>(text, Format::Json)
        .map(|located| located.value)
        .map_err(|faults| Refusal::with_faults(T::FAULTY, "body", faults.into()))
}
