// SPDX-License-Identifier: GPL-3.0-or-later
//! Network interfaces.

use super::{Context, SPOOF_FILTER, element::Element};
use crate::{
    device::{Attachment, MacAddress, Nic, NicModel, SpoofFilter},
    size::Size,
};

/// Every network interface, in the order of the spec.
pub(super) fn render(context: Context<'_>) -> impl Iterator<Item = Element> {
    let addresses = context.spec.mac_addresses(context.definition.id);
    context
        .spec
        .nics
        .iter()
        .zip(addresses)
        .filter_map(|(nic, address)| one(nic, address))
}

/// Nothing for an interface that is plugged into nothing; such a spec is not rendered.
fn one(nic: &Nic, address: MacAddress) -> Option<Element> {
    let (kind, source) = match nic.attachment()? {
        Attachment::Network(name) => ("network", Element::new("source").with("network", name)),
        Attachment::Bridge(name) => ("bridge", Element::new("source").with("bridge", name)),
    };
    let model = match nic.model {
        NicModel::Virtio => "virtio",
        NicModel::E1000e => "e1000e",
        NicModel::Rtl8139 => "rtl8139",
    };
    // libvirt learns the guest's IP address from its first packets and drops all that claim
    // another one; the MAC address it takes from here.
    let filter = (nic.spoof_filter == SpoofFilter::On)
        .then(|| Element::new("filterref").with("filter", SPOOF_FILTER));
    let rate = |name, size: Option<Size>| {
        size.map(|size| Element::new(name).with("average", kilobytes_a_second(size)))
    };
    let bandwidth = Element::new("bandwidth")
        .containing(rate("inbound", nic.limits.inbound))
        .containing(rate("outbound", nic.limits.outbound));
    Some(
        Element::new("interface")
            .with("type", kind)
            .containing([
                Element::new("mac").with("address", address),
                source,
                Element::new("model").with("type", model),
            ])
            .containing(filter)
            .containing(bandwidth.unless_empty()),
    )
}

/// A rate in bytes a second in libvirt's unit, which is `tc`'s kilobyte of 1000 bytes: at least 1,
/// since 0 would mean no limit.
pub fn kilobytes_a_second(size: Size) -> u64 {
    (size.bytes() / 1000).max(1)
}
