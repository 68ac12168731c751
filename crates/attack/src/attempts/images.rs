// SPDX-License-Identifier: GPL-3.0-or-later
//! Images that point elsewhere, as files that QEMU would follow.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use hv_model::{
    hypervisor::Hypervisor,
    storage::{VolumeFormat, VolumeRef},
};
use serde_json::{Value, json};

use super::spec_text::try_spec;
use crate::{Actor, Arena, Attempt, Facts, Layer, Loot, Off, Stage, Trouble, stage::PREFIX};

const STORED: &str = "it is stored, or a file of root's was given to QEMU's user";

macro_rules! images {
    ($($name:literal, $goal:literal, $format:literal, $make:expr;)*) => {
        pub(super) const ATTEMPTS: &[Attempt] = &[$(Attempt {
            name: $name,
            goal: concat!("have an image stored that ", $goal),
            success: STORED,
            actors: &[Actor::Admin, Actor::Hvd],
            layer: Layer::Image,
            off: &[Off::Hook, Off::Past],
            run: |arena, _| {
                let make: fn(&Arena, &Path) -> Result<(), Trouble> = $make;
                let file = own_file();
                let made = make(arena, &file).and_then(|()| upload(arena, &file, $format));
                fs::remove_file(&file).ok();
                made
            },
            evidence: stored,
            clear: remove,
            ..Attempt::PLAIN
        }),*];
    };
}

images! {
    "image-with-backing-file", "stands on a file of root's", "qcow2",
        |arena, file| overlay(file, &arena.canary.display().to_string());
    "image-with-relative-backing-file", "stands on a file of root's by a path that climbs", "qcow2",
        |arena, file| overlay(file, &format!("../../../../../../../../..{}", arena.canary.display()));
    "image-with-json-backing-file", "stands on a file of root's, told as JSON", "qcow2",
        |arena, file| {
            let name = arena.canary.display();
            overlay(file, &format!("json:{{\"driver\":\"raw\",\"file\":{{\"driver\":\"file\",\"filename\":\"{name}\"}}}}"))
        };
    "image-with-network-backing", "stands on what a server in the host's network says", "qcow2",
        |_, file| overlay(file, "nbd:127.0.0.1:10809");
    "image-with-data-file", "keeps its bytes in a file of root's", "qcow2", data_file;
    "image-that-is-no-raw-one", "is said to be plain bytes and stands on a file of root's", "raw",
        |arena, file| overlay(file, &arena.canary.display().to_string());
    "image-that-is-a-descriptor", "is a text that names a file of root's as its extent", "raw",
        |arena, file| {
            let sectors = 2048;
            let text = format!(
                "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n\
                 createType=\"monolithicFlat\"\nRW {sectors} FLAT \"{}\" 0\n",
                arena.canary.display()
            );
            fs::write(file, text).map_err(Trouble::at(file))
        };
    "image-that-is-a-late-descriptor", "is such a text behind blanks and comments", "raw",
        |arena, file| {
            let text = format!(
                "# x\n \n# Disk DescriptorFile\nversion=1\ncreateType=\"monolithicFlat\"\nRW 2048 FLAT \"{}\" 0\n",
                arena.canary.display()
            );
            fs::write(file, text).map_err(Trouble::at(file))
        };
}

/// A qcow2 image of 1 MiB that stands on this.
fn overlay(file: &Path, on: &str) -> Result<(), Trouble> {
    qemu_img(&["-u", "-b", on, "-F", "raw"], file, "1M")
}

/// A qcow2 image whose data are in the canary.
fn data_file(arena: &Arena, file: &Path) -> Result<(), Trouble> {
    // QEMU makes a data file with the image, so the canary's name is put in afterwards, in place of
    // one that is as long.
    let canary = arena.canary.display().to_string();
    let mut stand_in = String::from("/tmp/hv-attack-");
    while stand_in.len() < canary.len() {
        stand_in.push('x');
    }
    if stand_in.len() != canary.len() {
        return Err(Trouble::new(
            "the canary's path is too short for this attempt",
        ));
    }
    let made = qemu_img(
        &["-o", &format!("data_file={stand_in},data_file_raw=on")],
        file,
        "1M",
    );
    fs::remove_file(&stand_in).ok();
    made?;
    let mut bytes = fs::read(file).map_err(Trouble::at(file))?;
    let found = bytes
        .windows(canary.len())
        .position(|part| part == stand_in.as_bytes());
    let found = found.ok_or_else(|| Trouble::new("qemu-img wrote no data file's name"))?;
    if let Some(place) = bytes.get_mut(found..found + canary.len()) {
        place.copy_from_slice(canary.as_bytes());
    }
    fs::write(file, bytes).map_err(Trouble::at(file))
}

