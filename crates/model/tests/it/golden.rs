// SPDX-License-Identifier: GPL-3.0-or-later
//! Specs and the domain XML that they become, as files in `tests/golden`.
//!
//! `UPDATE_GOLDEN=1 cargo nextest run -p hv-model` writes the XML anew; read it before committing.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use hv_model::{
    domain_xml::{
        METADATA_NAMESPACE, RNG_SOURCE, RenderHost, definition_from_metadata, nvram_path, render,
    },
    host::Acceleration,
    hypervisor::Definition,
    vm::Arch,
};

use crate::specs;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// A host that stories whose names end in `-on-kvm` find KVM on.
fn host(story: &Path, definition: &Definition) -> RenderHost {
    let story = story.file_stem().unwrap().to_string_lossy();
    let volumes = definition.disks.iter().map(|disk| &disk.volume);
    RenderHost {
        acceleration: if story.ends_with("-on-kvm") {
            Acceleration::Kvm
        } else {
            Acceleration::Tcg {
                why: "/dev/kvm is not there".into(),
            }
        },
        arch: Arch::X86_64,
        emulator: format!("/usr/bin/qemu-system-{}", definition.spec.arch.as_str()),
        disk_paths: volumes
            .map(|volume| format!("/var/lib/hyper-nixos/{volume}"))
            .collect(),
    }
}

#[test]
fn each_story_renders_to_its_golden_xml() {
    let stories = specs::files(&folder());
    assert!(stories.len() >= 15, "only {} stories", stories.len());
    for story in stories {
        let definition = specs::define(specs::read(&story));
        let rendered = render(&definition, &host(&story, &definition)).unwrap();
        let golden = story.with_extension("xml");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&golden, &rendered).unwrap();
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(rendered, expected, "{}", golden.display());
    }
}

#[test]
fn libvirts_schema_accepts_each_golden_xml() {
    let goldens: Vec<PathBuf> = specs::files(&folder())
        .into_iter()
        .map(|story| story.with_extension("xml"))
        .collect();
    for golden in goldens {
        let output = Command::new("virt-xml-validate")
            .arg(&golden)
            .arg("domain")
            .output()
            .expect("virt-xml-validate, of libvirt's clients, must be installed");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", golden.display());
    }
}

#[test]
fn a_definition_reads_back_from_the_metadata_of_its_domain() {
    for story in specs::files(&folder()) {
        let definition = specs::define(specs::read(&story));
        let xml = render(&definition, &host(&story, &definition)).unwrap();
        let document = roxmltree::Document::parse(&xml).unwrap();
        let mut ours = document
            .descendants()
            .filter(|node| node.has_tag_name((METADATA_NAMESPACE, "vm")));
        let element = ours.next().unwrap();
        assert_eq!(element.attribute("generation"), Some("7"));
        assert_eq!(
            definition_from_metadata(element.text().unwrap()),
            Some(definition)
        );
        assert_eq!(ours.next(), None, "{}", story.display());
    }
}

#[test]
fn no_story_gives_a_guest_files_of_the_host_but_its_own() {
    for story in specs::files(&folder()) {
        let definition = specs::define(specs::read(&story));
        let host = host(&story, &definition);
        let xml = render(&definition, &host).unwrap();
        let document = roxmltree::Document::parse(&xml).unwrap();
        for node in document.descendants().filter(roxmltree::Node::is_element) {
            let name = node.tag_name().name();
            let forbidden = [
                "seclabel",
                "commandline",
                "hostdev",
                "filesystem",
                "redirdev",
                "shmem",
            ];
            assert!(!forbidden.contains(&name), "{}: <{name}>", story.display());
            let texts = node
                .attributes()
                .map(|attribute| attribute.value())
                .chain(node.text());
            for path in texts.filter(|text| text.starts_with('/')) {
                let is_known = host.disk_paths.iter().any(|disk| disk == path)
                    || [host.emulator.as_str(), RNG_SOURCE].contains(&path)
                    || path == nvram_path(definition.id);
                assert!(is_known, "{}: <{name}> has {path}", story.display());
            }
        }
    }
}
