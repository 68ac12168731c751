// SPDX-License-Identifier: GPL-3.0-or-later
//! Pools and volumes: lists, facts, life cycle.

use hv_libvirt::{ErrorKind, PoolState, Resize};

use crate::host;

const VOLUME: &str = "<volume><name>disk</name><capacity unit='MiB'>8</capacity>\
                      <target><format type='qcow2'/></target></volume>";

#[test]
fn a_pool_goes_through_its_life() {
    let host = host();
    let xml = "<pool type='dir'><name>images</name><target><path>/images</path></target></pool>";
    let images = host.define_pool(xml).unwrap();
    assert_eq!(host.pools().unwrap().len(), 2);
    images.build().unwrap();
    images.create().unwrap();
    assert!(images.is_active().unwrap());
    images.set_autostart(true).unwrap();
    assert!(images.autostart().unwrap());
    images.refresh().unwrap();
    let info = images.info().unwrap();
    assert_eq!(info.state, PoolState::Running);
    assert_eq!(info.capacity, info.allocation + info.available);
    assert_eq!(host.pool_by_uuid(images.uuid()).unwrap().name(), "images");
    assert!(images.xml().unwrap().contains("/images"));
    images.destroy().unwrap();
    images.undefine().unwrap();
    assert_eq!(
        host.pool_by_name("images").unwrap_err().kind,
        ErrorKind::NotFound
    );
}

#[test]
fn a_volume_is_made_listed_found_and_deleted() {
    let host = host();
    let pool = host.pool_by_name("default-pool").unwrap();
    let disk = pool.create_volume(VOLUME).unwrap();
    assert_eq!(
        pool.create_volume(VOLUME).unwrap_err().kind,
        ErrorKind::AlreadyExists
    );
    let summaries = pool.volume_summaries().unwrap();
    assert_eq!(summaries.len(), 1);
    assert_eq!(summaries[0].name, "disk");
    assert_eq!(summaries[0].info.capacity, 8 << 20);
    assert_eq!(
        host.volume_by_path(&disk.path().unwrap()).unwrap().name(),
        "disk"
    );
    assert_eq!(
        pool.volume_by_name("disk").unwrap().info().unwrap(),
        summaries[0].info
    );
    assert!(disk.xml().unwrap().contains("<name>disk</name>"));
    disk.delete().unwrap();
    assert_eq!(
        pool.volume_by_name("disk").unwrap_err().kind,
        ErrorKind::NotFound
    );
}

#[test]
fn what_the_driver_can_not_do_is_unsupported() {
    let host = host();
    let pool = host.pool_by_name("default-pool").unwrap();
    let disk = pool.create_volume(VOLUME).unwrap();
    assert_eq!(
        disk.resize(16 << 20, Resize::Grow).unwrap_err().kind,
        ErrorKind::Unsupported
    );
}
