// SPDX-License-Identifier: GPL-3.0-or-later
//! Networks: lists, facts, life cycle.

use hv_libvirt::ErrorKind;

use crate::host;

#[test]
fn a_network_goes_through_its_life() {
    let host = host();
    let xml = "<network><name>lab</name><bridge name='virbr7'/>\
               <ip address='192.0.2.1' netmask='255.255.255.0'/></network>";
    let lab = host.define_network(xml).unwrap();
    assert_eq!(host.networks().unwrap().len(), 2);
    assert!(!lab.is_active().unwrap());
    lab.create().unwrap();
    assert!(lab.is_active().unwrap());
    assert_eq!(lab.bridge_name().unwrap(), "virbr7");
    lab.set_autostart(true).unwrap();
    assert!(lab.autostart().unwrap());
    assert_eq!(host.network_by_uuid(lab.uuid()).unwrap().name(), "lab");
    assert!(lab.xml().unwrap().contains("192.0.2.1"));
    lab.destroy().unwrap();
    lab.undefine().unwrap();
    assert_eq!(
        host.network_by_name("lab").unwrap_err().kind,
        ErrorKind::NotFound
    );
}

#[test]
fn leases_are_read_or_refused() {
    let host = host();
    let network = host.network_by_name("default").unwrap();
    match network.dhcp_leases() {
        Ok(leases) => {
            for lease in leases {
                assert!(lease.prefix <= 128);
            }
        }
        Err(error) => assert_eq!(error.kind, ErrorKind::Unsupported),
    }
}
