// SPDX-License-Identifier: GPL-3.0-or-later
//! A list that is written once and sent often.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use hv_model::{page::Page, problem::ProblemKind};
use serde::Serialize;

use super::refusal::{Answer, Refusal};
use crate::access::Subject;

/// How many lists are kept, each for another who may see another part.
const KEPT: usize = 32;

/// Which state of the world a list was written of, and under which policies.
pub(super) type Version = (u64, u64);

/// A list as it was last written for each who asked.
#[derive(Debug, Default)]
pub(super) struct StoredLists(Mutex<ByReader>);

type ByReader = HashMap<Arc<Subject>, (Version, Arc<Written>)>;

/// A list ready to be sent.
#[derive(Debug)]
pub(super) struct Written {
    json: Bytes,
    etag: HeaderValue,
}

impl StoredLists {
    /// The list of this version for whom it is, which `items` makes if it was not written before.
    pub(super) fn of<T: Serialize>(
        &self,
        reader: &Arc<Subject>,
        version: Version,
        items: impl FnOnce() -> Vec<T>,
    ) -> Answer<Arc<Written>> {
        let stored = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, written)) = stored().get(reader)
            && *of == version
        {
            return Ok(Arc::clone(written));
        }
        let written = Arc::new(Written::new(items())?);
        let mut stored = stored();
        if stored.len() >= KEPT && !stored.contains_key(reader) {
            stored.clear();
        }
        stored.insert(Arc::clone(reader), (version, Arc::clone(&written)));
        Ok(written)
    }
}

impl Written {
    /// Writes a list. Its `ETag` is a digest of what it says, so that it stays the same as long as
    /// that does, whatever else happens.
    pub(super) fn new<T: Serialize>(items: Vec<T>) -> Answer<Self> {
        let json = serde_json::to_vec(&Page::whole(items)).map_err(|error| {
            Refusal::new(
                ProblemKind::Internal,
                format!("A list cannot be written: {error}."),
            )
        })?;
        Self::of_json(json)
    }

    /// Something that is JSON already.
    pub(super) fn of_json(json: Vec<u8>) -> Answer<Self> {
        let digest = blake3::hash(&json).to_hex();
        let etag = format!("\"{}\"", digest.get(..32).unwrap_or_default());
        let etag = HeaderValue::try_from(etag).map_err(|error| {
            Refusal::new(
                ProblemKind::Internal,
                format!("An ETag cannot be written: {error}."),
            )
        })?;
        Ok(Self {
            json: Bytes::from(json),
            etag,
        })
    }

    /// The list, or only that it has not changed if that is what the one who asks has.
    pub(super) fn answer(&self, headers: &HeaderMap) -> Response {
        let fixed = [
            (header::ETAG, self.etag.clone()),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        ];
        if has(headers, &self.etag) {
            return (StatusCode::NOT_MODIFIED, fixed).into_response();
        }
        let json = HeaderValue::from_static("application/json");
        (
            fixed,
            [(header::CONTENT_TYPE, json)],
            Body::from(self.json.clone()),
        )
            .into_response()
    }
}

/// Whether the one who asks has what this `ETag` stands for.
fn has(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let Ok(etag) = etag.to_str() else {
        return false;
    };
    headers.get_all(header::IF_NONE_MATCH).iter().any(|value| {
        let tags = value.to_str().unwrap_or_default().split(',').map(str::trim);
        tags.map(|tag| tag.strip_prefix("W/").unwrap_or(tag))
            .any(|tag| tag == etag || tag == "*")
    })
}

#[cfg(test)]
mod tests {
    use hv_model::access::Principal;

    use super::*;

    fn reader(name: &str) -> Arc<Subject> {
        Arc::new(Subject::new(Principal::Account {
            name: name.parse().unwrap(),
        }))
    }

    fn asked_with(tag: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::IF_NONE_MATCH, tag.parse().unwrap())])
    }

    #[test]
    fn a_list_is_written_once_for_a_version() {
        let (list, reader) = (StoredLists::default(), reader("ada"));
        let first = list.of(&reader, (1, 0), || vec!["a"]).unwrap();
        let again = list
            .of(&reader, (1, 0), || -> Vec<&str> { panic!("written twice") })
            .unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        let changed = list.of(&reader, (2, 0), || vec!["b"]).unwrap();
        assert_ne!(changed.etag, first.etag);
        let denied = list.of(&reader, (2, 1), || vec!["c"]).unwrap();
        assert_ne!(denied.etag, changed.etag);
    }

    #[test]
    fn nobody_gets_the_list_that_was_written_for_somebody_else() {
        let list = StoredLists::default();
        let first = list.of(&reader("ada"), (1, 0), || vec!["a"]).unwrap();
        let other = list.of(&reader("eve"), (1, 0), || vec!["e"]).unwrap();
        assert_ne!(first.etag, other.etag);
    }

    #[test]
    fn a_version_that_says_the_same_has_the_same_etag() {
        let (list, reader) = (StoredLists::default(), reader("ada"));
        let first = list.of(&reader, (1, 0), || vec!["a"]).unwrap();
        let later = list.of(&reader, (2, 0), || vec!["a"]).unwrap();
        assert_eq!(later.etag, first.etag);
    }

    #[test]
    fn who_has_the_list_is_only_told_so() {
        let list = Written::new(vec!["a"]).unwrap();
        let tag = list.etag.to_str().unwrap().to_owned();
        for tags in [tag.clone(), format!("\"x\", W/{tag}"), "*".to_owned()] {
            let answer = list.answer(&asked_with(&tags));
            assert_eq!(answer.status(), StatusCode::NOT_MODIFIED, "{tags}");
        }
        assert_eq!(list.answer(&asked_with("\"x\"")).status(), StatusCode::OK);
    }
}
