// SPDX-License-Identifier: GPL-3.0-or-later
//! Speaking the port: by those who may not, and by hvd once it was taken over.

use std::{fs, path::PathBuf};

use hv_model::hypervisor::Hypervisor;
use serde_json::{Value, json};

use super::{
    foreign::{PLAIN, define_plain},
    policy::some_id,
    spec_text::smuggled,
};
use crate::{
    Actor, Arena, Attempt, Facts, Frames, Layer, Loot, Off, Stage, Trouble, stage::PREFIX,
};

const STRANGERS: &[Actor] = &[
    Actor::Operator,
    Actor::Creator,
    Actor::Viewer,
    Actor::Admin,
    Actor::Anonymous,
];

/// A pool of root's that the product knows nothing of.
const POOL: &str = "hv-attack-pool";

pub(super) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "port-of-hvd",
        goal: "speak to the broker in hvd's place, and list all VMs",
        success: "the broker named the VM of somebody else",
        actors: STRANGERS,
        layer: Layer::Port,
        off: &[Off::Port],
        run: |arena, _| {
            let mut loot = Loot::default();
            match Frames::call(&arena.port, r#"{"vms":{}}"#) {
                Ok(said) => {
                    loot.frame(&said);
                    loot.take_unasked(said);
                }
                Err(error) => loot.told(format!("{}: {error}", arena.port.display())),
            }
            Ok(loot)
        },
        evidence: |stage, _, loot| {
            let named = loot.holds_unasked(&stage.arena.victim.name);
            named.then(|| "the broker named the VM of somebody else".to_owned())
        },
        ..Attempt::PLAIN
    },
    Attempt {
        name: "port-xml-in-text",
        goal: "smuggle a disk on a file of root's into a definition by its texts, past what hvd checks",
        success: "a disk on a file of root's is an element of a definition in libvirt",
        off: &[Off::Hook, Off::Past],
        run: |arena, _| {
            let disk = super::domain::disk(&arena.canary, "raw");
            let mut loot = Loot::default();
            for (key, value) in [
                (
                    "description",
                    json!(format!("]]></vm></metadata><devices>{disk}</devices>")),
                ),
                (
                    "machine",
                    json!(format!("q35'/></os><devices>{disk}</devices>")),
                ),
                ("tags", json!([format!("<devices>{disk}</devices>")])),
                (
                    "cpus",
                    json!({"count": 1, "model": format!("x</model></cpu><devices>{disk}</devices>")}),
                ),
                ("name", json!(format!("x</name><devices>{disk}</devices>"))),
            ] {
                let spec = json!({"name": format!("{PREFIX}-new"), "memory": "64MiB"});
                let mut definition =
                    json!({"id": some_id()?, "generation": 1, "spec": spec, "disks": []});
                definition["spec"][key] = value;
                call(
                    arena,
                    &json!({"define": {"definition": definition}}),
                    &mut loot,
                )?;
            }
            Ok(loot)
        },
        evidence: smuggled,
        clear: |stage, _| stage.remove_vm_named(&format!("{PREFIX}-new")),
        ..HVD
    },
    Attempt {
        name: "port-xml-field",
        goal: "give a definition as XML, in fields that the port does not know",
        success: "a disk on a file of root's is an element of a definition in libvirt",
        layer: Layer::Frames,
        off: &[Off::Hook, Off::Past],
        run: |arena, _| {
            let xml =
                super::domain::domain("x", "", &super::domain::disk(&arena.canary, "raw"), "");
            let mut loot = Loot::default();
            let spec = json!({"name": format!("{PREFIX}-new"), "memory": "64MiB"});
            let definition = json!({"id": some_id()?, "generation": 1, "spec": spec, "disks": []});
            for key in ["xml", "metadata", "emulator", "disk_paths"] {
                let mut inside = definition.clone();
                inside[key] = json!(xml);
                call(arena, &json!({"define": {"definition": inside}}), &mut loot)?;
                call(
                    arena,
                    &json!({"define": {"definition": definition, key: xml}}),
                    &mut loot,
                )?;
            }
            call(arena, &json!({"define_xml": {"xml": xml}}), &mut loot)?;
            Ok(loot)
        },
        evidence: smuggled,
        clear: |stage, _| stage.remove_vm_named(&format!("{PREFIX}-new")),
        ..HVD
    },
    Attempt {
        name: "port-climbing-volume",
        goal: "have a volume made outside its pool, by a name that climbs",
        success: "a file was made in a folder that only root may enter",
        layer: Layer::Frames,
        off: &[Off::Past],
        run: |arena, _| {
            let mut loot = Loot::default();
            let pool = disks_pool(arena)?;
            let made = arena.cellar.join("made");
            for name in [
                made.display().to_string(),
                format!("../../../../../../..{}", made.display()),
                "..".into(),
            ] {
                let volume = json!({
                    "volume": {"pool": pool, "name": name},
                    "capacity": "1MiB", "format": "raw", "content": "blank",
                });
                call(
                    arena,
                    &json!({"create_volume": {"volume": volume}}),
                    &mut loot,
                )?;
            }
            Ok(loot)
        },
        ..HVD
    },
    Attempt {
        name: "port-disk-of-a-foreign-pool",
        goal: "give a VM a volume of a pool that is root's own",
        success: "a VM is defined with that volume",
        off: &[Off::Policy],
        set_up: |stage, _| make_pool(stage),
        run: |arena, _| {
            let spec = json!({"name": format!("{PREFIX}-new"), "memory": "64MiB", "disks": [{"size": "1MiB"}]});
            let placed = json!({"name": "vda", "volume": {"pool": POOL, "name": "precious"}, "format": "raw"});
            let definition =
                json!({"id": some_id()?, "generation": 1, "spec": spec, "disks": [placed]});
            asked(arena, &json!({"define": {"definition": definition}}))
        },
        evidence: |stage, _, _| {
            let xml = stage
                .root
                .virsh(&["dumpxml", &format!("{PREFIX}-new")])
                .ok()?;
            xml.contains("/precious'")
                .then(|| "a VM is defined with root's volume".to_owned())
        },
        clear: |stage, _| {
            stage.remove_vm_named(&format!("{PREFIX}-new"))?;
            remove_pool(stage)
        },
        ..HVD
    },
    Attempt {
        name: "port-delete-in-a-foreign-pool",
        goal: "delete a volume of a pool that is root's own",
        success: "the volume is gone",
        off: &[Off::Policy],
        set_up: |stage, _| make_pool(stage),
        run: |arena, _| {
            let volume = json!({"pool": POOL, "name": "precious"});
            asked(arena, &json!({"delete_volume": {"volume": volume}}))
        },
        evidence: |stage, _, _| {
            (!pool_folder(stage).join("precious").exists())
                .then(|| "root's volume is gone".to_owned())
        },
        clear: |stage, _| remove_pool(stage),
        ..HVD
    },
    Attempt {
        name: "port-look-into-a-foreign-pool",
        goal: "list the volumes of a pool that is root's own",
        success: "a volume of root's was named",
        off: &[Off::Policy],
        set_up: |stage, _| make_pool(stage),
        run: |arena, _| asked(arena, &json!({"volumes": {"pool": POOL}})),
        evidence: |_, _, loot| {
            loot.holds("precious")
                .then(|| "it was told of a volume of root's".to_owned())
        },
        clear: |stage, _| remove_pool(stage),
        ..HVD
    },
    Attempt {
        name: "port-too-large-a-disk",
        goal: "have a disk made that is larger than the host's policy allows",
        success: "the disk is there",
        off: &[Off::Policy],
        run: |arena, _| {
            let volume = json!({
                "volume": {"pool": disks_pool(arena)?, "name": format!("{PREFIX}-huge")},
                "capacity": "4TiB", "format": "qcow2", "content": "blank",
            });
            asked(arena, &json!({"create_volume": {"volume": volume}}))
        },
        evidence: |stage, _, _| huge(stage).map(|path| format!("{} is there", path.display())),
        clear: |stage, _| match huge(stage) {
            Some(path) => fs::remove_file(&path).map_err(Trouble::at(&path)),
            None => Ok(()),
        },
        ..HVD
    },
    Attempt {
        name: "port-define-over-a-foreign-vm",
        goal: "put a definition of one's own over a VM that root made with another tool",
        success: "the VM has another definition",
        run: |arena, facts| {
            let definition = over(facts);
            asked(arena, &json!({"define": {"definition": definition}}))
        },
        ..FOREIGN
    },
    Attempt {
        name: "port-adopt-as-another-machine",
        goal: "adopt a VM that root made with another tool as a machine that it is not",
        success: "the VM has another definition",
        run: |arena, facts| {
            let mut definition = over(facts);
            definition["spec"]["memory"] = json!("128MiB");
            asked(arena, &json!({"adopt": {"definition": definition}}))
        },
        ..FOREIGN
    },
    Attempt {
        name: "port-undefine-a-foreign-vm",
        goal: "make libvirt forget a VM that root made with another tool",
        success: "the VM is gone",
        run: |arena, facts| {
            let mut loot = Loot::default();
            call(
                arena,
                &json!({"undefine": {"vm": facts.get("id")}}),
                &mut loot,
            )?;
            call(
                arena,
                &json!({"erase": {"definition": over(facts)}}),
                &mut loot,
            )?;
            Ok(loot)
        },
        ..FOREIGN
    },
    Attempt {
        name: "port-rename-a-foreign-vm",
        goal: "rename a VM that root made with another tool",
        success: "the VM has another name",
        run: |arena, facts| {
            let name = format!("{PREFIX}-renamed");
            asked(
                arena,
                &json!({"rename": {"vm": facts.get("id"), "name": name}}),
            )
        },
        ..FOREIGN
    },
];

