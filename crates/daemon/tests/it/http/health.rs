// SPDX-License-Identifier: GPL-3.0-or-later
//! `/v1/health`, and answers while the host is lost.

use std::time::Duration;

use hv_model::{rights::Finding, size::Size};
use serde_json::{Value, json};

use super::Daemon;

fn check<'a>(health: &'a Value, id: &str) -> &'a Value {
    let checks = health["checks"].as_array().unwrap();
    checks
        .iter()
        .find(|check| check["id"] == id)
        .unwrap_or_else(|| panic!("{id}: {health:#}"))
}

#[tokio::test]
async fn every_check_is_answered() {
    let daemon = Daemon::start().await;
    daemon
        .until(|snapshot| snapshot.host.is_some() && !snapshot.pools.is_empty())
        .await;
    let mut health = daemon.get("/v1/health").await;
    let mut told = health.json();
    let checks = told["checks"].as_array_mut().unwrap();
    // How full this machine's disk is, is another matter.
    checks.retain(|check| check["id"] != "daemon.space");
    for check in checks {
        if check["id"] == "audit.chain" {
            check["observed"] = json!("[whole, or being verified]");
        }
    }
    health.body = told.to_string().into_bytes();
    insta::assert_snapshot!(health.told());
}

#[tokio::test]
async fn a_pool_without_space_fails() {
    let daemon = Daemon::start().await;
    let nothing = Size::from_bytes(0);
    daemon
        .host
        .set_faults(|faults| faults.space = Some(nothing));
    // A look every minute sees it.
    daemon.clock.advance(Duration::from_secs(61));
    daemon
        .until(|snapshot| snapshot.pools.iter().any(|pool| pool.available == nothing))
        .await;
    let health = daemon.get("/v1/health").await.json();
    assert_eq!(check(&health, "pool.space")["status"], "fail", "{health:#}");
}

#[tokio::test]
async fn what_is_wrong_with_the_broker_s_rights_is_told_once_it_is_found_again() {
    let daemon = Daemon::start().await;
    let health = daemon.get("/v1/health").await.json();
    assert_eq!(check(&health, "broker.rights")["status"], "pass");
    let open = "Everybody on this host can open libvirt's socket.";
    daemon
        .host
        .set_rights(vec![Finding::excess(open, "chmod 0660 it")]);
    daemon.host.lose("the broker starts again");
    daemon.until(|snapshot| !snapshot.freshness.live).await;
    daemon.host.find();
    daemon
        .until(|snapshot| {
            snapshot
                .broker_rights
                .as_ref()
                .is_some_and(|told| !told.is_empty())
        })
        .await;
    let health = daemon.get("/v1/health").await.json();
    let told = check(&health, "broker.rights");
    assert_eq!(
        (&told["status"], &told["observed"]),
        (&json!("fail"), &json!(open))
    );
    assert_eq!(
        told["try"],
        json!(["chmod 0660 it", "systemctl restart hv-broker"])
    );
}

#[tokio::test]
async fn while_the_host_is_lost_answers_say_how_old_they_are() {
    let daemon = Daemon::start().await;
    daemon.vm("web").await;
    assert_eq!(daemon.get("/v1/vms").await.header("hv-stale"), "");
    daemon.host.lose("libvirtd is gone");
    daemon.until(|snapshot| !snapshot.freshness.live).await;
    daemon.clock.advance(Duration::from_secs(42));
    let list = daemon.get("/v1/vms").await;
    assert_eq!(list.json()["items"][0]["name"], "web");
    assert!(
        list.header("hv-stale").parse::<u64>().unwrap() >= 42,
        "{}",
        list.told()
    );
    let health = daemon.get("/v1/health").await.json();
    assert_eq!(health["status"], "fail");
    let reachable = check(&health, "host.reachable");
    assert_eq!(reachable["status"], "fail");
    assert!(
        reachable["observed"]
            .as_str()
            .unwrap()
            .contains("libvirtd is gone"),
        "{reachable}"
    );
    let refused = daemon.post("/v1/vms/web/start").await;
    assert_eq!(
        refused.json()["kind"],
        "host-unavailable",
        "{}",
        refused.told()
    );
}

#[tokio::test]
async fn an_operation_that_failed_lately_is_worth_a_warning() {
    let daemon = Daemon::start().await;
    daemon.vm("web").await;
    daemon.host.set_faults(|faults| {
        faults.next_failure = Some(("start", hv_model::hypervisor::HypervisorErrorKind::Internal));
    });
    let failed = daemon.post("/v1/vms/web/start?wait=60s").await;
    assert_eq!(
        failed.status, 200,
        "a change that was accepted is no problem answer"
    );
    assert_eq!(failed.json()["state"], "failed", "{}", failed.told());
    let health = daemon.get("/v1/health").await.json();
    assert_eq!(check(&health, "operation.failed")["status"], "warn");
    daemon.clock.advance(Duration::from_secs(25 * 60 * 60));
    let health = daemon.get("/v1/health").await.json();
    assert_eq!(check(&health, "operation.failed")["status"], "pass");
}
