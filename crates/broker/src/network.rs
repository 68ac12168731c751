// SPDX-License-Identifier: GPL-3.0-or-later
//! The host's virtual networks, and which of them VMs may use.

use std::net::IpAddr;

use hv_guard::HostPolicy;
use hv_model::{
    hypervisor::Result,
    network::{Network, NetworkMode},
};
use roxmltree::{Document, Node};

use crate::{broker::Broker, failure::Explain};

impl Broker {
    /// Every network. Without a policy none of them is allowed.
    pub(crate) fn list_networks(&self) -> Result<Vec<Network>> {
        let policy = self.policy().unwrap_or_default();
        let tried = || "the networks can't be listed".to_owned();
        let mut networks = Vec::new();
        for found in self.libvirt()?.networks().explain(tried)? {
            let seen = (|| Ok((found.xml()?, found.is_active()?, found.autostart()?)))();
            match seen {
                Ok((xml, active, autostart)) => {
                    networks.extend(read(&policy, &xml, active, autostart));
                }
                // It went between the two calls.
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(error).explain(tried),
            }
        }
        Ok(networks)
    }
}

fn is_gone(error: &hv_libvirt::Error) -> bool {
    error.kind == hv_libvirt::ErrorKind::NotFound
}

/// A network from its XML; nothing, if its name is none of ours.
fn read(policy: &HostPolicy, xml: &str, active: bool, autostart: bool) -> Option<Network> {
    let document = Document::parse(xml).ok()?;
    let network = document.root_element();
    let child = |name| network.children().find(|node| node.has_tag_name(name));
    let name = child("name")?.text()?.parse().ok()?;
    let bridge = child("bridge").and_then(|bridge| bridge.attribute("name")?.parse().ok());
    let mode = child("forward").map_or(NetworkMode::Isolated, mode);
    let addresses = network.children().filter(|node| node.has_tag_name("ip"));
    let allowed = policy.networks.contains(&name);
    let subnets = addresses.filter_map(subnet).collect();
    Some(Network {
        name,
        mode,
        active,
        autostart,
        bridge,
        subnets,
        allowed,
    })
}

fn mode(forward: Node<'_, '_>) -> NetworkMode {
    match forward.attribute("mode").unwrap_or("nat") {
        "nat" => NetworkMode::Nat,
        "route" | "open" => NetworkMode::Routed,
        "bridge" => NetworkMode::Bridge,
        "none" => NetworkMode::Isolated,
        _ => NetworkMode::Other,
    }
}

/// The subnet of an `<ip>` element: `192.168.122.0/24`.
fn subnet(ip: Node<'_, '_>) -> Option<String> {
    let address: IpAddr = ip.attribute("address")?.parse().ok()?;
    let prefix: u32 = match (ip.attribute("prefix"), ip.attribute("netmask")) {
        (Some(prefix), _) => prefix.parse().ok()?,
        (None, Some(netmask)) => match netmask.parse().ok()? {
            IpAddr::V4(netmask) => netmask.to_bits().leading_ones(),
            IpAddr::V6(_) => return None,
        },
        (None, None) => return None,
    };
    let network: IpAddr = match address {
        IpAddr::V4(address) => {
            let rest = 32_u32.checked_sub(prefix)?;
            let mask = u32::MAX.checked_shl(rest).unwrap_or(0);
            std::net::Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let rest = 128_u32.checked_sub(prefix)?;
            let mask = u128::MAX.checked_shl(rest).unwrap_or(0);
            std::net::Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    };
    Some(format!("{network}/{prefix}"))
}

#[cfg(test)]
mod tests {
    use hv_model::name::BridgeName;

    use super::*;

    #[test]
    fn a_network_reads_as_what_it_is() {
        let xml = "<network><name>default</name><forward mode='nat'/><bridge name='virbr0'/>\
            <ip address='192.168.122.1' netmask='255.255.255.0'/>\
            <ip family='ipv6' address='2001:db8:1::1' prefix='64'/></network>";
        let policy = HostPolicy::parse("networks = ['default']").unwrap();
        let network = read(&policy, xml, true, false).unwrap();
        assert_eq!(network.mode, NetworkMode::Nat);
        assert_eq!(network.subnets, ["192.168.122.0/24", "2001:db8:1::/64"]);
        assert_eq!(
            network.bridge.as_ref().map(BridgeName::as_str),
            Some("virbr0")
        );
        assert!(network.allowed && network.active && !network.autostart);
        assert!(
            !read(&HostPolicy::default(), xml, true, false)
                .unwrap()
                .allowed
        );
    }

    #[test]
    fn odd_networks_do_no_harm() {
        let policy = HostPolicy::default();
        for xml in ["", "<network/>", "<network><name>../x</name></network>"] {
            assert!(read(&policy, xml, true, true).is_none(), "{xml}");
        }
        let odd = "<network><name>x</name><ip address='1.2.3.4' prefix='99'/>\
            <ip address='1.2.3.4' prefix='0'/><ip/></network>";
        assert_eq!(
            read(&policy, odd, true, true).unwrap().subnets,
            ["0.0.0.0/0"]
        );
    }
}
