// SPDX-License-Identifier: GPL-3.0-or-later
//! XML of VMs that somebody else made: looked at, judged by the hook, and read as a spec of ours.
#![no_main]

use hv_broker::foreign::understand;
use hv_fuzz::{AllThere, EMULATOR, id, policy, render_host};
use hv_guard::{FileRole, HostPolicy, id_in, judge, judge_domain, judge_xml};
use hv_libvirt::view::DomainView;
use hv_model::{domain_xml::render, host::Acceleration};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|xml: &str| {
    let policy = policy();
    match DomainView::parse(xml) {
        Ok(view) => {
            view.agent();
            let mut metadata = view.metadata.iter();
            assert!(metadata.all(|element| xml.contains(&element.xml)));
        }
        Err(error) => assert!(!error.to_string().contains(char::is_control), "{error:?}"),
    }
    judged(&policy, xml);
    understood(&policy, xml);
});

/// Where the hook lets a domain run, it knows each file that the domain would use.
fn judged(policy: &HostPolicy, xml: &str) {
    let judged = match judge_domain(policy, None, xml) {
        Ok(judged) => judged,
        Err(refusals) => {
            let shown = refusals.to_string();
            return assert!(!shown.contains(char::is_control), "{shown:?}");
        }
    };
    assert_eq!(judged.id, id_in(xml));
    for file in &judged.files {
        let path = file.path.to_str().expect("a path that is text");
        assert!(path.starts_with('/') && !path.contains("/../"), "{path:?}");
        if matches!(file.role, FileRole::Disk(_) | FileRole::Boot) {
            assert!(policy.volume_at(path).is_some(), "{path:?}");
        }
    }
}

/// What is read as a spec of ours is one, and its own XML reads as the same.
fn understood(policy: &HostPolicy, xml: &str) {
    let volumes = AllThere(policy.clone());
    let seen = understand(policy, &volumes, id(), xml);
    assert_ne!(seen.definition.is_some(), !seen.obstacles.is_empty());
    for obstacle in &seen.obstacles {
        assert!(!obstacle.contains(char::is_control), "{obstacle:?}");
    }
    let Some(definition) = seen.definition else {
        return;
    };
    assert_eq!(definition.spec.validate(), []);
    assert!(judge(policy, &definition).is_ok());
    let host = render_host(&definition, Acceleration::Kvm);
    let xml = match render(&definition, &host) {
        Ok(xml) => xml,
        Err(error) => panic!("{error}\n{definition:?}"),
    };
    if let Err(refusals) = judge_xml(policy, &xml, &definition, EMULATOR) {
        panic!("{refusals}\n{xml}");
    }
    let again = understand(policy, &volumes, id(), &xml);
    assert_eq!(again.obstacles, Vec::<String>::new(), "{xml}");
    let again = again.definition.expect("there is no obstacle");
    let settled = definition.spec.settled(id());
    assert_eq!(again.spec.settled(id()), settled, "{xml}");
}
