// SPDX-License-Identifier: GPL-3.0-or-later
//! Starting what root's own virsh defined: the hook must stop it, whoever defined it.
//!
//! Whoever may everything in hvd, or is hvd, can start a VM that was made with another tool. So a
//! definition that reaches for the host, left by a mistake or by another tool's hole, is theirs to
//! use, unless the hook looks once more.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use hv_model::hypervisor::Hypervisor;
use serde_json::Value;

use super::domain::{disk, domain};
use crate::{Actor, Arena, Attempt, Facts, Layer, Loot, Off, Stage, Trouble};

/// The name of what root defines.
const NAME: &str = "hv-attack-foreign";
/// The name of a VM of root's that reaches for nothing.
pub(super) const PLAIN: &str = "hv-attack-plain";

const OWNERSHIP: &str = "a file of root's was given to QEMU's user";
const MADE: &str = "libvirt made a file in a folder that only root may enter";

macro_rules! ways {
    ($($name:literal, $goal:literal, $success:expr, $xml:expr $(, words $words:literal)?;)*) => {
        pub(super) const ATTEMPTS: &[Attempt] = &[$(Attempt {
            name: $name,
            goal: concat!("start a VM of root's that ", $goal),
            success: $success,
            set_up: |stage, facts| {
                let xml: fn(&Stage) -> Result<String, Trouble> = $xml;
                define(stage, facts, &xml(stage)?)
            },
            $(evidence: |stage, _, _| told_to_qemu(stage, $words),)?
            ..FOREIGN
        }),*];
    };
}

const FOREIGN: Attempt = Attempt {
    actors: &[Actor::Admin, Actor::Hvd],
    layer: Layer::Hook,
    off: &[Off::Hook],
    run: start,
    clear,
    ..Attempt::PLAIN
};

ways! {
    "start-disk-outside", "has a file of root's as its disk", OWNERSHIP,
        |stage| Ok(domain(NAME, "", &disk(&stage.arena.canary, "raw"), ""));
    "start-disk-by-backing", "has a disk that stands on a file of root's", OWNERSHIP,
        |stage| {
            let overlay = in_pool(stage, "overlay")?;
            let made = Command::new("qemu-img")
                .args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"])
                .args([&stage.arena.canary, &overlay])
                .status()?;
            if !made.success() {
                return Err(Trouble::new("qemu-img can't make an overlay"));
            }
            Ok(domain(NAME, "", &disk(&overlay, "qcow2"), ""))
        };
    "start-disk-by-link", "has a disk in a pool that is a link to a file of root's", OWNERSHIP,
        |stage| {
            let link = in_pool(stage, "link")?;
            symlink(&stage.arena.canary, &link)?;
            Ok(domain(NAME, "", &disk(&link, "raw"), ""))
        };
    "start-kernel", "boots a file of root's as its kernel", OWNERSHIP,
        |stage| {
            let kernel = format!("<kernel>{}</kernel>", stage.arena.canary.display());
            Ok(domain(NAME, &kernel, "", ""))
        };
    "start-serial-file", "writes its serial port to a file", MADE,
        |stage| Ok(with_device(stage, "<serial type='file'><source path='{made}'/></serial>"));
    "start-serial-log", "logs its serial port to a file", MADE,
        |stage| Ok(with_device(stage, "<serial type='pty'><log file='{made}'/></serial>"));
    "start-channel-file", "has a channel that is a file", MADE,
        |stage| Ok(with_device(stage, "<channel type='file'><source path='{made}'/><target type='virtio' name='x'/></channel>"));
    "start-as-root", "runs QEMU as root by a security label", "a QEMU runs as root",
        |_| {
            let label = "<seclabel type='static' model='dac' relabel='no'><label>+0:+0</label></seclabel>";
            Ok(domain(NAME, "", "", label))
        };
    "start-host-folder", "shares a folder of the host", "QEMU was given the folder",
        |stage| {
            // Where QEMU's user may go, so that nothing but the hook stands in the way.
            let folder = stage.folder.display();
            let device = format!("<filesystem type='mount'><source dir='{folder}'/><target dir='x'/></filesystem>");
            Ok(domain(NAME, "", &device, ""))
        }, words "fsdev";
    "start-command-line", "gives QEMU arguments of its own", "QEMU runs with them",
        |_| {
            let arguments = "<qemu:commandline><qemu:arg value='-name'/><qemu:arg value='hv-attack-smuggled'/></qemu:commandline>";
            Ok(domain(NAME, "", "", arguments))
        }, words "hv-attack-smuggled";
    "start-emulator", "runs a program of its own in place of QEMU", "the program was run",
        |stage| {
            // libvirt asks an emulator what it can do, and so runs it.
            let program = in_pool(stage, "emulator")?;
            let told = stage.folder.join("told");
            fs::write(&told, "").map_err(Trouble::at(&told))?;
            fs::set_permissions(&told, fs::Permissions::from_mode(0o666)).map_err(Trouble::at(&told))?;
            let script = format!(
                "#!/bin/sh\necho \"$*\" >>{}\nexec /usr/bin/qemu-system-x86_64 \"$@\"\n",
                told.display()
            );
            fs::write(&program, script).map_err(Trouble::at(&program))?;
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).map_err(Trouble::at(&program))?;
            let emulator = format!("<emulator>{}</emulator>", program.display());
            Ok(domain(NAME, "", &emulator, ""))
        }, words "hv-attack-emulator-was-run";
    "start-open-display", "shows its display to the whole network", "QEMU listens on every address",
        |stage| Ok(with_device(stage, "<graphics type='vnc' port='-1' autoport='yes' listen='0.0.0.0'/>")),
        words "0.0.0.0";
    "start-user-network", "reaches the host's network as QEMU itself", "QEMU was given such a network",
        |stage| Ok(with_device(stage, "<interface type='user'/>")), words "netdev";
    "start-shared-memory", "shares memory with other programs of the host", "QEMU was given such memory",
        |stage| Ok(with_device(stage, "<shmem name='hv-attack'><model type='ivshmem-plain'/><size unit='M'>4</size></shmem>")),
        words "ivshmem";
}

