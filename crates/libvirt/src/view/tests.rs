// SPDX-License-Identifier: GPL-3.0-or-later
//! What is read from real XML, and that no XML is too odd.

use proptest::prelude::*;

use super::*;

const WEB: &str = r#"<domain type='qemu' id='7' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>web</name>
  <uuid>8f1e5a52-7a3f-4d6e-9d7b-0c6f0f3a1b11</uuid>
  <title>The shop</title>
  <description>Sells &amp; ships</description>
  <metadata>
    <vm:vm xmlns:vm="urn:hyper-nixos:vm:1"><vm:spec>{"name":"web"}</vm:spec></vm:vm>
    <other/>
  </metadata>
  <memory unit='MiB'>512</memory>
  <currentMemory unit='KiB'>262144</currentMemory>
  <vcpu placement='static' current='1'>2</vcpu>
  <os firmware='efi'>
    <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
    <firmware><feature enabled='yes' name='secure-boot'/></firmware>
  </os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='volume' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source pool='default' volume='web.qcow2' index='1'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <disk type='file' device='cdrom'>
      <target dev='sda' bus='sata'/>
      <readonly/>
    </disk>
    <disk type='file'>
      <source file='/images/data.raw'/>
    </disk>
    <interface type='network'>
      <mac address='52:54:00:12:34:56'/>
      <source network='default' portid='x'/>
      <target dev='vnet0'/>
      <model type='virtio'/>
      <filterref filter='clean-traffic'/>
    </interface>
    <interface type='direct'><source dev='eth0'/></interface>
    <serial type='pty'><alias name='serial0'/></serial>
    <console type='pty'/>
    <channel type='unix'>
      <target type='virtio' name='org.qemu.guest_agent.0' state='connected'/>
    </channel>
    <graphics type='vnc' port='-1' autoport='yes'><listen type='socket' socket='/run/web.vnc'/></graphics>
    <tpm model='tpm-crb'/>
  </devices>
</domain>"#;

fn web() -> DomainView {
    DomainView::parse(WEB).unwrap()
}

#[test]
fn a_domains_name_size_and_boot_are_read() {
    let view = web();
    assert_eq!(view.name.as_deref(), Some("web"));
    assert_eq!(view.virtualization.as_deref(), Some("qemu"));
    assert_eq!(view.id, Some(7));
    assert_eq!(view.description.as_deref(), Some("Sells & ships"));
    assert_eq!(
        (view.memory_maximum, view.memory_current),
        (Some(512 << 20), Some(256 << 20))
    );
    assert_eq!((view.vcpus_maximum, view.vcpus_current), (Some(2), Some(1)));
    assert_eq!(view.os.machine.as_deref(), Some("pc-q35-7.2"));
    assert_eq!(view.os.firmware, Firmware::Uefi);
    assert!(view.os.secure_boot);
    assert!(view.tpm);
}

#[test]
fn disks_tell_where_their_bytes_are() {
    let sources: Vec<_> = web().disks.into_iter().map(|disk| disk.source).collect();
    let volume = DiskSource::Volume {
        pool: "default".into(),
        volume: "web.qcow2".into(),
    };
    let file = DiskSource::File("/images/data.raw".into());
    assert_eq!(sources, [Some(volume), None, Some(file)]);
}

#[test]
fn interfaces_tell_what_they_are_connected_to() {
    let view = web();
    assert_eq!(
        view.interfaces[0].source,
        InterfaceSource::Network("default".into())
    );
    assert_eq!(view.interfaces[0].filter.as_deref(), Some("clean-traffic"));
    assert_eq!(
        view.interfaces[1].source,
        InterfaceSource::Other("direct".into())
    );
}

#[test]
fn consoles_and_displays_are_read() {
    let view = web();
    assert_eq!(view.consoles[0].alias.as_deref(), Some("serial0"));
    assert_eq!(view.graphics[0].port, None);
    assert_eq!(view.graphics[0].socket.as_deref(), Some("/run/web.vnc"));
}

#[test]
fn the_agent_is_connected_disconnected_or_missing() {
    assert_eq!(web().agent(), AgentChannel::Connected);
    let silent = DomainView::parse(&WEB.replace("state='connected'", "")).unwrap();
    assert_eq!(silent.agent(), AgentChannel::Disconnected);
    let without = DomainView::parse(&WEB.replace("org.qemu.guest_agent.0", "com.example")).unwrap();
    assert_eq!(without.agent(), AgentChannel::Missing);
}

