// SPDX-License-Identifier: GPL-3.0-or-later
//! Whom libvirt takes for the caller, on a private host whose libvirt judges every call by polkit.
//!
//! polkit looks a caller's process up, so the caller has to be one of the host's: the test runs
//! itself once more inside.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use hv_libvirt::{
    Connection, ConsoleAccess, Destroy, Error, ErrorKind, Identity, OpenOptions, StartFlags,
};
use tempfile::TempDir;

/// The service may do everything; `ada` may see, start and stop `web`; nobody else anything.
const RULES: &str = r#"
polkit.addRule(function (action, subject) {
    if (action.id.indexOf("org.libvirt.") !== 0) return polkit.Result.NOT_HANDLED;
    if (subject.user === "hv-broker") return polkit.Result.YES;
    if (subject.user !== "ada") return polkit.Result.NO;
    var may = /^org\.libvirt\.api\.(connect\.(getattr|read|search-domains)|domain\.(getattr|read|start|stop))$/;
    var isWeb = action.id.indexOf("org.libvirt.api.domain.") !== 0
        || action.lookup("domain_name") === "web";
    return may.test(action.id) && isWeb ? polkit.Result.YES : polkit.Result.NO;
});
"#;
const SERVICE: u32 = 60_902;
const ADA: u32 = 60_910;
const INSIDE: &str = "HV_TEST_INSIDE";
const TEST: &str =
    "identity::libvirt_judges_a_connection_as_the_person_that_it_is_for_and_never_again_as_us";

#[test]
fn libvirt_judges_a_connection_as_the_person_that_it_is_for_and_never_again_as_us() {
    if std::env::var_os(INSIDE).is_some() {
        return judged();
    }
    let host = JudgingHost::start();
    let output = host.run_this_test_as_the_service();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed"), "it ran inside: {said}");
}

/// What is to be seen from inside.
fn judged() {
    let open = || Connection::open("qemu:///system", OpenOptions::default()).unwrap();
    let own = open();
    let small = |name: &str| {
        format!(
            "<domain type='qemu'><name>{name}</name><memory unit='MiB'>32</memory>\
             <os><type arch='x86_64' machine='pc'>hvm</type></os>\
             <devices><serial type='pty'/></devices></domain>"
        )
    };
    own.define_domain(&small("web")).unwrap();
    own.define_domain(&small("db")).unwrap();

    let for_ada = open();
    let ada = Identity::through_this_process("ada", ADA, ADA).unwrap();
    for_ada.set_identity(&ada).unwrap();
    let web = for_ada.domain_by_name("web").unwrap();
    web.create(StartFlags::NONE).unwrap();
    denied(for_ada.domain_by_name("db").map(drop));
    denied(web.suspend());
    denied(for_ada.define_domain(&small("hers")).map(drop));

    // Neither she nor we come back from there, nor does a connection that is opened from it.
    let us = Identity::through_this_process("hv-broker", SERVICE, SERVICE).unwrap();
    denied(for_ada.set_identity(&us));
    denied(for_ada.another().unwrap().domain_by_name("db").map(drop));
    let console = for_ada.open_console(web.uuid(), None, ConsoleAccess::Shared);
    denied(console.map(drop));

    web.destroy(Destroy::Forced).unwrap();
    own.domain_by_name("db").unwrap();
}

fn denied(result: Result<(), Error>) {
    let error = result.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied, "{error}");
    assert!(error.is_access_denied(), "{error:?}");
}

/// A private host that ends with this value.
struct JudgingHost {
    holder: Child,
    folder: TempDir,
}

impl JudgingHost {
    fn start() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("hv-libvirt-")
            .tempdir()
            .unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let rules = folder.path().join("rules");
        fs::write(&rules, RULES).unwrap();
        let account = |name: &str, id: u32| format!("{name}:x:{id}:{id}::/:/bin/false\n");
        let group = |name: &str, id: u32| format!("{name}:x:{id}:\n");
        let mut holder = script()
            .arg("hold")
            .arg(folder.path().join("host"))
            .env("HOST_POLKIT_RULES", rules)
            .env("HOST_SOCKET_GROUP", SERVICE.to_string())
            .env(
                "HOST_PASSWD",
                account("hv-broker", SERVICE) + &account("ada", ADA),
            )
            .env(
                "HOST_GROUPS",
                group("hv-broker", SERVICE) + &group("ada", ADA),
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
        let is_up = lines.any(|line| line.unwrap().starts_with("PID="));
        assert!(
            is_up,
            "no private host started; it needs root, libvirt and QEMU"
        );
        Self { holder, folder }
    }

    fn run_this_test_as_the_service(&self) -> std::process::Output {
        // Where the service's user can read it.
        let program = self.folder.path().join("test");
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        let user = [format!("--reuid={SERVICE}"), format!("--regid={SERVICE}")];
        script()
            .arg("exec")
            .arg(self.state())
            .args(["setpriv", "--clear-groups", "--no-new-privs"])
            .args(user)
            .args(["env", "HOME=/nonexistent", &format!("{INSIDE}=1")])
            .arg(program)
            .args(["--exact", TEST, "--nocapture"])
            .current_dir("/")
            .output()
            .unwrap()
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("host")
    }
}

impl Drop for JudgingHost {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ended = self.holder.wait();
        let mut purge = script();
        let _purged = purge.arg("purge").arg(self.state()).status();
    }
}

fn script() -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/host.sh"))
}
