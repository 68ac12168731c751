// SPDX-License-Identifier: GPL-3.0-or-later
//! Planted secrets, looked for everywhere that somebody else may look: a real daemon's log,
//! database, arguments and environment, its audit log, and what it answers.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread::JoinHandle,
};

use hv_client::{AuditFilter, Client, ClientError, OfWhom, RemoteAddress, Trust};
use hv_model::{
    access::{NewToken, Role, TokenScope},
    account::NewAccount,
    problem::ProblemKind,
    secret::Secret,
    session::{Carry, Login, Prove},
};
use tempfile::TempDir;

use super::accounts::PASSWORD;

/// A daemon in a process of its own, without a host, that logs everything.
struct Process {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    reading: Option<JoinHandle<()>>,
    address: RemoteAddress,
    trust: Trust,
}

impl Process {
    fn start(folder: &Path) -> Self {
        let config = folder.join("hvd.toml");
        let text = format!(
            "state_dir = '{0}/state'\nsocket = '{0}/hvd.sock'\nbroker_socket = '{0}/broker.sock'\n\
             [listen]\naddress = '127.0.0.1:0'\ntls = 'self-made'\n\
             [access]\npolicies = '{0}/policies'\n",
            folder.display()
        );
        fs::write(&config, text).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_hvd"))
            .arg("--config")
            .arg(&config)
            .env("HV_LOG", "trace")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (told, telling) = mpsc::channel();
        let kept = Arc::clone(&log);
        let reading = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                kept.lock().unwrap().push(line.clone());
                // Only the beginning is waited for.
                let _ = told.send(line);
            }
        });
        let wait_for = |what: &str| loop {
            let line = telling.recv().unwrap();
            if let Some((_, rest)) = line.split_once(what) {
                break rest.to_owned();
            }
        };
        let served = wait_for("hvd serves TLS at ");
        let (address, rest) = served.split_once(", as ").unwrap();
        let fingerprint = rest.split(' ').next().unwrap();
        let process = Self {
            address: format!("https://{address}").parse().unwrap(),
            trust: Trust::Fingerprint(fingerprint.parse().unwrap()),
            child,
            log,
            reading: Some(reading),
        };
        wait_for("hvd serves its API at ");
        process
    }

    fn client(&self) -> Client {
        Client::tls(self.address.clone(), self.trust.clone()).unwrap()
    }

    /// What the kernel shows of the process to others.
    fn shown(&self) -> Vec<u8> {
        let proc = format!("/proc/{}", self.child.id());
        ["cmdline", "environ"]
            .iter()
            .flat_map(|file| fs::read(format!("{proc}/{file}")).unwrap())
            .collect()
    }

    /// Ends it at once, and gives all that it has logged.
    fn end(&mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        if let Some(reading) = self.reading.take() {
            reading.join().unwrap();
        }
        self.log.lock().unwrap().join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn login(password: &str, code: Option<&str>) -> Login {
    Login {
        name: "ada".to_owned(),
        password: password.into(),
        code: code.map(Secret::from),
        carry: Carry::Bearer,
    }
}

async fn bootstrap(folder: &Path) {
    let first = NewAccount {
        name: "ada".parse().unwrap(),
        password: PASSWORD.into(),
    };
    let local = Client::unix(folder.join("hvd.sock"));
    local.bootstrap(&first).await.unwrap();
}

/// Every file under a folder, with its bytes.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.is_file() {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    found
}

fn contains(bytes: &[u8], secret: &str) -> bool {
    bytes
        .windows(secret.len())
        .any(|part| part == secret.as_bytes())
}

#[tokio::test]
async fn what_is_secret_is_nowhere_to_be_found() {
    let folder = TempDir::new().unwrap();
    let mut process = Process::start(folder.path());
    bootstrap(folder.path()).await;
    let (stranger, wrong) = (process.client(), "planted wrong words");
    let mut answers = Vec::new();
    let mut note = |error: ClientError| answers.push(format!("{error:?}"));
    note(stranger.log_in(&login(wrong, None)).await.unwrap_err());
    let opened = stranger.log_in(&login(PASSWORD, None)).await.unwrap();
    let bearer = opened.bearer.unwrap();
    let ada = process.client().with_bearer(bearer.clone());
    let prove = Prove {
        password: Some(PASSWORD.into()),
        code: None,
    };
    let proof = ada.prove(&prove).await.unwrap().proof;
    let proved = ada.clone().with_proof(proof.clone());
    let begun = proved.begin_totp("ada").await.unwrap();
    note(
        ada.confirm_totp("ada", "planted code".into())
            .await
            .unwrap_err(),
    );
    let token = NewToken {
        name: "ci".parse().unwrap(),
        scope: TokenScope {
            roles: vec![Role::Viewer],
            vms: Vec::new(),
        },
        days: 1,
    };
    let token = proved.make_token(&token).await.unwrap().bearer;
    let program = process.client().with_bearer(token.clone());
    program.who_am_i().await.unwrap();
    let guessed = process.client().with_bearer("hvs_plantedguess".into());
    note(guessed.who_am_i().await.unwrap_err());
    let short = NewAccount {
        name: "eve".parse().unwrap(),
        password: "planted!".into(),
    };
    note(proved.add_account(&short).await.unwrap_err());
    let lists = (
        ada.audit(&AuditFilter::default()).await.unwrap(),
        ada.sessions(&OfWhom::Own).await.unwrap(),
        ada.tokens(&OfWhom::Own).await.unwrap(),
        ada.accounts().await.unwrap(),
    );
    answers.push(format!("{lists:?}"));
    let mut places = vec![
        ("answers".to_owned(), answers.join("\n").into_bytes()),
        ("process".to_owned(), process.shown()),
    ];
    // Killed, so that all that is on the disk is what a crash would leave there.
    places.push(("log".to_owned(), process.end().into_bytes()));
    places.extend(files(folder.path()));
    assert!(places.iter().any(|(place, _)| place.ends_with("hvd.db")));
    let secrets = [
        PASSWORD,
        wrong,
        "planted code",
        "plantedguess",
        "planted!",
        bearer.expose(),
        proof.expose(),
        token.expose(),
        begun.secret.expose(),
        opened.csrf.expose(),
    ];
    for (place, bytes) in &places {
        for secret in secrets {
            assert!(!contains(bytes, secret), "{secret:?} is in {place}");
        }
    }
}

#[tokio::test]
async fn a_lost_database_knows_nobody() {
    let folder = TempDir::new().unwrap();
    let mut process = Process::start(folder.path());
    bootstrap(folder.path()).await;
    let opened = process
        .client()
        .log_in(&login(PASSWORD, None))
        .await
        .unwrap();
    let bearer = opened.bearer.unwrap();
    process.end();
    for file in ["hvd.db", "hvd.db-wal", "hvd.db-shm"] {
        fs::remove_file(folder.path().join("state").join(file)).unwrap();
    }
    let process = Process::start(folder.path());
    let over = process.client().with_bearer(bearer).who_am_i().await;
    assert_eq!(over.unwrap_err().kind(), ProblemKind::SessionOver);
    let refused = process.client().log_in(&login(PASSWORD, None)).await;
    assert_eq!(refused.unwrap_err().kind(), ProblemKind::LoginFailed);
    bootstrap(folder.path()).await;
    process
        .client()
        .log_in(&login(PASSWORD, None))
        .await
        .unwrap();
}