#[test]
fn metadata_is_found_by_its_namespace() {
    let view = web();
    let ours = view.metadata("urn:hyper-nixos:vm:1").unwrap();
    assert_eq!(ours.name, "vm");
    assert_eq!(ours.text, r#"{"name":"web"}"#);
    assert!(ours.xml.starts_with("<vm:vm ") && ours.xml.ends_with("</vm:vm>"));
    assert_eq!(view.metadata.len(), 2);
    assert_eq!(view.metadata("urn:example"), None);
}

#[test]
fn what_makes_no_sense_is_none() {
    let xml = "<domain id='x'><uuid>no</uuid><memory unit='acre'>1</memory>\
               <currentMemory unit='TiB'>99999999999999</currentMemory><vcpu>many</vcpu></domain>";
    assert_eq!(DomainView::parse(xml).unwrap(), DomainView::default());
}

#[test]
fn what_is_no_domain_is_refused() {
    let refused = |xml: &str| DomainView::parse(xml).unwrap_err();
    assert!(
        matches!(refused("<network/>"), ViewError::NotADomain { element } if element == "network")
    );
    assert!(matches!(refused("<domain>"), ViewError::NotXml { .. }));
    assert!(matches!(
        refused(&" ".repeat(XML_MAX + 1)),
        ViewError::TooLong { .. }
    ));
}

#[test]
fn entities_are_refused_before_they_grow() {
    let xml = "<!DOCTYPE domain [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'>]>\
               <domain><name>&b;</name></domain>";
    assert!(matches!(
        DomainView::parse(xml),
        Err(ViewError::NotXml { .. })
    ));
}

#[test]
fn elements_in_elements_do_not_exhaust_the_stack() {
    let depth = 200_000;
    let xml = format!(
        "<domain>{}{}</domain>",
        "<a>".repeat(depth),
        "</a>".repeat(depth)
    );
    // Read or refused, in a thread with the small stack of a worker.
    let read = std::thread::Builder::new()
        .stack_size(1 << 20)
        .spawn(move || {
            drop(DomainView::parse(&xml));
        });
    read.unwrap().join().unwrap();
}

/// The real XML with a few bytes changed, cut out or put in.
fn mutated() -> impl Strategy<Value = String> {
    let change = (
        0..WEB.len(),
        0_usize..12,
        "[<>/'\"=& a-z0-9:!\\[\\]-]{0,12}",
    );
    prop::collection::vec(change, 1..8).prop_map(|changes| {
        let mut bytes = WEB.as_bytes().to_vec();
        for (place, length, inserted) in changes {
            let place = place.min(bytes.len());
            let end = (place + length).min(bytes.len());
            bytes.splice(place..end, inserted.into_bytes());
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Elements that libvirt knows, with odd contents, in odd places.
fn odd() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "domain",
        "name",
        "uuid",
        "vcpu",
        "memory",
        "os",
        "type",
        "loader",
        "firmware",
        "devices",
        "disk",
        "source",
        "target",
        "interface",
        "channel",
        "graphics",
        "metadata",
        "x:y",
    ]);
    let leaf = (name.clone(), "[ a-z0-9<&;'-]{0,8}", "[a-z0-9 -]{0,20}").prop_map(
        |(name, value, text)| format!("<{name} type='{value}' unit='{value}'>{text}</{name}>"),
    );
    leaf.prop_recursive(5, 40, 6, move |inner| {
        (name.clone(), prop::collection::vec(inner, 0..6))
            .prop_map(|(name, children)| format!("<{name}>{}</{name}>", children.concat()))
    })
    .prop_map(|inner| format!("<domain xmlns:x='urn:x'>{inner}</domain>"))
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        drop(DomainView::parse(&text));
    }

    #[test]
    fn no_damaged_xml_makes_it_panic(xml in mutated()) {
        drop(DomainView::parse(&xml));
    }

    #[test]
    fn no_odd_xml_makes_it_panic(xml in odd()) {
        drop(DomainView::parse(&xml));
    }
}

#[test]
fn why_xml_cannot_be_read_is_told_in_short_and_on_one_line() {
    let long = format!("<a></{}>", "b".repeat(5000));
    for xml in [
        "<domain a\0='1'/>",
        "<domain>\u{1b}[2J</domain>",
        "<\u{9b}",
        &long,
    ] {
        let told = DomainView::parse(xml).unwrap_err().to_string();
        assert!(!told.contains(char::is_control), "{told:?}");
        assert!(told.len() < 400, "{told:?}");
    }
}
