// SPDX-License-Identifier: GPL-3.0-or-later
//! Accounts, logins, sessions, second factors and tokens.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use hv_model::access::Principal;
use hvd::{
    access::Subject,
    http::{Peer, Transport},
    sim::Temper,
};
use serde_json::{Value, json};

use super::{Answer, Daemon, anonymous};

pub(super) const PASSWORD: &str = "some rare words here";
const MINUTE: Duration = Duration::from_secs(60);

/// Root, on the unix socket.
fn root() -> Peer {
    let principal = Principal::User {
        name: "root".parse().unwrap(),
        uid: 0,
    };
    Peer::new(Subject::new(principal), Transport::Unix)
}

/// A user of the host, on the unix socket.
fn user(name: &str, uid: u32) -> Peer {
    let name = name.parse().unwrap();
    Peer::new(Subject::new(Principal::User { name, uid }), Transport::Unix)
}

/// A request that is told part by part.
struct Asking<'a> {
    daemon: &'a Daemon,
    peer: Peer,
    request: axum::http::request::Builder,
}

impl Daemon {
    fn asking(&self, peer: Peer, method: &str, path: &str) -> Asking<'_> {
        Asking {
            daemon: self,
            peer,
            request: Request::builder()
                .method(method)
                .uri(path)
                .header(header::HOST, "localhost:8006"),
        }
    }

    /// A request of a browser or a program, over TCP.
    fn over_tcp(&self, method: &str, path: &str) -> Asking<'_> {
        self.asking(anonymous(), method, path)
    }

    /// A host whose first account is ada's.
    pub(super) async fn with_ada() -> Self {
        let daemon = Self::start().await;
        let body = json!({ "name": "ada", "password": PASSWORD });
        let made = daemon
            .asking(root(), "POST", "/v1/access/bootstrap")
            .json(body)
            .await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.told());
        daemon
    }

    async fn log_in(&self, body: Value) -> Answer {
        self.over_tcp("POST", "/v1/login").json(body).await
    }

    /// Logs ada in, who carries her session's secret.
    pub(super) async fn bearer(&self) -> String {
        let body = json!({ "name": "ada", "password": PASSWORD, "carry": "bearer" });
        let answer = self.log_in(body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.told());
        answer.json()["bearer"].as_str().unwrap().to_owned()
    }

    /// Logs ada in with a browser: its cookie, and what its pages send with each change.
    async fn browser(&self) -> (String, String) {
        let answer = self
            .log_in(json!({ "name": "ada", "password": PASSWORD }))
            .await;
        let cookie = answer.header("set-cookie").split(';').next().unwrap();
        let csrf = answer.json()["csrf"].as_str().unwrap().to_owned();
        (cookie.to_owned(), csrf)
    }

    /// Proves anew who the bearer is.
    async fn proof(&self, bearer: &str, body: Value) -> String {
        let answer = self
            .over_tcp("POST", "/v1/proof")
            .bearer(bearer)
            .json(body)
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.told());
        answer.json()["proof"].as_str().unwrap().to_owned()
    }

    async fn who(&self, bearer: &str) -> Answer {
        self.over_tcp("GET", "/v1/whoami")
            .bearer(bearer)
            .send()
            .await
    }

    /// Gives ada a second factor: the secret that makes its codes, and its recovery codes.
    async fn second_factor(&self, bearer: &str) -> (Vec<u8>, Vec<String>) {
        let proof = self.proof(bearer, json!({ "password": PASSWORD })).await;
        let begun = self
            .over_tcp("POST", "/v1/accounts/ada/totp")
            .bearer(bearer)
            .header("hv-proof", &proof)
            .send()
            .await;
        assert_eq!(begun.status, StatusCode::OK, "{}", begun.told());
        let secret = unbase32(begun.json()["secret"].as_str().unwrap());
        let confirmed = self
            .over_tcp("POST", "/v1/accounts/ada/totp/confirm")
            .bearer(bearer)
            .json(json!({ "code": self.code(&secret) }))
            .await;
        assert_eq!(confirmed.status, StatusCode::OK, "{}", confirmed.told());
        let codes = confirmed.json()["codes"].as_array().unwrap().clone();
        let codes = codes.iter().map(|code| code.as_str().unwrap().to_owned());
        (secret, codes.collect())
    }

    /// The code that an app shows now.
    fn code(&self, secret: &[u8]) -> String {
        let step = self.clock.now().as_second() / 30;
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
        let tag = ring::hmac::sign(&key, &step.to_be_bytes());
        let tag = tag.as_ref();
        let at = usize::from(tag[19] & 15);
        let number = u32::from_be_bytes(tag[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
        format!("{:06}", number % 1_000_000)
    }
}

impl Asking<'_> {
    fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    fn bearer(self, bearer: &str) -> Self {
        self.header("authorization", &format!("Bearer {bearer}"))
    }

    async fn send(self) -> Answer {
        let request = self.request.body(Body::empty()).unwrap();
        self.daemon.send(self.peer, request).await
    }

    async fn json(self, body: Value) -> Answer {
        let request = self
            .request
            .header(header::CONTENT_TYPE, "application/json");
        let request = request.body(Body::from(body.to_string())).unwrap();
        self.daemon.send(self.peer, request).await
    }
}

