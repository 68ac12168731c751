// SPDX-License-Identifier: GPL-3.0-or-later
//! Domains as libvirt shows them to its hook, good ones and others.

mod ways;

use proptest::prelude::*;

use self::ways::WAYS;
use super::*;
use crate::xml::tests::{lavish, modest, policy, rendered, strict};

/// A VM made with virt-install, before libvirt prepares it and before it starts it; and one with
/// UEFI, Secure Boot and a TPM that runs.
const PREPARED: &str = include_str!("golden/virt-install-prepare.xml");
const STARTING: &str = include_str!("golden/virt-install-start.xml");
const RUNNING: &str = include_str!("golden/uefi-started.xml");

fn refusals(xml: &str) -> String {
    match judge_domain(&strict(), None, xml) {
        Ok(_) => String::new(),
        Err(refused) => {
            let each: Vec<_> = refused.iter().map(ToString::to_string).collect();
            each.join("\n")
        }
    }
}

fn expect_good(policy: &HostPolicy, xml: &str) -> Judged {
    judge_domain(policy, None, xml).unwrap_or_else(|refused| panic!("{refused}"))
}

#[test]
fn what_is_told_of_xml_that_cannot_be_read_is_short_and_on_one_line() {
    for xml in ["<domain a\0='1'/>", "<domain>\u{1b}[2J</domain>", "<\u{9b}"] {
        let told = refusals(xml);
        assert!(!told.contains(char::is_control), "{told:?}");
    }
    let long = format!("<a></{}>", "b".repeat(5000));
    assert!(refusals(&long).len() < 400);
}

#[test]
fn every_row_of_the_table_has_its_parent_and_known_features() {
    let table = Table::parse(table::ALLOWED);
    assert!(table.rows().len() > 300);
    table.expect_whole();
}

#[test]
fn what_our_renderer_makes_may_run() {
    expect_good(&strict(), &rendered(&modest()));
    expect_good(&policy(), &rendered(&lavish()));
    let refused = refusals(&rendered(&lavish()));
    for words in ["huge-pages", "pinning", "no-spoof-filter"] {
        assert!(refused.contains(words), "{words}: {refused}");
    }
}

#[test]
fn what_others_made_within_the_policy_may_run_at_each_of_libvirts_steps() {
    for xml in [PREPARED, STARTING, RUNNING] {
        expect_good(&strict(), xml);
    }
}

