// SPDX-License-Identifier: GPL-3.0-or-later
//! `hv vm events`: what happened, and what happens.

use std::time::Duration;

use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use hv_client::{Client, ClientError, EventFilter};
use hv_model::event::{Event, EventKind};
use jiff::{Timestamp, tz::TimeZone};

use crate::{
    complete,
    failure::Failure,
    output::{
        Look, Paint,
        moment::{self, When},
        shown,
    },
    session::{Form, Session},
};

/// How many events are asked for at once.
const PAGE: u32 = 500;
/// How far back it goes if nothing is said.
const USUAL: Duration = Duration::from_secs(3600);
/// How long a line's first columns are.
const SUBJECT: usize = 20;

/// Which events to show.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Only those of this VM.
    #[arg(value_name = "VM", add = ArgValueCompleter::new(complete::any_vms))]
    vm: Option<String>,
    /// From how long ago: 30m, 2h, 7d. If not given, one hour; with --follow, from now on.
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    since: Option<Duration>,
    /// Go on with what happens, until Ctrl-C.
    #[arg(long, short)]
    follow: bool,
}

/// Shows events.
pub(super) async fn run(session: &Session, show: Show) -> Result<(), Failure> {
    let filter = EventFilter { vm: show.vm };
    let client = &session.client;
    let mut printer = Printer::new(session);
    if show.follow && show.since.is_none() {
        // Refused or unreachable is told at once, not after waiting for it to pass.
        client.events_page(0, 1, &filter).await?;
        return printer.follow(None, &filter).await;
    }
    let since = show.since.unwrap_or(USUAL);
    let start = When::Ago(since).moment(session.now(), &session.zone());
    let mut after = last_before(client, start).await?;
    loop {
        let events = client.events_page(after, PAGE, &filter).await?;
        let Some(last) = events.items.last() else {
            break;
        };
        after = last.seq;
        for event in &events.items {
            printer.print(event)?;
        }
        if events.next_page.is_none() {
            break;
        }
    }
    if show.follow {
        return printer.follow(Some(after), &filter).await;
    }
    printer.finish();
    Ok(())
}

/// The number of the last event before a time, found by halving the log.
async fn last_before(client: &Client, time: Timestamp) -> Result<u64, ClientError> {
    let everything = EventFilter::default();
    let (mut low, mut step) = (0, 1024);
    // Every event up to `low` is before the time; the first after `high` is not, or does not exist.
    let mut high = loop {
        let page = client.events_page(low + step, 1, &everything).await?;
        match page.items.first() {
            Some(event) if event.time < time => low = event.seq,
            _ => break low + step,
        }
        step *= 2;
    };
    while low < high {
        let middle = low + (high - low) / 2;
        match client
            .events_page(middle, 1, &everything)
            .await?
            .items
            .first()
        {
            Some(event) if event.time < time => low = event.seq,
            _ => high = middle,
        }
    }
    Ok(low)
}

/// Prints events one by one.
struct Printer<'a> {
    session: &'a Session,
    zone: TimeZone,
    is_empty: bool,
}

impl<'a> Printer<'a> {
    fn new(session: &'a Session) -> Self {
        Self {
            session,
            zone: session.zone(),
            is_empty: true,
        }
    }

    fn print(&mut self, event: &Event) -> Result<(), Failure> {
        self.is_empty = false;
        match self.session.form {
            // Each step of an operation would drown the rest.
            Form::Text if event.kind == EventKind::OperationChanged => Ok(()),
            Form::Text => self
                .session
                .print(&line(event, &self.zone, self.session.look)),
            // One a line, so that a program can read them as they come.
            Form::Json => {
                let text = serde_json::to_string(event).map_err(std::io::Error::from);
                self.session
                    .print(&(text.map_err(Failure::local("cannot write JSON"))? + "\n"))
            }
        }
    }

    async fn follow(&mut self, after: Option<u64>, filter: &EventFilter) -> Result<(), Failure> {
        let mut events = self.session.client.events(after, filter);
        loop {
            let event = events.next().await?;
            self.print(&event)?;
        }
    }

    fn finish(&self) {
        if self.is_empty && self.session.form == Form::Text {
            self.session.note("Nothing happened in that time.\n");
        }
    }
}

fn line(event: &Event, zone: &TimeZone, look: Look) -> String {
    let time = look.paint(Paint::Faint, &moment::on_clock(event.time, zone));
    let subject = match event.subject.kind.as_str() {
        "vm" => shown(&event.subject.name).into_owned(),
        kind => format!("{} {}", shown(kind), shown(&event.subject.name)),
    };
    let (words, told) = words(event);
    let what = look.paint(paint(event.kind), &words);
    let details = details(&event.data, told);
    let details = look.paint(Paint::Faint, &details);
    let line = format!("{time}  {subject:<SUBJECT$}  {what}  {details}");
    format!("{}\n", line.trim_end())
}

