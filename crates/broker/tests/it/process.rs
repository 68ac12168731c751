// SPDX-License-Identifier: GPL-3.0-or-later
//! The program itself: its start, its socket and its end. No QEMU is needed for this.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use hv_model::hypervisor::{Hypervisor, HypervisorErrorKind};
use hv_port::Client;
use rustix::process::{Pid, Signal, kill_process};

fn configured(folder: &Path, more: &str) -> PathBuf {
    let file = folder.join("broker.toml");
    let socket = folder.join("broker.sock");
    let text = format!(
        "socket = '{}'\nlibvirt_uri = 'test:///default'\npolicy = '{}'\n{more}",
        socket.display(),
        folder.join("policy.toml").display()
    );
    fs::write(&file, text).unwrap();
    socket
}

fn spawn(folder: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_hv-broker"))
        .arg("--config")
        .arg(folder.join("broker.toml"))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until the broker says that it listens.
fn wait_until_it_listens(broker: &mut Child) -> impl Read + use<> {
    let mut log = BufReader::new(broker.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("the broker listens") {
        line.clear();
        assert_ne!(
            log.read_line(&mut line).unwrap(),
            0,
            "the broker ended at once"
        );
    }
    log
}

#[test]
fn it_listens_serves_and_ends_cleanly_when_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let socket = configured(folder.path(), "");
    // What a broker that was killed has left.
    drop(UnixListener::bind(&socket).unwrap());
    let mut broker = spawn(folder.path());
    let mut log = wait_until_it_listens(&mut broker);
    assert_eq!(
        fs::metadata(&socket).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let client = Client::new(&socket);
    let vms = client.vms().unwrap();
    assert_eq!(vms.len(), 1, "the VM of libvirt's test driver");
    assert_eq!(
        client.pools().unwrap_err().kind,
        HypervisorErrorKind::Refused
    );

    let mut second = spawn(folder.path());
    assert!(
        !second.wait().unwrap().success(),
        "only one can have the socket"
    );
    client.vms().unwrap();

    let pid = Pid::from_child(&broker);
    kill_process(pid, Signal::TERM).unwrap();
    assert!(broker.wait().unwrap().success());
    assert!(!socket.exists());
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("the broker has ended"), "{rest}");
}

#[test]
fn a_wrong_configuration_is_named_and_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    for (more, words) in [
        ("soket = 1", "soket"),
        ("allow_users = ['no-such-user-here']", "no-such-user-here"),
        ("allow_users = [71, 72]", "socket_group"),
    ] {
        configured(folder.path(), more);
        let output = spawn(folder.path()).wait_with_output().unwrap();
        assert!(!output.status.success(), "{more}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn a_broker_whose_rights_are_wrong_starts_and_says_what_is_missing_and_what_is_too_much() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    configured(folder.path(), "");
    let libvirt = folder.path().join("libvirt-sock");
    let _listener = UnixListener::bind(&libvirt).unwrap();
    fs::set_permissions(&libvirt, fs::Permissions::from_mode(0o700)).unwrap();
    let config = folder.path().join("broker.toml");
    let uri = format!("qemu:///system?socket={}", libvirt.display());
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("test:///default", &uri)).unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o666)).unwrap();

    // Without root it can't become another user, and has at least its setuid and its network.
    let is_root = rustix::process::geteuid().is_root();
    let mut command = Command::new(if is_root { "setpriv" } else { "env" });
    if is_root {
        // `disk` is a group of root's: whoever is in it reads every file of the host.
        let user = ["--reuid=60902", "--regid=60902", "--groups=6"];
        command
            .args(user)
            .args(["--inh-caps=-all", "--bounding-set=-all"]);
    }
    let mut broker = command
        .arg(reachable(folder.path()))
        .arg("--config")
        .arg(&config)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(broker.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("the broker listens") {
        assert_ne!(log.read_line(&mut said).unwrap(), 0, "it ended: {said}");
    }
    kill_process(Pid::from_child(&broker), Signal::TERM).unwrap();
    broker.wait().unwrap();

    let mut expected = vec![
        "setuid program",
        "Without the host's policy",
        "can change the broker's configuration",
        "Others can replace what is in",
        "The broker has a network",
    ];
    if is_root {
        expected.extend([
            "the group disk",
            "No user but root",
            "may not open libvirt's socket",
        ]);
    }
    for words in expected {
        assert!(said.contains(words), "{words:?} is missing: {said}");
    }
}

/// The program where another user can run it.
fn reachable(folder: &Path) -> PathBuf {
    let copy = folder.join("hv-broker");
    fs::copy(env!("CARGO_BIN_EXE_hv-broker"), &copy).unwrap();
    copy
}