fn qemu_img(options: &[&str], file: &Path, size: &str) -> Result<(), Trouble> {
    let output = Command::new("qemu-img")
        .args(["create", "-q", "-f", "qcow2"])
        .args(options)
        .arg(file)
        .arg(size)
        .output()
        .map_err(|error| Trouble(format!("qemu-img, which is in qemu-utils: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Trouble(
        String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    ))
}

fn own_file() -> PathBuf {
    let user = rustix::process::getuid().as_raw();
    format!("/tmp/hv-attack-{user}-{}-image", std::process::id()).into()
}

/// Uploads a file, through hvd or, for whom it is open, the port; makes a VM from it and starts it.
fn upload(arena: &Arena, file: &Path, format: &str) -> Result<Loot, Trouble> {
    let mut loot = Loot::default();
    let bytes = fs::read(file).map_err(Trouble::at(file))?;
    if rustix::fs::access(&arena.port, rustix::fs::Access::WRITE_OK).is_ok() {
        let port = hv_port::Client::new(&arena.port);
        let volume = VolumeRef {
            pool: images_pool(&port)?.parse().map_err(Trouble::new)?,
            name: format!("{PREFIX}-smuggled").parse().map_err(Trouble::new)?,
        };
        let format = match format {
            "qcow2" => VolumeFormat::Qcow2,
            _ => VolumeFormat::Raw,
        };
        let source = File::open(file).map_err(Trouble::at(file))?;
        if let Err(error) = port.upload_image(&volume, format, bytes.len() as u64, source.into()) {
            loot.told(error);
        }
        return Ok(loot);
    }
    let path = format!("/v1/images/{PREFIX}-smuggled?format={format}&wait=60s");
    let answer = arena.hvd().ask("PUT", &path, &[], Some(&bytes))?;
    loot.answer(&answer);
    let used = try_spec(
        arena,
        &json!({"disks": [{"image": format!("{PREFIX}-smuggled")}]}),
    )?;
    loot.asked.extend(used.asked);
    Ok(loot)
}

/// The pool that images are kept in.
fn images_pool(port: &hv_port::Client) -> Result<String, Trouble> {
    let pools = port.pools().map_err(Trouble::new)?;
    let images = pools
        .into_iter()
        .find(|pool| pool.purpose == hv_model::storage::PoolPurpose::Images);
    images
        .map(|pool| pool.name.to_string())
        .ok_or_else(|| Trouble::new("the host has no pool for images"))
}

fn stored(stage: &Stage, _: &Facts, _: &Loot) -> Option<String> {
    let name = format!("{PREFIX}-smuggled");
    if stage.root.get(&format!("/v1/images/{name}")).is_ok() {
        return Some("it is in the library".to_owned());
    }
    let found = stage.arena.pools.iter().map(|pool| pool.join(&name));
    let found = found
        .into_iter()
        .find(|path| path.symlink_metadata().is_ok())?;
    Some(format!("it is stored as {}", found.display()))
}

fn remove(stage: &Stage, _: &Facts) -> Result<(), Trouble> {
    stage.remove_vm_named(&format!("{PREFIX}-new"))?;
    let path = format!("/v1/images/{PREFIX}-smuggled");
    if stage.root.get(&path).is_ok() {
        stage.root.change("DELETE", &path, &Value::Null)?;
    }
    for pool in &stage.arena.pools {
        let path = pool.join(format!("{PREFIX}-smuggled"));
        if path.symlink_metadata().is_ok() {
            fs::remove_file(&path).map_err(Trouble::at(&path))?;
        }
    }
    Ok(())
}
