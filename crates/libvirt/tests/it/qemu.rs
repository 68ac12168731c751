// SPDX-License-Identifier: GPL-3.0-or-later
//! What only a real daemon with a real QEMU shows: consoles, volumes' contents, a lost daemon.

use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::time::Duration;

use hv_libvirt::{
    CloseReason, Connection, ConsoleAccess, Destroy, Domain, DomainEvent, DomainFilter, ErrorKind,
    Event, JobOperation, Pump, SavedAs, StatsFlags, StatsGroups, UndefineFlags,
};
use rustix::process::Signal;

use crate::daemon::{Daemon, ECHO, FLOOD};

const WAIT: Duration = Duration::from_secs(30);

fn open_console(host: &Connection, domain: &Domain) -> (UnixStream, Pump) {
    let (viewer, end) = UnixStream::pair().unwrap();
    viewer.set_read_timeout(Some(WAIT)).unwrap();
    let console = host
        .open_console(domain.uuid(), None, ConsoleAccess::Force)
        .unwrap();
    (viewer, console.pump(OwnedFd::from(end)).unwrap())
}

/// Types until the guest answers: what comes before it is up is lost.
fn type_and_hear(viewer: &mut UnixStream, words: &[u8]) {
    viewer
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let mut heard = Vec::new();
    let mut chunk = [0; 256];
    for _ in 0..150 {
        viewer.write_all(words).unwrap();
        if let Ok(count) = viewer.read(&mut chunk) {
            heard.extend_from_slice(&chunk[..count]);
        }
        if heard.windows(words.len()).any(|window| window == words) {
            viewer.set_read_timeout(Some(WAIT)).unwrap();
            return;
        }
    }
    panic!(
        "the guest did not answer; heard {:?}",
        String::from_utf8_lossy(&heard)
    );
}

#[test]
fn a_console_carries_bytes_both_ways_and_ends_with_the_guest() {
    let daemon = Daemon::start();
    let host = daemon.connect();
    let guest = daemon.boot(&host, "echo", ECHO);
    let (mut viewer, pump) = open_console(&host, &guest);
    type_and_hear(&mut viewer, b"hello");
    guest.destroy(Destroy::Forced).unwrap();
    let mut rest = Vec::new();
    viewer.read_to_end(&mut rest).unwrap();
    drop(pump.wait());
}

#[test]
fn a_console_ends_with_its_viewer_and_can_be_opened_again() {
    let daemon = Daemon::start();
    let host = daemon.connect();
    let guest = daemon.boot(&host, "echo", ECHO);
    for words in [b"first".as_slice(), b"second"] {
        let (mut viewer, pump) = open_console(&host, &guest);
        type_and_hear(&mut viewer, words);
        drop(viewer);
        pump.wait().unwrap();
    }
}

#[test]
fn a_console_in_use_is_busy_unless_it_is_taken() {
    let daemon = Daemon::start();
    let host = daemon.connect();
    let guest = daemon.boot(&host, "echo", ECHO);
    let (mut first, pump) = open_console(&host, &guest);
    type_and_hear(&mut first, b"first");
    let refused = host.open_console(guest.uuid(), None, ConsoleAccess::Shared);
    assert_eq!(refused.err().unwrap().kind, ErrorKind::Busy);
    let (mut second, _pump) = open_console(&host, &guest);
    type_and_hear(&mut second, b"second");
    assert_eq!(pump.wait().unwrap_err().kind, ErrorKind::Aborted);
}

#[test]
fn a_flood_without_a_reader_is_stopped_at_once() {
    let daemon = Daemon::start();
    let host = daemon.connect();
    let guest = daemon.boot(&host, "flood", FLOOD);
    let (mut viewer, pump) = open_console(&host, &guest);
    // The flood is on; from here on nobody reads.
    let mut chunk = [0; 4096];
    viewer.read_exact(&mut chunk).unwrap();
    assert!(chunk.contains(&b'A'));
    // The daemon goes on answering beside it.
    assert_eq!(host.domains(DomainFilter::RUNNING).unwrap().len(), 1);
    pump.stop();
    pump.wait().unwrap();
}

#[test]
fn a_killed_daemon_ends_calls_and_consoles_and_tells() {
    let daemon = Daemon::start();
    let host = daemon.connect();
    let guest = daemon.boot(&host, "echo", ECHO);
    let (mut viewer, pump) = open_console(&host, &guest);
    type_and_hear(&mut viewer, b"hello");
    let (sender, closed) = mpsc::channel();
    host.on_close(move |reason| sender.send(reason).unwrap())
        .unwrap();
    daemon.signal(Signal::KILL);
    assert_eq!(closed.recv_timeout(WAIT).unwrap(), CloseReason::EndOfFile);
    assert!(!host.is_alive());
    assert_eq!(guest.state().unwrap_err().kind, ErrorKind::Unavailable);
    let mut rest = Vec::new();
    viewer.read_to_end(&mut rest).unwrap();
    assert_eq!(pump.wait().unwrap_err().kind, ErrorKind::Unavailable);
}