/// What attempts of hvd's on the host's policy share.
const HVD: Attempt = Attempt {
    actors: &[Actor::Hvd],
    layer: Layer::Policy,
    off: &[Off::Policy],
    ..Attempt::PLAIN
};

/// What attempts on a VM of root's share.
const FOREIGN: Attempt = Attempt {
    layer: Layer::Ownership,
    off: &[Off::Past],
    set_up: |stage, facts| {
        define_plain(stage)?;
        let id = stage.root.virsh(&["domuuid", PLAIN])?;
        facts.insert("id".to_owned(), id.trim().to_owned());
        facts.insert(
            "xml".to_owned(),
            stage.root.virsh(&["dumpxml", "--inactive", PLAIN])?,
        );
        Ok(())
    },
    evidence: |stage, facts, _| {
        let was = facts.get("xml")?;
        match stage
            .root
            .virsh(&["dumpxml", "--inactive", facts.get("id")?])
        {
            Ok(is) if is == *was => None,
            Ok(_) => Some("the VM that root made has another definition".to_owned()),
            Err(_) => Some("the VM that root made is gone".to_owned()),
        }
    },
    clear: |stage, facts| {
        stage.remove_domain(PLAIN)?;
        facts.get("id").map_or(Ok(()), |id| stage.remove_domain(id))
    },
    ..HVD
};