/// Defines a VM of root's that reaches for nothing, and waits until hvd knows it.
pub(super) fn define_plain(stage: &Stage) -> Result<(), Trouble> {
    stage.remove_domain(PLAIN)?;
    stage
        .root
        .define(&stage.folder, &domain(PLAIN, "", "", ""))?;
    wait_for(stage, PLAIN).map(drop)
}

fn define(stage: &Stage, facts: &mut Facts, xml: &str) -> Result<(), Trouble> {
    stage.remove_domain(NAME)?;
    stage.root.define(&stage.folder, xml)?;
    facts.insert("id".to_owned(), wait_for(stage, NAME)?);
    Ok(())
}

/// The id of a VM, once hvd knows it.
fn wait_for(stage: &Stage, name: &str) -> Result<String, Trouble> {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        if let Ok(vm) = stage.root.get(&format!("/v1/vms/{name}"))
            && let Some(id) = vm["id"].as_str()
            && stage.root.virsh(&["domuuid", name])?.trim() == id
        {
            return Ok(id.to_owned());
        }
        if Instant::now() > end {
            return Err(Trouble::new("hvd does not see what virsh defined"));
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn with_device(stage: &Stage, device: &str) -> String {
    let made = stage.arena.cellar.join("made");
    domain(
        NAME,
        "",
        &device.replace("{made}", &made.display().to_string()),
        "",
    )
}

/// A file of this name in the first pool, which is removed when the attempt is over.
fn in_pool(stage: &Stage, name: &str) -> Result<PathBuf, Trouble> {
    let pool = stage.arena.pools.first();
    let pool = pool.ok_or_else(|| Trouble::new("the host's policy names no pool"))?;
    let path = pool.join(format!("hv-attack-{name}"));
    if path.symlink_metadata().is_ok() {
        fs::remove_file(&path).map_err(Trouble::at(&path))?;
    }
    Ok(path)
}

/// Starts it: through hvd, and, for whom it is open, through the port.
fn start(arena: &Arena, facts: &Facts) -> Result<Loot, Trouble> {
    let mut loot = Loot::default();
    let id = facts.get("id").cloned().unwrap_or_default();
    let path = format!("/v1/vms/{id}/start");
    if let Ok(answer) = arena.hvd().change("POST", &path, &Value::Null)
        && answer.status != 404
    {
        loot.answer(&answer);
    }
    let id = id.parse().map_err(Trouble::new)?;
    if let Err(error) = hv_port::Client::new(&arena.port).start(id) {
        loot.told(error);
    }
    Ok(loot)
}

fn clear(stage: &Stage, _: &Facts) -> Result<(), Trouble> {
    stage.remove_domain(NAME)?;
    for name in ["overlay", "link", "emulator"] {
        in_pool(stage, name)?;
    }
    Ok(())
}

/// Whether the QEMU of what root defined runs with these words among its arguments.
fn told_to_qemu(stage: &Stage, words: &str) -> Option<String> {
    if words == "hv-attack-emulator-was-run" {
        let told = fs::read_to_string(stage.folder.join("told")).ok()?;
        // Asking what it can do is one thing, running a VM another.
        let ran = told
            .lines()
            .any(|line| line.contains(&format!("guest={NAME}")));
        return ran.then(|| "a program of the actor's choice was run in place of QEMU".to_owned());
    }
    let processes = fs::read_dir("/proc").ok()?;
    let mut arguments = processes.filter_map(|entry| {
        let path = entry.ok()?.path().join("cmdline");
        Some(fs::read_to_string(path).ok()?.replace('\0', " "))
    });
    let ours = format!("guest={NAME}");
    let found = arguments.any(|arguments| arguments.contains(&ours) && arguments.contains(words));
    found.then(|| format!("a QEMU of root's definition runs with {words:?} among its arguments"))
}
