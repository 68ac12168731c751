// SPDX-License-Identifier: GPL-3.0-or-later
//! `/v1/vms`.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use hv_model::{hypervisor::ForeignVm, id::VmId, vm::VmState};
use serde_json::json;

use super::{Daemon, user};

#[tokio::test]
async fn a_vm_is_made_shown_and_listed() {
    let daemon = Daemon::start().await;
    let spec = json!({
        "name": "web", "tags": ["prod"], "cpus": 2, "memory": "2 GiB",
        "disks": [{ "size": "10 GiB" }], "nics": [{ "network": "default" }],
    });
    let made = daemon
        .ask("POST", "/v1/vms?wait=60s", Some(json!({ "spec": spec })))
        .await;
    insta::assert_snapshot!("made", made.told());
    insta::assert_snapshot!("shown", daemon.get("/v1/vms/web").await.told());
    insta::assert_snapshot!("listed", daemon.get("/v1/vms").await.told());
}

#[tokio::test]
async fn a_change_without_a_wait_is_an_operation_that_can_be_followed() {
    let daemon = Daemon::start().await;
    let body = json!({ "spec": { "name": "web" } });
    let made = daemon.ask("POST", "/v1/vms", Some(body)).await;
    assert_eq!(made.status, StatusCode::ACCEPTED);
    let location = made.header("location");
    assert_eq!(
        location,
        format!("/v1/operations/{}", made.json()["id"].as_str().unwrap())
    );
    let over = daemon.get(&format!("{location}?wait=60s")).await;
    assert_eq!(over.json()["state"], "succeeded");
}

#[tokio::test]
async fn a_vm_is_found_by_its_id_too() {
    let daemon = Daemon::start().await;
    daemon.vm("web").await;
    let id = daemon.get("/v1/vms/web").await.json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        daemon.get(&format!("/v1/vms/{id}")).await.json()["name"],
        "web"
    );
}

#[tokio::test]
async fn every_fault_of_a_spec_is_told_at_once() {
    let daemon = Daemon::start().await;
    let body = json!({ "spec": { "name": "-rf", "cpsu": 2, "memory": "2 XB" }, "then": "strat" });
    insta::assert_snapshot!(daemon.ask("POST", "/v1/vms", Some(body)).await.told());
}

#[tokio::test]
async fn a_spec_that_makes_no_sense_is_refused_before_anything_is_queued() {
    let daemon = Daemon::start().await;
    let body = json!({ "spec": { "name": "web", "cpus": 0, "memory": "1 KiB" } });
    insta::assert_snapshot!(daemon.ask("POST", "/v1/vms", Some(body)).await.told());
    assert_eq!(
        daemon.get("/v1/operations").await.json()["items"],
        json!([])
    );
}

#[tokio::test]
async fn a_taken_name_is_refused() {
    let daemon = Daemon::start().await;
    daemon.vm("web").await;
    let body = json!({ "spec": { "name": "web" } });
    insta::assert_snapshot!(daemon.ask("POST", "/v1/vms", Some(body)).await.told());
}

#[tokio::test]
async fn a_vm_that_there_is_not_is_not_found() {
    let daemon = Daemon::start().await;
    insta::assert_snapshot!(daemon.get("/v1/vms/nothing").await.told());
    for (method, path) in [
        ("PATCH", "/v1/vms/nothing"),
        ("DELETE", "/v1/vms/nothing"),
        ("POST", "/v1/vms/nothing/start"),
        ("POST", "/v1/vms/nothing/shut-down"),
        ("POST", "/v1/vms/nothing/purge"),
        ("GET", "/v1/vms/nothing/console"),
    ] {
        let body = (method == "PATCH").then(|| json!({}));
        let answer = daemon.ask(method, path, body).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}");
    }
}

#[tokio::test]
async fn every_action_leads_to_its_state() {
    let daemon = Daemon::start().await;
    daemon.vm("web").await;
    for (action, state) in [
        ("start", "running"),
        ("pause", "paused"),
        ("resume", "running"),
        ("reset", "running"),
        ("save", "saved"),
        ("start", "running"),
        ("force-off", "off"),
    ] {
        let answer = daemon.post(&format!("/v1/vms/web/{action}?wait=60s")).await;
        assert_eq!(answer.status, StatusCode::OK, "{action}: {}", answer.told());
        assert_eq!(
            answer.json()["state"],
            "succeeded",
            "{action}: {}",
            answer.told()
        );
        daemon
            .until(|snapshot| {
                snapshot
                    .vm("web")
                    .is_some_and(|vm| vm.row.state.as_str() == state)
            })
            .await;
        assert_eq!(
            daemon.get("/v1/vms/web").await.json()["state"],
            state,
            "{action}"
        );
    }
}

#[tokio::test]
async fn an_operation_says_its_steps_and_the_plain_commands_that_do_the_same() {
    let daemon = Daemon::start().await;
    daemon.vm("web").await;
    insta::assert_snapshot!(daemon.post("/v1/vms/web/start?wait=60s").await.told());
}

