// SPDX-License-Identifier: GPL-3.0-or-later
//! What works over the boundary as if it were not there, and what shows that it is.

use std::{
    fs::File,
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixListener},
    thread,
    time::{Duration, Instant},
};

use hv_model::{
    hypervisor::{
        AgentLink, Behalf, Definition, Fact, GuestRequest, Hypervisor, HypervisorErrorKind,
        LiveChange, Takeover,
    },
    size::Size,
    storage::{VolumeFormat, VolumeRef},
    vm::VmSpec,
};
use hv_port::{Client, Server, ServerError, SocketOwner, Timeouts};

use crate::fake::{Served, id};

fn kind<T: std::fmt::Debug>(result: hv_model::hypervisor::Result<T>) -> HypervisorErrorKind {
    result.unwrap_err().kind
}

#[test]
fn calls_arrive_with_their_arguments_and_answers_come_back() {
    let served = Served::new();
    let client = &served.client;
    assert_eq!(client.host().unwrap().hostname, "fake");
    client.details(&[id(1), id(2)]).unwrap();
    client.shut_down(id(3), GuestRequest::Acpi).unwrap();
    client.rename(id(3), &"db".parse().unwrap()).unwrap();
    client
        .change_live(id(3), &LiveChange::Memory(Size::from_gib(2)))
        .unwrap();
    let definition = Definition {
        id: id(4),
        generation: 7,
        spec: VmSpec::new("web".parse().unwrap()),
        disks: Vec::new(),
    };
    client.define(&definition).unwrap();
    assert_eq!(client.rights().unwrap()[0].what, "It may too much.");
    let asked = served.fake.asked();
    assert_eq!(asked[0..2], ["host", "details 2"]);
    assert!(
        asked[2].starts_with("shut_down 0") && asked[2].ends_with("3 Acpi"),
        "{}",
        asked[2]
    );
    assert_eq!(asked[3], "rename db");
    assert_eq!(
        serde_json::from_str::<Definition>(&asked[5]).unwrap(),
        definition
    );
}

#[test]
fn a_call_says_whom_it_is_made_for_and_one_of_the_service_says_nobody() {
    let served = Served::new();
    let ada = Behalf {
        name: "ada".parse().unwrap(),
        uid: Some(1000),
    };
    let for_ada = served.client.on_behalf_of(&ada);
    for_ada.shut_down(id(3), GuestRequest::Acpi).unwrap();
    served.client.host().unwrap();
    let bob = Behalf {
        name: "bob".parse().unwrap(),
        uid: None,
    };
    for_ada.on_behalf_of(&bob).host().unwrap();
    let asked = served.fake.asked();
    assert!(
        asked[0].ends_with("3 Acpi for ada Some(1000)"),
        "{}",
        asked[0]
    );
    assert_eq!(asked[1..], ["host", "host for bob None"]);
}

#[test]
fn a_failure_keeps_its_kind_and_its_words() {
    let served = Served::new();
    let error = served.client.start(id(5)).unwrap_err();
    assert_eq!(error.kind, HypervisorErrorKind::WrongState);
    assert!(error.message.ends_with("runs already"), "{error}");
}

#[test]
fn descriptors_cross_in_both_directions() {
    let served = Served::new();
    let console = served.client.console(id(1), Takeover::Refuse).unwrap();
    let mut text = String::new();
    File::from(console).read_to_string(&mut text).unwrap();
    assert_eq!(text, "login: ");

    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"bytes").unwrap();
    let volume = VolumeRef {
        pool: "images".parse().unwrap(),
        name: "a.qcow2".parse().unwrap(),
    };
    let facts = served
        .client
        .upload_image(&volume, VolumeFormat::Raw, 5, reader.into())
        .unwrap();
    assert_eq!(facts.size, Size::from_bytes(5));
    assert_eq!(served.fake.asked(), ["upload images/a.qcow2 bytes"]);
}

#[test]
fn facts_flow_and_silence_is_filled_with_signs_of_life() {
    let served = Served::new();
    let facts = served.client.subscribe().unwrap();
    let sender = served.fake.facts.lock().unwrap().clone().unwrap();
    let agent = Fact::Agent {
        id: id(1),
        link: AgentLink::Connected,
    };
    sender.send(agent.clone()).unwrap();
    assert_eq!(facts.recv().unwrap(), agent);
    assert_eq!(facts.recv().unwrap(), Fact::Alive);
    *served.fake.facts.lock().unwrap() = None;
    drop(sender);
    assert!(
        facts.iter().all(|fact| fact == Fact::Alive),
        "the channel ends with the host's"
    );
}

