// SPDX-License-Identifier: GPL-3.0-or-later
//! Changing what belongs to others, and becoming more than one is.

use serde_json::{Value, json};

use super::{PEOPLE, own_is_paused};
use crate::{Actor, Arena, Attempt, Facts, Loot, Stage, Trouble, stage::PREFIX};

/// Those of them whose role lets them do this to VMs of their own.
const RUNNERS: &[Actor] = &[Actor::Operator, Actor::Creator];

/// Those who may not make VMs.
const NO_MAKERS: &[Actor] = &[Actor::Operator, Actor::Viewer];

macro_rules! act {
    ($name:literal, $goal:literal, $success:literal, $action:literal) => {
        Attempt {
            name: $name,
            goal: $goal,
            success: $success,
            actors: RUNNERS,
            run: |arena, _| act(arena, &arena.victim.name, $action, &Value::Null),
            ..Attempt::PLAIN
        }
    };
}

pub(super) const ATTEMPTS: &[Attempt] = &[
    act!(
        "force-off-of-others",
        "cut the power of the VM of somebody else",
        "the VM is off",
        "force-off"
    ),
    act!(
        "pause-of-others",
        "pause the VM of somebody else",
        "it is paused",
        "pause"
    ),
    act!(
        "save-of-others",
        "save the memory of the VM of somebody else and stop it",
        "it is saved",
        "save"
    ),
    Attempt {
        name: "rename-of-others",
        goal: "rename the VM of somebody else",
        success: "it has another name",
        actors: RUNNERS,
        run: |arena, _| {
            // A VM that runs can't be renamed: it is cut off first.
            let mut loot = act(arena, &arena.victim.id, "force-off", &Value::Null)?;
            let name = json!({"name": format!("{PREFIX}-stolen")});
            let renamed = act(arena, &arena.victim.id, "rename", &name)?;
            loot.asked.extend(renamed.asked);
            Ok(loot)
        },
        ..Attempt::PLAIN
    },
    Attempt {
        name: "change-of-others",
        goal: "change the memory and the description of the VM of somebody else",
        success: "its spec is another one",
        actors: PEOPLE,
        run: |arena, _| {
            change(
                arena,
                &arena.victim.name,
                &json!({"description": "changed"}),
            )
        },
        ..Attempt::PLAIN
    },
    Attempt {
        name: "take-over-by-owner",
        goal: "become the owner of the VM of somebody else",
        success: "it has another owner",
        actors: PEOPLE,
        run: |arena, _| change(arena, &arena.victim.name, &json!({"owner": myself()})),
        ..Attempt::PLAIN
    },
    Attempt {
        name: "delete-of-others",
        goal: "delete the VM of somebody else",
        success: "it is in the trash",
        actors: PEOPLE,
        run: |arena, _| {
            let mut loot = Loot::default();
            let path = format!("/v1/vms/{}?running=force-off", arena.victim.name);
            loot.answer(&arena.hvd().change("DELETE", &path, &Value::Null)?);
            Ok(loot)
        },
        ..Attempt::PLAIN
    },
    Attempt {
        name: "start-as-viewer",
        goal: "pause a VM of which one may only look",
        success: "the VM is paused",
        actors: &[Actor::Viewer],
        run: |arena, _| act(arena, &arena.own.name, "pause", &Value::Null),
        evidence: own_is_paused,
        ..Attempt::PLAIN
    },
    Attempt {
        name: "console-as-viewer",
        goal: "use the console of a VM of which one may only look",
        success: "what its guest says was read",
        actors: &[Actor::Viewer],
        run: |arena, _| super::console::open(arena, &arena.own.name, "?takeover=force", &[]),
        evidence: |_, _, loot| {
            loot.holds("hv-attack-title")
                .then(|| "the console was read".to_owned())
        },
        ..Attempt::PLAIN
    },
    Attempt {
        name: "make-a-vm",
        goal: "make a VM without the right to",
        success: "the VM is there",
        actors: NO_MAKERS,
        run: |arena, _| {
            make(
                arena,
                &json!({"name": format!("{PREFIX}-new"), "memory": "64MiB"}),
            )
        },
        evidence: |stage, _, _| {
            let seen = stage.root.get(&format!("/v1/vms/{PREFIX}-new"));
            seen.is_ok().then(|| "the VM is there".to_owned())
        },
        ..Attempt::PLAIN
    },
    Attempt {
        name: "make-a-vm-for-somebody-else",
        goal: "make a VM that counts as somebody else's",
        success: "the VM is there and belongs to somebody else",
        actors: &[Actor::Creator],
        run: |arena, _| {
            let name = format!("{PREFIX}-new");
            make(
                arena,
                &json!({"name": name, "memory": "64MiB", "owner": arena.victims_owner}),
            )
        },
        evidence: |stage, _, _| {
            let seen = stage.root.get(&format!("/v1/vms/{PREFIX}-new")).ok()?;
            let owner = seen["owner"].as_str()?;
            (owner == stage.arena.victims_owner).then(|| format!("a VM was made that is {owner}'s"))
        },
        ..Attempt::PLAIN
    },
    Attempt {
        name: "own-vm-given-away",
        goal: "give an own VM to somebody else, so that it counts as theirs",
        success: "it belongs to somebody else",
        actors: &[Actor::Creator],
        run: |arena, _| {
            change(
                arena,
                &arena.own.name,
                &json!({"owner": arena.victims_owner}),
            )
        },
        evidence: |stage, _, _| made_differs(stage, "owner"),
        ..Attempt::PLAIN
    },
    Attempt {
        name: "own-vm-tagged",
        goal: "give an own VM a tag that a grant of more may hang on",
        success: "it has the tag",
        actors: &[Actor::Creator],
        run: |arena, _| change(arena, &arena.own.name, &json!({"add_tags": ["admins"]})),
        evidence: |stage, _, _| {
            let seen = stage
                .root
                .get(&format!("/v1/vms/{}", stage.arena.made.id))
                .ok()?;
            let tags = seen["tags"].as_array()?;
            tags.iter()
                .any(|tag| tag == "admins")
                .then(|| "the VM has the tag".to_owned())
        },
        ..Attempt::PLAIN
    },
    Attempt {
        name: "add-an-image",
        goal: "add an image to the library without the right to",
        success: "the image is in the library",
        actors: PEOPLE,
        run: |arena, _| {
            let mut loot = Loot::default();
            let path = format!("/v1/images/{PREFIX}-smuggled?format=raw&wait=60s");
            loot.answer(&arena.hvd().ask("PUT", &path, &[], Some(&[7; 1 << 16]))?);
            Ok(loot)
        },
        evidence: |stage, _, _| {
            let seen = stage.root.get(&format!("/v1/images/{PREFIX}-smuggled"));
            seen.is_ok()
                .then(|| "the image is in the library".to_owned())
        },
        clear: remove_smuggled,
        ..Attempt::PLAIN
    },
    Attempt {
        name: "delete-an-image",
        goal: "delete an image from the library without the right to",
        success: "the image is gone",
        actors: PEOPLE,
        set_up: |stage, _| {
            let name = format!("{PREFIX}-spare");
            if stage.root.get(&format!("/v1/images/{name}")).is_ok() {
                return Ok(());
            }
            stage.root.add_image(&name, &[7; 1 << 16])
        },
        run: |arena, _| {
            let mut loot = Loot::default();
            let path = format!("/v1/images/{PREFIX}-spare");
            loot.answer(&arena.hvd().change("DELETE", &path, &Value::Null)?);
            Ok(loot)
        },
        evidence: |stage, _, _| {
            let seen = stage.root.get(&format!("/v1/images/{PREFIX}-spare"));
            seen.is_err().then(|| "the image is gone".to_owned())
        },
        ..Attempt::PLAIN
    },
    Attempt {
        name: "adopt-a-vm-of-virsh",
        goal: "take over a VM that root made with another tool",
        success: "the VM is managed by the product now",
        actors: RUNNERS,
        set_up: |stage, _| super::foreign::define_plain(stage),
        run: |arena, _| act(arena, super::foreign::PLAIN, "adopt", &Value::Null),
        evidence: |stage, _, _| {
            let seen = stage
                .root
                .get(&format!("/v1/vms/{}", super::foreign::PLAIN))
                .ok()?;
            (seen["managed"] == "managed").then(|| "the VM is managed by the product".to_owned())
        },
        clear: |stage, _| stage.remove_vm_named(super::foreign::PLAIN),
        ..Attempt::PLAIN
    },
];

