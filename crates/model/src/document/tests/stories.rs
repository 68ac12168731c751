// SPDX-License-Identifier: GPL-3.0-or-later
//! What people are told about their documents.

use std::path::Path;

use insta::assert_snapshot;
use serde::de::DeserializeOwned;

use super::spec::{Cpus, Spec};
use crate::document::{Fault, Faults, Format, Located, MAX_BYTES, Position, read, read_value};

fn faults_of<T: DeserializeOwned>(text: &str, format: Format) -> Faults {
    match read::<T>(text, format) {
        Ok(_) => panic!("read without a fault:\n{text}"),
        Err(faults) => faults,
    }
}

fn told(text: &str, format: Format) -> String {
    let ending = format!("{format:?}").to_lowercase();
    faults_of::<Spec>(text, format).in_file(format!("vm.{ending}"))
}

fn good(text: &str, format: Format) -> Located<Spec> {
    read(text, format).unwrap_or_else(|faults| panic!("{faults}"))
}

#[test]
fn a_yaml_spec_with_many_faults_tells_all_of_them() {
    assert_snapshot!(told(
        r#"
name: "web server"
decription: The shop
tags: [shop, "näh", 5]
cpus:
  count: four
  pinned: [1, -2, 70000, 1.5]
  nested: no
memory: 2 XB
disks:
  - name: root
    size: 20 GiB
    bus: vritio
    boot: 300
  - name: 1.10
    sise: 5 GiB
    bus: sata
  - data
  - source: {image: 7}
  - name: copy
    size: 1 GiB
    bus: [virtio]
    source: {clone: {of: "a b", linked: maybe}}
firmware: {kind: uefi, secure_boot: "yes"}
labels: {colour: blue, level: 3}
ports: {80: true, http: true}
share: lots
window: [1, 2, 3]
"#,
        Format::Yaml
    ));
}

#[test]
fn a_toml_spec_with_many_faults_tells_all_of_them() {
    assert_snapshot!(told(
        r#"
name = "web"
memory = 2.5
desciption = "The shop"
tags = "shop"

[cpus]
count = 0
nested = "true"
max = 8

[[disks]]
name = "root"
size = "20GB!"
bus = "virtio_scsi"

[[disks]]
size = "1 GiB"
bus = "sata"
source.image = 3

[firmware]
kind = "efi"

[labels]
made = 2026-01-02
level = 0x10
"#,
        Format::Toml
    ));
}

#[test]
fn a_json_spec_with_many_faults_tells_all_of_them() {
    assert_snapshot!(told(
        r#"{
  "name": "web",
  "tags": {"a": 1},
  "cpus": {"count": 256, "pinned": "all", "count": 3},
  "description": ["The", "shop"],
  "disks": [
    {"name": "root", "size": -1, "bus": "virtio", "boot": 1},
    {"name": "data", "size": "1 GiB", "bus": {"sata": 1}, "source": "image"},
    {"name": "data", "size": "1 GiB", "bus": "sata", "source": {"image": "x", "clone": {}}}
  ],
  "firmware": {"secure_boot": true},
  "ports": {"80": "open"},
  "window": [1, 256], "share": true, "mem": 5
}"#,
        Format::Json
    ));
}

