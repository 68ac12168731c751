// SPDX-License-Identifier: GPL-3.0-or-later
//! What the checks of accounts, sessions and tokens keep from being done: the same with what is
//! good.

use serde_json::{Value, json};

use super::{Ground, Ways};

const NAME: &str = "hv-attack-operator";
const PASSWORD: &str = "correct horse battery";
const VM: &str = "talker";
/// What a page of this host says.
const ORIGIN: &str = "Origin: http://127.0.0.1:8006";

pub(in crate::attack) const ACCOUNTS: Ways = &[
    ("guessed-password", |ground| {
        ground.with_account(|person| person.csrf.len() > 10)
    }),
    ("session-laid-out", |ground| {
        ground.with_account(|person| person.sees(&person.cookie))
    }),
    ("session-that-is-over", |ground| {
        ground.with_account(|person| person.sees(&person.cookie))
    }),
    ("change-by-a-cookie", |ground| {
        ground.with_account(|person| {
            person.pauses(&[
                person.cookie.clone(),
                person.csrf_header(),
                ORIGIN.to_owned(),
            ])
        })
    }),
    ("token-beyond-its-scope", |ground| {
        ground.with_account(|person| person.pauses(&[person.token()]))
    }),
    ("token-that-was-revoked", |ground| {
        ground.with_account(|person| person.sees(&person.token()))
    }),
];

/// Who is logged in to an account, and may use a VM.
struct Person<'a> {
    ground: &'a Ground,
    /// Headers, and what one of them says.
    cookie: String,
    csrf: String,
}

impl Ground {
    /// Does something as who is logged in.
    fn with_account(&self, way: impl FnOnce(&Person<'_>) -> bool) -> bool {
        let hv = |words: &[&str]| self.scene.product.hv(words).ok();
        let operator = format!("user:{NAME}");
        hv(&[
            "access",
            "grant",
            "operator",
            &operator,
            "--name",
            "hv-attack-past",
        ]);
        self.talking_vm(b"x\r\n");
        let account = json!({"name": NAME, "password": PASSWORD});
        let socket = self.scene.product.socket();
        self.curl(
            &["--unix-socket", &socket.to_string_lossy()],
            "POST",
            "/v1/accounts",
            &account,
        );
        let login = json!({"name": NAME, "password": PASSWORD});
        let said = self.curl(&[], "POST", "/v1/login", &login);
        let cookie = said
            .lines()
            .find_map(|line| line.strip_prefix("set-cookie: "));
        let cookie = cookie.and_then(|cookie| cookie.split(';').next()).unwrap();
        let person = Person {
            ground: self,
            cookie: format!("Cookie: {cookie}"),
            csrf: body(&said)["csrf"].as_str().unwrap().to_owned(),
        };
        let works = way(&person);
        let path = format!("/v1/accounts/{NAME}");
        self.curl(
            &["--unix-socket", &socket.to_string_lossy()],
            "DELETE",
            &path,
            &Value::Null,
        );
        self.remove_vm();
        hv(&["access", "revoke", "hv-attack-past"]);
        works
    }

    /// What hvd answers at its address, or at what `more` says, with its headers.
    fn curl(&self, more: &[&str], method: &str, path: &str, body: &Value) -> String {
        let url = format!("http://127.0.0.1:8006{path}");
        let body = body.to_string();
        let words = [
            "curl",
            "-si",
            "-X",
            method,
            "-H",
            "Content-Type: application/json",
            "-d",
            &body,
        ];
        self.scene.run(&[&words[..], more, &[&url]].concat())
    }
}

impl Person<'_> {
    fn sees(&self, header: &str) -> bool {
        let said = self
            .ground
            .curl(&["-H", header], "GET", "/v1/vms", &Value::Null);
        body(&said)["items"].is_array()
    }

    fn pauses(&self, headers: &[String]) -> bool {
        let more: Vec<_> = headers.iter().flat_map(|header| ["-H", header]).collect();
        let path = format!("/v1/vms/{VM}/pause?wait=30s");
        self.ground.curl(&more, "POST", &path, &Value::Null);
        self.ground.scene.product.json(&["vm", "show", VM])["state"] == "paused"
    }

    fn csrf_header(&self) -> String {
        format!("HV-CSRF: {}", self.csrf)
    }

    /// The header of a token that may what its person may.
    fn token(&self) -> String {
        let csrf = self.csrf_header();
        let mut more = vec!["-H", &self.cookie, "-H", &csrf, "-H", ORIGIN];
        let password = json!({ "password": PASSWORD });
        let said = self.ground.curl(&more, "POST", "/v1/proof", &password);
        let proof = format!("HV-Proof: {}", body(&said)["proof"].as_str().unwrap());
        more.extend(["-H", &proof]);
        let said = self.ground.curl(
            &more,
            "POST",
            "/v1/tokens",
            &json!({"name": "x", "scope": {"roles": ["operator"]}}),
        );
        format!(
            "Authorization: Bearer {}",
            body(&said)["bearer"].as_str().unwrap()
        )
    }
}

fn body(answer: &str) -> Value {
    let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
    serde_json::from_str(body).unwrap_or(Value::Null)
}
