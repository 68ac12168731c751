// SPDX-License-Identifier: GPL-3.0-or-later
//! `/v1/access/quotas`, and many who ask for more than there is at once.

use hv_model::access::{QuotaLimits, Role};
use serde_json::json;

use super::{Daemon, grant, named, root, user};

fn limits(json: serde_json::Value) -> QuotaLimits {
    serde_json::from_value(json).unwrap()
}

/// A daemon where bob and eve may make VMs, and ada may everything.
async fn daemon(each_user: serde_json::Value, total: serde_json::Value) -> Daemon {
    Daemon::with(|config| {
        let access = &mut config.access;
        access
            .grants
            .push(grant("bob", "user:bob", Role::Creator, "own"));
        access
            .grants
            .push(grant("eve", "user:eve", Role::Creator, "own"));
        access.quotas.each_user = limits(each_user);
        access.quotas.total = limits(total);
        access
            .quotas
            .users
            .insert("fay".parse().unwrap(), limits(json!({ "vms": 3 })));
    })
    .await
}

async fn make(daemon: &Daemon, who: &str, name: &str) -> u16 {
    let body = json!({ "spec": { "name": name } });
    let path = "/v1/vms?wait=60s";
    let answer = daemon.ask_as(named(who), "POST", path, Some(body)).await;
    answer.status.as_u16()
}

#[tokio::test]
async fn more_than_a_quota_allows_is_refused_as_a_problem() {
    let daemon = daemon(json!({ "vms": 1 }), json!({})).await;
    assert_eq!(make(&daemon, "bob", "web").await, 200);
    let body = json!({ "spec": { "name": "db" } });
    let refused = daemon
        .ask_as(named("bob"), "POST", "/v1/vms", Some(body))
        .await;
    insta::assert_snapshot!(refused.told());
}

#[tokio::test]
async fn everybody_sees_their_own_quota_and_who_may_see_it_all_of_them() {
    let daemon = daemon(json!({}), json!({})).await;
    assert_eq!(make(&daemon, "bob", "web").await, 200);
    let own = daemon
        .ask_as(named("bob"), "GET", "/v1/access/quotas", None)
        .await;
    insta::assert_snapshot!("own", own.told());
    let eves = daemon
        .ask_as(named("eve"), "GET", "/v1/access/quotas", None)
        .await;
    assert!(!eves.told().contains("bob"), "{}", eves.told());
    let all = daemon
        .ask_as(user(), "GET", "/v1/access/quotas", None)
        .await;
    insta::assert_snapshot!("all", all.told());
}

#[tokio::test]
async fn a_quota_is_set_while_the_daemon_runs_and_holds_at_once() {
    let daemon = daemon(json!({ "vms": 1 }), json!({})).await;
    let path = "/v1/access/quotas/bob";
    let more = || Some(json!({ "vms": 2, "memory": "8 GiB" }));
    let denied = daemon.ask_as(named("bob"), "PUT", path, more()).await;
    assert_eq!(denied.json()["kind"], "denied", "{}", denied.told());
    let proof = daemon.ask_as(user(), "PUT", path, more()).await;
    assert_eq!(proof.json()["kind"], "proof-needed", "{}", proof.told());
    let set = daemon.ask_as(root(), "PUT", path, more()).await;
    insta::assert_snapshot!("set", set.told());
    assert_eq!(make(&daemon, "bob", "web").await, 200);
    assert_eq!(make(&daemon, "bob", "db").await, 200);
    assert_eq!(make(&daemon, "bob", "mail").await, 403);
    // What they have is theirs, be it more than they may have.
    let unset = daemon.ask_as(root(), "DELETE", path, None).await;
    assert_eq!(unset.json()["source"], "each-user", "{}", unset.told());
    assert_eq!(make(&daemon, "bob", "mail").await, 403);
    let again = daemon.ask_as(root(), "DELETE", path, None).await;
    assert_eq!(again.status, 404, "{}", again.told());
    let audit = daemon.ask_as(root(), "GET", "/v1/audit", None).await.json();
    let entries = audit["items"].as_array().unwrap();
    let told: Vec<String> = entries
        .iter()
        .map(|entry| &entry["event"])
        .filter(|event| event["action"] == "access.change")
        .map(|event| {
            let (who, what) = (&event["principal"]["name"], &event["target"]);
            format!("{who} {what} {}", event["decision"]["decision"])
        })
        .collect();
    insta::assert_snapshot!("recorded", told.join("\n"));
}

