// SPDX-License-Identifier: GPL-3.0-or-later
//! Accounts, tokens, and another host that is reached over TLS.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::{
    stage::{Run, Stage},
    terminal::Terminal,
};

const PASSWORD: &str = "some rare words here\n";

/// A stage on which ada has the first account.
fn with_ada() -> Stage {
    let stage = Stage::set_over_tls();
    let made = stage.told("access bootstrap ada --password-stdin", PASSWORD);
    assert_eq!((made.code, made.err.as_str()), (0, ""), "{made:?}");
    assert!(
        made.out.starts_with("ada has the first account"),
        "{made:?}"
    );
    stage
}

fn address(stage: &Stage) -> String {
    format!("https://{}", stage.tls.as_ref().unwrap().0)
}

/// Logs ada in to the stage as to another host, and calls it lab.
fn log_in(stage: &Stage) -> Run {
    let (address, fingerprint) = (address(stage), &stage.tls.as_ref().unwrap().1);
    let command = format!(
        "login {address} --name lab --user ada --fingerprint {fingerprint} --password-stdin"
    );
    stage.told(&command, PASSWORD)
}

#[test]
fn another_host_is_asked_by_its_name_until_one_logs_out() {
    let stage = with_ada();
    let login = log_in(&stage);
    assert_eq!(login.code, 0, "{login:?}");
    assert!(login.out.contains("hv --host lab vm list"), "{login:?}");
    stage.done("--host lab vm create web");
    assert!(stage.done("--host lab vm list").contains("web"));
    assert!(stage.done("--host lab whoami").contains("a session"));
    let file = stage.folder().join("configuration/hyper-nixos/hosts.toml");
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    stage.done("--host lab logout");
    assert!(!fs::read_to_string(&file).unwrap().contains("hvs_"));
    assert_eq!(stage.hv("--host lab vm list").code, 4);
}

#[test]
fn a_host_that_is_not_known_and_one_with_another_certificate_are_refused() {
    let stage = with_ada();
    assert_eq!(stage.hv("--host lab vm list").code, 2);
    let command = format!("login {} --user ada --password-stdin", address(&stage));
    let unknown = stage.told(&command, PASSWORD);
    assert_eq!(unknown.code, 2, "{unknown:?}");
    assert!(unknown.err.contains("--fingerprint"), "{unknown:?}");
    let command = format!("{command} --fingerprint {}", "ab".repeat(32));
    let other = stage.told(&command, PASSWORD);
    assert_eq!(other.code, 6, "{other:?}");
    assert!(other.err.contains("not the one that is known"), "{other:?}");
}

#[test]
fn a_file_of_hosts_that_others_may_read_is_not_used() {
    let stage = with_ada();
    log_in(&stage);
    let file = stage.folder().join("configuration/hyper-nixos/hosts.toml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let refused = stage.hv("--host lab vm list");
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.err.contains("others may read"), "{refused:?}");
}

#[test]
fn a_wrong_password_is_refused_and_nothing_is_kept() {
    let stage = with_ada();
    let (address, fingerprint) = stage.tls.as_ref().unwrap();
    let command = format!(
        "login https://{address} --name lab --user ada --fingerprint {fingerprint} --password-stdin"
    );
    let refused = stage.told(&command, "wrong words entirely\n");
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(!refused.err.contains("wrong words entirely"), "{refused:?}");
    assert!(!stage.folder().join("configuration").exists());
}

#[test]
fn a_token_is_printed_once_and_works_as_a_program_uses_it() {
    let stage = with_ada();
    let made = stage.hv("access token create ci --role viewer --days 7");
    assert_eq!(made.code, 0, "{made:?}");
    assert!(made.out.starts_with("hvt_"), "{made:?}");
    assert!(!stage.done("access token list").contains("hvt_"));
    let (address, fingerprint) = stage.tls.as_ref().unwrap();
    let command =
        format!("login https://{address} --name ci --fingerprint {fingerprint} --token-stdin");
    let kept = stage.told(&command, &made.out);
    assert_eq!(kept.code, 0, "{kept:?}");
    assert!(stage.done("--host ci whoami").contains("the token ci"));
    stage.done("access token revoke ci");
    assert_eq!(stage.hv("--host ci whoami").code, 4);
}

#[test]
fn a_password_is_asked_for_at_a_terminal_and_not_shown() {
    let stage = with_ada();
    let command = format!("login {} --name lab --user ada", address(&stage));
    let mut terminal = Terminal::open(&stage, &command);
    terminal.expect("Is it the one that the host says? [y/N] ");
    terminal.type_in(b"y\r");
    terminal.expect("Password of ada at ");
    terminal.type_in(PASSWORD.replace('\n', "\r").as_bytes());
    terminal.expect("You are ada at lab");
    let (_, _, seen) = terminal.end();
    assert!(!seen.contains("rare words"), "{seen}");
}

#[test]
fn what_needs_a_fresh_proof_is_asked_for_when_it_is_needed() {
    let stage = with_ada();
    log_in(&stage);
    for (command, done) in [
        ("access token create ci --role viewer", "hvt_"),
        ("access quota set bob --vms 40", "The quota of bob:"),
        ("access quota unset bob", "The quota of bob:"),
    ] {
        let mut terminal = Terminal::open(&stage, &format!("--host lab {command}"));
        terminal.expect("This needs a fresh proof of who you are.");
        terminal.expect("Password of ada: ");
        terminal.type_in(PASSWORD.replace('\n', "\r").as_bytes());
        terminal.expect(done);
        let (code, _, seen) = terminal.end();
        assert_eq!(code, Some(0), "hv {command}: {seen}");
    }
}
