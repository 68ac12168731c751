// SPDX-License-Identifier: GPL-3.0-or-later
//! Domains: lists, facts, life cycle, changes, figures.

use hv_libvirt::{
    Destroy, DomainFilter, ErrorKind, GuestRequest, Impact, PausedReason, Quantity, RunningReason,
    SavedAs, ShutoffReason, StartFlags, State, StatsFlags, StatsGroups, UndefineFlags, XmlFlags,
};
use uuid::Uuid;

use crate::host;

const NAMESPACE: &str = "urn:example:note";

fn web() -> String {
    "<domain type='test'><name>web</name><uuid>8f1e5a52-7a3f-4d6e-9d7b-0c6f0f3a1b11</uuid>\
     <memory unit='MiB'>64</memory><vcpu>2</vcpu><os><type>hvm</type></os></domain>"
        .to_owned()
}

#[test]
fn one_call_lists_all_domains() {
    let host = host();
    let domains = host.domains(DomainFilter::NONE).unwrap();
    let names: Vec<_> = domains.iter().map(hv_libvirt::Domain::name).collect();
    assert_eq!(names, ["test"]);
    assert_eq!(
        host.domain_by_uuid(domains[0].uuid()).unwrap().name(),
        "test"
    );
}

#[test]
fn a_filter_answers_one_question_about_all_domains() {
    let host = host();
    let web = host.define_domain(&web()).unwrap();
    let names = |filter| {
        let domains = host.domains(filter).unwrap();
        domains
            .iter()
            .map(hv_libvirt::Domain::name)
            .collect::<Vec<_>>()
    };
    assert_eq!(names(DomainFilter::INACTIVE), ["web"]);
    assert_eq!(names(DomainFilter::RUNNING), ["test"]);
    web.set_autostart(true).unwrap();
    assert_eq!(names(DomainFilter::AUTOSTART), ["web"]);
    assert_eq!(
        names(DomainFilter::ACTIVE | DomainFilter::AUTOSTART),
        Vec::<String>::new()
    );
}

#[test]
fn a_domain_goes_through_its_life() {
    let host = host();
    let web = host.define_domain(&web()).unwrap();
    assert!(web.is_persistent().unwrap());
    web.create(StartFlags::NONE).unwrap();
    assert_eq!(web.state().unwrap(), State::Running(RunningReason::Booted));
    assert!(web.is_active().unwrap());
    web.suspend().unwrap();
    assert_eq!(web.state().unwrap(), State::Paused(PausedReason::User));
    web.resume().unwrap();
    web.managed_save(SavedAs::Found).unwrap();
    assert!(web.has_managed_save().unwrap());
    assert_eq!(web.state().unwrap(), State::Shutoff(ShutoffReason::Saved));
    web.managed_save_remove().unwrap();
    web.create(StartFlags::NONE).unwrap();
    web.shutdown(GuestRequest::Either).unwrap();
    assert_eq!(
        web.state().unwrap(),
        State::Shutoff(ShutoffReason::Shutdown)
    );
    web.create(StartFlags::NONE).unwrap();
    web.destroy(Destroy::Forced).unwrap();
    assert_eq!(
        web.state().unwrap(),
        State::Shutoff(ShutoffReason::Destroyed)
    );
    web.undefine(UndefineFlags::NONE).unwrap();
    assert_eq!(
        host.domain_by_name("web").unwrap_err().kind,
        ErrorKind::NotFound
    );
}

#[test]
fn starting_twice_is_the_wrong_state() {
    let host = host();
    let error = host
        .domain_by_name("test")
        .unwrap()
        .create(StartFlags::NONE)
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidState);
}

#[test]
fn xml_against_the_schema_is_invalid() {
    let error = host()
        .define_domain("<domain type='test'><name>x</name></domain>")
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid, "{error:?}");
}

#[test]
fn a_renamed_domain_is_found_by_its_new_name() {
    let host = host();
    let web = host.define_domain(&web()).unwrap();
    // The test driver has no renaming; what counts here is that it is refused as a value.
    match web.rename("shop") {
        Ok(()) => assert_eq!(host.domain_by_uuid(web.uuid()).unwrap().name(), "shop"),
        Err(error) => assert_eq!(error.kind, ErrorKind::Unsupported),
    }
    assert_eq!(web.name(), "web");
}

#[test]
fn cpus_and_memory_change_for_the_next_start() {
    let host = host();
    let web = host.define_domain(&web()).unwrap();
    web.set_memory(32 << 20, Quantity::Current, Impact::Config)
        .unwrap();
    web.set_vcpus(1, Quantity::Current, Impact::Config).unwrap();
    let info = web.info().unwrap();
    assert_eq!((info.memory, info.memory_max), (32 << 20, 64 << 20));
    let xml = web.xml(XmlFlags::INACTIVE).unwrap();
    assert!(xml.contains("current='1'"), "{xml}");
}

#[test]
fn metadata_is_kept_by_namespace() {
    let web = host().define_domain(&web()).unwrap();
    let missing = web.metadata(NAMESPACE, Impact::Config).unwrap_err();
    assert_eq!(missing.kind, ErrorKind::NotFound);
    web.set_metadata(
        NAMESPACE,
        "note",
        Some("<note>hello</note>"),
        Impact::Config,
    )
    .unwrap();
    assert!(
        web.metadata(NAMESPACE, Impact::Config)
            .unwrap()
            .contains("hello")
    );
    web.set_metadata(NAMESPACE, "note", None, Impact::Config)
        .unwrap();
    assert!(web.metadata(NAMESPACE, Impact::Config).is_err());
}

#[test]
fn one_call_brings_the_figures_of_all_domains() {
    let host = host();
    let web = host.define_domain(&web()).unwrap();
    let stats = host
        .all_domain_stats(StatsGroups::STATE, StatsFlags::NONE)
        .unwrap();
    let of = |uuid: Uuid| stats.iter().find(|stats| stats.uuid == uuid).unwrap();
    assert_eq!(stats.len(), 2);
    assert_eq!(of(web.uuid()).name, "web");
    assert!(matches!(of(web.uuid()).state, Some(State::Shutoff(_))));
    let active = host
        .all_domain_stats(StatsGroups::STATE, StatsFlags::ACTIVE)
        .unwrap();
    assert_eq!(active.len(), 1);
    assert!(matches!(active[0].state, Some(State::Running(_))));
}
