// SPDX-License-Identifier: GPL-3.0-or-later
//! What root's own virsh can't start while `hv-guard` is libvirt's hook, and what it would have
//! reached.

pub(crate) mod place;
mod ways;

use std::fs;

use hv_e2e::{Daemons, PrivateHost, wait_for};
use serde_json::Value;

use self::{
    place::{Place, disk, domain},
    ways::{Reach, Way, ways},
};

/// Each way is tried twice, on the same host: with the hook, where nothing of the host may change,
/// and without it, where it must work. So each refusal is known to be the hook's, and each way to
/// be one.
#[test]
fn root_itself_starts_nothing_that_the_policy_does_not_allow_and_without_the_hook_it_does() {
    let place = Place::guarded();
    let ways = ways(&place);
    for Way { name, xml, .. } in &ways {
        place.make_canary();
        place.define(name, xml);
        let Err(complaint) = place.host.try_virsh(&["start", name]) else {
            panic!("{name} starts");
        };
        assert!(complaint.contains("hv-guard: VM"), "{name}: {complaint}");
        assert!(place.canary_is_safe(), "{name}");
        assert!(!place.cellar().join("made").exists(), "{name}");
        assert!(
            place.host.virsh(&["domstate", name]).contains("shut off"),
            "{name}"
        );
    }

    place.host.remove_hook();
    for Way { name, reach, .. } in &ways {
        place.make_canary();
        match (place.host.try_virsh(&["start", name]), reach) {
            (Err(complaint), Reach::Absent) if !complaint.contains("hv-guard") => continue,
            (Err(complaint), _) => panic!("{name} is stopped by something else: {complaint}"),
            (Ok(_), _) => {}
        }
        assert!(place.is_reached(name, reach), "{name} reaches nothing");
        place.host.virsh(&["destroy", name]);
    }
}

#[test]
fn what_the_policy_allows_runs_whoever_defined_it_and_each_refusal_is_on_record() {
    let place = Place::guarded();
    let host = &place.host;
    let path = place.make_disk("theirs.qcow2");
    place.define("theirs", &disk("theirs", &path, "qcow2"));
    host.virsh(&["start", "theirs"]);
    host.virsh(&["save", "theirs", &place.at("saved")]);
    host.virsh(&["restore", &place.at("saved")]);
    // libvirt looks at what runs when it starts again.
    host.libvirtd("kill");
    host.libvirtd("start");
    assert!(host.virsh(&["domstate", "theirs"]).contains("running"));
    assert_eq!(place.record(), Vec::<Value>::new());

    // A name that looks like an option is a name.
    let outside = place.canary().display().to_string();
    for name in ["--help", "-V", "a 'b' \"c\""] {
        let shown = name.replace('"', "&quot;").replace('\'', "&apos;");
        let complaint = place
            .try_create(&disk(&shown, &outside, "raw"))
            .unwrap_err();
        assert!(complaint.contains("hv-guard"), "{name}: {complaint}");
    }
    let record = place.record();
    assert_eq!(record.len(), 3, "{record:?}");
    let told = &record[0];
    assert_eq!(told["name"], "--help");
    assert_eq!(told["operation"], "prepare");
    let reason = told["reasons"][0].as_str().unwrap();
    assert!(
        reason.contains(&outside) && reason.contains("hyper-disks"),
        "{reason}"
    );
}

#[test]
fn what_the_hook_refuses_is_told_to_who_looks_at_the_host() {
    let place = Place::on(PrivateHost::start());
    let product = Daemons::start(&place.host);
    let outside = disk("hole", &place.canary().display().to_string(), "raw");
    place.try_create(&outside).unwrap_err();

    wait_for("health to say it", || {
        let told = product.hv(&[]).stdout;
        told.contains("hole was stopped").then_some(())
    });
}

#[test]
fn a_saved_vm_is_not_restored_as_another() {
    let place = Place::guarded();
    let host = &place.host;
    let path = place.make_disk("theirs.raw");
    place.define("theirs", &disk("theirs", &path, "raw"));
    host.virsh(&["start", "theirs"]);
    host.virsh(&["save", "theirs", &place.at("saved")]);
    let xml = host.virsh(&["save-image-dumpxml", &place.at("saved")]);
    let other = place.at("other.xml");
    fs::write(
        &other,
        xml.replace(&path, &place.canary().display().to_string()),
    )
    .unwrap();

    let restore = ["restore", &place.at("saved"), "--xml", &other];
    let complaint = host.try_virsh(&restore).unwrap_err();
    assert!(
        complaint.contains("hv-guard") && place.canary_is_safe(),
        "{complaint}"
    );

    host.remove_hook();
    host.virsh(&restore);
    assert!(!place.canary_is_safe());
}

#[test]
fn a_disk_that_is_swapped_after_the_look_ends_the_vm() {
    let place = Place::guarded();
    let host = &place.host;
    let path = place.make_disk("theirs.raw");
    // Between libvirt's last question before QEMU runs and QEMU's opening of its disk.
    let swap = format!(
        "#!/bin/sh\n[ \"$2\" != start ] || ln -sf {} {path}\n",
        place.canary().display()
    );
    host.exec(&[
        "sh",
        "-c",
        "printf %s \"$1\" >/etc/libvirt/hooks/qemu.d/swap; chmod 755 /etc/libvirt/hooks/qemu.d/swap",
        "sh",
        &swap,
    ]);
    place.define("theirs", &disk("theirs", &path, "raw"));
    let complaint = host.try_virsh(&["start", "theirs"]).unwrap_err();
    assert!(complaint.contains("hv-guard"), "{complaint}");
    assert!(host.virsh(&["domstate", "theirs"]).contains("shut off"));
    assert_eq!(place.record()[0]["operation"], "started");
}

#[test]
fn without_a_policy_that_is_roots_alone_nothing_starts_and_what_runs_goes_on() {
    let place = Place::guarded();
    let host = &place.host;
    place.define("blank", &domain("blank", "", ""));
    place.define("other", &domain("other", "", ""));
    host.virsh(&["start", "blank"]);
    host.exec(&["chmod", "666", "/etc/libvirt/host-policy.toml"]);

    let complaint = host.try_virsh(&["start", "other"]).unwrap_err();
    assert!(complaint.contains("lets others write it"), "{complaint}");
    host.libvirtd("stop");
    host.libvirtd("start");
    assert!(host.virsh(&["domstate", "blank"]).contains("running"));
    let effects: Vec<_> = place
        .record()
        .iter()
        .map(|told| told["effect"].clone())
        .collect();
    assert_eq!(effects, ["refused", "reported"]);

    host.exec(&["rm", "/etc/libvirt/host-policy.toml"]);
    let complaint = host.try_virsh(&["start", "other"]).unwrap_err();
    assert!(complaint.contains("can't be read"), "{complaint}");
}