/// A definition in place of that of root's VM.
fn over(facts: &Facts) -> Value {
    let spec = json!({"name": PLAIN, "memory": "96MiB"});
    json!({"id": facts.get("id"), "generation": 1, "spec": spec, "disks": []})
}

/// What is got by one call of the port.
fn asked(arena: &Arena, method: &Value) -> Result<Loot, Trouble> {
    let mut loot = Loot::default();
    call(arena, method, &mut loot)?;
    Ok(loot)
}

fn call(arena: &Arena, method: &Value, loot: &mut Loot) -> Result<(), Trouble> {
    loot.frame(&Frames::call(&arena.port, &method.to_string())?);
    Ok(())
}

/// The pool that disks are kept in.
fn disks_pool(arena: &Arena) -> Result<String, Trouble> {
    let pools = hv_port::Client::new(&arena.port)
        .pools()
        .map_err(Trouble::new)?;
    let disks = pools
        .into_iter()
        .find(|pool| pool.purpose == hv_model::storage::PoolPurpose::Disks);
    disks
        .map(|pool| pool.name.to_string())
        .ok_or_else(|| Trouble::new("the host has no pool for disks"))
}

fn huge(stage: &Stage) -> Option<PathBuf> {
    let pools = stage.arena.pools.iter();
    pools
        .map(|pool| pool.join(format!("{PREFIX}-huge")))
        .find(|path| path.exists())
}

fn pool_folder(stage: &Stage) -> PathBuf {
    stage.folder.join("pool")
}

fn make_pool(stage: &Stage) -> Result<(), Trouble> {
    remove_pool(stage)?;
    let folder = pool_folder(stage);
    fs::create_dir_all(&folder).map_err(Trouble::at(&folder))?;
    let volume = folder.join("precious");
    fs::write(&volume, [7; 4096]).map_err(Trouble::at(&volume))?;
    let target = folder.to_string_lossy();
    stage
        .root
        .virsh(&["pool-create-as", POOL, "dir", "--target", &target])
        .map(drop)
}

fn remove_pool(stage: &Stage) -> Result<(), Trouble> {
    // It is only there if an attempt was cut short.
    stage.root.virsh(&["pool-destroy", POOL]).ok();
    stage.root.virsh(&["pool-undefine", POOL]).ok();
    let folder = pool_folder(stage);
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(Trouble::at(&folder))?;
    }
    Ok(())
}
