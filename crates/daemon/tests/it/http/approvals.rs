// SPDX-License-Identifier: GPL-3.0-or-later
//! What a second person must see.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use hv_model::access::{Profile, Role};
use serde_json::{Value, json};

use super::{Answer, Daemon, grant, named};

/// In profile strict ada and grace administer, bob owns VMs.
async fn office() -> Daemon {
    let daemon = Daemon::with(|config| {
        config.access.profile = Profile::Strict;
        config.access.grants.extend([
            grant("graces", "user:grace", Role::Admin, "everything"),
            grant("bobs", "user:bob", Role::Creator, "own"),
        ]);
    })
    .await;
    for name in ["web", "db"] {
        let body = json!({ "spec": { "name": name } });
        let made = daemon
            .ask_as(named("bob"), "POST", "/v1/vms?wait=60s", Some(body))
            .await;
        assert_eq!(made.json()["state"], "succeeded", "{}", made.told());
        let deleted = daemon
            .ask_as(
                named("bob"),
                "DELETE",
                &format!("/v1/vms/{name}?wait=60s"),
                None,
            )
            .await;
        assert_eq!(deleted.json()["state"], "succeeded", "{}", deleted.told());
    }
    daemon
}

impl Daemon {
    /// Bob asks for a VM to be purged, with an approval or without.
    async fn purge(&self, who: &str, vm: &str, approval: Option<&str>) -> Answer {
        let mut request = Request::post(format!("/v1/vms/{vm}/purge?wait=60s"));
        if let Some(approval) = approval {
            request = request.header("HV-Approval", approval);
        }
        self.send(named(who), request.body(Body::empty()).unwrap())
            .await
    }

    async fn requests(&self, who: &str) -> Vec<Value> {
        let list = self.ask_as(named(who), "GET", "/v1/approvals", None).await;
        list.json()["items"].as_array().unwrap().clone()
    }

    async fn approve(&self, who: &str, request: &Value) -> Answer {
        let path = format!("/v1/approvals/{}/approve", request["id"].as_str().unwrap());
        let body = json!({ "digest": request["digest"] });
        self.ask_as(named(who), "POST", &path, Some(body)).await
    }
}

#[tokio::test]
async fn what_is_grave_is_done_once_a_second_person_approved_it() {
    let daemon = office().await;
    let asked = daemon.purge("bob", "web", None).await;
    insta::assert_snapshot!(asked.told());
    let requests = daemon.requests("grace").await;
    assert_eq!(requests.len(), 1);
    assert_eq!(
        requests[0]["wish"]["summary"],
        "The VM web and its disks are destroyed for good."
    );
    let id = requests[0]["id"].as_str().unwrap();
    let early = daemon.purge("bob", "web", Some(id)).await;
    assert_eq!(early.json()["kind"], "approval-needed", "{}", early.told());
    let approved = daemon.approve("grace", &requests[0]).await;
    assert_eq!(approved.json()["state"], "approved", "{}", approved.told());
    let done = daemon.purge("bob", "web", Some(id)).await;
    assert_eq!(done.json()["state"], "succeeded", "{}", done.told());
    let log = daemon
        .ask_as(named("grace"), "GET", "/v1/audit?limit=3", None)
        .await
        .told();
    assert!(
        log.contains("approval.give") && log.contains("vm.purge"),
        "{log}"
    );
}

#[tokio::test]
async fn an_approval_is_for_one_person_and_one_thing_once() {
    let daemon = office().await;
    daemon.purge("bob", "web", None).await;
    let requests = daemon.requests("grace").await;
    daemon.approve("grace", &requests[0]).await;
    let id = requests[0]["id"].as_str().unwrap();
    for (who, vm) in [("bob", "db"), ("ada", "web")] {
        let refused = daemon.purge(who, vm, Some(id)).await;
        assert_eq!(refused.json()["kind"], "approval-needed", "{who} {vm}");
    }
    let done = daemon.purge("bob", "web", Some(id)).await;
    assert_eq!(done.json()["state"], "succeeded", "{}", done.told());
    daemon.purge("bob", "db", None).await;
    let again = daemon.purge("bob", "db", Some(id)).await;
    assert_eq!(again.json()["kind"], "approval-needed");
}

