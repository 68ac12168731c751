// SPDX-License-Identifier: GPL-3.0-or-later
//! libvirt stops, hangs, dies and comes back.

use hv_e2e::{Daemons, PrivateHost, wait_for};

use crate::life::running_vm;

#[test]
fn when_libvirt_dies_the_product_says_so_and_finds_it_again_and_the_vm_runs_on() {
    let host = PrivateHost::start();
    let product = Daemons::start(&host);
    running_vm(&product, "web");

    host.libvirtd("kill");
    wait_for("health to say it", || (!product.is_live()).then_some(()));
    let said = product.hv(&["vm", "list"]);
    assert!(
        said.stdout.contains("web"),
        "what is known is still shown: {said:?}"
    );
    assert!(said.stderr.contains("old"), "with its age: {said:?}");
    product.hv(&["vm", "pause", "web"]).fails_with(6);

    host.libvirtd("start");
    wait_for("health to be well", || product.is_live().then_some(()));
    product.hv(&["vm", "pause", "web"]).ok();
    product.hv(&["vm", "resume", "web"]).ok();
}

#[test]
fn when_libvirt_hangs_the_product_says_so_and_recovers() {
    let host = PrivateHost::start();
    let product = Daemons::start(&host);

    host.libvirtd("freeze");
    wait_for("health to say it", || (!product.is_live()).then_some(()));
    host.libvirtd("thaw");
    wait_for("health to be well", || product.is_live().then_some(()));
}

#[test]
fn what_happens_while_libvirt_is_not_heard_is_found_out() {
    let host = PrivateHost::start();
    let mut product = Daemons::start(&host);
    running_vm(&product, "web");

    product.kill_broker();
    wait_for("health to say it", || (!product.is_live()).then_some(()));
    host.virsh(&["destroy", "web"]);
    product.start_broker();

    product.wait_for_state("web", "off");
}
