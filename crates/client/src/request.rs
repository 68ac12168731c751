// SPDX-License-Identifier: GPL-3.0-or-later
//! One request and its answer.

use std::{fmt::Display, io, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full, combinators::BoxBody};
use hv_model::problem::Problem;
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{self, HeaderName, HeaderValue},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use serde::{Serialize, de::DeserializeOwned};

use crate::{ChangeOptions, Client, ClientError, Result};

/// What is sent.
pub(crate) type Body = BoxBody<Bytes, io::Error>;

/// How much an answer may have, so that nothing that answers can fill the memory.
const MAX_ANSWER: usize = 256 << 20;

const KEPT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A request in the making.
pub(crate) struct Call {
    method: Method,
    path: String,
    query: String,
    headers: Vec<(HeaderName, String)>,
    body: Option<Vec<u8>>,
}

impl Call {
    /// A call of an address that has these parts, each of which may be any text.
    pub(crate) fn new(method: Method, parts: &[&str]) -> Self {
        let mut path = String::from("/v1");
        for part in parts {
            path.push('/');
            path.extend(percent_encode(part.as_bytes(), KEPT));
        }
        Self {
            method,
            path,
            query: String::new(),
            headers: Vec::new(),
            body: None,
        }
    }

    /// With this parameter.
    pub(crate) fn query(mut self, name: &str, value: impl Display) -> Self {
        self.query
            .push(if self.query.is_empty() { '?' } else { '&' });
        self.query.push_str(name);
        self.query.push('=');
        self.query
            .extend(percent_encode(value.to_string().as_bytes(), KEPT));
        self
    }

    /// With this parameter, if there is one.
    pub(crate) fn query_if(self, name: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// With this header.
    pub(crate) fn header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With everything that says how a change is to be made.
    pub(crate) fn options(mut self, options: &ChangeOptions) -> Self {
        self = self.query_if("wait", options.wait.map(seconds));
        if let Some(key) = &options.idempotency_key {
            self = self.header(HeaderName::from_static("idempotency-key"), key);
        }
        if let Some(generation) = options.if_generation {
            self = self.header(header::IF_MATCH, format!("\"{generation}\""));
        }
        self
    }

    /// With this JSON.
    pub(crate) fn json(mut self, value: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(value)
            .map_err(|error| ClientError::Protocol(format!("cannot write JSON: {error}")))?;
        self.body = Some(body);
        Ok(self.header(header::CONTENT_TYPE, "application/json"))
    }

    /// The request itself, with the body that it was given or, failing that, this one.
    pub(crate) fn into_request(self, client: &Client, body: Option<Body>) -> Result<Request<Body>> {
        let body = match (self.body, body) {
            (Some(own), _) => Full::new(Bytes::from(own))
                .map_err(|never| match never {})
                .boxed(),
            (None, Some(given)) => given,
            (None, None) => Empty::new().map_err(|never| match never {}).boxed(),
        };
        let mut request = Request::builder()
            .method(self.method)
            .uri(self.path + &self.query)
            .header(header::HOST, client.host());
        if let Some(approval) = client.approval_named() {
            request = request.header("HV-Approval", approval.to_string());
        }
        for (name, value) in client.credentials() {
            let value = HeaderValue::try_from(value.as_str());
            let mut value = value.map_err(|_| {
                ClientError::Protocol(format!("what is carried cannot be the header {name}"))
            })?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        for (name, value) in self.headers {
            let value = HeaderValue::try_from(&value).map_err(|_| {
                ClientError::Protocol(format!("{value:?} cannot be the header {name}"))
            })?;
            request = request.header(name, value);
        }
        request
            .body(body)
            .map_err(|error| ClientError::Protocol(error.to_string()))
    }
}

/// A time as the API takes it; less than a second is a whole one.
fn seconds(time: Duration) -> String {
    format!("{}s", time.as_secs() + u64::from(time.subsec_nanos() > 0))
}

impl Client {
    /// Makes a call and reads its answer.
    pub(crate) async fn call<T: DeserializeOwned>(&self, call: Call) -> Result<T> {
        let response = self.send(call.into_request(self, None)?).await?;
        self.read(response).await
    }

    /// Makes a call whose answer says no more than that it is done.
    pub(crate) async fn done(&self, call: Call) -> Result<()> {
        self.send(call.into_request(self, None)?).await.map(drop)
    }

    /// Makes a call whose answer is text.
    pub(crate) async fn text(&self, call: Call) -> Result<String> {
        let response = self.send(call.into_request(self, None)?).await?;
        let body = self.body(response).await?;
        String::from_utf8(body.into()).map_err(|error| ClientError::Protocol(error.to_string()))
    }

    /// Sends a request and refuses an answer that is a problem.
    pub(crate) async fn send(&self, request: Request<Body>) -> Result<Response<Incoming>> {
        let mut connection = self.connect().await?;
        let response = connection
            .send_request(request)
            .await
            .map_err(|error| self.broken(&error))?;
        let age = response.headers().get("hv-stale");
        self.note_age(age.and_then(|age| age.to_str().ok()));
        let status = response.status();
        if status.is_success() || status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(response);
        }
        let body = self.body(response).await?;
        Err(match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => problem.into(),
            Err(_) => ClientError::Protocol(format!("it has the status {status} and no problem")),
        })
    }

    /// Reads a JSON answer.
    pub(crate) async fn read<T: DeserializeOwned>(
        &self,
        response: Response<Incoming>,
    ) -> Result<T> {
        let body = self.body(response).await?;
        serde_json::from_slice(&body).map_err(|error| ClientError::Protocol(error.to_string()))
    }

    async fn body(&self, response: Response<Incoming>) -> Result<Bytes> {
        match http_body_util::Limited::new(response.into_body(), MAX_ANSWER)
            .collect()
            .await
        {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) => match error.downcast::<hyper::Error>() {
                Ok(error) => Err(self.broken(&error)),
                Err(error) => Err(ClientError::Protocol(error.to_string())),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_any_text_is_one_part_of_the_address() {
        let call = Call::new(Method::GET, &["vms", "a/b ?ü"]);
        assert_eq!(call.path, "/v1/vms/a%2Fb%20%3F%C3%BC");
    }

    #[test]
    fn a_wait_of_less_than_a_second_is_a_whole_one() {
        let options = ChangeOptions::default().wait(Duration::from_millis(1_200));
        let call = Call::new(Method::POST, &["vms"]).options(&options);
        assert_eq!(call.query, "?wait=2s");
    }
}