#[tokio::test]
async fn a_guest_is_asked_to_shut_down_with_or_without_a_time() {
    let daemon = Daemon::start().await;
    for body in [None, Some(json!({ "timeout_seconds": 5 }))] {
        let name = if body.is_some() { "first" } else { "second" };
        daemon.running_vm(name).await;
        let id: VmId = daemon.get(&format!("/v1/vms/{name}")).await.json()["id"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        // Its agent answers once it has booted.
        daemon.host.advance(Duration::from_secs(60));
        let asked = daemon
            .ask("POST", &format!("/v1/vms/{name}/shut-down"), body)
            .await;
        assert_eq!(asked.status, StatusCode::ACCEPTED, "{}", asked.told());
        let off = daemon.until(|snapshot| {
            daemon.host.advance(Duration::from_secs(1));
            snapshot
                .vm_by_id(id)
                .is_some_and(|vm| vm.row.state == VmState::Off)
        });
        off.await;
        let over = daemon
            .get(&format!("{}?wait=60s", asked.header("location")))
            .await;
        assert_eq!(over.json()["state"], "succeeded", "{}", over.told());
    }
}

#[tokio::test]
async fn a_wrong_time_for_a_guest_is_refused() {
    let daemon = Daemon::start().await;
    daemon.running_vm("web").await;
    let body = Some(json!({ "timeout": 5 }));
    insta::assert_snapshot!(
        daemon
            .ask("POST", "/v1/vms/web/shut-down", body)
            .await
            .told()
    );
}

#[tokio::test]
async fn what_makes_no_sense_in_a_state_is_refused() {
    let daemon = Daemon::start().await;
    daemon.vm("web").await;
    for action in [
        "force-off",
        "reset",
        "pause",
        "resume",
        "save",
        "undelete",
        "purge",
        "adopt",
    ] {
        let answer = daemon.post_as_root(&format!("/v1/vms/web/{action}")).await;
        assert_eq!(
            answer.status,
            StatusCode::CONFLICT,
            "{action}: {}",
            answer.told()
        );
        assert_eq!(answer.json()["kind"], "wrong-state", "{action}");
    }
    insta::assert_snapshot!(daemon.post("/v1/vms/web/pause").await.told());
}

#[tokio::test]
async fn a_vm_is_renamed() {
    let daemon = Daemon::start().await;
    daemon.vm("web").await;
    let renamed = daemon
        .ask(
            "POST",
            "/v1/vms/web/rename?wait=60s",
            Some(json!({ "name": "www" })),
        )
        .await;
    assert_eq!(renamed.json()["state"], "succeeded", "{}", renamed.told());
    assert_eq!(daemon.get("/v1/vms/www").await.status, StatusCode::OK);
    assert_eq!(
        daemon.get("/v1/vms/web").await.status,
        StatusCode::NOT_FOUND
    );
    let bad = daemon
        .ask(
            "POST",
            "/v1/vms/www/rename",
            Some(json!({ "name": "../x" })),
        )
        .await;
    insta::assert_snapshot!(bad.told());
}

#[tokio::test]
async fn a_change_is_planned_and_made() {
    let daemon = Daemon::start().await;
    daemon.running_vm("web").await;
    let change = json!({ "memory": "2 GiB", "add_tags": ["prod"] });
    let planned = daemon
        .ask("PATCH", "/v1/vms/web?dry_run=true", Some(change.clone()))
        .await;
    insta::assert_snapshot!("planned", planned.told());
    assert_eq!(daemon.get("/v1/vms/web").await.json()["generation"], 1);
    let changed = daemon
        .ask("PATCH", "/v1/vms/web?wait=60s", Some(change))
        .await;
    assert_eq!(changed.json()["state"], "succeeded", "{}", changed.told());
    let after = daemon.get("/v1/vms/web").await;
    assert_eq!(after.json()["generation"], 2);
    assert_eq!(after.json()["tags"], json!(["prod"]));
    assert_eq!(after.header("etag"), "\"2\"");
}

#[tokio::test]
async fn a_change_for_another_version_is_refused() {
    let daemon = Daemon::start().await;
    daemon.vm("web").await;
    let request = |etag: &str| {
        Request::patch("/v1/vms/web?wait=60s")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::IF_MATCH, etag)
            .body(Body::from(json!({ "description": "new" }).to_string()))
            .unwrap()
    };
    insta::assert_snapshot!(daemon.send(user(), request("\"7\"")).await.told());
    let etag = daemon.get("/v1/vms/web").await.header("etag").to_owned();
    let changed = daemon.send(user(), request(&etag)).await;
    assert_eq!(changed.json()["state"], "succeeded");
}

#[tokio::test]
async fn asking_twice_with_a_key_does_it_once() {
    let daemon = Daemon::start().await;
    let request = |name: &str| {
        Request::post("/v1/vms?wait=60s")
            .header(header::CONTENT_TYPE, "application/json")
            .header("idempotency-key", "once")
            .body(Body::from(json!({ "spec": { "name": name } }).to_string()))
            .unwrap()
    };
    let first = daemon.send(user(), request("web")).await;
    let again = daemon.send(user(), request("web")).await;
    assert_eq!(first.json()["id"], again.json()["id"]);
    insta::assert_snapshot!(daemon.send(user(), request("other")).await.told());
}

