// SPDX-License-Identifier: GPL-3.0-or-later
//! Whole processes, from their start to their end: `hv` beside `virsh`.

use std::process::{Command, Stdio};

use crate::{
    failure::{During, Failure, Result},
    report::{Row, Target},
    sample::Sample,
    scene::Scene,
};

/// `hv vm list` beside `virsh list --all`.
pub(crate) fn list(scene: &Scene, repetitions: usize) -> Result<Vec<Row>> {
    let ours = scene.product.hv(&["vm", "list"]).stdout;
    let lines = ours.lines().count();
    if lines < scene.vms() {
        let why = format!("hv vm list prints {lines} lines of {} VMs", scene.vms());
        return Err(Failure::new("list", why));
    }
    let (ours, reference) = beside(scene, &["vm", "list"], &["list", "--all"], repetitions)?;
    let what = format!("hv vm list, whole process, {} VMs", scene.vms());
    let row = Row::new(what, &ours).against("virsh list --all", &reference);
    Ok(vec![row.target(Target::RatioAtMost(0.2))])
}

/// `hv vm show` beside `virsh dominfo`.
pub(crate) fn show(scene: &Scene, repetitions: usize) -> Result<Vec<Row>> {
    let vms = scene.list()?;
    let name = &vms.first().during("find a VM to show")?.name;
    let (ours, reference) = beside(
        scene,
        &["vm", "show", name],
        &["dominfo", name],
        repetitions,
    )?;
    let what = format!("hv vm show, whole process, of {} VMs", scene.vms());
    let row = Row::new(what, &ours).against("virsh dominfo", &reference);
    Ok(vec![row.target(Target::RatioAtMost(0.5))])
}

/// Both in turns, so that what else the machine does meets both.
fn beside(
    scene: &Scene,
    hv: &[&str],
    virsh: &[&str],
    repetitions: usize,
) -> Result<(Sample, Sample)> {
    let (mut ours, mut reference) = (Sample::default(), Sample::default());
    for _ in 0..repetitions {
        ours.time(|| run(scene.product.command(hv)))?;
        reference.time(|| run(self::virsh(scene, virsh)))?;
    }
    Ok((ours, reference))
}

/// `virsh` on the scene's host, not yet run.
pub(crate) fn virsh(scene: &Scene, arguments: &[&str]) -> Command {
    let mut command = Command::new("virsh");
    command
        .args(["-c", scene.host.libvirt_uri()])
        .args(arguments);
    command
}

/// Runs a command to its end, without what it prints.
pub(crate) fn run(mut command: Command) -> Result<()> {
    let shown = format!("{command:?}");
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let status = command.status().during(&shown)?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::new(shown, status))
    }
}
