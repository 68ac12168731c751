// SPDX-License-Identifier: GPL-3.0-or-later
//! The figures of every VM through the port, beside the calls to libvirt that it makes.

use hv_libvirt::{StatsFlags, StatsGroups};
use hv_model::hypervisor::Hypervisor;
use hv_port::Client;

use crate::{
    failure::{During, Result},
    report::{Row, Target},
    sample::Sample,
    scene::Scene,
};

/// Figures of the VMs that run, and the states of all.
pub(crate) fn measure(scene: &Scene, repetitions: usize) -> Result<Vec<Row>> {
    let port = Client::new(scene.product.broker_socket());
    let active = port.stats().during("ask the broker for figures")?.len();
    let groups = StatsGroups::CPU
        | StatsGroups::BALLOON
        | StatsGroups::INTERFACE
        | StatsGroups::BLOCK
        | StatsGroups::VCPU;
    let (mut ours, mut reference) = (Sample::default(), Sample::default());
    for _ in 0..repetitions {
        ours.time(|| port.stats())
            .during("ask the broker for figures")?;
        let call = || scene.libvirt.all_domain_stats(groups, StatsFlags::ACTIVE);
        reference.time(call).during("ask libvirt for figures")?;
    }
    let what = format!("figures of {active} active VMs through the port");
    let figures = Row::new(what, &ours)
        .against("virConnectGetAllDomainStats", &reference)
        .target(Target::RatioAtMost(1.5));

    let (mut ours, mut reference) = (Sample::default(), Sample::default());
    for _ in 0..repetitions {
        ours.time(|| port.vms())
            .during("ask the broker for states")?;
        let call = || {
            scene
                .libvirt
                .all_domain_stats(StatsGroups::STATE, StatsFlags::NONE)
        };
        reference.time(call).during("ask libvirt for states")?;
    }
    let what = format!("states of {} VMs through the port", scene.vms());
    let states = Row::new(what, &ours)
        .against("virConnectGetAllDomainStats", &reference)
        .target(Target::RatioAtMost(1.5));
    Ok(vec![figures, states])
}