#[tokio::test]
async fn making_a_vm_is_planned_without_making_it() {
    let daemon = Daemon::start().await;
    let body = json!({
        "spec": { "name": "web", "memory": "4 GiB", "disks": [{ "size": "10 GiB" }] },
        "then": "start",
    });
    let planned = daemon
        .ask("POST", "/v1/vms?dry_run=true", Some(body.clone()))
        .await;
    insta::assert_snapshot!(planned.told());
    assert_eq!(daemon.get("/v1/vms").await.json()["items"], json!([]));
    assert_eq!(
        daemon.get("/v1/operations").await.json()["items"],
        json!([])
    );
    daemon.vm("web").await;
    let refused = daemon.ask("POST", "/v1/vms?dry_run=true", Some(body)).await;
    assert_eq!(refused.json()["kind"], "name-taken");
}

#[tokio::test]
async fn a_deleted_vm_lies_in_the_trash_until_it_is_taken_back_or_purged() {
    let daemon = Daemon::start().await;
    daemon.vm("web").await;
    let planned = daemon.ask("DELETE", "/v1/vms/web?dry_run=true", None).await;
    insta::assert_snapshot!("planned_delete", planned.told());
    let deleted = daemon.ask("DELETE", "/v1/vms/web?wait=60s", None).await;
    assert_eq!(deleted.json()["state"], "succeeded", "{}", deleted.told());
    assert_eq!(daemon.get("/v1/vms").await.json()["items"], json!([]));
    let trash = daemon.get("/v1/vms?trash=true").await.json();
    assert_eq!(trash["items"][0]["name"], "web");
    assert!(trash["items"][0]["purged_after"].is_string());
    assert_eq!(daemon.get("/v1/vms?state=trashed").await.json(), trash);
    for (action, left) in [("undelete", 1), ("", 0), ("purge", 0)] {
        let answer = match action {
            "" => daemon.ask("DELETE", "/v1/vms/web?wait=60s", None).await,
            action => {
                let path = format!("/v1/vms/web/{action}?wait=60s");
                daemon.post_as_root(&path).await
            }
        };
        assert_eq!(
            answer.json()["state"],
            "succeeded",
            "{action}: {}",
            answer.told()
        );
        let items = daemon.get("/v1/vms").await.json()["items"]
            .as_array()
            .unwrap()
            .len();
        assert_eq!(items, left, "{action}");
    }
    assert_eq!(
        daemon.get("/v1/vms/web").await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_running_vm_is_only_deleted_if_its_power_may_be_cut() {
    let daemon = Daemon::start().await;
    daemon.running_vm("web").await;
    insta::assert_snapshot!(daemon.ask("DELETE", "/v1/vms/web", None).await.told());
    let planned = daemon
        .ask("DELETE", "/v1/vms/web?running=force-off&dry_run=true", None)
        .await
        .json();
    assert_eq!(planned["changes"][0]["impact"], "data");
    let deleted = daemon
        .ask("DELETE", "/v1/vms/web?running=force-off&wait=60s", None)
        .await;
    assert_eq!(deleted.json()["state"], "succeeded", "{}", deleted.told());
}

#[tokio::test]
async fn a_vm_made_with_another_tool_is_shown_and_not_changed() {
    let daemon = Daemon::start().await;
    let id = VmId::new(uuid::Uuid::from_u128(9));
    let obstacles = vec!["its disk vda is outside the managed pools".to_owned()];
    daemon.host.define_elsewhere(
        id,
        "old one",
        ForeignVm {
            definition: None,
            obstacles,
        },
    );
    daemon
        .until(|snapshot| snapshot.vm_by_id(id).is_some())
        .await;
    let shown = daemon.get("/v1/vms/old%20one").await;
    assert_eq!(shown.json()["managed"], "foreign");
    let change = Some(json!({ "description": "mine" }));
    insta::assert_snapshot!(
        daemon
            .ask("PATCH", "/v1/vms/old%20one", change)
            .await
            .told()
    );
    let adopted = daemon.post("/v1/vms/old%20one/adopt").await;
    assert_eq!(adopted.json()["kind"], "cannot-adopt", "{}", adopted.told());
}

#[tokio::test]
async fn a_vm_that_was_removed_with_another_tool_lies_in_the_trash() {
    let daemon = Daemon::start().await;
    daemon.vm("web").await;
    let id = daemon.app.inventory.snapshot().vm("web").unwrap().row.id;
    daemon.host.remove_elsewhere(id).unwrap();
    daemon
        .until(|snapshot| snapshot.vm("web").is_some_and(|vm| vm.row.is_trashed()))
        .await;
    insta::assert_snapshot!(daemon.post("/v1/vms/web/start").await.told());
}