#[test]
fn what_came_as_a_value_is_told_by_its_paths() {
    let value = serde_json::json!({"disks": [{"name": "a", "size": "1 GiB"}], "name": 5});
    let faults = read_value::<Spec>(&value).unwrap_err();
    assert_snapshot!(faults, @r#"
    disks[0].bus: is missing
    name: 5 is a number, not text; allowed: text, in quotation marks: "5"
    "#);
}

#[test]
fn a_missing_key_is_told_with_all_its_missing_neighbours() {
    assert_snapshot!(told("name: web\ndisks:\n  - boot: 1\n  - {}\n", Format::Yaml), @"
    vm.yaml:3:5: disks[0].name: is missing
    vm.yaml:3:5: disks[0].size: is missing
    vm.yaml:3:5: disks[0].bus: is missing
    vm.yaml:4:5: disks[1].name: is missing
    vm.yaml:4:5: disks[1].size: is missing
    vm.yaml:4:5: disks[1].bus: is missing
    ");
}

#[test]
fn what_follows_from_another_fault_is_not_told() {
    // `name` is not missing, it is mistyped; `size` is there, if wrong; `source` is not empty.
    let text = "nmae: web\ndisks:\n- {name: a, size: big, bus: sata, source: {imgae: b}}\n";
    assert_snapshot!(told(text, Format::Yaml), @r#"
    vm.yaml:1:1: nmae: is not a known key (nearest: name); allowed: name, tags, description, cpus, memory, disks, firmware, labels, ports, password, share, window
    vm.yaml:3:19: disks[0].size: "big" is not a size: write a number and a unit, such as 512 MiB, 20 GiB or 1.5 TiB
    vm.yaml:3:44: disks[0].source.imgae: is not a known key (nearest: image); allowed: blank, image, clone
    "#);
}

#[test]
fn words_that_mean_true_in_older_yaml_are_text_and_named() {
    let country = good("name: no\nlabels: {country: no}", Format::Yaml).value;
    assert_eq!(
        (country.name.as_str(), country.labels["country"].as_str()),
        ("no", "no")
    );
    assert_snapshot!(told("name: a\ncpus: {nested: no}", Format::Yaml), @r#"vm.yaml:2:16: cpus.nested: "no" is not true or false (nearest: false)"#);
}

#[test]
fn yaml_numbers_are_those_of_its_core_schema() {
    let text = "name: a\ncpus: {pinned: [010, 0x10, 0o17, +3]}\nshare: .5\nmemory: 1024\n\
                labels: {time: '12:30', big: 1_000, version: \"1.10\", tilde: '~', sign: +, dot: .}";
    let spec = good(text, Format::Yaml).value;
    assert_eq!(spec.cpus.pinned, [10, 16, 15, 3]);
    assert_eq!(spec.share, Some(0.5));
    assert_eq!(spec.labels["big"], "1_000");
}

#[test]
fn yaml_that_reads_as_more_than_data_is_refused() {
    let text =
        "name: &n web\ndescription: *n\npassword: !!str 5\nlabels: {? [a] : b}\ntags: !x []\n";
    assert_snapshot!(told(text, Format::Yaml), @"
    vm.yaml:2:14: description: uses an alias; allowed: the value itself, written out
    vm.yaml:3:11: password: has the tag !!str; allowed: the value without a tag
    vm.yaml:4:12: labels: has a key that is not plain text; allowed: text as keys
    vm.yaml:5:7: tags: has the tag !x; allowed: the value without a tag
    ");
    assert_snapshot!(told("name: a\n---\nname: b\n", Format::Yaml), @"vm.yaml:2:1: a second document begins here; allowed: one document");
}

#[test]
fn a_bomb_of_aliases_goes_off_without_harm() {
    let mut lines = vec!["name: a\nlabels:\n  a0: &a0 [x, x]".to_owned()];
    for level in 1..30 {
        let last = level - 1;
        lines.push(format!(
            "  a{level}: &a{level} [*a{last}, *a{last}, *a{last}, *a{last}]"
        ));
    }
    assert_eq!(
        faults_of::<Spec>(&lines.join("\n"), Format::Yaml)
            .as_slice()
            .len(),
        101
    );
}

#[test]
fn a_text_that_is_no_document_says_where_it_breaks() {
    assert_snapshot!(told("name: web\n\tcpus: 4\n", Format::Yaml), @"vm.yaml:1:7: this is not valid YAML: while scanning a plain scalar, found a tab; allowed: spaces to indent lines");
    assert_snapshot!(told("name: [web\n", Format::Yaml), @"vm.yaml:2:1: this is not valid YAML: while parsing a flow sequence, expected ',' or ']'");
    assert_snapshot!(told("name = web\nmemory = \"1 GiB\ncpus = {\n", Format::Toml), @r#"
    vm.toml:1:8: this is not valid TOML: string values must be quoted, expected literal string
    vm.toml:2:16: this is not valid TOML: invalid basic string, expected `"`
    vm.toml:3:9: this is not valid TOML: unclosed inline table, expected `}`
    "#);
    assert_snapshot!(told("{\"name\": \"web\",\n \"täg\": 1,}", Format::Json), @"vm.json:2:11: this is not valid JSON: key must be a string");
    assert_snapshot!(told("{\"name\": \"\\ud800\"}", Format::Json), @"vm.json:1:10: name: this is not valid JSON: unexpected end of hex escape");
    assert_snapshot!(told("{\"name\": \"web\", \"share\": 1e999}", Format::Json), @"vm.json:1:26: share: this is not valid JSON: number out of range");
}

#[test]
fn an_empty_document_says_what_it_needs() {
    assert_snapshot!(told("# nothing yet\n", Format::Yaml), @"vm.yaml:1:1: this document has no value, but needs a group of keys; allowed: name, tags, description, cpus, memory, disks, firmware, labels, ports, password, share, window");
    assert_snapshot!(told("", Format::Toml), @"vm.toml:1:1: name: is missing");
    assert_snapshot!(told("", Format::Json), @"vm.json:1:1: this is not valid JSON: EOF while parsing a value");
    assert!(
        read::<Cpus>("", Format::Toml).is_ok(),
        "a file with defaults only may be empty"
    );
}

#[test]
fn a_double_key_is_told_and_the_rest_is_read_on() {
    for (text, format) in [
        ("name: a\nshare: x\nname: b\n", Format::Yaml),
        ("name = \"a\"\nshare = \"x\"\nname = \"b\"\n", Format::Toml),
        (
            "{\"name\": \"a\",\n\"share\": \"x\",\n\"name\": \"b\"}",
            Format::Json,
        ),
    ] {
        let faults = faults_of::<Spec>(text, format);
        let lines: Vec<_> = faults.as_slice().iter().map(|fault| fault.line).collect();
        assert_eq!(lines, [Some(2), Some(3)], "{faults}");
        assert!(
            faults.as_slice()[1].what.contains("given twice"),
            "{faults}"
        );
    }
}

#[test]
fn what_is_too_large_or_too_deep_is_refused() {
    for (open, close, format) in [
        ("[", "]", Format::Json),
        ("[", "]", Format::Yaml),
        ("{a: ", "}", Format::Yaml),
    ] {
        for depth in [40, 200, 100_000] {
            let text = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            assert_eq!(
                faults_of::<Spec>(&text, format).as_slice().len(),
                1,
                "{format:?} {depth}"
            );
        }
    }
    let toml = format!("a = {}1{}", "[".repeat(40), "]".repeat(40));
    assert_snapshot!(told(&toml, Format::Toml), @"vm.toml:1:37: is nested too deeply; allowed: at most 32 levels");
    let many = format!("[{}1]", "1,".repeat(150_000));
    assert_snapshot!(told(&many, Format::Json), @"vm.json:1:200002: is one value too many; allowed: at most 100000 values");
    assert_snapshot!(told(&" ".repeat(MAX_BYTES + 1), Format::Json), @"vm.json: this document has 1048577 bytes; allowed: at most 1048576 bytes");
}

#[test]
fn very_many_faults_end_with_a_note() {
    let keys: Vec<String> = (0..3000).map(|number| format!("key{number}: 1")).collect();
    let text = keys.join("\n");
    let faults = faults_of::<Spec>(&text, Format::Yaml);
    assert_eq!(faults.as_slice().len(), 101);
    assert_snapshot!(faults.as_slice().last().unwrap(), @"there are more than these 100 faults");
}

#[test]
fn secrets_are_not_repeated() {
    let text = "name: web\npassword: [hunter2]\nlabels: {api_token: 12345}\n";
    let told = told(text, Format::Yaml);
    assert!(
        !told.contains("hunter2") && !told.contains("12345"),
        "{told}"
    );
    assert_snapshot!(told, @r#"
    vm.yaml:2:1: password: is a list, not text
    vm.yaml:3:21: labels.api_token: is a number, not text; allowed: text, in quotation marks: "…"
    "#);
}

#[test]
fn values_cannot_write_to_the_terminal() {
    let text = format!(
        "{{\"name\": \"\\u001b[2J{}\", \"a\\u001bb\\u202e\": 1}}",
        "x".repeat(500)
    );
    let told = told(&text, Format::Json);
    assert!(!told.contains(['\u{1b}', '\u{202e}']), "{told}");
    assert_snapshot!(told, @r#"
    vm.json:1:10: name: "\u{1b}[2Jxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…" is not a VM name; allowed: 1 to 63 letters, digits, '.', '_' or '-', of which the first is a letter or a digit
    vm.json:1:523: "a\u{1b}b\u{202e}": is not a known key; allowed: name, tags, description, cpus, memory, disks, firmware, labels, ports, password, share, window
    "#);
}

#[test]
fn later_checks_find_the_line_of_what_they_refuse() {
    let text =
        "name: web\ndisks:\n  - name: root\n    size: 1 GiB\n    bus: sata\nlabels: {a.b: c}\n";
    let spec = good(text, Format::Yaml);
    let at = |path: &str| spec.position(path).map(|at| (at.line, at.column));
    assert_eq!(at("disks[0].size"), Some((4, 11)));
    assert_eq!(
        at("disks[0].source.image"),
        Some((3, 5)),
        "the innermost group that is written"
    );
    assert_eq!(at("disks"), Some((2, 1)));
    assert_eq!(at("labels.\"a.b\""), Some((6, 15)));
    assert_eq!(at(""), Some((1, 1)));
    let faults = spec
        .refuse([
            Fault::new("disks[0].size", "is smaller than its image").allowed("at least 2 GiB"),
            Fault::new("name", "is taken"),
        ])
        .unwrap_err();
    assert_snapshot!(faults.in_file("vm.yaml"), @r#"
    vm.yaml:1:7: name: "web" is taken
    vm.yaml:4:11: disks[0].size: "1 GiB" is smaller than its image; allowed: at least 2 GiB
    "#);
    assert_eq!(spec.refuse([]), Ok(()));
}

#[test]
fn positions_count_characters_and_lines_of_every_kind() {
    let text = "{\"labels\": {\"größe\": 1},\r\n \"name\": \"web\",\n\"ports\": {\"é\": true}}";
    let faults = faults_of::<Spec>(text, Format::Json);
    let at: Vec<_> = faults
        .as_slice()
        .iter()
        .map(|f| (f.line, f.column))
        .collect();
    assert_eq!(at, [(Some(1), Some(22)), (Some(3), Some(11))], "{faults}");
    let spec = good("name = 'ü'\n".replace('ü', "web").as_str(), Format::Toml);
    assert_eq!(spec.position("name"), Some(Position { line: 1, column: 8 }));
}

#[test]
fn the_spec_of_a_vm_tells_all_its_faults() {
    let text = r#"
name: web/1
cpu: 4
cpus: {count: four, topolgy: {sockets: 1}}
memory: {size: 2 Gib, balloon: maybe}
serial: true
disks:
  - image: "-alpine"
    size: 10
    bus: ide
  - sise: 5 GiB
nics:
  - network: default
    mac: 5254
    model: e1000
autostart: {priority: high}
passthrough: [{pci: "01:00"}]
"#;
    let faults = faults_of::<crate::vm::VmSpec>(text, Format::Yaml);
    let told: Vec<_> = faults
        .into_iter()
        .map(|fault| {
            Fault {
                allowed: None,
                ..fault
            }
            .in_file("vm.yaml")
            .to_string()
        })
        .collect();
    assert_snapshot!(told.join("\n"));
}

#[test]
fn a_file_tells_its_format_by_its_ending() {
    for (file, format) in [
        ("vm.yaml", Some(Format::Yaml)),
        ("a/vm.YML", Some(Format::Yaml)),
        ("vm.toml", Some(Format::Toml)),
        ("vm.json", Some(Format::Json)),
        ("vm.txt", None),
        ("yaml", None),
    ] {
        assert_eq!(Format::from_path(Path::new(file)), format, "{file}");
    }
}
