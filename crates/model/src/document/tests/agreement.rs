// SPDX-License-Identifier: GPL-3.0-or-later
//! Reading agrees with `serde_json` on what is good, and survives whatever is not.

use proptest::prelude::*;
use serde_json::Value;

use super::spec::Spec;
use crate::document::{Format, read, read_value};

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

const NAME: &str = "[a-z][a-z0-9]{0,8}";

fn disk() -> impl Strategy<Value = Value> {
    let source = prop_oneof![
        Just(serde_json::json!("blank")),
        any::<String>().prop_map(|image| serde_json::json!({ "image": image })),
        (NAME, any::<bool>())
            .prop_map(|(of, linked)| serde_json::json!({"clone": {"of": of, "linked": linked}})),
    ];
    let bus = prop::sample::select(vec!["virtio", "sata", "virtio-scsi"]);
    (
        any::<String>(),
        any::<u64>(),
        bus,
        source,
        any::<Option<u8>>(),
    )
        .prop_map(|(name, size, bus, source, boot)| {
            serde_json::json!({
                "name": name, "size": size, "bus": bus, "source": source, "boot": boot
            })
        })
}

/// A spec in which everything is as it should be.
fn spec() -> impl Strategy<Value = Value> {
    let firmware = prop_oneof![
        Just(serde_json::json!({"kind": "bios"})),
        any::<bool>().prop_map(|yes| serde_json::json!({"kind": "uefi", "secure_boot": yes})),
    ];
    (
        NAME,
        prop::collection::vec(disk(), 0..4),
        firmware,
        prop::collection::btree_map(any::<String>(), any::<String>(), 0..4),
        prop::collection::btree_map(any::<u16>(), any::<bool>(), 0..4),
        any::<Option<u32>>(),
        any::<Option<(u8, u8)>>(),
        prop::collection::vec(any::<u16>(), 0..4),
    )
        .prop_map(
            |(name, disks, firmware, labels, ports, share, window, pinned)| {
                serde_json::json!({
                    "name": name, "disks": disks, "firmware": firmware, "labels": labels,
                    "ports": ports, "share": share, "window": window,
                    "cpus": {"pinned": pinned, "nested": true, "count": 4},
                })
            },
        )
}

/// Text with much of what has a meaning in one of the formats.
fn soup() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop_oneof![
            prop::sample::select(vec![
                "{",
                "}",
                "[",
                "]",
                ":",
                ": ",
                ",",
                "\n",
                "\n  ",
                "- ",
                "\"",
                "'",
                "=",
                "#",
                "&a ",
                "*a",
                "!!x ",
                "|",
                ">",
                "---\n",
                "? ",
                "\t",
                "\\",
                "\\u",
                "name",
                "disks",
                "cpus",
                "[[disks]]\n",
                "1",
                "-",
                ".",
                "e",
                "0x",
                "true",
                "null",
                "\r\n",
                "%",
                "é",
                "\u{feff}",
                "<<",
                "\0",
            ])
            .prop_map(str::to_owned),
            any::<char>().prop_map(String::from),
        ],
        0..80,
    )
    .prop_map(|parts| parts.concat())
}

const FORMATS: [Format; 3] = [Format::Yaml, Format::Toml, Format::Json];

proptest! {
    #[test]
    fn any_json_reads_as_with_serde_json(value in json()) {
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let expected: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&read::<Value>(&text, Format::Json).unwrap().value, &expected);
        }
        prop_assert_eq!(read_value::<Value>(&value).unwrap().value, value);
    }

    #[test]
    fn a_good_spec_reads_as_with_serde_json(value in spec()) {
        let text = serde_json::to_string_pretty(&value).unwrap();
        let expected: Spec = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&read::<Spec>(&text, Format::Json).unwrap().value, &expected);
        prop_assert_eq!(&read_value::<Spec>(&value).unwrap().value, &expected);
    }

    #[test]
    fn a_good_spec_reads_the_same_from_toml(value in spec()) {
        let expected: Spec = serde_json::from_value(value).unwrap();
        // TOML has neither nothing nor numbers above 63 bits.
        let text = ::toml::to_string(&expected).unwrap();
        prop_assert_eq!(read::<Spec>(&text, Format::Toml).unwrap().value, expected);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in prop_oneof![soup(), any::<String>()]) {
        for format in FORMATS {
            if let Err(faults) = read::<Spec>(&text, format) {
                prop_assert!(!faults.as_slice().is_empty(), "refused without a reason");
                prop_assert!(faults.into_iter().all(|fault| !fault.to_string().contains(char::is_control)));
            }
            let _ = read::<Value>(&text, format);
        }
    }

    #[test]
    fn what_serde_json_refuses_is_refused_with_a_reason(value in json(), key in 0_usize..12) {
        let keys = ["name", "tags", "description", "cpus", "memory", "disks", "firmware", "labels",
            "ports", "password", "share", "window"];
        let mut document = serde_json::json!({"name": "web"});
        document[keys[key]] = value;
        let here = read_value::<Spec>(&document);
        let there = serde_json::from_value::<Spec>(document);
        match (&here, &there) {
            (Ok(here), Ok(there)) => prop_assert_eq!(&here.value, there),
            (Err(faults), Err(_)) => prop_assert!(!faults.as_slice().is_empty()),
            // A list for a struct is refused here alone.
            (Err(faults), Ok(_)) => prop_assert!(faults.to_string().contains("is a list"), "{}", faults),
            (Ok(_), Err(error)) => prop_assert!(false, "only serde_json refuses: {}", error),
        }
    }

    #[test]
    fn breaking_some_values_tells_just_those(value in spec(), broken in prop::collection::btree_set(0_usize..6, 1..6)) {
        let breaks = [("name", "name"), ("cpus", "cpus.nested"), ("cpus", "cpus.count"),
            ("share", "share"), ("labels", "labels"), ("window", "window")];
        let mut document = value;
        let mut expected = std::collections::BTreeSet::new();
        for index in broken {
            let (_, path) = breaks[index];
            let mut part = &mut document;
            for step in path.split('.') {
                part = &mut part[step];
            }
            *part = Value::from("a, b");
            expected.insert(path.to_owned());
        }
        let faults = read_value::<Spec>(&document).unwrap_err();
        let told: std::collections::BTreeSet<_> =
            faults.into_iter().map(|fault| fault.path).collect();
        prop_assert_eq!(told, expected);
    }
}
