// SPDX-License-Identifier: GPL-3.0-or-later
//! Text that would become XML, a command, a path, SQL, or a line of a log.

use serde_json::{Value, json};

use super::changes::make;
use crate::{Actor, Arena, Attempt, Facts, Layer, Loot, Off, Stage, Trouble, stage::PREFIX};

const MAKER: &[Actor] = &[Actor::Creator];

const XML: &str = "a disk on a file of root's is an element of the VM's definition in libvirt";

pub(super) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "xml-in-description",
        goal: "smuggle a disk on a file of root's into a VM's definition by its description",
        success: XML,
        run: |arena, _| {
            let payload = payload(arena);
            try_spec(
                arena,
                &json!({"description": format!("</vm></metadata>{payload}<metadata><vm>")}),
            )
        },
        ..TEXT
    },
    Attempt {
        name: "xml-in-description-as-cdata",
        goal: "end a CDATA section or a comment in a VM's definition by its description",
        success: XML,
        run: |arena, _| {
            let payload = payload(arena);
            try_spec(
                arena,
                &json!({"description": format!("]]>{payload}<!-- --> &#60;x&#62; <![CDATA[")}),
            )
        },
        ..TEXT
    },
    Attempt {
        name: "xml-in-name",
        goal: "smuggle a disk on a file of root's into a VM's definition by its name",
        success: XML,
        run: |arena, _| {
            let name = format!("{PREFIX}-x</name>{}<name>", payload(arena));
            try_spec(arena, &json!({"name": name}))
        },
        ..TEXT
    },
    Attempt {
        name: "xml-in-tag",
        goal: "smuggle a disk on a file of root's into a VM's definition by a tag",
        success: XML,
        run: |arena, _| try_spec(arena, &json!({"tags": [payload(arena)]})),
        ..TEXT
    },
    Attempt {
        name: "xml-in-machine",
        goal: "smuggle a disk on a file of root's into a VM's definition by its machine type",
        success: XML,
        run: |arena, _| {
            let machine = format!(
                "q35'>hvm</type></os>{}<os><type machine='q35",
                payload(arena)
            );
            try_spec(arena, &json!({"machine": machine}))
        },
        ..TEXT
    },
    Attempt {
        name: "xml-in-cpu-model",
        goal: "smuggle a disk on a file of root's into a VM's definition by its CPU's features",
        success: XML,
        run: |arena, _| {
            let feature = format!("x'/></cpu>{}<cpu><feature name='x", payload(arena));
            try_spec(
                arena,
                &json!({"cpus": {"count": 1, "features": {feature: "require"}}}),
            )
        },
        ..TEXT
    },
    Attempt {
        name: "xml-in-disk-name",
        goal: "smuggle a disk on a file of root's into a VM's definition by a disk's name",
        success: XML,
        run: |arena, _| {
            let name = format!("vda'/></disk>{}<disk><target dev='vdb", payload(arena));
            try_spec(arena, &json!({"disks": [{"name": name, "size": "1MiB"}]}))
        },
        ..TEXT
    },
    Attempt {
        name: "option-in-name",
        goal: "have a VM's name taken for an option of a command",
        success: "a file was made in a folder that only root may enter",
        off: &[Off::Past],
        run: |arena, _| {
            let name = format!("--output={}/made", arena.cellar.display());
            try_spec(arena, &json!({"name": name}))
        },
        ..TEXT
    },
    Attempt {
        name: "shell-in-name",
        goal: "have a VM's name run as a command",
        success: "a file was made in a folder that only root may enter",
        off: &[Off::Past],
        run: |arena, _| {
            let mut loot = Loot::default();
            let cellar = arena.cellar.display();
            for name in [
                format!("{PREFIX}-$(touch {cellar}/made)"),
                format!("{PREFIX};touch {cellar}/made"),
                format!("{PREFIX}\ntouch {cellar}/made"),
                format!("`touch {cellar}/made`"),
            ] {
                let tried = try_spec(arena, &json!({"name": name}))?;
                loot.asked.extend(tried.asked);
                loot.told = loot.told.or(tried.told);
            }
            Ok(loot)
        },
        ..TEXT
    },
    Attempt {
        name: "path-in-image-name",
        goal: "write outside the pools by an image's name that climbs",
        success: "a file of root's has another content, or there is a new one in root's folder",
        actors: &[Actor::Admin],
        off: &[Off::Past],
        run: |arena, _| {
            let mut loot = Loot::default();
            for target in [arena.canary.clone(), arena.cellar.join("made")] {
                let climbing = format!("../../../../../../../../../../..{}", target.display());
                for name in [
                    climbing.clone(),
                    target.display().to_string(),
                    format!("x/{climbing}"),
                ] {
                    let escaped = name.replace('/', "%2f");
                    let path = format!("/v1/images/{escaped}?format=raw&wait=60s");
                    loot.answer(&arena.hvd().ask("PUT", &path, &[], Some(&[b'x'; 4096]))?);
                }
            }
            Ok(loot)
        },
        ..TEXT
    },
    Attempt {
        name: "path-as-image",
        goal: "make a disk from a file of root's, named in place of an image",
        success: "a VM has a disk on a file of root's",
        run: |arena, _| {
            let climbing = format!("../../../../../../../..{}", arena.canary.display());
            let mut loot = try_spec(arena, &json!({"disks": [{"image": arena.canary}]}))?;
            let more = try_spec(arena, &json!({"disks": [{"image": climbing}]}))?;
            loot.asked.extend(more.asked);
            Ok(loot)
        },
        ..TEXT
    },
    Attempt {
        name: "path-as-pool",
        goal: "have a disk made in a folder of root's, named in place of a pool",
        success: "a file was made in a folder that only root may enter",
        off: &[Off::Past],
        run: |arena, _| {
            let cellar = arena.cellar.display().to_string();
            let pools = [cellar.clone(), format!("../../../../../../..{cellar}")];
            let mut loot = Loot::default();
            for pool in pools {
                let tried = try_spec(arena, &json!({"disks": [{"size": "1MiB", "pool": pool}]}))?;
                loot.asked.extend(tried.asked);
                loot.told = loot.told.or(tried.told);
            }
            Ok(loot)
        },
        ..TEXT
    },
    Attempt {
        name: "sql-in-a-filter",
        goal: "have a filter run as SQL that selects what belongs to others",
        success: "the VM of somebody else stands in an answer",
        actors: super::PEOPLE,
        off: &[Off::Past],
        evidence: |_, _, _| None,
        run: |arena, _| {
            let mut loot = Loot::default();
            let any = "'%20OR%20'1'%3D'1";
            for path in [
                format!("/v1/vms?name=x{any}"),
                format!("/v1/operations?vm=x{any}"),
                format!("/v1/operations?page=0{any}"),
                format!("/v1/events?vm=x{any}"),
                format!("/v1/events?after=0{any}"),
                format!("/v1/images/x{any}"),
                "/v1/vms?name=%25".to_owned(),
            ] {
                loot.answer_unasked(&arena.hvd().get(&path)?);
            }
            Ok(loot)
        },
        ..TEXT
    },
    Attempt {
        name: "pattern-in-a-filter",
        goal: "have a filter read as a pattern that fits what belongs to others",
        success: "the VM of somebody else stands in an answer",
        actors: super::PEOPLE,
        layer: Layer::Decision,
        off: &[Off::Decision],
        evidence: |_, _, _| None,
        run: |arena, _| {
            let mut loot = Loot::default();
            let owner = &arena.victims_owner;
            for filter in [
                "name=.*",
                "name=hv-attack-*",
                "tag=hv-tag-*",
                "state=running",
            ] {
                loot.answer_unasked(&arena.hvd().get(&format!("/v1/vms?{filter}"))?);
            }
            loot.answer_unasked(&arena.hvd().get(&format!("/v1/vms?owner={owner}"))?);
            Ok(loot)
        },
        ..TEXT
    },
];

