// SPDX-License-Identifier: GPL-3.0-or-later
//! What a change takes for granted: the version that it was made for, and that it happens once.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use hv_model::problem::ProblemKind;

use super::refusal::Refusal;

/// How long an idempotency key may be.
const MAX_KEY: usize = 255;

/// What a change takes for granted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Precondition {
    /// The generation that the VM must have, from `If-Match`.
    pub(super) generation: Option<u64>,
    /// The key under which it is done once, from `Idempotency-Key`.
    pub(super) idempotency_key: Option<String>,
}

impl<S: Sync> FromRequestParts<S> for Precondition {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        Ok(Self {
            generation: generation(&parts.headers)?,
            idempotency_key: idempotency_key(&parts.headers)?,
        })
    }
}

fn generation(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let number = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    let Some(generation) = number.and_then(|number| number.parse().ok()) else {
        let detail = format!(
            "The If-Match header {text:?} is not the ETag of a VM, which is its generation in \
             quotation marks, such as \"3\"."
        );
        return Err(Refusal::new(ProblemKind::BadRequest, detail));
    };
    Ok(Some(generation))
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let key = value.to_str().unwrap_or_default();
    if key.is_empty() || key.len() > MAX_KEY {
        let detail = format!("The Idempotency-Key header must have 1 to {MAX_KEY} characters.");
        return Err(Refusal::new(ProblemKind::BadRequest, detail));
    }
    Ok(Some(key.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())])
    }

    #[test]
    fn an_etag_names_a_generation() {
        assert_eq!(
            generation(&headers("if-match", "\"12\"")).unwrap(),
            Some(12)
        );
        assert_eq!(generation(&headers("if-match", "*")).unwrap(), None);
        for bad in ["12", "\"x\"", "W/\"1\"", "\"1\", \"2\""] {
            assert!(generation(&headers("if-match", bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_idempotency_key_is_neither_empty_nor_endless() {
        assert!(idempotency_key(&headers("idempotency-key", "")).is_err());
        assert!(idempotency_key(&headers("idempotency-key", &"x".repeat(256))).is_err());
        let key = idempotency_key(&headers("idempotency-key", "once")).unwrap();
        assert_eq!(key.as_deref(), Some("once"));
    }
}