/// What else is known, as words and values; without what is told already.
fn details(data: &serde_json::Value, told: &[&str]) -> String {
    let Some(data) = data.as_object() else {
        return String::new();
    };
    let known = data
        .iter()
        .filter(|(word, _)| !told.contains(&word.as_str()));
    let known = known.filter_map(|(word, value)| {
        let value = match value {
            serde_json::Value::String(text) => shown(text).into_owned(),
            serde_json::Value::Number(_) => value.to_string(),
            _ => return None,
        };
        (!value.is_empty()).then(|| format!("{} {value}", shown(word)))
    });
    known.collect::<Vec<_>>().join(", ")
}

const fn paint(kind: EventKind) -> Paint {
    match kind {
        EventKind::VmCrashed
        | EventKind::VmRestartGivenUp
        | EventKind::HostLost
        | EventKind::GuardRefused => Paint::Bad,
        EventKind::VmTrashed | EventKind::VmRemoved | EventKind::ResyncDifference => Paint::Warning,
        EventKind::HostFound | EventKind::VmRestored => Paint::Good,
        _ => Paint::Plain,
    }
}

/// What happened in words, and which parts of the event's data they tell.
fn words(event: &Event) -> (String, &'static [&'static str]) {
    let text = |word: &str| {
        event
            .data
            .get(word)
            .and_then(|value| value.as_str())
            .map(shown)
    };
    match (event.kind, text("to"), text("state")) {
        (EventKind::VmState, Some(state), _) => (format!("is {state}"), &["to"]),
        (EventKind::GuardRefused, ..) if text("effect").as_deref() == Some("reported") => {
            ("runs against the host's policy".into(), &["effect"])
        }
        (EventKind::GuardRefused, ..) => (plain(event.kind).into(), &["effect"]),
        (EventKind::VmRenamed, Some(name), _) => (format!("is called {name}"), &["to"]),
        (EventKind::OperationEnded, _, Some(state)) => (state.into_owned(), &["state", "kind"]),
        (EventKind::OperationQueued, ..) => (plain(event.kind).into(), &["state", "kind"]),
        (EventKind::VmAgent, ..) => match text("agent").as_deref() {
            Some("connected") => ("its agent connected".into(), &["agent"]),
            _ => ("its agent is gone".into(), &["agent"]),
        },
        (kind, ..) => (plain(kind).into(), &[]),
    }
}

const fn plain(kind: EventKind) -> &'static str {
    match kind {
        EventKind::VmAdded => "appeared",
        EventKind::VmRemoved => "is gone",
        EventKind::VmState => "changed its state",
        EventKind::VmRenamed => "has another name",
        EventKind::VmChanged => "was changed",
        EventKind::VmAdopted => "was adopted",
        EventKind::VmTrashed => "went to the trash",
        EventKind::VmRestored => "came back from the trash",
        EventKind::VmAgent => "its agent came or went",
        EventKind::VmCrashed => "crashed",
        EventKind::VmRestartGivenUp => "crashed too often and stays off",
        EventKind::ImageAdded => "was added",
        EventKind::ImageRemoved => "was deleted",
        EventKind::NetworkChanged | EventKind::PoolChanged => "changed",
        EventKind::OperationQueued => "was asked for",
        EventKind::OperationChanged => "goes on",
        EventKind::OperationEnded => "ended",
        EventKind::HostLost => "is not being listened to",
        EventKind::HostFound => "is being listened to again",
        EventKind::GuardRefused => "was refused by the host's policy",
        EventKind::ResyncDifference => "was different from what was known",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hv_model::event::Subject;

    #[test]
    fn an_event_is_a_line() {
        let event = |kind, subject: &str, name: &str, data| Event {
            seq: 7,
            time: Timestamp::from_second(1_780_000_000).unwrap(),
            kind,
            subject: Subject {
                kind: subject.into(),
                id: "x".into(),
                name: name.into(),
            },
            data,
        };
        let events = [
            event(
                EventKind::VmState,
                "vm",
                "web",
                serde_json::json!({"from": "off", "to": "running", "reason": "booted"}),
            ),
            event(
                EventKind::VmCrashed,
                "vm",
                "evil\x1b[2J",
                serde_json::Value::Null,
            ),
            event(
                EventKind::HostLost,
                "host",
                "node-1",
                serde_json::json!({"why": "the broker ended"}),
            ),
            event(
                EventKind::GuardRefused,
                "vm",
                "hole",
                serde_json::json!({
                    "operation": "prepare",
                    "effect": "refused",
                    "why": "domain/os/kernel: \"/boot/x\"; allowed: a file in /pools/images"
                }),
            ),
        ];
        let lines: String = events
            .iter()
            .map(|event| line(event, &TimeZone::UTC, Look::plain()))
            .collect();
        insta::assert_snapshot!(lines);
    }
}
