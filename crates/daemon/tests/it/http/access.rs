// SPDX-License-Identifier: GPL-3.0-or-later
//! Who may do what, and what nobody else is told.

use std::time::Duration;

use axum::http::StatusCode;
use hv_model::access::Role;
use hvd::sim::Temper;
use serde_json::{Value, json};

use super::{Daemon, anonymous, grant, named, root, user};

/// Ada may do everything, bob makes VMs of his own, eve runs what is tagged `lab`, and oscar looks.
async fn office() -> Daemon {
    Daemon::with(|config| {
        config.access.grants.extend([
            grant("bobs", "user:bob", Role::Creator, "own"),
            grant("lab", "user:eve", Role::Operator, "tag:lab"),
            grant("audit", "user:oscar", Role::Auditor, "everything"),
        ]);
    })
    .await
}

impl Daemon {
    pub(super) async fn vm_of(&self, owner: &str, name: &str, tags: &[&str]) {
        let body = json!({ "spec": { "name": name, "tags": tags } });
        let made = self
            .ask_as(named(owner), "POST", "/v1/vms?wait=60s", Some(body))
            .await;
        assert_eq!(made.json()["state"], "succeeded", "{}", made.told());
    }

    async fn names(&self, who: &str) -> Vec<String> {
        let list = self.ask_as(named(who), "GET", "/v1/vms", None).await.json();
        let items = list["items"].as_array().unwrap();
        let name = |vm: &Value| vm["name"].as_str().unwrap().to_owned();
        items.iter().map(name).collect()
    }
}

/// What was denied last.
fn denied(log: &Value) -> &Value {
    let items = log["items"].as_array().unwrap();
    let mut events = items.iter().map(|entry| &entry["event"]);
    events
        .find(|event| event["decision"]["decision"] == "deny")
        .unwrap()
}

#[tokio::test]
async fn each_sees_their_part_of_every_list() {
    let daemon = office().await;
    daemon.vm_of("bob", "attic", &[]).await;
    daemon.vm_of("ada", "bench", &["lab"]).await;
    daemon.vm_of("ada", "secret", &[]).await;
    assert_eq!(daemon.names("ada").await, ["attic", "bench", "secret"]);
    assert_eq!(daemon.names("bob").await, ["attic"]);
    assert_eq!(daemon.names("eve").await, ["bench"]);
    assert_eq!(daemon.names("oscar").await, ["attic", "bench", "secret"]);
    assert_eq!(daemon.names("mallory").await, [""; 0]);
    for path in [
        "/v1/operations?limit=1000",
        "/v1/events?limit=1000",
        "/v1/health",
    ] {
        let told = daemon.ask_as(named("eve"), "GET", path, None).await;
        assert_eq!(told.status, StatusCode::OK, "{path}");
        let told = told.told();
        assert!(
            !told.contains("secret") && !told.contains("attic"),
            "{path}: {told}"
        );
    }
    let events = daemon
        .ask_as(named("eve"), "GET", "/v1/events?limit=1000", None)
        .await;
    assert!(events.told().contains("bench"), "what she may see is there");
    let own = daemon
        .ask_as(named("bob"), "GET", "/v1/operations", None)
        .await;
    assert!(
        own.told().contains("attic"),
        "what he asked for is his to see"
    );
}

#[tokio::test]
async fn a_list_is_not_shown_any_longer_than_the_grant_holds() {
    let daemon = Daemon::with(|config| {
        let mut today = grant("today", "user:eve", Role::Viewer, "everything");
        today.until = Some("2026-01-02T04:00:00Z".parse().unwrap());
        config.access.grants.push(today);
    })
    .await;
    daemon.vm_of("ada", "bench", &[]).await;
    assert_eq!(daemon.names("eve").await, ["bench"]);
    daemon.clock.advance(Duration::from_hours(1));
    assert_eq!(daemon.names("eve").await, [""; 0]);
}

