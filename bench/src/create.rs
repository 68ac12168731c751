// SPDX-License-Identifier: GPL-3.0-or-later
//! A VM from an image, made and started: `hv` beside the plain commands that do the same.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{
    command::{run, virsh},
    failure::{During, Failure, Result},
    report::{Figure, Row, Target, Unit},
    sample::Sample,
    scene::Scene,
};

const IMAGE: &str = "bench";
const MEMORY: &str = "256 MiB";

/// The plain commands, each on its own.
#[derive(Default)]
struct Plain {
    overlay: Sample,
    define: Sample,
    start: Sample,
    all: Sample,
}

/// Makes and starts VMs in both ways, in turns.
pub(crate) fn measure(scene: &Scene, repetitions: usize) -> Result<Vec<Row>> {
    scene.product.add_demo_image(IMAGE);
    let image = scene.runtime.block_on(scene.client().image(IMAGE));
    let image = image.during("look at the image")?;
    let folder = |pool: &str| scene.host.pools().join(pool);
    let image = folder(image.volume.pool.as_str()).join(image.volume.name.as_str());
    let (mut ours, mut operations, mut plain) =
        (Sample::default(), Sample::default(), Plain::default());
    for round in 0..repetitions {
        let name = format!("made{round}");
        let make = [
            "vm", "create", &name, "--image", IMAGE, "--memory", MEMORY, "--start",
        ];
        ours.time(|| run(scene.product.command(&make)))?;
        operations.push(last_operation(scene, &name)?);
        let twin = Twin::of(scene, &name, &image)?;
        remove(scene, &name)?;
        twin.make(scene, &image, &mut plain)?;
        twin.remove(scene)?;
    }
    scene.product.hv(&["image", "delete", IMAGE, "--yes"]).ok();

    let own = Figure::from(&ours).value - Figure::from(&plain.all).value;
    Ok(vec![
        Row::new("hv vm create --start, from an image, whole process", &ours)
            .against("qemu-img, virsh define, virsh start", &plain.all),
        Row::new("of that, own share", Figure::once(own, Unit::Milliseconds))
            .target(Target::AtMost(100.0)),
        Row::new("of that, the operation in hvd", &operations)
            .against("virsh start alone", &plain.start),
        Row::new("for scale: qemu-img create -b", &plain.overlay),
        Row::new("for scale: virsh define", &plain.define),
    ])
}

/// How long the operation took inside hvd, from the request to its end.
fn last_operation(scene: &Scene, vm: &str) -> Result<Duration> {
    let filter = hv_client::OperationFilter {
        vm: Some(vm.to_owned()),
        ..hv_client::OperationFilter::default()
    };
    let operations = scene.runtime.block_on(scene.client().operations(&filter));
    let operations = operations.during("list the operations")?.items;
    let operation = operations.last().during("find the operation")?;
    let ended = operation.ended.during("find the operation's end")?;
    Duration::try_from(ended.duration_since(operation.created)).during("measure the operation")
}

fn remove(scene: &Scene, name: &str) -> Result<()> {
    for arguments in [
        &["vm", "delete", name, "--yes", "--force-off"][..],
        &["vm", "purge", name, "--yes"],
    ] {
        run(scene.product.command(arguments))?;
    }
    Ok(())
}

/// A VM like one of ours, made by hand.
struct Twin {
    name: String,
    disk: PathBuf,
    definition: PathBuf,
}

impl Twin {
    /// Takes over how a VM of ours is defined, but for what must differ.
    fn of(scene: &Scene, name: &str, image: &Path) -> Result<Self> {
        let xml = scene.host.virsh(&["dumpxml", "--inactive", name]);
        let shown = scene.runtime.block_on(scene.client().vm(name));
        let shown = shown.during("look at the VM")?;
        let volume = &shown.disks.first().during("find its disk")?.volume;
        let disk = scene
            .host
            .pools()
            .join(volume.pool.as_str())
            .join("twin.qcow2");
        let twin = format!("{name}-twin");
        let without = |xml: &str, begin: &str, end: &str| match (xml.find(begin), xml.find(end)) {
            (Some(from), Some(to)) if from < to => {
                let (head, rest) = xml.split_at(from);
                let (_, tail) = rest.split_at(to - from + end.len());
                format!("{head}{tail}")
            }
            _ => xml.to_owned(),
        };
        let xml = without(&xml, "<metadata>", "</metadata>");
        let xml = without(&xml, "<uuid>", "</uuid>");
        let xml = without(&xml, "<mac address='", "'/>");
        let source = find_source(&xml, volume.name.as_str())
            .during("find the disk in the VM's definition")?;
        let xml = xml
            .replace(&source, &format!("<source file='{}'/>", disk.display()))
            .replace("<disk type='volume'", "<disk type='file'")
            .replace(
                &format!("<name>{name}</name>"),
                &format!("<name>{twin}</name>"),
            );
        let definition = scene.host.folder().join("twin.xml");
        fs::write(&definition, xml).during("write the twin's definition")?;
        if !image.is_file() {
            return Err(Failure::new(
                image.to_string_lossy(),
                "the image is not there",
            ));
        }
        Ok(Self {
            name: twin,
            disk,
            definition,
        })
    }

    fn make(&self, scene: &Scene, image: &Path, plain: &mut Plain) -> Result<()> {
        let mut overlay = Command::new("qemu-img");
        overlay.args(["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b"]);
        overlay.arg(image).arg(&self.disk);
        let definition = self.definition.to_string_lossy().into_owned();
        let (
            mut all,
            Plain {
                overlay: first,
                define,
                start,
                ..
            },
        ) = (Sample::default(), &mut *plain);
        all.time(|| {
            first.time(|| run(overlay))?;
            define.time(|| run(virsh(scene, &["define", &definition])))?;
            start.time(|| run(virsh(scene, &["start", &self.name])))
        })?;
        plain.all.extend(all);
        Ok(())
    }

    fn remove(&self, scene: &Scene) -> Result<()> {
        run(virsh(scene, &["destroy", &self.name]))?;
        run(virsh(scene, &["undefine", &self.name]))?;
        fs::remove_file(&self.disk).during("remove the twin's disk")
    }
}

/// The `<source …/>` element that names this volume.
fn find_source(xml: &str, volume: &str) -> Option<String> {
    let elements = xml.split("<source ").skip(1);
    let attributes = elements.filter_map(|rest| rest.split_once("/>").map(|(inside, _)| inside));
    let found = attributes
        .into_iter()
        .find(|inside| inside.contains(volume))?;
    Some(format!("<source {found}/>"))
}
