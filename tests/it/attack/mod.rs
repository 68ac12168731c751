// SPDX-License-Identifier: GPL-3.0-or-later
//! The attack suite on a real host, as real users: nothing succeeds, and each attempt works where
//! the layer is off that must stop it.

mod past;
mod scene;
mod trusting;

use std::collections::BTreeSet;

use hv_attack::{Actor, Attempt, Layer, Off};

use self::scene::Scene;

#[test]
fn nothing_that_an_operator_tries_succeeds() {
    nothing_succeeds(&["--as", "operator"]);
}

#[test]
fn nothing_that_who_may_make_or_look_at_vms_tries_succeeds() {
    nothing_succeeds(&["--as", "creator", "--as", "viewer"]);
}

#[test]
fn nothing_that_an_admin_or_a_stranger_tries_succeeds() {
    nothing_succeeds(&["--as", "admin", "--as", "anonymous"]);
}

#[test]
fn nothing_that_a_stranger_tries_over_tls_succeeds() {
    let over_the_network =
        |attempt: &&Attempt| matches!(attempt.layer, Layer::Login | Layer::Web | Layer::Decision);
    let strangers = hv_attack::all().filter(|attempt| attempt.actors.contains(&Actor::Anonymous));
    let names: Vec<_> = strangers
        .filter(over_the_network)
        .map(|attempt| attempt.name)
        .collect();
    let only = names.join(",");
    none_succeeds(
        &Scene::open_with_tls(),
        &["--as", "anonymous", "--only", &only],
    );
}

#[test]
fn nothing_that_a_guest_tries_succeeds() {
    nothing_succeeds(&[
        "--as",
        "guest",
        "--only",
        "agent-with-escapes",
        "--linux",
        "demo",
    ]);
}

#[test]
fn nothing_that_a_taken_over_hvd_tries_succeeds() {
    nothing_succeeds(&["--as", "hvd"]);
}

/// What these try is stopped, all of it, on a host as it is shipped.
fn nothing_succeeds(who: &[&str]) {
    none_succeeds(&Scene::open(), who);
}

fn none_succeeds(scene: &Scene, who: &[&str]) {
    scene.product.add_demo_image("demo");
    let report = scene.attack(who);
    let bad: Vec<_> = report
        .iter()
        .filter(|tried| tried["outcome"] != "stopped")
        .map(|tried| format!("{} by {}: {tried}", tried["name"], tried["actor"]))
        .collect();
    let (bad_ones, all) = (bad.len(), report.len());
    assert!(bad.is_empty(), "{bad_ones} of {all}:\n{}", bad.join("\n"));
}

#[test]
fn what_only_hvds_decision_stops_works_for_who_may_everything() {
    Scene::open().works(&[Off::Decision], &["--by", "admin"]);
}

#[test]
fn what_owners_and_modes_of_files_stop_works_for_root() {
    Scene::open().works(&[Off::Files], &["--by", "root"]);
}

#[test]
fn what_the_hosts_policy_stops_works_where_it_allows_it() {
    let scene = Scene::open();
    scene.allow_everything();
    scene.works(&[Off::Policy], &[]);
}

#[test]
fn what_the_hook_and_libvirts_socket_stop_works_without_them() {
    let scene = Scene::open();
    scene.open_libvirt();
    scene.works(&[Off::Libvirt], &[]);
    scene.host.remove_hook();
    scene.works(&[Off::Hook], &[]);
    scene.open_libvirt();
    scene.works(&[Off::Libvirt, Off::Hook], &[]);
}

#[test]
fn what_the_port_stops_works_where_it_serves_everybody() {
    let mut scene = Scene::open();
    scene.open_port();
    scene.works(&[Off::Port], &[]);
}

#[test]
fn what_the_spoof_filter_stops_works_where_it_lets_everything_pass() {
    let scene = Scene::open();
    scene.product.add_demo_image("demo");
    scene.empty_spoof_filter();
    scene.works(&[Off::Spoofing], &["--linux", "demo"]);
}

/// A test for each group of attempts that are shown to work past their layer.
macro_rules! past {
    ($($test:ident: $ways:ident;)*) => {$(
        #[test]
        fn $test() {
            past::each_works(past::$ways);
        }
    )*};
}

past! {
    what_the_checks_of_requests_stop_works_past_them: REQUESTS;
    what_the_look_at_images_stops_works_past_it: IMAGES;
    what_the_broker_stops_works_past_it: PORT;
    what_the_limits_of_the_port_stop_works_without_them: FRAMES;
    what_the_limits_of_http_stop_works_without_them: FLOODS;
    what_the_checks_of_the_network_stop_works_past_them: WEB;
    what_accounts_sessions_and_tokens_do_not_give_works_with_what_does: ACCOUNTS;
    what_the_bounds_of_guests_stop_works_past_them: GUEST;
}

/// No test of its own: what the tests of limits start, and nothing else.
#[test]
fn a_server_that_trusts() {
    if trusting::is_asked_for() {
        trusting::serve();
    }
}

/// The names of those attempts that just this is to be switched off for.
fn with_off(off: &[Off]) -> Vec<&'static str> {
    let all = hv_attack::all().filter(|attempt| attempt.off == off);
    all.map(|attempt: &Attempt| attempt.name).collect()
}

#[test]
fn each_attempt_is_shown_to_work_somewhere() {
    let sets: [&[Off]; 8] = [
        &[Off::Decision],
        &[Off::Files],
        &[Off::Policy],
        &[Off::Libvirt],
        &[Off::Hook],
        &[Off::Libvirt, Off::Hook],
        &[Off::Port],
        &[Off::Spoofing],
    ];
    let shown: BTreeSet<_> = sets.iter().flat_map(|off| with_off(off)).collect();
    for attempt in hv_attack::all() {
        let name = attempt.name;
        let twin = attempt.twin.is_some_and(|twin| shown.contains(twin));
        let known = shown.contains(name) || twin || past::knows(name);
        assert!(
            known,
            "nothing shows that {name} works where its layer is off"
        );
    }
}
