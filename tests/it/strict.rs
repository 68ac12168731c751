// SPDX-License-Identifier: GPL-3.0-or-later
//! Profile `strict`: libvirt itself judges the person, whatever hvd asks for.

use std::{
    env, fs,
    os::unix::{fs::PermissionsExt, net::UnixStream},
    process::Command,
};

use hv_e2e::{ADA, BOB, Daemons, HVD, PrivateHost, binary};
use hv_model::{
    hypervisor::{Behalf, GuestRequest, Hypervisor, HypervisorErrorKind, Result, Takeover},
    id::VmId,
};
use hv_port::Client;
use serde_json::json;

/// `bob` may use VMs whose names begin with `web`; `ada` those and `db`.
const OPERATORS: &str = "profile = \"strict\"\n\n\
    [[operators]]\ngroup = \"hv-users\"\nvms = [\"web*\"]\n\n\
    [[operators]]\ngroup = \"ada\"\nvms = [\"db\"]\n";

const PORT: &str = "HV_TEST_PORT";
const DIRECTLY: &str =
    "strict::not_even_hvd_itself_gets_past_libvirt_when_it_speaks_the_port_directly";

/// The rules that the broker prints for a configuration.
fn rules() -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("broker.toml");
    fs::write(&config, format!("socket = \"/x\"\n{OPERATORS}")).expect("our own");
    let output = Command::new(binary("hv-broker"))
        .args(["polkit-rules", "--config"])
        .arg(config)
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn a_person_runs_their_vms_and_libvirt_refuses_them_those_of_others() {
    let host = PrivateHost::start_judging(&rules());
    let product = Daemons::start_inside(&host, OPERATORS);
    for name in ["web", "db"] {
        let create = ["vm", "create", name, "--size", "64MiB", "--memory", "64MiB"];
        product.hv_as(ADA, &create).ok();
    }

    product.hv_as(BOB, &["vm", "start", "web"]).ok();
    for refused in [
        &["vm", "start", "db"][..],
        &["vm", "set", "db", "--memory", "65 MiB"],
        &["vm", "rename", "db", "web2"],
        &["vm", "delete", "db", "--yes"],
    ] {
        let complaint = product.hv_as(BOB, refused).fails_with(4);
        assert!(
            complaint.contains("libvirt does not let bob"),
            "{complaint}"
        );
    }
    product.hv_as(ADA, &["vm", "start", "db"]).ok();
    for refused in [
        &["vm", "kill", "db", "--yes"][..],
        &["vm", "pause", "db"],
        &["vm", "save", "db"],
        &["vm", "stop", "db"],
        &["vm", "console", "db"],
    ] {
        let complaint = product.hv_as(BOB, refused).fails_with(4);
        assert!(
            complaint.contains("libvirt does not let bob"),
            "{complaint}"
        );
    }
    assert_eq!(product.json(&["vm", "show", "db"])["state"], "running");

    // Root is nobody whom libvirt could judge, and has virsh.
    let complaint = product.hv(&["vm", "start", "web"]);
    assert_eq!(complaint.code, Some(5), "it runs already: {complaint:?}");
    let complaint = product.hv(&["vm", "pause", "web"]).fails_with(4);
    assert!(complaint.contains("account of your own"), "{complaint}");
    host.exec(&["virsh", "-q", "destroy", "web"]);
    product.wait_for_state("web", "off");
}

#[test]
fn everything_that_a_vms_life_takes_works_where_libvirt_judges() {
    let host = PrivateHost::start_judging(&rules());
    let product = Daemons::start_inside(&host, OPERATORS);
    let image = demo_image(&host);
    let ada = |arguments: &[&str]| product.hv_as(ADA, arguments).ok();

    ada(&["image", "add", "demo", &image]);
    ada(&[
        "vm",
        "create",
        "web",
        "--image",
        "demo",
        "--memory",
        "256MiB",
        "--network",
        "default",
        "--start",
    ]);
    product.wait_for_agent("web");
    ada(&["vm", "set", "web", "--limit-cpu", "50"]);
    ada(&["vm", "pause", "web"]);
    ada(&["vm", "resume", "web"]);
    ada(&["vm", "save", "web"]);
    ada(&["vm", "start", "web"]);
    ada(&["vm", "reset", "web", "--yes"]);
    product.wait_for_agent("web");
    // By the agent, which libvirt chooses for her: to ask for it by name takes the right to write.
    ada(&["vm", "stop", "web"]);
    ada(&["vm", "rename", "web", "web2"]);
    ada(&["vm", "start", "web2"]);
    ada(&["vm", "kill", "web2", "--yes"]);
    ada(&["vm", "delete", "web2", "--yes"]);
    ada(&["vm", "undelete", "web2"]);
    ada(&["vm", "delete", "web2", "--yes"]);
    assert_eq!(product.json(&["vm", "list"])["items"], json!([]));
    assert_eq!(
        product.json(&["op", "list", "--state", "failed"])["items"],
        json!([])
    );
}