fn act(arena: &Arena, vm: &str, action: &str, body: &Value) -> Result<Loot, Trouble> {
    let mut loot = Loot::default();
    let path = format!("/v1/vms/{vm}/{action}");
    loot.answer(&arena.hvd().change("POST", &path, body)?);
    Ok(loot)
}

fn change(arena: &Arena, vm: &str, change: &Value) -> Result<Loot, Trouble> {
    let mut loot = Loot::default();
    loot.answer(
        &arena
            .hvd()
            .change("PATCH", &format!("/v1/vms/{vm}"), change)?,
    );
    Ok(loot)
}

/// Asks for a VM of this spec.
pub(super) fn make(arena: &Arena, spec: &Value) -> Result<Loot, Trouble> {
    let mut loot = Loot::default();
    loot.answer(
        &arena
            .hvd()
            .change("POST", "/v1/vms", &json!({"spec": spec}))?,
    );
    Ok(loot)
}

fn myself() -> String {
    Actor::own_name()
}

fn made_differs(stage: &Stage, key: &str) -> Option<String> {
    let seen = stage
        .root
        .get(&format!("/v1/vms/{}", stage.arena.made.id))
        .ok()?;
    let owner = Actor::Creator.user_name();
    (seen[key].as_str() != owner.as_deref()).then(|| format!("its {key} is {} now", seen[key]))
}

fn remove_smuggled(stage: &Stage, _: &Facts) -> Result<(), Trouble> {
    let path = format!("/v1/images/{PREFIX}-smuggled");
    if stage.root.get(&path).is_ok() {
        stage.root.change("DELETE", &path, &Value::Null)?;
    }
    Ok(())
}