#[test]
fn a_hung_daemon_is_noticed_by_its_silence() {
    let daemon = Daemon::start();
    let host = daemon.connect();
    let (sender, closed) = mpsc::channel();
    host.on_close(move |reason| sender.send(reason).unwrap())
        .unwrap();
    daemon.signal(Signal::STOP);
    let error = host.hostname().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error:?}");
    assert_eq!(closed.recv_timeout(WAIT).unwrap(), CloseReason::Keepalive);
}

#[test]
fn a_saved_domain_tells_of_its_job_and_a_running_one_of_its_figures() {
    let daemon = Daemon::start();
    let host = daemon.connect();
    let (sender, events) = mpsc::channel();
    let _subscription = host
        .subscribe(move |event| drop(sender.send(event)))
        .unwrap();
    let guest = daemon.boot(&host, "echo", ECHO);
    let groups = StatsGroups::STATE | StatsGroups::CPU | StatsGroups::BALLOON | StatsGroups::BLOCK;
    let stats = host.all_domain_stats(groups, StatsFlags::ACTIVE).unwrap();
    assert!(stats[0].cpu_time_nanoseconds.is_some());
    assert_eq!(stats[0].balloon.maximum, Some(32 << 20));
    assert_eq!(stats[0].disks[0].name.as_deref(), Some("hda"));
    assert_eq!(stats[0].disks[0].capacity, Some(1 << 20));
    guest.managed_save(SavedAs::Found).unwrap();
    let job = std::iter::from_fn(|| events.recv_timeout(WAIT).ok()).find_map(|event| match event {
        Event::Domain {
            event: DomainEvent::JobCompleted(job),
            ..
        } => Some(job),
        _ => None,
    });
    assert_eq!(job.unwrap().operation, Some(JobOperation::Save));
    assert_eq!(host.domains(DomainFilter::MANAGED_SAVE).unwrap().len(), 1);
    assert!(guest.undefine(UndefineFlags::NONE).is_err());
    guest.undefine(UndefineFlags::MANAGED_SAVE).unwrap();
}

#[test]
fn a_renamed_domain_keeps_its_uuid() {
    let daemon = Daemon::start();
    let host = daemon.connect();
    let guest = daemon.boot(&host, "echo", ECHO);
    assert_eq!(
        guest.rename("shop").unwrap_err().kind,
        ErrorKind::InvalidState
    );
    guest.destroy(Destroy::Forced).unwrap();
    guest.rename("shop").unwrap();
    assert_eq!(guest.name(), "echo");
    assert_eq!(host.domain_by_uuid(guest.uuid()).unwrap().name(), "shop");
}

#[test]
fn a_volumes_bytes_go_there_and_back() {
    let daemon = Daemon::start();
    let host = daemon.connect();
    let xml = format!(
        "<pool type='dir'><name>images</name><target><path>{}</path></target></pool>",
        daemon.images().display()
    );
    let pool = host.define_pool(&xml).unwrap();
    pool.create().unwrap();
    let xml = "<volume><name>disk</name><capacity unit='MiB'>2</capacity>\
               <target><format type='raw'/></target></volume>";
    let disk = pool.create_volume(xml).unwrap();
    let bytes: Vec<u8> = (0_u32..1 << 19).flat_map(u32::to_le_bytes).collect();
    let length = bytes.len() as u64;

    let mut steps = Vec::new();
    let mut progress = |done| {
        steps.push(done);
        ControlFlow::Continue(())
    };
    disk.upload(&mut bytes.as_slice(), length, &mut progress)
        .unwrap();
    assert!(
        steps.is_sorted() && steps.last() == Some(&length),
        "{steps:?}"
    );
    let mut fetched = Vec::new();
    let mut on = |_| ControlFlow::Continue(());
    assert_eq!(
        disk.download(&mut fetched, length, &mut on).unwrap(),
        length
    );
    assert!(fetched == bytes, "the bytes came back changed");

    let too_long = disk
        .download(&mut Vec::new(), length - 1, &mut on)
        .unwrap_err();
    assert_eq!(too_long.kind, ErrorKind::Invalid);
    let too_short = disk.upload(&mut &bytes[..10], length, &mut on).unwrap_err();
    assert_eq!(too_short.kind, ErrorKind::Invalid);
    let mut stop = |_| ControlFlow::Break(());
    let stopped = disk
        .upload(&mut bytes.as_slice(), length, &mut stop)
        .unwrap_err();
    assert_eq!(stopped.kind, ErrorKind::Aborted);
    // A stream that was given up leaves the connection fit for use.
    assert_eq!(
        pool.volume_by_name("disk")
            .unwrap()
            .info()
            .unwrap()
            .capacity,
        length
    );
}