#[tokio::test]
async fn what_one_may_not_see_is_not_there() {
    let daemon = office().await;
    daemon.vm_of("ada", "secret", &[]).await;
    let ask = async |method: &str, path: &str| {
        let body = (method == "PATCH").then(|| json!({ "cpus": 2 }));
        daemon.ask_as(named("eve"), method, path, body).await
    };
    for (method, action) in [
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/start"),
        ("POST", "/force-off"),
        ("POST", "/purge"),
        ("GET", "/console"),
    ] {
        let there = ask(method, &format!("/v1/vms/secret{action}")).await;
        let nowhere = ask(method, &format!("/v1/vms/nowhere{action}")).await;
        assert_eq!(there.status, StatusCode::NOT_FOUND, "{method} {action}");
        let told = |answer: &super::Answer, name: &str| answer.told().replace(name, "X");
        assert_eq!(told(&there, "secret"), told(&nowhere, "nowhere"));
    }
    let operations = daemon.get("/v1/operations").await.json();
    let id = operations["items"][0]["id"].as_str().unwrap();
    for (method, path) in [("GET", ""), ("POST", "/cancel")] {
        let answer = ask(method, &format!("/v1/operations/{id}{path}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}");
    }
}

#[tokio::test]
async fn who_may_see_and_not_do_is_told_why_and_it_is_recorded() {
    let daemon = office().await;
    daemon.vm_of("ada", "bench", &["lab"]).await;
    let refused = daemon
        .ask_as(named("eve"), "DELETE", "/v1/vms/bench", None)
        .await;
    insta::assert_snapshot!(refused.told());
    let log = daemon.get("/v1/audit?limit=10").await.json();
    let denial = denied(&log);
    assert_eq!(denial["principal"]["name"], "eve");
    assert_eq!(denial["target"], "vm/bench");
}

#[tokio::test]
async fn nobody_gives_a_vm_away_or_takes_one_by_its_tags() {
    let daemon = office().await;
    daemon.vm_of("bob", "attic", &[]).await;
    for change in [json!({ "owner": "eve" }), json!({ "add_tags": ["lab"] })] {
        let refused = daemon
            .ask_as(
                named("bob"),
                "PATCH",
                "/v1/vms/attic?wait=60s",
                Some(change),
            )
            .await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.told());
    }
    let changed = daemon
        .ask_as(
            named("bob"),
            "PATCH",
            "/v1/vms/attic?wait=60s",
            Some(json!({ "cpus": 2 })),
        )
        .await;
    assert_eq!(changed.json()["state"], "succeeded", "{}", changed.told());
    let body = json!({ "spec": { "name": "hers", "owner": "eve" } });
    let refused = daemon
        .ask_as(named("bob"), "POST", "/v1/vms", Some(body))
        .await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.told());
}

#[tokio::test]
async fn a_grant_is_given_shown_and_taken_away_by_root() {
    let daemon = office().await;
    daemon.vm_of("ada", "web", &[]).await;
    let body = json!({ "name": "web", "to": "user:mallory", "role": "operator", "on": "vm:web" });
    let given = daemon
        .ask_as(root(), "POST", "/v1/access/grants", Some(body))
        .await;
    assert_eq!(given.status, StatusCode::OK, "{}", given.told());
    assert_eq!(daemon.names("mallory").await, ["web"]);
    let shown = daemon
        .ask_as(named("oscar"), "GET", "/v1/access", None)
        .await;
    insta::assert_snapshot!(shown.told());
    let taken = daemon
        .ask_as(root(), "DELETE", "/v1/access/grants/web", None)
        .await;
    assert_eq!(taken.status, StatusCode::NO_CONTENT, "{}", taken.told());
    assert_eq!(daemon.names("mallory").await, [""; 0]);
    let again = daemon
        .ask_as(root(), "DELETE", "/v1/access/grants/web", None)
        .await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
    let configured = daemon
        .ask_as(root(), "DELETE", "/v1/access/grants/lab", None)
        .await;
    insta::assert_snapshot!("configured", configured.told());
}

#[tokio::test]
async fn grants_outlive_the_daemon_and_are_lost_with_the_store_never_gained() {
    let daemon = office().await;
    let body = json!({ "name": "more", "to": "user:eve", "role": "admin" });
    daemon
        .ask_as(root(), "POST", "/v1/access/grants", Some(body))
        .await;
    let stored = daemon.app.store.read(|read| read.grants()).await.unwrap();
    assert_eq!(stored.len(), 1);
    let access = |stored| {
        hvd::access::Access::start(&daemon.app.config.access, stored, &daemon.clock).unwrap()
    };
    assert_eq!(access(stored).sources().grants.len(), 5);
    assert_eq!(access(Vec::new()).sources().grants.len(), 4);
}