/// What these attempts share.
const TEXT: Attempt = Attempt {
    actors: MAKER,
    layer: Layer::Spec,
    off: &[Off::Hook, Off::Past],
    evidence: smuggled,
    ..Attempt::PLAIN
};

/// XML that would be a disk on the canary.
fn payload(arena: &Arena) -> String {
    let disk = super::domain::disk(&arena.canary, "raw");
    format!("<devices>{disk}</devices>")
}

/// Asks for a VM with this in its spec, and starts it if it is made.
pub(super) fn try_spec(arena: &Arena, more: &Value) -> Result<Loot, Trouble> {
    let mut spec = json!({"name": format!("{PREFIX}-new"), "memory": "64MiB"});
    if let (Some(spec), Some(more)) = (spec.as_object_mut(), more.as_object()) {
        spec.extend(more.clone());
    }
    let mut loot = make(arena, &spec)?;
    let path = format!("/v1/vms/{PREFIX}-new/start");
    loot.answer(&arena.hvd().change("POST", &path, &Value::Null)?);
    Ok(loot)
}

/// A domain of the actors' that has a file of root's in an element of its definition.
pub(super) fn smuggled(stage: &Stage, _: &Facts, _: &Loot) -> Option<String> {
    let names = stage.root.virsh(&["list", "--all", "--name"]).ok()?;
    let names = names.lines().filter(|name| name.starts_with(PREFIX));
    let mut definitions = names.filter_map(|name| {
        let xml = stage.root.virsh(&["dumpxml", "--inactive", name]).ok()?;
        Some((name, xml))
    });
    let (canary, cellar) = (stage.arena.canary.display(), stage.arena.cellar.display());
    // In text, the sign that begins an element is written as an entity.
    let disk = format!("<source file='{canary}'");
    let inside = format!("<source file='{cellar}");
    let (name, _) = definitions.find(|(_, xml)| xml.contains(&disk) || xml.contains(&inside))?;
    Some(format!(
        "the definition of {name} has a file of root's in it"
    ))
}
