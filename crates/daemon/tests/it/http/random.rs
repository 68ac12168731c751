// SPDX-License-Identifier: GPL-3.0-or-later
//! Whatever is sent, the answer is no crash, and every refusal is a problem of the catalogue.

use axum::{
    body::Body,
    http::{Request, Uri, header},
};
use proptest::{
    prelude::{Just, Strategy, any, prop_oneof},
    sample::select,
    test_runner::{Config, TestCaseError, TestRunner},
};

use super::{Daemon, user};

const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

const PATHS: [&str; 22] = [
    "vms",
    "vms/web",
    "vms/nothing",
    "vms/web/start",
    "vms/web/shut-down",
    "vms/web/rename",
    "vms/web/undelete",
    "vms/web/console",
    "images",
    "images/debian",
    "networks",
    "pools",
    "hosts",
    "health",
    "operations",
    "operations/x",
    "operations/x/cancel",
    "events",
    "audit",
    "problems",
    "openapi.json",
    "version",
];

const BODIES: [&str; 8] = [
    "",
    "{}",
    "null",
    "[]",
    "{\"spec\":{}}",
    "{\"spec\":{\"name\":\"web\"}}",
    "{\"name\":\"web\"}",
    "{\"spec\":{\"name\":\"a\",\"disks\":[{\"size\":\"99999 PiB\"}],\"cpus\":{\"count\":-1}}}",
];

fn paths() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(&PATHS[..]).prop_map(|path| format!("/v1/{path}")),
        1 => "/v1/[a-z%0-9.~/-]{0,30}",
        1 => "/v1/vms/[%a-fA-F0-9.;/-]{0,20}/(start|pause|console|rename)?",
    ]
}

fn queries() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => Just(String::new()),
        1 => Just("?wait=0s".to_owned()),
        1 => "\\?(limit|page|after|state|tag|vm|dry_run|format|trash|takeover)=[a-z0-9%+&=-]{0,12}",
    ]
}

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => select(&BODIES[..]).prop_map(|body| body.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..64),
        1 => "\\PC{0,60}".prop_map(String::into_bytes),
    ]
}

#[test]
fn nothing_that_is_sent_makes_it_crash() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let daemon = runtime.block_on(Daemon::start());
    let mut runner = TestRunner::new(Config {
        cases: 512,
        failure_persistence: None,
        ..Config::default()
    });
    let sent = (select(&METHODS[..]), paths(), queries(), bodies());
    let outcome = runner.run(&sent, |(method, path, query, body)| {
        let Ok(uri) = format!("{path}{query}").parse::<Uri>() else {
            return Ok(());
        };
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_LENGTH, body.len())
            .body(Body::from(body))
            .unwrap();
        let answer = runtime.block_on(daemon.send(user(), request));
        let status = answer.status.as_u16();
        if status >= 500 && status != 503 && status != 507 {
            return Err(TestCaseError::fail(answer.told()));
        }
        if status >= 400 && method != "HEAD" {
            let problem: Result<hv_model::problem::Problem, _> =
                serde_json::from_slice(&answer.body);
            if problem.is_err() {
                return Err(TestCaseError::fail(format!("{status} is no problem")));
            }
        }
        Ok(())
    });
    // The daemon's tasks end within its runtime.
    runtime.block_on(async { drop(daemon) });
    outcome.unwrap();
}
