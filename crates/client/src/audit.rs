// SPDX-License-Identifier: GPL-3.0-or-later
//! Calls about the audit log.

use http_body_util::BodyExt;
use hv_model::{
    access::Action,
    audit::{AuditEntry, AuditOutcome, AuditVerification, line},
    page::Page,
};
use hyper::{Method, body::Incoming};

use crate::{AuditFilter, Client, ClientError, Result, request::Call};

impl Client {
    /// The audit log, the newest entry first.
    pub async fn audit(&self, filter: &AuditFilter) -> Result<Page<AuditEntry>> {
        let wanted = &filter.wanted;
        let call = Call::new(Method::GET, &["audit"])
            .query_if("who", wanted.who.as_ref())
            .query_if("action", wanted.action.map(Action::as_str))
            .query_if("target", wanted.target.as_ref())
            .query_if("outcome", wanted.outcome.map(AuditOutcome::as_str))
            .query_if("operation", wanted.operation)
            .query_if("since", wanted.since)
            .query_if("until", wanted.until)
            .query_if("limit", filter.limit)
            .query_if("page", filter.page.as_ref());
        self.call(call).await
    }

    /// An entry of the audit log, by its place.
    pub async fn audit_entry(&self, sequence: u64) -> Result<AuditEntry> {
        let call = Call::new(Method::GET, &["audit", &sequence.to_string()]);
        self.call(call).await
    }

    /// What the daemon finds when it verifies its whole audit log now.
    pub async fn audit_verification(&self) -> Result<AuditVerification> {
        self.call(Call::new(Method::GET, &["audit", "verification"]))
            .await
    }

    /// The whole audit log, line by line, the oldest entry first.
    pub async fn audit_export(&self) -> Result<AuditExport> {
        let call = Call::new(Method::GET, &["audit", "export"]);
        let response = self.send(call.into_request(self, None)?).await?;
        Ok(AuditExport {
            client: self.clone(),
            body: response.into_body(),
            arrived: Vec::new(),
            read: 0,
        })
    }
}

/// The whole audit log as it arrives.
#[derive(Debug)]
pub struct AuditExport {
    client: Client,
    body: Incoming,
    arrived: Vec<u8>,
    /// How much of what arrived was given already.
    read: usize,
}

impl AuditExport {
    /// The next line, without its line break; nothing at the end.
    pub async fn next_line(&mut self) -> Result<Option<String>> {
        loop {
            let left = self.arrived.get(self.read..).unwrap_or_default();
            if let Some(length) = left.iter().position(|byte| *byte == b'\n') {
                let line = left.get(..length).unwrap_or_default().to_vec();
                self.read += length + 1;
                let line = String::from_utf8(line)
                    .map_err(|error| ClientError::Protocol(error.to_string()))?;
                return Ok(Some(line));
            }
            if left.len() > line::MAX_BYTES {
                let what = "a line of the audit log is longer than any can be";
                return Err(ClientError::Protocol(what.to_owned()));
            }
            self.arrived.drain(..self.read);
            self.read = 0;
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(piece) = frame.data_ref() {
                        self.arrived.extend_from_slice(piece);
                    }
                }
                Some(Err(error)) => return Err(self.client.broken(&error)),
                None if self.arrived.is_empty() => return Ok(None),
                None => {
                    let what = "the audit log ends in the midst of a line";
                    return Err(ClientError::Protocol(what.to_owned()));
                }
            }
        }
    }
}
