// SPDX-License-Identifier: GPL-3.0-or-later
//! Problems as answers: every error of the API, whoever noticed it, has this one form.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use hv_model::{
    document::Fault,
    problem::{Problem, ProblemKind},
};

use crate::store::StoreError;

/// A request that is not carried out, and why.
#[derive(Debug)]
pub struct Refusal(Box<Problem>);

/// What a handler comes to.
pub(super) type Answer<T = Response> = Result<T, Refusal>;

impl Refusal {
    /// A refusal of this kind.
    pub(super) fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self::from(Problem::new(kind, detail))
    }

    /// A request that HTTP itself has a word for.
    pub(super) fn with_status(status: StatusCode, detail: impl Into<String>) -> Self {
        let mut problem = Problem::new(ProblemKind::BadRequest, detail);
        problem.status = status.as_u16();
        Self::from(problem)
    }

    /// A part of a request with these faults.
    pub(super) fn with_faults(kind: ProblemKind, part: &str, faults: Vec<Fault>) -> Self {
        let detail = match faults.as_slice() {
            [only] => format!("The {part} has a fault: {only}."),
            more => format!("The {part} has {} faults.", more.len()),
        };
        Problem::new(kind, detail).with_faults(faults).into()
    }

    /// The problem.
    pub(super) fn problem(&self) -> &Problem {
        &self.0
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Problem::from(error).into()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if status.is_server_error() {
            tracing::warn!(kind = %self.0.kind, detail = self.0.detail, "a request failed");
        }
        // A problem is made of texts and numbers, which JSON can always say.
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        let media_type = HeaderValue::from_static("application/problem+json");
        let mut response = (status, [(header::CONTENT_TYPE, media_type)], body).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.0.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer realm=\"hyper-nixos\"");
            headers.insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_problem_is_answered_with_its_status() {
        for kind in ProblemKind::ALL {
            let response = Refusal::new(*kind, "so").into_response();
            assert_eq!(response.status().as_u16(), kind.entry().status, "{kind}");
            assert_eq!(
                response.headers()[header::CONTENT_TYPE],
                "application/problem+json"
            );
        }
    }
}
