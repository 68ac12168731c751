// SPDX-License-Identifier: GPL-3.0-or-later
//! `/v1/events`: everything that changed, page by page or as it happens.

use std::collections::VecDeque;

use axum::{
    Json,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use hv_model::{access::Action, event::Event, page::Page, problem::ProblemKind};
use serde::Deserialize;
use tokio::sync::watch;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    caller::Caller,
    operation::vm_id,
    query::{Limit, Place, Query},
    refusal::{Answer, Refusal},
    sse,
};
use crate::{access::Resource, store::EventFilter};

/// How many events are read at once for a stream.
const BATCH: u32 = 256;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Which events are wanted.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct EventQuery {
    /// Those after the one with this number. A page begins with the first that is kept and a
    /// stream with the next that happens, if it is not given.
    #[param(value_type = Option<u64>)]
    after: Option<Place>,
    /// How many to give: 1 to 1,000; 100, if not given. A stream has no limit.
    #[param(value_type = Option<u32>)]
    limit: Limit,
    /// Those that concern the VM of this name or id.
    vm: Option<String>,
}

/// List or follow events
///
/// The oldest first. With `Accept: text/event-stream` events come as they happen, each with its
/// number as `id`, so that a reader that sends the last one as `Last-Event-ID` misses none.
#[utoipa::path(get, path = "/v1/events", tag = "events",
    params(
        EventQuery,
        ("Last-Event-ID" = Option<u64>, Header, description = "The same as `after`, for a stream."),
    ),
    responses((status = 200, content(
        (Page<Event> = "application/json"),
        (String = "text/event-stream"),
    ))))]
async fn list(caller: Caller, Query(query): Query<EventQuery>, headers: HeaderMap) -> Answer {
    caller
        .must_see(Action::EventView, &Resource::Events)
        .await?;
    let filter = EventFilter {
        about: query.vm.map(|vm| vm_id(&caller, vm)).transpose()?,
    };
    let after = query.after.map(|after| after.0);
    if sse::is_wanted(&headers) {
        return follow(&caller, after.or(last_event_id(&headers)?), filter).await;
    }
    let (after, limit) = (after.unwrap_or(0), query.limit.0);
    let read = caller
        .api
        .app()
        .store
        .read(move |read| read.events_after(after, limit, &filter));
    let items: Vec<Event> = read.await?;
    let full = items.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
    let next_page = items
        .last()
        .filter(|_| full)
        .map(|last| last.seq.to_string());
    let items = items
        .into_iter()
        .filter(|event| is_visible(&caller, event))
        .collect();
    Ok(Json(Page { items, next_page }).into_response())
}

fn last_event_id(headers: &HeaderMap) -> Answer<Option<u64>> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    let Ok(place) = Place::try_from(text.to_owned()) else {
        let detail = format!("The Last-Event-ID header {text:?} is not the number of an event.");
        return Err(Refusal::new(ProblemKind::BadRequest, detail));
    };
    Ok(Some(place.0))
}

/// Whether they may see an event. One about a VM that is gone tells no more than that it was.
fn is_visible(caller: &Caller, event: &Event) -> bool {
    let snapshot = caller.api.app().inventory.snapshot();
    let vm = Some(&event.subject).filter(|subject| subject.kind == "vm");
    match vm.and_then(|subject| snapshot.vm(&subject.id)) {
        Some(vm) => caller.may_see(Action::VmView, &Resource::vm(&vm.summary)),
        None => caller.may_see(Action::EventView, &Resource::Events),
    }
}

/// A reader's place in the log.
struct Reader {
    caller: Caller,
    filter: EventFilter,
    changed: watch::Receiver<u64>,
    /// The last event that was read.
    place: u64,
    /// What is yet to be sent.
    ready: VecDeque<Bytes>,
}

async fn follow(caller: &Caller, after: Option<u64>, filter: EventFilter) -> Answer<Response> {
    let changed = caller.api.app().inventory.changed();
    let last = caller
        .api
        .app()
        .store
        .read(|read| Ok(read.event_range()?.1))
        .await?;
    // A place that is not reached yet was given by a database that is lost.
    let place = after.unwrap_or(last).min(last);
    // Says where it begins, so that a reader that loses the connection at once can resume there.
    let greeting = Bytes::from(format!("retry: 1000\nid: {place}\n\n"));
    let caller = caller.clone();
    let ready = VecDeque::from([greeting]);
    let reader = Reader {
        caller: caller.clone(),
        filter,
        changed,
        place,
        ready,
    };
    Ok(sse::answer(caller.api, reader, |_, reader| reader.next()))
}

impl Reader {
    async fn next(mut self) -> Answer<Option<(Bytes, Self)>> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Ok(Some((message, self)));
            }
            self.changed.borrow_and_update();
            let events = self.read().await?;
            for event in &events {
                if is_visible(&self.caller, event) {
                    self.ready.push_back(sse::message(event.seq, event)?);
                }
            }
            let last = events.last().map(|event| event.seq);
            self.place = last.unwrap_or(self.place);
            if last.is_none() && self.changed.changed().await.is_err() {
                return Ok(None);
            }
        }
    }

    async fn read(&self) -> Answer<Vec<Event>> {
        let (place, filter) = (self.place, self.filter.clone());
        let store = &self.caller.api.app().store;
        Ok(store
            .read(move |read| read.events_after(place, BATCH, &filter))
            .await?)
    }
}