fn unbase32(text: &str) -> Vec<u8> {
    let (mut bytes, mut kept, mut bits) = (Vec::new(), 0_u32, 0);
    for letter in text.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            _ => letter - b'2' + 26,
        };
        kept = kept << 5 | u32::from(value);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(kept >> bits & 0xff).unwrap());
        }
    }
    bytes
}

fn kind(answer: &Answer) -> String {
    answer.json()["kind"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[tokio::test]
async fn the_first_account_is_made_by_root_on_the_host_and_only_once() {
    let daemon = Daemon::start().await;
    let body = json!({ "name": "ada", "password": PASSWORD });
    let path = "/v1/access/bootstrap";
    for (peer, why) in [(user("eve", 1001), "denied"), (anonymous(), "login-needed")] {
        let refused = daemon.asking(peer, "POST", path).json(body.clone()).await;
        assert_eq!(kind(&refused), why, "{}", refused.told());
    }
    let weak = json!({ "name": "ada", "password": "Password2026!" });
    let refused = daemon.asking(root(), "POST", path).json(weak).await;
    insta::assert_snapshot!("weak_password", refused.told());
    let made = daemon.asking(root(), "POST", path).json(body.clone()).await;
    insta::assert_snapshot!("first_account", made.told());
    let again = json!({ "name": "eve", "password": PASSWORD });
    let refused = daemon.asking(root(), "POST", path).json(again).await;
    insta::assert_snapshot!("no_second_first_account", refused.told());
}

#[tokio::test]
async fn who_has_the_first_account_may_do_everything_and_the_next_nothing_yet() {
    let daemon = Daemon::start().await;
    daemon.vm("web").await;
    let grace = json!({ "name": "grace", "password": PASSWORD });
    let path = "/v1/access/bootstrap";
    daemon.asking(root(), "POST", path).json(grace).await;
    let eve = json!({ "name": "eve", "password": PASSWORD });
    daemon
        .asking(root(), "POST", "/v1/accounts")
        .json(eve)
        .await;
    let start = async |name: &str| {
        let body = json!({ "name": name, "password": PASSWORD, "carry": "bearer" });
        let login = daemon.log_in(body).await.json();
        let bearer = login["bearer"].as_str().unwrap();
        let path = "/v1/vms/web/start?wait=60s";
        daemon.over_tcp("POST", path).bearer(bearer).send().await
    };
    assert_eq!(start("grace").await.status, StatusCode::OK);
    assert_eq!(kind(&start("eve").await), "not-found");
}

#[tokio::test]
async fn an_administrator_s_open_session_cannot_change_accounts_without_a_fresh_proof() {
    let daemon = Daemon::with_ada().await;
    let bearer = daemon.bearer().await;
    let add = |proof: &str| {
        let body = json!({ "name": "eve", "password": PASSWORD });
        daemon
            .over_tcp("POST", "/v1/accounts")
            .bearer(&bearer)
            .header("hv-proof", proof)
            .json(body)
    };
    assert_eq!(kind(&add("hvp_guessed").await), "proof-needed");
    let proof = daemon.proof(&bearer, json!({ "password": PASSWORD })).await;
    assert_eq!(add(&proof).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn at_once_only_one_account_is_the_first() {
    let daemon = Daemon::start().await;
    let make = |name: &str| {
        let body = json!({ "name": name, "password": PASSWORD });
        daemon
            .asking(root(), "POST", "/v1/access/bootstrap")
            .json(body)
    };
    let (one, other) = tokio::join!(make("ada"), make("eve"));
    let mut statuses = [one.status, other.status];
    statuses.sort();
    assert_eq!(statuses, [StatusCode::CREATED, StatusCode::CONFLICT]);
}

#[tokio::test]
async fn a_program_logs_in_and_is_known_until_it_logs_out() {
    let daemon = Daemon::with_ada().await;
    let bearer = daemon.bearer().await;
    insta::assert_snapshot!(daemon.who(&bearer).await.told());
    let out = daemon
        .over_tcp("POST", "/v1/logout")
        .bearer(&bearer)
        .send()
        .await;
    assert_eq!(out.status, StatusCode::NO_CONTENT);
    let gone = daemon.who(&bearer).await;
    insta::assert_snapshot!("session_over", gone.told());
    assert_eq!(
        gone.header("www-authenticate"),
        "Bearer realm=\"hyper-nixos\""
    );
}

#[tokio::test]
async fn a_browser_gets_a_cookie_that_no_script_reads_and_no_secret_in_the_answer() {
    let daemon = Daemon::with_ada().await;
    let answer = daemon
        .log_in(json!({ "name": "ada", "password": PASSWORD }))
        .await;
    let cookie = answer.header("set-cookie");
    let (value, rules) = cookie.split_once(';').unwrap();
    assert!(value.starts_with("__Host-hv=hvs_"), "{value}");
    assert_eq!(
        rules,
        " Path=/; Max-Age=43200; Secure; HttpOnly; SameSite=Strict"
    );
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(answer.json().get("bearer").is_none());
    let secret = value.trim_start_matches("__Host-hv=");
    assert!(!String::from_utf8_lossy(&answer.body).contains(secret));
}

#[tokio::test]
async fn whatever_is_wrong_is_refused_in_the_same_words() {
    let daemon = Daemon::with_ada().await;
    let refused = daemon
        .log_in(json!({ "name": "ada", "password": "wrong words entirely" }))
        .await;
    insta::assert_snapshot!(refused.told());
    for body in [
        json!({ "name": "eve", "password": PASSWORD }),
        json!({ "name": "no name at all", "password": PASSWORD }),
        json!({ "name": "eve", "password": PASSWORD, "code": "123456" }),
        json!({ "name": "", "password": "" }),
    ] {
        assert_eq!(
            daemon.log_in(body.clone()).await.told(),
            refused.told(),
            "{body}"
        );
    }
}

#[tokio::test]
async fn guessing_makes_the_next_attempt_wait_for_the_right_password_too() {
    let daemon = Daemon::with_ada().await;
    let wrong = json!({ "name": "ada", "password": "wrong words entirely" });
    let right = json!({ "name": "ada", "password": PASSWORD });
    for _ in 0..4 {
        assert_eq!(kind(&daemon.log_in(wrong.clone()).await), "login-failed");
    }
    let refused = daemon.log_in(right.clone()).await;
    insta::assert_snapshot!(refused.told());
    assert_eq!(refused.header("retry-after"), "5");
    daemon.clock.advance(Duration::from_secs(5));
    assert_eq!(daemon.log_in(right).await.status, StatusCode::OK);
}

#[tokio::test]
async fn failed_logins_are_on_record_and_what_may_be_a_password_is_not() {
    let daemon = Daemon::with_ada().await;
    daemon
        .log_in(json!({ "name": "ada", "password": "wrong words entirely" }))
        .await;
    daemon
        .log_in(json!({ "name": "typed-my-password-here", "password": "x" }))
        .await;
    let log = daemon
        .asking(root(), "GET", "/v1/audit")
        .send()
        .await
        .json();
    let entries = log["items"].as_array().unwrap();
    let failed = |entry: &&Value| entry["event"]["action"] == "account.login";
    let targets: Vec<_> = entries
        .iter()
        .filter(failed)
        .map(|entry| &entry["event"]["target"])
        .collect();
    assert_eq!(targets, ["access", "account/ada"]);
    assert!(!log.to_string().contains("typed-my"), "{log}");
}

#[tokio::test]
async fn a_change_with_a_cookie_must_come_from_a_page_of_this_host_and_show_what_it_knows() {
    let daemon = Daemon::with_ada().await;
    let (cookie, csrf) = daemon.browser().await;
    let ours = "http://localhost:8006";
    let change = |origin: Option<&str>, csrf: Option<&str>| {
        let body = json!({ "password": PASSWORD });
        let mut asking = daemon
            .over_tcp("POST", "/v1/proof")
            .header("cookie", &cookie);
        if let Some(origin) = origin {
            asking = asking.header("origin", origin);
        }
        if let Some(csrf) = csrf {
            asking = asking.header("hv-csrf", csrf);
        }
        asking.json(body)
    };
    assert_eq!(change(Some(ours), Some(&csrf)).await.status, StatusCode::OK);
    for (origin, shown) in [
        (None, Some(csrf.as_str())),
        (Some(ours), None),
        (Some(ours), Some("")),
        (Some(ours), Some("guessed")),
        (Some("https://evil.example"), Some(&csrf)),
        (Some("null"), Some(&csrf)),
        (Some("http://localhost:9999"), Some(&csrf)),
    ] {
        let refused = change(origin, shown).await;
        assert_eq!(
            kind(&refused),
            "denied",
            "{origin:?} {shown:?}: {}",
            refused.told()
        );
    }
    insta::assert_snapshot!(change(Some(ours), Some("guessed")).await.told());
    let look = daemon
        .over_tcp("GET", "/v1/whoami")
        .header("cookie", &cookie)
        .send()
        .await;
    assert_eq!(look.json()["csrf"], *csrf, "a look needs neither");
}

#[tokio::test]
async fn a_console_is_not_opened_with_a_cookie_by_a_page_of_somebody_else() {
    let daemon = Daemon::with_ada().await;
    daemon.running_vm("web").await;
    let (cookie, _) = daemon.browser().await;
    let refused = daemon
        .over_tcp("GET", "/v1/vms/web/console")
        .header("cookie", &cookie)
        .header("connection", "upgrade")
        .header("upgrade", "hv-console")
        .send()
        .await;
    assert_eq!(kind(&refused), "denied", "{}", refused.told());
}

#[tokio::test]
async fn what_is_carried_and_not_good_is_refused_and_never_taken_for_nothing() {
    let daemon = Daemon::with_ada().await;
    let bearer = daemon.bearer().await;
    let (cookie, _) = daemon.browser().await;
    let look = || daemon.over_tcp("GET", "/v1/vms");
    let secret = cookie.trim_start_matches("__Host-hv=");
    for asking in [
        look().bearer("hvs_guessed"),
        look().bearer(&bearer.to_uppercase()),
        look().bearer(secret),
        look().header("authorization", "Basic YWRhOnBhc3N3b3Jk"),
        look().header("cookie", &format!("__Host-hv={bearer}")),
        look().header("cookie", "__Host-hv=hvs_guessed"),
        look().header("authorization", &bearer),
    ] {
        let refused = asking.send().await;
        assert_eq!(kind(&refused), "session-over", "{}", refused.told());
    }
    let stale = look().header("cookie", "__Host-hv=hvs_old").send().await;
    assert!(
        stale.header("set-cookie").contains("Max-Age=0"),
        "a browser forgets it"
    );
    let twice = look().bearer(&bearer).bearer(&bearer).send().await;
    assert_eq!(twice.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn no_address_carries_a_secret() {
    let daemon = Daemon::with_ada().await;
    let bearer = daemon.bearer().await;
    for parameter in ["token", "access_token", "bearer", "session"] {
        let path = format!("/v1/whoami?{parameter}={bearer}");
        let refused = daemon.over_tcp("GET", &path).send().await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{parameter}");
        assert!(!refused.told().contains(&bearer), "{}", refused.told());
    }
}

#[tokio::test]
async fn a_session_ends_after_half_an_hour_without_use_and_after_twelve_in_any_case() {
    let daemon = Daemon::with_ada().await;
    let (idle, used) = (daemon.bearer().await, daemon.bearer().await);
    for _ in 0..3 {
        daemon.clock.advance(MINUTE * 10);
        assert_eq!(daemon.who(&used).await.status, StatusCode::OK);
    }
    assert_eq!(daemon.who(&idle).await.status, StatusCode::UNAUTHORIZED);
    for _ in 0..(12 * 3 - 1) {
        assert_eq!(daemon.who(&used).await.status, StatusCode::OK);
        daemon.clock.advance(MINUTE * 20);
    }
    assert_eq!(daemon.who(&used).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn sessions_are_listed_without_their_secrets_and_each_can_be_ended() {
    let daemon = Daemon::with_ada().await;
    let (mine, other) = (daemon.bearer().await, daemon.bearer().await);
    let list = daemon
        .over_tcp("GET", "/v1/sessions")
        .bearer(&mine)
        .send()
        .await;
    insta::assert_snapshot!(list.told());
    assert!(!String::from_utf8_lossy(&list.body).contains("hvs_"));
    let id = daemon.who(&other).await.json()["session"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/v1/sessions/{id}");
    let ended = daemon.over_tcp("DELETE", &path).bearer(&mine).send().await;
    assert_eq!(ended.status, StatusCode::NO_CONTENT, "{}", ended.told());
    assert_eq!(daemon.who(&other).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(daemon.who(&mine).await.status, StatusCode::OK);
    let again = daemon.over_tcp("DELETE", &path).bearer(&mine).send().await;
    assert_eq!(kind(&again), "not-found");
}

#[tokio::test]
async fn with_a_second_factor_a_password_alone_is_not_enough_and_no_code_is_good_twice() {
    let daemon = Daemon::with_ada().await;
    let bearer = daemon.bearer().await;
    let (secret, _) = daemon.second_factor(&bearer).await;
    let login = |code: Option<String>| {
        daemon.log_in(json!({ "name": "ada", "password": PASSWORD, "code": code }))
    };
    let alone = daemon
        .log_in(json!({ "name": "ada", "password": PASSWORD }))
        .await;
    insta::assert_snapshot!(alone.told());
    assert_eq!(
        kind(&login(Some(daemon.code(&secret))).await),
        "login-failed",
        "it confirmed"
    );
    daemon.clock.advance(Duration::from_secs(30));
    let code = daemon.code(&secret);
    assert_eq!(login(Some(code.clone())).await.status, StatusCode::OK);
    assert_eq!(kind(&login(Some(code)).await), "login-failed", "used twice");
    assert_eq!(
        kind(&login(Some("000000".to_owned())).await),
        "login-failed"
    );
}

#[tokio::test]
async fn a_code_that_comes_twice_at_once_is_good_for_one() {
    let daemon = Daemon::with_ada().await;
    let bearer = daemon.bearer().await;
    let (secret, _) = daemon.second_factor(&bearer).await;
    daemon.clock.advance(Duration::from_secs(30));
    let body = json!({ "name": "ada", "password": PASSWORD, "code": daemon.code(&secret) });
    let (one, other) = tokio::join!(daemon.log_in(body.clone()), daemon.log_in(body));
    let mut statuses = [one.status, other.status];
    statuses.sort();
    assert_eq!(statuses, [StatusCode::OK, StatusCode::UNAUTHORIZED]);
}

#[tokio::test]
async fn each_recovery_code_stands_in_for_a_lost_app_once() {
    let daemon = Daemon::with_ada().await;
    let bearer = daemon.bearer().await;
    let (_, codes) = daemon.second_factor(&bearer).await;
    assert_eq!(codes.len(), 10);
    let login =
        |code: &str| daemon.log_in(json!({ "name": "ada", "password": PASSWORD, "code": code }));
    assert_eq!(login(&codes[3].to_uppercase()).await.status, StatusCode::OK);
    assert_eq!(kind(&login(&codes[3]).await), "login-failed");
    let account = daemon
        .over_tcp("GET", "/v1/accounts/ada")
        .bearer(&bearer)
        .send()
        .await;
    assert_eq!(account.json()["recovery_codes"], 9);
    assert_eq!(account.json()["second_factor"], "totp");
}

#[tokio::test]
async fn what_gives_lasting_power_needs_a_fresh_proof_of_that_very_session() {
    let daemon = Daemon::with_ada().await;
    let (mine, other) = (daemon.bearer().await, daemon.bearer().await);
    let make = |bearer: &str, proof: &str, name: &str| {
        daemon
            .over_tcp("POST", "/v1/tokens")
            .bearer(bearer)
            .header("hv-proof", proof)
            .json(json!({ "name": name, "scope": { "roles": ["viewer"] } }))
    };
    let refused = make(&mine, "hvp_guessed", "ci").await;
    insta::assert_snapshot!(refused.told());
    let proof = daemon.proof(&mine, json!({ "password": PASSWORD })).await;
    assert_eq!(kind(&make(&other, &proof, "ci").await), "proof-needed");
    assert_eq!(make(&mine, &proof, "ci").await.status, StatusCode::CREATED);
    daemon.clock.advance(MINUTE * 5);
    assert_eq!(
        kind(&make(&mine, &proof, "cd").await),
        "proof-needed",
        "it is old"
    );
}

#[tokio::test]
async fn a_proof_needs_the_code_where_there_is_one_and_guessing_at_it_costs() {
    let daemon = Daemon::with_ada().await;
    let bearer = daemon.bearer().await;
    let (secret, _) = daemon.second_factor(&bearer).await;
    let prove = |body: Value| {
        daemon
            .over_tcp("POST", "/v1/proof")
            .bearer(&bearer)
            .json(body)
    };
    assert_eq!(
        kind(&prove(json!({ "password": PASSWORD })).await),
        "code-needed"
    );
    assert_eq!(kind(&prove(json!({})).await), "code-needed");
    daemon.clock.advance(Duration::from_secs(30));
    let code = daemon.code(&secret);
    let wrong = json!({ "password": "wrong words entirely", "code": code });
    assert_eq!(kind(&prove(wrong).await), "login-failed");
    assert_eq!(prove(json!({ "code": code })).await.status, StatusCode::OK);
    for _ in 0..4 {
        assert_eq!(
            kind(&prove(json!({ "code": "000000" })).await),
            "login-failed"
        );
    }
    assert_eq!(
        kind(&prove(json!({ "code": "000000" })).await),
        "too-many-attempts"
    );
}

#[tokio::test]
async fn a_token_is_shown_once_and_known_until_it_is_revoked() {
    let daemon = Daemon::with_ada().await;
    let scope = json!({ "roles": ["operator", "viewer", "viewer"], "vms": ["web"] });
    let made = daemon
        .asking(user("ada", 1000), "POST", "/v1/tokens")
        .json(json!({ "name": "ci", "scope": scope, "days": 30 }))
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.told());
    let bearer = made.json()["bearer"].as_str().unwrap().to_owned();
    insta::assert_snapshot!("who_carries_a_token", daemon.who(&bearer).await.told());
    let list = daemon
        .asking(user("ada", 1000), "GET", "/v1/tokens")
        .send()
        .await;
    insta::assert_snapshot!("tokens", list.told());
    assert!(!String::from_utf8_lossy(&list.body).contains(&bearer[37..]));
    let revoked = daemon
        .asking(user("ada", 1000), "DELETE", "/v1/tokens/ci")
        .send()
        .await;
    assert_eq!(revoked.status, StatusCode::NO_CONTENT, "{}", revoked.told());
    assert_eq!(daemon.who(&bearer).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn what_waits_is_not_done_once_its_token_is_revoked() {
    let daemon = Daemon::with_ada().await;
    daemon.vm_of("ada", "bench", &[]).await;
    let vm = daemon.app.inventory.snapshot().vm("bench").unwrap().row.id;
    daemon.host.set_temper(vm, Temper::Deaf).unwrap();
    daemon.post_as_root("/v1/vms/bench/start?wait=60s").await;
    let made = daemon
        .asking(user("ada", 1000), "POST", "/v1/tokens")
        .json(json!({ "name": "ci", "scope": { "roles": ["operator"] } }))
        .await
        .json();
    // It waits for a guest that does not hear, and what comes behind it waits, too.
    let first = daemon.post_as_root("/v1/vms/bench/shut-down").await;
    let queued = daemon
        .over_tcp("POST", "/v1/vms/bench/pause")
        .bearer(made["bearer"].as_str().unwrap())
        .send()
        .await;
    assert_eq!(queued.status, StatusCode::ACCEPTED, "{}", queued.told());
    let revoked = daemon
        .asking(user("ada", 1000), "DELETE", "/v1/tokens/ci")
        .send()
        .await;
    assert_eq!(revoked.status, StatusCode::NO_CONTENT, "{}", revoked.told());
    let id = |answer: &Answer| answer.json()["id"].as_str().unwrap().to_owned();
    let cancel = format!("/v1/operations/{}/cancel?wait=60s", id(&first));
    daemon.post_as_root(&cancel).await;
    let path = format!("/v1/operations/{}?wait=60s", id(&queued));
    let ended = daemon.asking(root(), "GET", &path).send().await;
    assert_eq!(ended.json()["state"], "failed", "{}", ended.told());
    assert_eq!(ended.json()["problem"]["kind"], "denied");
}

#[tokio::test]
async fn a_token_ends_by_itself_and_what_it_asks_for_is_bounded() {
    let daemon = Daemon::with_ada().await;
    let make = |body: Value| {
        daemon
            .asking(user("ada", 1000), "POST", "/v1/tokens")
            .json(body)
    };
    for body in [
        json!({ "name": "ci", "scope": { "roles": [] } }),
        json!({ "name": "ci", "scope": { "roles": ["viewer"] }, "days": 0 }),
        json!({ "name": "ci", "scope": { "roles": ["viewer"] }, "days": 366 }),
        json!({ "name": "ci", "scope": { "roles": ["god"] } }),
        json!({ "name": "../ci", "scope": { "roles": ["viewer"] } }),
        json!({ "name": "ci", "scope": {} }),
        json!({ "name": "ci" }),
    ] {
        let refused = make(body.clone()).await;
        assert_eq!(
            refused.status,
            StatusCode::BAD_REQUEST,
            "{body}: {}",
            refused.told()
        );
    }
    let token = make(json!({ "name": "ci", "scope": { "roles": ["viewer"] } }))
        .await
        .json();
    let bearer = token["bearer"].as_str().unwrap();
    daemon.clock.advance(MINUTE * (60 * 24 * 90 - 1));
    assert_eq!(daemon.who(bearer).await.status, StatusCode::OK);
    daemon.clock.advance(MINUTE);
    assert_eq!(daemon.who(bearer).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_token_reaches_no_accounts_sessions_tokens_or_proofs() {
    let daemon = Daemon::with_ada().await;
    let scope = json!({ "roles": ["admin"] });
    let made = daemon
        .asking(user("ada", 1000), "POST", "/v1/tokens")
        .json(json!({ "name": "ci", "scope": scope }))
        .await;
    let bearer = made.json()["bearer"].as_str().unwrap().to_owned();
    let account = json!({ "name": "eve", "password": PASSWORD });
    let token = json!({ "name": "more", "scope": scope });
    for (method, path, body) in [
        ("GET", "/v1/accounts", Value::Null),
        ("POST", "/v1/accounts", account),
        ("PATCH", "/v1/accounts/ada", json!({ "state": "disabled" })),
        (
            "PUT",
            "/v1/accounts/ada/password",
            json!({ "password": PASSWORD }),
        ),
        ("POST", "/v1/accounts/ada/totp", Value::Null),
        ("DELETE", "/v1/accounts/ada/totp", Value::Null),
        ("DELETE", "/v1/accounts/ada", Value::Null),
        ("GET", "/v1/sessions", Value::Null),
        ("GET", "/v1/tokens", Value::Null),
        ("POST", "/v1/tokens", token),
        ("POST", "/v1/proof", json!({ "password": PASSWORD })),
    ] {
        let refused = daemon
            .over_tcp(method, path)
            .bearer(&bearer)
            .json(body)
            .await;
        assert_eq!(
            kind(&refused),
            "denied",
            "{method} {path}: {}",
            refused.told()
        );
    }
}

#[tokio::test]
async fn a_new_password_ends_all_other_sessions_and_needs_the_old_one() {
    let daemon = Daemon::with_ada().await;
    let (mine, other) = (daemon.bearer().await, daemon.bearer().await);
    let set = |body: Value| {
        daemon
            .over_tcp("PUT", "/v1/accounts/ada/password")
            .bearer(&mine)
            .json(body)
    };
    let new = "quite other words now";
    assert_eq!(kind(&set(json!({ "password": new })).await), "proof-needed");
    let wrong = json!({ "password": new, "current_password": "wrong words entirely" });
    assert_eq!(kind(&set(wrong).await), "login-failed");
    let right = json!({ "password": new, "current_password": PASSWORD });
    assert_eq!(set(right).await.status, StatusCode::NO_CONTENT);
    assert_eq!(daemon.who(&mine).await.status, StatusCode::OK);
    assert_eq!(daemon.who(&other).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        kind(
            &daemon
                .log_in(json!({ "name": "ada", "password": PASSWORD }))
                .await
        ),
        "login-failed"
    );
    assert_eq!(
        daemon
            .log_in(json!({ "name": "ada", "password": new }))
            .await
            .status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_disabled_account_is_refused_everywhere_until_it_is_enabled() {
    let daemon = Daemon::with_ada().await;
    let session = daemon.bearer().await;
    let made = daemon
        .asking(user("ada", 1000), "POST", "/v1/tokens")
        .json(json!({ "name": "ci", "scope": { "roles": ["viewer"] } }))
        .await;
    let token = made.json()["bearer"].as_str().unwrap().to_owned();
    let set = |state: &str| {
        let body = json!({ "state": state });
        daemon
            .asking(root(), "PATCH", "/v1/accounts/ada")
            .json(body)
    };
    assert_eq!(set("disabled").await.json()["state"], "disabled");
    assert_eq!(daemon.who(&session).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(daemon.who(&token).await.status, StatusCode::UNAUTHORIZED);
    let login = json!({ "name": "ada", "password": PASSWORD });
    assert_eq!(kind(&daemon.log_in(login.clone()).await), "login-failed");
    set("enabled").await;
    assert_eq!(
        daemon.who(&session).await.status,
        StatusCode::UNAUTHORIZED,
        "it is over"
    );
    assert_eq!(daemon.who(&token).await.status, StatusCode::OK);
    assert_eq!(daemon.log_in(login).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_deleted_account_leaves_nothing_that_is_still_good() {
    let daemon = Daemon::with_ada().await;
    let session = daemon.bearer().await;
    let made = daemon
        .asking(user("ada", 1000), "POST", "/v1/tokens")
        .json(json!({ "name": "ci", "scope": { "roles": ["viewer"] } }))
        .await;
    let token = made.json()["bearer"].as_str().unwrap().to_owned();
    let gone = daemon
        .asking(root(), "DELETE", "/v1/accounts/ada")
        .send()
        .await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.told());
    assert_eq!(daemon.who(&session).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(daemon.who(&token).await.status, StatusCode::UNAUTHORIZED);
    let again = json!({ "name": "ada", "password": "quite other words now" });
    let made = daemon
        .asking(root(), "POST", "/v1/accounts")
        .json(again)
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.told());
    assert_eq!(made.header("location"), "/v1/accounts/ada");
    assert_eq!(daemon.who(&token).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn nobody_gets_a_second_factor_for_somebody_else_but_root_can_remove_it() {
    let daemon = Daemon::with_ada().await;
    let bearer = daemon.bearer().await;
    daemon.second_factor(&bearer).await;
    let refused = daemon
        .asking(root(), "POST", "/v1/accounts/ada/totp")
        .send()
        .await;
    assert_eq!(kind(&refused), "denied");
    let removed = daemon
        .asking(root(), "DELETE", "/v1/accounts/ada/totp")
        .send()
        .await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT, "{}", removed.told());
    let login = json!({ "name": "ada", "password": PASSWORD });
    assert_eq!(daemon.log_in(login).await.status, StatusCode::OK);
}

#[tokio::test]
async fn on_the_unix_socket_the_kernel_says_who_asks_whatever_is_carried() {
    let daemon = Daemon::with_ada().await;
    let bearer = daemon.bearer().await;
    let who = daemon
        .asking(user("eve", 1001), "GET", "/v1/whoami")
        .bearer(&bearer)
        .send()
        .await;
    assert_eq!(
        who.json()["principal"],
        json!({ "kind": "user", "name": "eve", "uid": 1001 })
    );
    let body = json!({ "name": "ada", "password": PASSWORD });
    let login = daemon
        .asking(user("eve", 1001), "POST", "/v1/login")
        .json(body)
        .await;
    assert_eq!(kind(&login), "wrong-state");
}