#[tokio::test]
async fn nobody_approves_their_own_wish_or_beyond_their_own_rights() {
    let daemon = office().await;
    daemon.purge("ada", "web", None).await;
    let requests = daemon.requests("ada").await;
    let own = daemon.approve("ada", &requests[0]).await;
    assert_eq!(own.status, StatusCode::FORBIDDEN, "{}", own.told());
    let others = daemon.approve("bob", &requests[0]).await;
    assert_eq!(others.status, StatusCode::NOT_FOUND, "{}", others.told());
    let mut changed = requests[0].clone();
    changed["digest"] = json!("0".repeat(64));
    let other = daemon.approve("grace", &changed).await;
    assert_eq!(other.json()["kind"], "precondition-failed");
}

#[tokio::test]
async fn a_request_expires_and_one_that_was_refused_stays_refused() {
    let daemon = office().await;
    daemon.purge("bob", "web", None).await;
    let requests = daemon.requests("grace").await;
    daemon.approve("grace", &requests[0]).await;
    daemon.clock.advance(std::time::Duration::from_secs(3_601));
    let id = requests[0]["id"].as_str().unwrap();
    let late = daemon.purge("bob", "web", Some(id)).await;
    assert_eq!(late.json()["kind"], "approval-needed", "{}", late.told());
    daemon.purge("bob", "web", None).await;
    let requests = daemon.requests("grace").await;
    assert_eq!(requests.len(), 1, "the expired one is not shown");
    let path = format!(
        "/v1/approvals/{}/refuse",
        requests[0]["id"].as_str().unwrap()
    );
    let body = json!({ "digest": requests[0]["digest"] });
    let refused = daemon
        .ask_as(named("grace"), "POST", &path, Some(body))
        .await;
    assert_eq!(refused.json()["state"], "refused", "{}", refused.told());
    let approved = daemon.approve("grace", &requests[0]).await;
    assert_eq!(approved.json()["kind"], "approval-needed");
}

#[tokio::test]
async fn asking_again_is_the_same_request_and_too_many_are_refused() {
    let daemon = office().await;
    for _ in 0..3 {
        daemon.purge("ada", "web", None).await;
    }
    assert_eq!(daemon.requests("ada").await.len(), 1);
    let give = async |number: usize| {
        let name = format!("g{number}");
        let body = json!({ "name": name, "to": "user:eve", "role": "viewer" });
        daemon
            .ask_as(named("ada"), "POST", "/v1/access/grants", Some(body))
            .await
    };
    for number in 1..20 {
        assert_eq!(give(number).await.json()["kind"], "approval-needed");
    }
    assert_eq!(give(20).await.json()["kind"], "busy");
}

#[tokio::test]
async fn who_asked_withdraws_it_and_who_approved_takes_it_back() {
    let daemon = office().await;
    let refuse = async |who: &str, request: &Value| {
        let path = format!("/v1/approvals/{}/refuse", request["id"].as_str().unwrap());
        let verdict = json!({ "digest": request["digest"] });
        daemon
            .ask_as(named(who), "POST", &path, Some(verdict))
            .await
    };
    daemon.purge("bob", "web", None).await;
    let request = daemon.requests("bob").await.remove(0);
    let withdrawn = refuse("bob", &request).await;
    assert_eq!(withdrawn.json()["state"], "refused", "{}", withdrawn.told());
    assert_eq!(daemon.requests("bob").await, [Value::Null; 0]);

    daemon.purge("bob", "web", None).await;
    let request = daemon.requests("bob").await.remove(0);
    daemon.approve("ada", &request).await;
    refuse("ada", &request).await;
    let id = request["id"].as_str().unwrap();
    let too_late = daemon.purge("bob", "web", Some(id)).await;
    assert_eq!(
        too_late.status,
        StatusCode::FORBIDDEN,
        "{}",
        too_late.told()
    );
    assert_eq!(refuse("ada", &request).await.status, StatusCode::FORBIDDEN);
}
