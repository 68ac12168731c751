// SPDX-License-Identifier: GPL-3.0-or-later
//! What rendering refuses, and that no text breaks out of its place.

use proptest::prelude::*;
use roxmltree::{Document, Node};

use super::*;
use crate::{
    device::{Disk, GraphicsKind},
    hypervisor::PlacedDisk,
    size::Size,
    storage::{VolumeFormat, VolumeRef},
};

fn definition() -> Definition {
    let mut spec = VmSpec::new("web".parse().unwrap());
    spec.disks = vec![Disk {
        size: Some(Size::from_gib(1)),
        ..Disk::default()
    }];
    let volume = VolumeRef {
        pool: "disks".parse().unwrap(),
        name: "web-vda".parse().unwrap(),
    };
    Definition {
        id: "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(),
        generation: 1,
        spec,
        disks: vec![PlacedDisk {
            name: "vda".parse().unwrap(),
            volume,
            format: VolumeFormat::Qcow2,
        }],
    }
}

fn host() -> RenderHost {
    RenderHost {
        acceleration: Acceleration::Tcg {
            why: "a test".into(),
        },
        arch: Arch::X86_64,
        emulator: "/usr/bin/qemu-system-x86_64".into(),
        disk_paths: vec!["/pool/web-vda".into()],
    }
}

#[test]
fn a_spec_with_faults_is_refused_whoever_checked_it_before() {
    let mut broken = definition();
    broken.spec.cpus.count = 0;
    assert!(matches!(
        render(&broken, &host()),
        Err(RenderError::Spec(_))
    ));
    let mut later = definition();
    later.spec.graphics.kind = GraphicsKind::Spice;
    assert!(matches!(render(&later, &host()), Err(RenderError::Spec(_))));
}

#[test]
fn disks_that_are_not_those_of_the_spec_are_refused() {
    let mut unplaced = definition();
    unplaced.disks.clear();
    let expected = RenderError::DiskCount {
        wanted: 1,
        placed: 0,
        resolved: 1,
    };
    assert_eq!(render(&unplaced, &host()), Err(expected));

    let unresolved = RenderHost {
        disk_paths: vec![],
        ..host()
    };
    let expected = RenderError::DiskCount {
        wanted: 1,
        placed: 1,
        resolved: 0,
    };
    assert_eq!(render(&definition(), &unresolved), Err(expected));

    let mut renamed = definition();
    renamed.disks[0].name = "vdb".parse().unwrap();
    assert!(matches!(
        render(&renamed, &host()),
        Err(RenderError::DiskName { .. })
    ));
}

#[test]
fn files_that_are_not_plainly_absolute_are_refused() {
    for path in [
        "",
        "disk",
        "../etc/shadow",
        "/pool/../etc/shadow",
        "/pool/..",
    ] {
        let disk = RenderHost {
            disk_paths: vec![path.into()],
            ..host()
        };
        let refused = render(&definition(), &disk);
        assert!(
            matches!(refused, Err(RenderError::NotAbsolute { .. })),
            "{path}"
        );
        let emulator = RenderHost {
            emulator: path.into(),
            ..host()
        };
        let refused = render(&definition(), &emulator);
        assert!(
            matches!(refused, Err(RenderError::NotAbsolute { .. })),
            "{path}"
        );
    }
}

#[test]
fn a_processor_that_only_kvm_passes_on_is_refused_without_kvm() {
    let mut exact = definition();
    exact.spec.cpus.model = CpuModel::HostPassthrough;
    assert!(matches!(
        render(&exact, &host()),
        Err(RenderError::NeedsKvm { .. })
    ));
    let kvm = RenderHost {
        acceleration: Acceleration::Kvm,
        ..host()
    };
    assert!(render(&exact, &kvm).is_ok());
}

#[test]
fn a_vm_of_another_architecture_than_the_hosts_is_emulated_even_with_kvm() {
    let mut arm = definition();
    arm.spec.arch = Arch::Aarch64;
    let kvm = RenderHost {
        acceleration: Acceleration::Kvm,
        ..host()
    };
    assert!(
        render(&arm, &kvm)
            .unwrap()
            .starts_with("<domain type='qemu'>")
    );
    assert!(
        render(&definition(), &kvm)
            .unwrap()
            .starts_with("<domain type='kvm'>")
    );
}

#[test]
fn text_that_is_no_definition_of_ours_is_none() {
    for text in ["", "{}", "null", "<vm/>", "{\"id\":\"x\"}"] {
        assert_eq!(definition_from_metadata(text), None, "{text}");
    }
}

/// The elements and the names of their attributes, without any text.
fn skeleton(xml: &str) -> Vec<String> {
    let document = Document::parse(xml).unwrap();
    let describe = |node: Node<'_, '_>| {
        let attributes: Vec<&str> = node
            .attributes()
            .map(|attribute| attribute.name())
            .collect();
        format!(
            "{} {} {attributes:?}",
            node.ancestors().count(),
            node.tag_name().name()
        )
    };
    document
        .descendants()
        .filter(Node::is_element)
        .map(describe)
        .collect()
}

/// Texts that would like to be markup.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = [
        "<",
        ">",
        "&",
        "'",
        "\"",
        "/>",
        "</domain>",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<?",
        "&#0;",
        "&lt;",
        "]]",
        "\n",
        "\t",
        "<hv:vm xmlns:hv='urn:hyper-nixos:vm:1'>",
        "\\",
        "{",
        "}",
        "é",
        "x",
        "\u{85}",
        "\u{2028}",
        "\u{10ffff}",
        "\r",
    ];
    proptest::collection::vec(proptest::sample::select(pieces.to_vec()), 0..12)
        .prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_breaks_out_of_its_place(description in hostile(), file in hostile()) {
        let mut definition = definition();
        definition.spec.description = format!("x{description}");
        let host = RenderHost { disk_paths: vec![format!("/pool/{file}")], ..host() };
        let plain = {
            let mut definition = definition.clone();
            definition.spec.description = "x".into();
            skeleton(&render(&definition, &self::host()).unwrap())
        };
        match render(&definition, &host) {
            Ok(xml) => {
                prop_assert_eq!(skeleton(&xml), plain);
                let document = Document::parse(&xml).unwrap();
                let find = |name: &str| {
                    document.descendants().find(|node| node.has_tag_name(name)).unwrap()
                };
                prop_assert_eq!(find("description").text(), Some(definition.spec.description.as_str()));
                prop_assert_eq!(find("source").attribute("file"), Some(host.disk_paths[0].as_str()));
                let ours = document.descendants().find(|node| node.has_tag_name((METADATA_NAMESPACE, "vm")));
                let read = definition_from_metadata(ours.unwrap().text().unwrap());
                prop_assert_eq!(read, Some(definition));
            }
            // The rule for descriptions refuses some of these before they get here.
            Err(RenderError::Spec(_)) => {}
            Err(error) => prop_assert!(false, "{}", error),
        }
    }
}
