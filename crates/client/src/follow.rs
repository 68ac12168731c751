// SPDX-License-Identifier: GPL-3.0-or-later
//! Following what happens: events, and one operation until its end.

use futures_util::{Stream, stream};
use hv_model::{event::Event, id::OperationId, operation::Operation};
use hyper::Method;
use serde::de::DeserializeOwned;

use crate::{
    Client, ClientError, EventFilter, Result,
    request::Call,
    sse::{Feed, Message},
};

impl Client {
    /// Events after the one with this number, or from now on, without an end. A lost connection
    /// is taken up again where it was, so that no event is missed and none comes twice.
    pub fn events(&self, after: Option<u64>, filter: &EventFilter) -> Events {
        let feed = Feed::new(self.clone(), after.map(|seq| seq.to_string()));
        Events {
            feed,
            vm: filter.vm.clone(),
        }
    }

    /// An operation, now and at each change, until it is over.
    pub fn follow(&self, operation: OperationId) -> Updates {
        Updates {
            feed: Feed::new(self.clone(), None),
            operation,
            seen: None,
        }
    }
}

/// Events as they happen.
#[derive(Debug)]
pub struct Events {
    feed: Feed,
    vm: Option<String>,
}

impl Events {
    /// The next event, however long that takes. It is an error if the daemon refuses, or can't be
    /// reached for a minute. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Result<Event> {
        let vm = self.vm.clone();
        let call = || Call::new(Method::GET, &["events"]).query_if("vm", vm.as_ref());
        read(&self.feed.next(call).await?)
    }

    /// The same as a stream, which ends after an error.
    pub fn into_stream(self) -> impl Stream<Item = Result<Event>> + Send {
        stream::unfold(Some(self), |events| async {
            let mut events = events?;
            match events.next().await {
                Ok(event) => Some((Ok(event), Some(events))),
                Err(error) => Some((Err(error), None)),
            }
        })
    }
}

/// An operation at each of its changes.
#[derive(Debug)]
pub struct Updates {
    feed: Feed,
    operation: OperationId,
    seen: Option<Operation>,
}

impl Updates {
    /// The operation at its next change, the first time as it is now; nothing once it is over.
    pub async fn next(&mut self) -> Result<Option<Operation>> {
        if self.seen.as_ref().is_some_and(|seen| seen.state.is_final()) {
            return Ok(None);
        }
        let id = self.operation.to_string();
        let call = || Call::new(Method::GET, &["operations", &id]);
        loop {
            let operation: Operation = read(&self.feed.next(call).await?)?;
            // After a lost connection the daemon begins with what was told before.
            if self.seen.as_ref() != Some(&operation) {
                self.seen = Some(operation.clone());
                return Ok(Some(operation));
            }
        }
    }

    /// Follows to the end, and calls `each` at every change.
    pub async fn until_over(mut self, mut each: impl FnMut(&Operation)) -> Result<Operation> {
        while let Some(operation) = self.next().await? {
            each(&operation);
        }
        self.seen
            .ok_or_else(|| ClientError::Protocol("the operation never was".into()))
    }
}

fn read<T: DeserializeOwned>(message: &Message) -> Result<T> {
    serde_json::from_str(&message.data).map_err(|error| ClientError::Protocol(error.to_string()))
}
