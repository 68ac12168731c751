// SPDX-License-Identifier: GPL-3.0-or-later
//! Spec files: what is refused is told in its place, and what is taken means the same everywhere.
#![no_main]

use hv_fuzz::{EMULATOR, placed, policy, render_host};
use hv_guard::{judge, judge_xml};
use hv_libvirt::view::DomainView;
use hv_model::{
    document::{self, Faults, Format, MAX_FAULTS},
    domain_xml::{METADATA_NAMESPACE, definition_from_metadata, render},
    host::Acceleration,
    vm::VmSpec,
};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const FORMATS: [Format; 3] = [Format::Yaml, Format::Toml, Format::Json];

fuzz_target!(|text: &str| {
    for format in FORMATS {
        match read(text, format) {
            Ok(spec) => {
                writes_back(&spec);
                becomes_xml(spec);
            }
            Err(faults) => tells(&faults, text),
        }
    }
    // JSON is YAML, too.
    if let (Ok(json), Ok(yaml)) = (read(text, Format::Json), read(text, Format::Yaml)) {
        assert_eq!(json, yaml);
    }
    if let Ok(here) = document::read::<Value>(text, Format::Json) {
        let there = serde_json::from_str::<Value>(text).expect("serde_json reads it, too");
        assert!(is_same(&here.value, &there), "{} {there}", here.value);
    }
});

/// `serde_json` rounds long numbers in the last place, so those need only be near.
fn is_same(here: &Value, there: &Value) -> bool {
    match (here, there) {
        (Value::Number(here), Value::Number(there)) => {
            let near = |here: f64, there: f64| (here - there).abs() <= here.abs() * 1e-15;
            here == there
                || here
                    .as_f64()
                    .zip(there.as_f64())
                    .is_some_and(|(a, b)| near(a, b))
        }
        (Value::Array(here), Value::Array(there)) => {
            here.len() == there.len() && here.iter().zip(there).all(|(a, b)| is_same(a, b))
        }
        (Value::Object(here), Value::Object(there)) => {
            let is_in = |(key, a): (&String, &Value)| there.get(key).is_some_and(|b| is_same(a, b));
            here.len() == there.len() && here.iter().all(is_in)
        }
        _ => here == there,
    }
}

fn read(text: &str, format: Format) -> Result<VmSpec, Faults> {
    document::read_and_judge(text, format, VmSpec::validate).map(|located| located.value)
}

/// Every fault has a place in the text and can be shown.
fn tells(faults: &Faults, text: &str) {
    let faults = faults.as_slice();
    assert!(!faults.is_empty(), "refused without a reason");
    assert!(faults.len() <= MAX_FAULTS + 1);
    let lines = text.split(['\n', '\r']).count();
    for fault in faults {
        let shown = fault.to_string();
        assert!(!shown.contains(char::is_control), "{shown:?}");
        assert_eq!(fault.line.is_some(), fault.column.is_some(), "{shown}");
        if let (Some(line), Some(column)) = (fault.line, fault.column) {
            assert!(line >= 1 && column >= 1, "{shown}");
            // A fault may be that something is missing at the end.
            assert!((line as usize) <= lines + 1, "{shown} of {lines}");
        }
    }
}

/// A spec that is written in any format is the same spec when it is read.
fn writes_back(spec: &VmSpec) {
    let json = serde_json::to_string(spec).expect("a spec is JSON");
    let toml = toml::to_string(spec).expect("a spec is TOML");
    let yaml = hv::spec::yaml::write(spec).expect("a spec is YAML");
    for (text, format) in [
        (json, Format::Json),
        (toml, Format::Toml),
        (yaml, Format::Yaml),
    ] {
        match read(&text, format) {
            Ok(again) => assert_eq!(again, *spec, "{text}"),
            Err(faults) => panic!("{faults}\n{text}"),
        }
    }
}

/// The XML of a spec that the policy allows says nothing that the policy does not allow, and
/// carries the spec.
fn becomes_xml(spec: VmSpec) {
    let definition = placed(spec);
    let policy = policy();
    if !definition.spec.not_yet().is_empty() || judge(&policy, &definition).is_err() {
        return;
    }
    let host = render_host(&definition, Acceleration::Kvm);
    let Ok(xml) = render(&definition, &host) else {
        return;
    };
    if let Err(refusals) = judge_xml(&policy, &xml, &definition, EMULATOR) {
        panic!("{refusals}\n{xml}");
    }
    let view = DomainView::parse(&xml).expect("what is rendered is a domain");
    let carried = view.metadata(METADATA_NAMESPACE);
    let carried = carried.and_then(|element| definition_from_metadata(&element.text));
    assert_eq!(carried, Some(definition), "{xml}");
}