#[tokio::test]
async fn only_who_administers_changes_who_may_what_and_with_a_proof() {
    let daemon = office().await;
    let body = || Some(json!({ "name": "me", "to": "user:eve", "role": "admin" }));
    for who in ["eve", "bob", "oscar", "mallory"] {
        let refused = daemon
            .ask_as(named(who), "POST", "/v1/access/grants", body())
            .await;
        assert_eq!(refused.json()["kind"], "denied", "{who}");
    }
    let asked = daemon
        .ask_as(user(), "POST", "/v1/access/grants", body())
        .await;
    insta::assert_snapshot!(asked.told());
    let nobody = daemon
        .ask_as(anonymous(), "POST", "/v1/access/grants", body())
        .await;
    assert_ne!(nobody.status, StatusCode::OK);
}

#[tokio::test]
async fn a_decision_is_explained() {
    let daemon = office().await;
    daemon.vm_of("ada", "bench", &["lab"]).await;
    let ask = async |who: &str, question: Value| {
        daemon
            .ask_as(named(who), "POST", "/v1/access/explain", Some(question))
            .await
    };
    let question = |action: &str| json!({ "user": "eve", "action": action, "vm": "bench" });
    let yes = ask("eve", question("vm.start")).await;
    insta::assert_snapshot!("explained_yes", yes.told());
    let no = ask("oscar", question("vm.delete")).await;
    insta::assert_snapshot!("explained_no", no.told());
    let others = ask("bob", question("vm.start")).await;
    assert_eq!(others.json()["kind"], "denied", "{}", others.told());
}

#[tokio::test]
async fn who_lost_their_right_while_it_was_queued_does_nothing() {
    let daemon = office().await;
    daemon.vm_of("ada", "bench", &["lab"]).await;
    let vm = daemon.app.inventory.snapshot().vm("bench").unwrap().row.id;
    daemon.host.set_temper(vm, Temper::Deaf).unwrap();
    daemon.post("/v1/vms/bench/start?wait=60s").await;
    // It waits for a guest that does not hear, and what comes behind it waits, too.
    let first = daemon.post("/v1/vms/bench/shut-down").await;
    assert_eq!(first.status, StatusCode::ACCEPTED, "{}", first.told());
    let queued = daemon
        .ask_as(named("eve"), "POST", "/v1/vms/bench/pause", None)
        .await;
    assert_eq!(queued.status, StatusCode::ACCEPTED, "{}", queued.told());
    daemon
        .app
        .access
        .replace(hvd::access::Sources::default())
        .unwrap();
    let id = |answer: &super::Answer| answer.json()["id"].as_str().unwrap().to_owned();
    let cancel = format!("/v1/operations/{}/cancel?wait=60s", id(&first));
    daemon.post_as_root(&cancel).await;
    let path = format!("/v1/operations/{}?wait=60s", id(&queued));
    let ended = daemon.ask_as(root(), "GET", &path, None).await;
    assert_eq!(ended.json()["state"], "failed", "{}", ended.told());
    assert_eq!(ended.json()["problem"]["kind"], "denied");
    let log = daemon
        .ask_as(root(), "GET", "/v1/audit?limit=10", None)
        .await
        .json();
    assert_eq!(denied(&log)["action"], "vm.pause");
}

#[tokio::test]
async fn a_bad_policy_leaves_the_old_ones_in_force_and_health_says_so() {
    let daemon = office().await;
    let folder = daemon.app.config.access.policies.clone();
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("house.cedar"), "permit (principal").unwrap();
    let refused = daemon
        .ask_as(root(), "POST", "/v1/access/reload", None)
        .await;
    assert_eq!(
        refused.json()["kind"],
        "invalid-policy",
        "{}",
        refused.told()
    );
    daemon.vm_of("bob", "attic", &[]).await;
    let health = daemon.get("/v1/health").await.told();
    assert!(
        health.contains("A policy is at fault: house.cedar"),
        "{health}"
    );
    let forbid =
        "@id(\"no-console\") forbid (principal, action == Hv::Action::\"vm.console\", resource);";
    std::fs::write(folder.join("house.cedar"), forbid).unwrap();
    let taken = daemon
        .ask_as(root(), "POST", "/v1/access/reload", None)
        .await;
    assert_eq!(taken.status, StatusCode::NO_CONTENT, "{}", taken.told());
    let denied = daemon.get("/v1/vms/attic/console").await;
    assert!(
        denied.told().contains("house:no-console"),
        "{}",
        denied.told()
    );
}