#[tokio::test]
async fn a_quota_above_the_total_or_that_the_configuration_says_is_not_set() {
    let daemon = daemon(json!({}), json!({ "vms": 5 })).await;
    let above = Some(json!({ "vms": 6, "disk": "6 TiB", "running": 50, "vcpus": 1000 }));
    let answer = daemon
        .ask_as(root(), "PUT", "/v1/access/quotas/bob", above)
        .await;
    insta::assert_snapshot!("above", answer.told());
    let fays = Some(json!({ "vms": 1 }));
    let answer = daemon
        .ask_as(root(), "PUT", "/v1/access/quotas/fay", fays)
        .await;
    insta::assert_snapshot!("configured", answer.told());
    for (name, body) in [
        ("b%20b", json!({})),
        ("bob", json!({ "vm": 1 })),
        ("bob", json!({ "vms": -1 })),
        ("bob", json!({ "memory": "much" })),
    ] {
        let path = format!("/v1/access/quotas/{name}");
        let answer = daemon.ask_as(root(), "PUT", &path, Some(body)).await;
        assert_eq!(answer.status, 400, "{}", answer.told());
    }
}

#[tokio::test]
async fn health_warns_of_what_is_nearly_used_up_whom_it_concerns() {
    let daemon = daemon(json!({ "vms": 1 }), json!({ "vms": 9 })).await;
    let quota = async |who: &str| {
        let peer = if who == "root" { root() } else { named(who) };
        let health = daemon.ask_as(peer, "GET", "/v1/health", None).await.json();
        let checks = health["checks"].as_array().unwrap().clone();
        let check = checks
            .into_iter()
            .find(|check| check["id"] == "access.quota");
        check.unwrap()
    };
    assert_eq!(quota("bob").await["status"], "pass");
    assert_eq!(make(&daemon, "bob", "web").await, 200);
    let bobs = quota("bob").await;
    assert_eq!(bobs["status"], "warn");
    assert_eq!(bobs["observed"], "bob has 1 of 1 VMs.");
    assert_eq!(quota("eve").await["status"], "pass");
    for number in 0..8 {
        let body = json!({ "spec": { "name": format!("vm-{number}") } });
        let made = daemon
            .ask_as(root(), "POST", "/v1/vms?wait=60s", Some(body))
            .await;
        assert_eq!(made.status, 200, "{}", made.told());
    }
    assert_eq!(
        quota("eve").await["observed"],
        "all together have 90 % or more of what they may have: VMs."
    );
    assert_eq!(
        quota("root").await["observed"],
        "all together have 9 of 9 VMs, bob has 1 of 1 VMs."
    );
}

/// Sixty requests of two people at once, of which each may have four VMs, and both together six.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_ask_at_once_as_many_are_let_in_as_there_is_room_for() {
    let daemon = daemon(
        json!({ "vms": 4, "creations_per_hour": "none" }),
        json!({ "vms": 6 }),
    )
    .await;
    let mut tasks = Vec::new();
    for number in 0..60 {
        let who = if number % 2 == 0 { "bob" } else { "eve" };
        let body = json!({ "spec": { "name": format!("vm-{number}") } }).to_string();
        let mut request = axum::http::Request::post("/v1/vms")
            .header("content-type", "application/json")
            .body(axum::body::Body::from(body))
            .unwrap();
        request.extensions_mut().insert(named(who));
        let router = daemon.router.clone();
        tasks.push(tokio::spawn(async move {
            let answer = tower::ServiceExt::oneshot(router, request).await.unwrap();
            (who, answer.status().as_u16())
        }));
    }
    let mut accepted = std::collections::BTreeMap::from([("bob", 0), ("eve", 0)]);
    for task in tasks {
        match task.await.unwrap() {
            (who, 202) => *accepted.get_mut(who).unwrap() += 1,
            (_, status) => assert_eq!(status, 403),
        }
    }
    let (bob, eve) = (accepted["bob"], accepted["eve"]);
    assert_eq!(bob + eve, 6, "{accepted:?}");
    assert!(bob <= 4 && eve <= 4, "{accepted:?}");
    daemon.until(|snapshot| snapshot.worked_on.is_empty()).await;
    assert_eq!(daemon.app.inventory.snapshot().vms.len(), 6);
}
