// SPDX-License-Identifier: GPL-3.0-or-later
//! What is refused, whoever asks.

use std::{
    fs::{self, File},
    io::Write,
    process::Command,
};

use hv_model::{
    hypervisor::{Definition, Hypervisor, HypervisorErrorKind, NewVolume, Result, VolumeContent},
    size::Size,
    storage::VolumeFormat,
};

use crate::{
    host::{TestHost, is_skipped},
    virtual_machine::{clone_of_demo, definition, upload, upload_demo, volume},
};

fn expect<T: std::fmt::Debug>(kind: HypervisorErrorKind, result: Result<T>) {
    let error = result.unwrap_err();
    assert_eq!(error.kind, kind, "{error}");
}

fn qemu_img(host: &TestHost, arguments: &[&str]) {
    let status = Command::new("qemu-img")
        .current_dir(host.folder())
        .args(arguments)
        .status();
    assert!(status.unwrap().success(), "{arguments:?}");
}

#[test]
fn hostile_uploads_are_refused_and_leave_nothing() {
    if is_skipped() {
        return;
    }
    let host = TestHost::start();
    let client = &host.client;
    upload_demo(&host);

    // Uploads that point at files of the host, or are not what they say.
    fs::write(host.folder().join("secret"), "secret").unwrap();
    let secret = host.folder().join("secret");
    let secret = secret.to_str().unwrap();
    qemu_img(
        &host,
        &[
            "create", "-q", "-f", "qcow2", "-b", secret, "-F", "raw", "backed",
        ],
    );
    let data_file = format!("data_file={secret}.data");
    qemu_img(
        &host,
        &[
            "create", "-q", "-f", "qcow2", "-o", &data_file, "split", "1M",
        ],
    );
    qemu_img(&host, &["create", "-q", "-f", "vmdk", "vmdk", "1M"]);
    for (name, format) in [
        ("backed", VolumeFormat::Qcow2),
        ("backed", VolumeFormat::Raw),
        ("split", VolumeFormat::Qcow2),
        ("vmdk", VolumeFormat::Raw),
        ("secret", VolumeFormat::Qcow2),
    ] {
        let path = host.folder().join(name);
        expect(
            HypervisorErrorKind::UnsafeImage,
            upload(&host, &path, "evil", format),
        );
    }
    // One that ends early, one beyond the limit, one among the disks, one over another.
    let short = File::open(secret).unwrap();
    let evil = volume("images", "evil");
    expect(
        HypervisorErrorKind::Invalid,
        client.upload_image(&evil, VolumeFormat::Raw, 1 << 20, short.into()),
    );
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(&[0; 4096]).unwrap();
    drop(writer);
    expect(
        HypervisorErrorKind::Invalid,
        client.upload_image(&evil, VolumeFormat::Raw, 1 << 20, reader.into()),
    );
    let file = || File::open(secret).unwrap().into();
    let huge = client.upload_image(&evil, VolumeFormat::Raw, 3 << 30, file());
    expect(HypervisorErrorKind::Refused, huge);
    let disks = volume("disks", "evil");
    let among_disks = client.upload_image(&disks, VolumeFormat::Raw, 6, file());
    expect(HypervisorErrorKind::Refused, among_disks);
    let demo = volume("images", "demo.qcow2");
    let over = client.upload_image(&demo, VolumeFormat::Raw, 6, file());
    expect(HypervisorErrorKind::AlreadyExists, over);
    let images = client.volumes(&"images".parse().unwrap()).unwrap();
    assert_eq!(images.len(), 1, "failed uploads leave nothing: {images:?}");

    // An image that somebody changed behind our back is looked at again before each use.
    fs::copy(
        host.folder().join("backed"),
        host.pools().join("images/later.qcow2"),
    )
    .unwrap();
    let content = VolumeContent::CloneOf {
        volume: volume("images", "later.qcow2"),
        format: VolumeFormat::Qcow2,
    };
    let wanted = NewVolume {
        content,
        ..clone_of_demo("later")
    };
    expect(
        HypervisorErrorKind::UnsafeImage,
        client.create_volume(&wanted),
    );
}

