// SPDX-License-Identifier: GPL-3.0-or-later
//! From a change in libvirt to the event at a client that follows.

use std::{
    sync::mpsc::{Receiver, Sender, channel},
    time::{Duration, Instant},
};

use hv_client::{Client, EventFilter};
use hv_libvirt::{Destroy, Subscription, UndefineFlags};
use hv_model::event::{Event, EventKind};

use crate::{
    failure::{During, Failure, Result},
    report::{Row, Target},
    sample::Sample,
    scene::{Scene, blank_domain, connect},
};

/// How long an event may take before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many events of the past are read at once.
const PAGE: u32 = 1000;
const NAME: &str = "followed";

/// Those who are told: a client of the API, and a callback of libvirt.
struct Listeners {
    client: Receiver<(Instant, Event)>,
    libvirt: Receiver<(Instant, String)>,
    _subscription: Subscription,
}

/// How long each was waited for, counted from the start of the call that makes the change: most
/// events come before it returns.
#[derive(Default)]
struct Waits {
    client: Sample,
    libvirt: Sample,
    /// From libvirt's callback to the client.
    between: Sample,
}

/// Changes of a state, and definitions that come and go.
pub(crate) fn measure(scene: &Scene, repetitions: usize) -> Result<Vec<Row>> {
    let listeners = listen(scene)?;
    let mut states = Waits::default();
    let domain = scene.start_blank(NAME)?;
    let changed = (|| {
        listeners.expect(EventKind::VmState)?;
        for _ in 0..repetitions {
            listeners.time(EventKind::VmState, &mut states, || domain.suspend())?;
            listeners.time(EventKind::VmState, &mut states, || domain.resume())?;
        }
        Ok(())
    })();
    domain.destroy(Destroy::Forced).during("stop a domain")?;
    changed?;
    listeners.expect(EventKind::VmState)?;
    domain
        .undefine(UndefineFlags::NONE)
        .during("undefine a domain")?;
    listeners.expect(EventKind::VmRemoved)?;

    let mut definitions = Waits::default();
    for _ in 0..repetitions {
        let mut defined = None;
        listeners.time(EventKind::VmAdded, &mut definitions, || {
            let domain = scene.libvirt.define_domain(&blank_domain(NAME));
            domain.map(|domain| defined = Some(domain))
        })?;
        let domain = defined.during("define a domain")?;
        listeners.time(EventKind::VmRemoved, &mut definitions, || {
            domain.undefine(UndefineFlags::NONE)
        })?;
    }
    let rows = |what: &str, waits: &Waits| {
        [
            Row::new(format!("{what} by others, to the client"), &waits.client)
                .against("libvirt's own callback", &waits.libvirt)
                .target(Target::P99AtMost(100.0)),
            Row::new("of that, after libvirt's callback", &waits.between),
        ]
    };
    let rows = [
        rows("pause or resume", &states),
        rows("define or undefine", &definitions),
    ];
    Ok(rows.into_iter().flatten().collect())
}

impl Listeners {
    /// Waits for an event that is not measured.
    fn expect(&self, kind: EventKind) -> Result<()> {
        self.client_hears(kind).map(|_| ())
    }

    /// Makes a change and waits for its event.
    fn time<E: std::fmt::Display>(
        &self,
        kind: EventKind,
        waits: &mut Waits,
        change: impl FnOnce() -> std::result::Result<(), E>,
    ) -> Result<()> {
        while self.libvirt.try_recv().is_ok() {}
        while self.client.try_recv().is_ok() {}
        let begun = Instant::now();
        change().during("change a domain")?;
        let libvirt = self.libvirt_hears()?;
        let client = self.client_hears(kind)?;
        waits.libvirt.push(libvirt.saturating_duration_since(begun));
        waits.client.push(client.saturating_duration_since(begun));
        waits
            .between
            .push(client.saturating_duration_since(libvirt));
        Ok(())
    }

    fn client_hears(&self, kind: EventKind) -> Result<Instant> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let (time, event) = self.client.recv_timeout(left).map_err(|why| {
                Failure::new(format!("wait for {} of {NAME}", kind.as_str()), why)
            })?;
            if event.kind == kind && event.subject.name == NAME {
                return Ok(time);
            }
        }
    }

    fn libvirt_hears(&self) -> Result<Instant> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let heard = self.libvirt.recv_timeout(left);
            let (time, name) = heard.during("wait for libvirt's callback")?;
            if name == NAME {
                return Ok(time);
            }
        }
    }
}

fn listen(scene: &Scene) -> Result<Listeners> {
    let (sender, client) = channel();
    let api = scene.client();
    let last = scene.runtime.block_on(last_event(&api))?;
    // It ends with the scene, or when nobody listens any more.
    scene.runtime.spawn(follow(api, last, sender));
    let (sender, libvirt) = channel();
    let subscription = connect(&scene.host)?.subscribe(move |event| {
        if let hv_libvirt::Event::Domain { name, .. } = event {
            // Nobody listens once the measurement is over.
            let _ = sender.send((Instant::now(), name));
        }
    });
    Ok(Listeners {
        client,
        libvirt,
        _subscription: subscription.during("subscribe to libvirt's events")?,
    })
}

/// The newest event, so that following begins after it and misses none.
async fn last_event(api: &Client) -> Result<u64> {
    let mut last = 0;
    loop {
        let page = api.events_page(last, PAGE, &EventFilter::default()).await;
        match page.during("read the event log")?.items.last() {
            Some(event) => last = event.seq,
            None => return Ok(last),
        }
    }
}

async fn follow(api: Client, after: u64, sender: Sender<(Instant, Event)>) {
    let mut events = api.events(Some(after), &EventFilter::default());
    while let Ok(event) = events.next().await {
        if sender.send((Instant::now(), event)).is_err() {
            return;
        }
    }
}