#[test]
fn not_even_hvd_itself_gets_past_libvirt_when_it_speaks_the_port_directly() {
    if let Some(socket) = env::var_os(PORT) {
        return ask_directly(&Client::new(socket));
    }
    let host = PrivateHost::start_judging(&rules());
    let product = Daemons::start_inside(&host, OPERATORS);
    for name in ["web", "db"] {
        let create = [
            "vm", "create", name, "--size", "64MiB", "--memory", "64MiB", "--start",
        ];
        product.hv_as(ADA, &create).ok();
    }

    // This test once more, inside the host and as hvd's own user.
    let program = host.folder().join("test");
    fs::copy(env::current_exe().expect("a process knows"), &program).expect("our own folder");
    let output = host
        .inside()
        .args(HVD.prefix())
        .arg("env")
        .arg(format!("{PORT}={}", product.broker_socket().display()))
        .arg(program)
        .args(["--exact", DIRECTLY, "--nocapture"])
        .current_dir("/")
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
    for name in ["web", "db"] {
        assert_eq!(product.json(&["vm", "show", name])["state"], "running");
    }
}

/// What hvd's user may try, once nothing of hvd's own decides any more.
fn ask_directly(port: &Client) {
    let vms = port.vms().expect("looking is allowed");
    let id = |name: &str| {
        vms.iter()
            .find(|vm| vm.name == name)
            .expect("it is there")
            .id
    };
    let (web, db) = (id("web"), id("db"));
    let as_person = |name: &str, uid| {
        port.on_behalf_of(&Behalf {
            name: name.parse().expect("a name"),
            uid,
        })
    };

    // For somebody who has no right to this VM, libvirt says no.
    let bob = as_person("bob", Some(BOB.id));
    for words in every_way_to_use(&*bob, db) {
        assert!(words.contains("access denied"), "{words}");
    }
    // For nobody, for root, for a service, and for one person under another's number, the broker.
    let broker = hv_e2e::BROKER;
    for (name, uid) in [
        ("root", Some(0)),
        ("root", None),
        (broker.name, Some(broker.id)),
        (HVD.name, Some(HVD.id)),
        ("bob", Some(ADA.id)),
        ("bob", Some(0)),
        ("nobody-has-this-name", None),
    ] {
        let them = as_person(name, uid);
        every_way_to_use(&*them, web);
        denied(them.start(web));
        denied(them.force_off(web));
        denied(them.undefine(web));
    }
    every_way_to_use(port, web);
    // And libvirt's own socket is not for it.
    for socket in ["libvirt-sock", "libvirt-sock-ro", "libvirt-admin-sock"] {
        let error = UnixStream::connect(format!("/run/libvirt/{socket}")).unwrap_err();
        assert_eq!(
            error.kind(),
            std::io::ErrorKind::PermissionDenied,
            "{socket}"
        );
    }
}

/// Everything that only a person does to a VM, and why each was denied.
fn every_way_to_use(host: &dyn Hypervisor, vm: VmId) -> Vec<String> {
    vec![
        denied(host.shut_down(vm, GuestRequest::Acpi)),
        denied(host.shut_down(vm, GuestRequest::Agent)),
        denied(host.reboot(vm, GuestRequest::Acpi)),
        denied(host.reset(vm)),
        denied(host.pause(vm)),
        denied(host.resume(vm)),
        denied(host.save(vm)),
        denied(host.console(vm, Takeover::Force).map(drop)),
    ]
}

fn denied(result: Result<()>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.kind, HypervisorErrorKind::Denied, "{error}");
    error.message
}

#[test]
fn where_libvirt_judges_nobody_nothing_is_done_for_people() {
    let host = PrivateHost::start();
    let product = Daemons::start_inside(&host, OPERATORS);
    let complaint = product
        .hv_as(
            ADA,
            &[
                "vm", "create", "web", "--size", "64MiB", "--memory", "64MiB",
            ],
        )
        .fails_with(4);
    assert!(complaint.contains("libvirt judges nobody"), "{complaint}");
    assert!(complaint.contains("access_drivers"), "{complaint}");
}

/// The demo image where everybody can read it.
fn demo_image(host: &PrivateHost) -> String {
    let output = Command::new(hv_e2e::repository().join("scripts/guest.sh")).output();
    let text = String::from_utf8(output.expect("it runs").stdout).expect("text");
    let image = text
        .lines()
        .find_map(|line| line.strip_prefix("DEMO_IMAGE="));
    let copy = host.folder().join("demo.qcow2");
    fs::copy(image.expect("it names the image"), &copy).expect("our own folder");
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o644)).expect("our own folder");
    copy.to_string_lossy().into_owned()
}
