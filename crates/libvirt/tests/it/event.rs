// SPDX-License-Identifier: GPL-3.0-or-later
//! Events reach their receiver, and none does after its subscription ended.

use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use hv_libvirt::{
    Connection, DefinedDetail, Destroy, DomainEvent, ErrorKind, Event, Impact, Lifecycle,
    MetadataKind, NetworkEvent, PoolEvent, ShutoffReason, StartFlags, StartedDetail, State,
    StoppedDetail, Subscription, UndefineFlags, UndefinedDetail,
};

use crate::host;

const WAIT: Duration = Duration::from_secs(20);

fn subscribe(host: &Connection) -> (Subscription, Receiver<Event>) {
    let (sender, events) = mpsc::channel();
    let subscription = host
        .subscribe(move |event| drop(sender.send(event)))
        .unwrap();
    (subscription, events)
}

fn domain_event(events: &Receiver<Event>) -> (String, DomainEvent) {
    match events.recv_timeout(WAIT).unwrap() {
        Event::Domain { name, event, .. } => (name, event),
        other => panic!("not a domain's event: {other:?}"),
    }
}

#[test]
fn a_domains_life_is_told_in_order() {
    let host = host();
    let (_subscription, events) = subscribe(&host);
    let xml = "<domain type='test'><name>web</name><memory unit='MiB'>64</memory>\
               <os><type>hvm</type></os></domain>";
    let web = host.define_domain(xml).unwrap();
    web.create(StartFlags::NONE).unwrap();
    web.destroy(Destroy::Forced).unwrap();
    assert_eq!(
        web.state().unwrap(),
        State::Shutoff(ShutoffReason::Destroyed)
    );
    web.undefine(UndefineFlags::NONE).unwrap();
    for expected in [
        Lifecycle::Defined(DefinedDetail::Added),
        Lifecycle::Started(StartedDetail::Booted),
        Lifecycle::Stopped(StoppedDetail::Destroyed),
        Lifecycle::Undefined(UndefinedDetail::Removed),
    ] {
        let told = domain_event(&events);
        assert_eq!(told, ("web".to_owned(), DomainEvent::Lifecycle(expected)));
    }
}

#[test]
fn a_change_of_metadata_is_told() {
    let host = host();
    let (_subscription, events) = subscribe(&host);
    let test = host.domain_by_name("test").unwrap();
    let namespace = "urn:example:note";
    test.set_metadata(namespace, "note", Some("<note/>"), Impact::Live)
        .unwrap();
    let expected = DomainEvent::MetadataChanged {
        kind: MetadataKind::Element,
        namespace: Some(namespace.to_owned()),
    };
    assert_eq!(domain_event(&events), ("test".to_owned(), expected));
}

#[test]
fn networks_and_pools_tell_too() {
    let host = host();
    let (_subscription, events) = subscribe(&host);
    host.network_by_name("default").unwrap().destroy().unwrap();
    let Event::Network { name, event, .. } = events.recv_timeout(WAIT).unwrap() else {
        panic!("not a network's event")
    };
    assert_eq!((name.as_str(), event), ("default", NetworkEvent::Stopped));
    host.pool_by_name("default-pool")
        .unwrap()
        .refresh()
        .unwrap();
    let Event::Pool { name, event, .. } = events.recv_timeout(WAIT).unwrap() else {
        panic!("not a pool's event")
    };
    assert_eq!(
        (name.as_str(), event),
        ("default-pool", PoolEvent::Refreshed)
    );
}

#[test]
fn an_ended_subscription_hears_nothing() {
    let host = host();
    let (ended, deaf) = subscribe(&host);
    drop(ended);
    let (_subscription, events) = subscribe(&host);
    host.domain_by_name("test").unwrap().suspend().unwrap();
    // The new receiver has heard it, so the old one would have too.
    assert!(matches!(
        domain_event(&events).1,
        DomainEvent::Lifecycle(Lifecycle::Suspended(_))
    ));
    assert!(deaf.try_recv().is_err());
}

#[test]
fn a_connection_has_one_subscription_at_a_time() {
    let host = host();
    let (_subscription, _events) = subscribe(&host);
    let error = host.subscribe(|_| {}).unwrap_err();
    assert_eq!(error.kind, ErrorKind::AlreadyExists);
}

#[test]
fn a_receiver_that_panics_loses_its_event_alone() {
    let host = host();
    let (sender, events) = mpsc::channel();
    let _subscription = host
        .subscribe(move |event| {
            assert!(
                !matches!(
                    &event,
                    Event::Domain {
                        event: DomainEvent::Lifecycle(Lifecycle::Suspended(_)),
                        ..
                    }
                ),
                "on purpose"
            );
            drop(sender.send(event));
        })
        .unwrap();
    let test = host.domain_by_name("test").unwrap();
    test.suspend().unwrap();
    test.resume().unwrap();
    assert!(matches!(
        domain_event(&events).1,
        DomainEvent::Lifecycle(Lifecycle::Resumed(_))
    ));
}