#[test]
fn a_reader_who_is_too_slow_is_told_by_the_end_of_the_channel() {
    let served = Served::new();
    let facts = served.client.subscribe().unwrap();
    let sender = served.fake.facts.lock().unwrap().take().unwrap();
    let count = std::iter::repeat_with(|| sender.send(Fact::Found))
        .take_while(Result::is_ok)
        .count();
    assert!(count > 1000, "{count}");
    assert_eq!(
        facts.iter().filter(|fact| *fact == Fact::Found).count(),
        4096
    );
}

#[test]
fn an_answer_that_is_too_long_is_an_error_and_the_connection_goes_on() {
    let served = Served::new();
    let error = served.client.vms().unwrap_err();
    assert_eq!(error.kind, HypervisorErrorKind::Internal);
    assert!(error.message.contains("16777216"), "{error}");
    served.client.guest(id(1)).unwrap();
}

#[test]
fn a_call_that_is_too_long_is_never_sent() {
    let served = Served::new();
    let refused = served.client.details(&vec![id(1); 40_000]);
    assert_eq!(kind(refused), HypervisorErrorKind::Invalid);
    assert!(served.fake.asked().is_empty());
}

#[test]
fn a_restarted_broker_is_found_again_by_the_next_call() {
    let mut served = Served::new();
    served.client.host().unwrap();
    served.stop();
    assert!(
        !served.path.exists(),
        "a server that ends removes its socket"
    );
    assert_eq!(kind(served.client.host()), HypervisorErrorKind::Unavailable);
    served.start();
    served.client.host().unwrap();
    served.stop();
    served.start();
    served.client.host().unwrap();
}

#[test]
fn a_call_whose_connection_breaks_is_not_repeated() {
    let served = Served::new();
    assert_eq!(
        kind(served.client.force_off(id(1))),
        HypervisorErrorKind::Unavailable
    );
    served.client.host().unwrap();
}

#[test]
fn calls_run_side_by_side_and_those_beyond_sixteen_wait_their_turn() {
    let served = Served::new();
    served.fake.gate.shut();
    thread::scope(|scope| {
        let callers: Vec<_> = (0..20)
            .map(|_| scope.spawn(|| served.client.host()))
            .collect();
        while served.fake.asked().len() < 16 {
            thread::yield_now();
        }
        served.fake.gate.open();
        for caller in callers {
            caller.join().unwrap().unwrap();
        }
    });
    assert_eq!(served.fake.asked().len(), 20);
}

#[test]
fn a_host_that_hangs_costs_one_time_limit_and_no_more() {
    let served = Served::new();
    served.fake.gate.shut();
    let brief = Duration::from_millis(100);
    let timeouts = Timeouts {
        brief,
        ..Timeouts::default()
    };
    let client = Client::with_timeouts(&served.path, timeouts);
    let before = Instant::now();
    assert_eq!(kind(client.host()), HypervisorErrorKind::TimedOut);
    assert!(before.elapsed() >= brief);
    client.guest(id(1)).unwrap();
}

#[test]
fn a_broker_of_another_version_is_named_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broker.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let other = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        socket.write_all(b"HV-PORT\n\0\0\0\x63").unwrap();
    });
    let error = Client::new(&path).host().unwrap_err();
    assert_eq!(error.kind, HypervisorErrorKind::Unavailable);
    assert!(error.message.contains("version 99"), "{error}");
    other.join().unwrap();
}

#[test]
fn users_who_are_not_named_are_turned_away_with_the_reason() {
    let served = Served::for_users([]);
    let error = served.client.host().unwrap_err();
    assert_eq!(error.kind, HypervisorErrorKind::Refused);
    assert!(error.message.contains("may not use this broker"), "{error}");
    assert!(served.fake.asked().is_empty());
}

#[test]
fn a_socket_is_private_and_a_second_server_does_not_take_it() {
    let served = Served::new();
    let mode = std::fs::metadata(&served.path)
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let second = Server::bind(&served.path, [0].into(), SocketOwner::default());
    assert!(matches!(second, Err(ServerError::Taken(_))), "{second:?}");
    served.client.host().unwrap();
}

#[test]
fn what_a_killed_server_left_behind_is_replaced() {
    let served = Served::new();
    let path = served.folder.path().join("stale.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    Server::bind(&path, [0].into(), SocketOwner::default()).unwrap();
}
