// SPDX-License-Identifier: GPL-3.0-or-later
//! Opening, the host's facts, and errors.

use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use hv_libvirt::{
    Access, Connection, DomainFilter, ErrorKind, Identity, OpenOptions, StatsFlags, StatsGroups,
};

use crate::host;

#[test]
fn the_host_tells_about_itself() {
    let host = host();
    let node = host.node_info().unwrap();
    assert!(node.cpus > 0);
    assert!(node.memory > 0);
    assert!(!node.model.is_empty());
    assert!(!host.hostname().unwrap().is_empty());
    assert!(host.libvirt_version().unwrap().major >= 9);
    assert!(host.capabilities().unwrap().contains("<capabilities>"));
    assert!(host.free_memory().unwrap() > 0);
    assert!(host.is_alive());
}

#[test]
fn a_host_that_is_not_there_is_unavailable() {
    let uri = "qemu+unix:///system?socket=/nonexistent/libvirt-sock";
    let error = Connection::open(uri, OpenOptions::default()).unwrap_err();
    // libvirt says it as a failed system call with "no such file".
    assert!(
        matches!(error.kind, ErrorKind::Unavailable | ErrorKind::NotFound),
        "{error:?}"
    );
    assert_eq!(error.function, "virConnectOpen");
}

#[test]
fn a_libvirt_that_does_not_answer_is_given_up_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("libvirt-sock");
    let _silent = UnixListener::bind(&socket).unwrap();
    let uri = format!("qemu+unix:///system?socket={}", socket.display());
    let timeout = Duration::from_millis(200);
    let begin = Instant::now();
    let error = Connection::open(
        &uri,
        OpenOptions {
            timeout,
            ..OpenOptions::default()
        },
    )
    .unwrap_err();
    assert_eq!(error.kind, ErrorKind::TimedOut);
    assert!(begin.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_read_only_connection_may_not_define() {
    let options = OpenOptions {
        access: Access::ReadOnly,
        ..OpenOptions::default()
    };
    let host = Connection::open("test:///default", options).unwrap();
    let error = host.define_domain("<domain/>").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied);
}

#[test]
fn an_error_names_its_kind_its_words_and_its_function() {
    let error = host().domain_by_name("nobody").unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert_eq!(error.function, "virDomainLookupByName");
    assert!(
        error.message.contains("nobody") || error.message.contains("not found"),
        "{error}"
    );
}

#[test]
fn a_receiver_of_the_close_can_be_set_and_replaced() {
    let host = host();
    host.on_close(|_| {}).unwrap();
    host.on_close(|_| {}).unwrap();
}

#[test]
fn an_identity_that_this_libvirt_does_not_take_is_an_error() {
    let identity = Identity {
        user_name: "ada".to_owned(),
        user_id: 1000,
        group_id: 1000,
        process_id: 1,
        process_time: 1,
    };
    let error = host().set_identity(&identity).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unsupported);
}

#[test]
fn threads_share_a_connection() {
    let host = host();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let domains = host.domains(DomainFilter::NONE).unwrap();
                    assert_eq!(domains.len(), 1);
                    host.domain_by_name("nobody").unwrap_err();
                    let stats = host.all_domain_stats(StatsGroups::NONE, StatsFlags::NONE);
                    assert_eq!(stats.unwrap()[0].name, domains[0].name());
                }
            });
        }
    });
}