#[test]
fn each_file_that_a_domain_would_use_is_told_with_what_for() {
    let mut told: Vec<_> = [STARTING, RUNNING]
        .iter()
        .flat_map(|xml| expect_good(&strict(), xml).files)
        .map(|file| format!("{} {} {:?}", file.what, file.path.display(), file.role))
        .collect();
    told.sort();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn the_name_that_libvirt_speaks_of_is_the_one_in_the_xml() {
    judge_domain(&strict(), Some("inst"), PREPARED).unwrap();
    let refused = judge_domain(&strict(), Some("other"), PREPARED).unwrap_err();
    assert_eq!(
        refused.iter().next().unwrap().to_string(),
        "domain/name: \"inst\", while libvirt speaks of \"other\""
    );
    assert_eq!(id_in(PREPARED), expect_good(&strict(), PREPARED).id);
}

/// One thing that is not allowed, put into an ordinary domain.
fn bad(change: &str) -> String {
    let (from, to) = change.split_once(" => ").unwrap();
    assert!(STARTING.contains(from), "{from}");
    STARTING.replacen(from, to, 1)
}

#[test]
fn every_known_way_to_the_host_is_refused_whoever_defined_it() {
    for (what, change) in WAYS {
        assert_ne!(refusals(&bad(change)), "", "{what} passes");
    }
}

#[test]
fn what_is_for_qemu_alone_is_refused() {
    for element in ["commandline", "override", "capabilities", "deprecation"] {
        let space = "<domain xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0' ";
        let xml = STARTING
            .replace("<domain ", space)
            .replace("</domain>", &format!("<q:{element}/></domain>"));
        assert!(refusals(&xml).contains(element), "{element}");
    }
}

#[test]
fn what_is_told_names_the_element_the_value_and_what_is_allowed() {
    let mut xml = STARTING.to_owned();
    for words in [
        "outside",
        "screen for everyone",
        "root's label",
        "PCI device",
        "kernel elsewhere",
    ] {
        let way = WAYS.iter().find(|(what, _)| what.contains(words));
        let (from, to) = way.unwrap().1.split_once(" => ").unwrap();
        xml = xml.replacen(from, to, 1);
    }
    xml = xml.replace("<video>", "<flux capacitor='1'/><video>");
    insta::assert_snapshot!(refusals(&xml));
}

#[test]
fn what_the_policy_names_may_be_used() {
    let text = "networks = ['default']\nbridges = ['br0']\n\
        features = ['no-spoof-filter', 'remote-display', 'shared-memory', 'pinning', 'confidential']\n\
        [[pools]]\nname = 'disks'\npath = '/pools/disks'\n\
        [[pools]]\nname = 'images'\npath = '/pools/images'\npurpose = 'images'\n\
        [devices]\npci = ['0000:01:00.0']\nusb = ['1234:5678']\n";
    let policy = HostPolicy::parse(text).unwrap();
    for change in [
        "<source network='default' portid='446b797a-d8a7-439e-9f00-325f2c805e6c' bridge='virbr0'/> => <source network='default' bridge='br7'/>",
        "<filterref filter='clean-traffic'/> => ",
        "<listen type='address' address='127.0.0.1'/> => <listen type='address' address='0.0.0.0'/>",
        "<memballoon => <shmem name='x'><model type='ivshmem-plain'/><size unit='M'>4</size></shmem><memballoon",
        "<memballoon => <hostdev mode='subsystem' type='pci' managed='yes'><driver name='vfio'/><source><address domain='0x0000' bus='0x01' slot='0x00' function='0x0'/></source></hostdev><memballoon",
        "<memballoon => <hostdev mode='subsystem' type='usb'><source><vendor id='0x1234'/><product id='0x5678'/><address bus='1' device='2'/></source></hostdev><memballoon",
        "<vcpu placement='static' => <vcpu placement='static' cpuset='0-1'",
        "<boot dev='hd'/> => <kernel>/pools/images/vmlinuz</kernel><initrd>/pools/images/initrd</initrd><cmdline>quiet</cmdline>",
        "<os> => <launchSecurity type='sev'><policy>0x0003</policy></launchSecurity><os>",
    ] {
        expect_good(&policy, &bad(change));
    }
    let bridged = bad("<interface type='network'> => <interface type='bridge'>").replace(
        "network='default' portid='446b797a-d8a7-439e-9f00-325f2c805e6c' bridge='virbr0'",
        "bridge='br0'",
    );
    expect_good(&policy, &bridged);
    let elsewhere = bridged.replace("br0", "br1");
    assert!(judge_domain(&policy, None, &elsewhere).is_err());
}

#[test]
fn labels_that_libvirt_makes_for_other_kinds_of_confinement_pass() {
    let with = |model: &str, label: &str, image: &str| {
        let own = "<seclabel type='dynamic' model='dac' relabel='yes'>\n    <label>+64055:+64055</label>\n    <imagelabel>+64055:+64055</imagelabel>";
        assert!(STARTING.contains(own));
        let other = format!(
            "<seclabel type='dynamic' model='{model}' relabel='yes'><label>{label}</label><imagelabel>{image}</imagelabel>"
        );
        refusals(&STARTING.replace(own, &other))
    };
    let own = "libvirt-00000000-0000-0000-0000-000000000abd";
    assert_eq!(with("apparmor", own, own), "");
    assert_ne!(with("apparmor", "unconfined", own), "");
    let (process, image) = (
        "system_u:system_r:svirt_t:s0:c1,c2",
        "system_u:object_r:svirt_image_t:s0:c1,c2",
    );
    assert_eq!(with("selinux", process, image), "");
    assert_ne!(
        with("selinux", "system_u:system_r:unconfined_t:s0", image),
        ""
    );
}

#[test]
fn xml_that_is_too_long_or_too_deep_or_none_is_refused() {
    let long = format!(
        "<domain type='qemu'><description>{}</description></domain>",
        "x".repeat(LONGEST)
    );
    let deep = format!("{}{}", "<a>".repeat(50_000), "</a>".repeat(50_000));
    let wide = format!("<domain>{}</domain>", "<a/>".repeat(150_000));
    for xml in [
        long.as_str(),
        &deep,
        &wide,
        "",
        "<domain",
        "<network/>",
        "\u{0}",
    ] {
        assert_ne!(refusals(xml), "");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".{0,300}") {
        let _ = judge_domain(&strict(), None, &text);
    }

    /// Wherever it is put, an element or an attribute that nobody thought about is refused.
    #[test]
    fn whatever_is_not_known_is_refused_at_any_place(place in any::<prop::sample::Index>(), element in any::<bool>()) {
        let ends: Vec<_> = RUNNING.match_indices("/>").map(|(at, _)| at).collect();
        let at = ends[place.index(ends.len())];
        let (before, after) = RUNNING.split_at(at);
        let xml = if element {
            let name = before.rsplit('<').next().unwrap().split([' ', '/']).next().unwrap();
            format!("{before}><novelty/></{name}>{}", &after[2..])
        } else {
            format!("{before} novelty='1'{after}")
        };
        prop_assert_ne!(refusals(&xml), "");
    }

    /// A path outside of every pool is refused, however it is written.
    #[test]
    fn no_path_outside_the_pools_passes(path in "(/[a-z.]{0,9}){1,5}/?") {
        prop_assume!(!path.starts_with("/pools/"));
        prop_assert_ne!(refusals(&STARTING.replace("/pools/disks/inst.qcow2", &path)), "");
    }
}