#[test]
fn hostile_definitions_are_refused() {
    if is_skipped() {
        return;
    }
    let host = TestHost::start();
    let client = &host.client;
    upload_demo(&host);
    let secret = host.folder().join("secret");
    fs::write(&secret, "secret").unwrap();
    let secret = secret.to_str().unwrap();
    qemu_img(
        &host,
        &[
            "create", "-q", "-f", "qcow2", "-b", secret, "-F", "raw", "backed",
        ],
    );
    client.pools().unwrap();

    // Disks that stand on files outside, and paths that are no volumes.
    fs::copy(
        host.folder().join("backed"),
        host.pools().join("disks/evil-vda.qcow2"),
    )
    .unwrap();
    expect(
        HypervisorErrorKind::UnsafeImage,
        client.define(&definition(1, "evil")),
    );
    std::os::unix::fs::symlink(secret, host.pools().join("disks/link-vda.qcow2")).unwrap();
    assert!(client.define(&definition(1, "link")).is_err());
    let root = volume("root", "shadow");
    expect(HypervisorErrorKind::Refused, client.delete_volume(&root));
    expect(HypervisorErrorKind::Refused, client.volumes(&root.pool));

    // Definitions beyond the policy.
    client.create_volume(&clone_of_demo("web")).unwrap();
    let web = definition(2, "web");
    let changed = |change: &dyn Fn(&mut Definition)| {
        let mut changed = web.clone();
        change(&mut changed);
        client.define(&changed)
    };
    for refused in [
        changed(&|vm| vm.spec.memory.size = Size::from_gib(8)),
        changed(&|vm| vm.spec.cpus.count = 9),
        changed(&|vm| vm.spec.nics[0].network = Some("mgmt".parse().unwrap())),
        changed(&|vm| vm.disks[0].volume = volume("images", "demo.qcow2")),
    ] {
        expect(HypervisorErrorKind::Refused, refused);
    }
    expect(
        HypervisorErrorKind::Invalid,
        changed(&|vm| vm.spec.description = "\u{0}".into()),
    );
    expect(
        HypervisorErrorKind::NotFound,
        changed(&|vm| vm.disks[0].volume = volume("disks", "missing")),
    );
    client.define(&web).unwrap();
    let taken = Definition {
        id: definition(3, "x").id,
        ..web.clone()
    };
    expect(HypervisorErrorKind::AlreadyExists, client.define(&taken));
}

#[test]
fn without_a_policy_that_can_be_trusted_nothing_is_made_or_started() {
    if is_skipped() {
        return;
    }
    let host = TestHost::start();
    let client = &host.client;
    upload_demo(&host);
    let web = definition(2, "web");
    client.create_volume(&clone_of_demo("web")).unwrap();
    client.define(&web).unwrap();

    fs::rename(host.policy(), host.folder().join("away")).unwrap();
    expect(HypervisorErrorKind::Refused, client.start(web.id));
    expect(HypervisorErrorKind::Refused, client.define(&web));
    expect(HypervisorErrorKind::Refused, client.pools());
    assert_eq!(client.vms().unwrap().len(), 1);
    assert_eq!(client.details(&[web.id]).unwrap().len(), 1);
    fs::rename(host.folder().join("away"), host.policy()).unwrap();
    client.start(web.id).unwrap();

    // A pool of the policy's name that libvirt has at another path.
    host.virsh(&["pool-destroy", "images"]);
    host.virsh(&["pool-undefine", "images"]);
    host.virsh(&["pool-define-as", "images", "dir", "--target", "/root"]);
    expect(HypervisorErrorKind::Refused, client.pools());
}

#[test]
fn a_disk_that_fills_up_under_an_upload_is_told_and_leaves_nothing() {
    if is_skipped() {
        return;
    }
    let host = TestHost::start();
    let client = &host.client;
    client.pools().unwrap();
    // Only inside the host, so that it can't be seen beforehand that the image will not fit.
    let images = host.pools().join("images");
    let images = images.to_str().unwrap();
    host.exec(&["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", images]);
    let large = host.folder().join("large");
    fs::write(&large, vec![7; 4 << 20]).unwrap();
    let full = upload(&host, &large, "large", VolumeFormat::Raw);
    expect(HypervisorErrorKind::NoSpace, full);
    assert!(
        client
            .volumes(&"images".parse().unwrap())
            .unwrap()
            .is_empty()
    );
}
