// SPDX-License-Identifier: GPL-3.0-or-later
//! polkit's rules for profile `strict`, made from the broker's configuration.
//!
//! libvirt asks polkit about each call: `org.libvirt.api.OBJECT.RIGHT`, with the object's name.
//! The rules answer every such question themselves, so that no other rule, and no default of
//! libvirt's, grants anything: the broker's user may what the broker does, members of the
//! configured groups may what is no way to the host, nobody else may anything. Only the broker's
//! user may open a connection at all; people are judged on the broker's.
//!
//! polkit runs the rules in Duktape, which knows ECMAScript 5: `var`, no arrow functions.

use std::fmt::Write;

use crate::config::{Config, OperatorRight};

/// What the broker's own user may. `domain.write` alone is root on the host: that is why nobody
/// but the broker holds it, and why the broker takes neither XML nor a path from anybody.
const SERVICE: &[(&str, &[&str])] = &[
    (
        "connect",
        &[
            "getattr",
            "read",
            "write",
            "search-domains",
            "search-networks",
            "search-storage-pools",
        ],
    ),
    (
        "domain",
        &[
            "getattr",
            "read",
            "write",
            "save",
            "delete",
            "start",
            "stop",
            "init-control",
            "reset",
            "suspend",
            "hibernate",
            "open-device",
        ],
    ),
    ("network", &["getattr", "read"]),
    ("network-port", &["getattr", "read", "create", "delete"]),
    ("nwfilter-binding", &["getattr", "create", "delete"]),
    (
        "storage-pool",
        &[
            "getattr",
            "read",
            "write",
            "save",
            "format",
            "start",
            "refresh",
            "search-storage-vols",
        ],
    ),
    (
        "storage-vol",
        &[
            "getattr",
            "read",
            "create",
            "delete",
            "resize",
            "data-read",
            "data-write",
        ],
    ),
];

/// What a person may who may anything: see the VM.
const EVERY_PERSON: &[&str] = &["getattr", "read"];

/// What a person needs besides a VM: the connection, and that a VM that they start is plugged into
/// its networks, which libvirt does in their name. None of it changes a network or a filter.
const AROUND: &[(&str, &[&str])] = &[
    ("connect", &["getattr", "read", "search-domains"]),
    ("network", &["getattr", "read"]),
    ("network-port", &["getattr", "read", "create", "delete"]),
    ("nwfilter-binding", &["getattr", "create", "delete"]),
];

const fn rights(right: OperatorRight) -> &'static [&'static str] {
    match right {
        OperatorRight::Start => &["start"],
        OperatorRight::Stop => &["stop", "init-control"],
        OperatorRight::Reset => &["reset"],
        OperatorRight::Pause => &["suspend"],
        OperatorRight::Save => &["hibernate"],
        OperatorRight::Console => &["open-device"],
    }
}

const ANSWER: &str = r#"
    if (action.id.indexOf("org.libvirt.") !== 0) {
        return polkit.Result.NOT_HANDLED;
    }
    var parts = /^org\.libvirt\.api\.([a-z-]+)\.([a-z-]+)$/.exec(action.id);
    var holds = function (list, right) {
        return list !== undefined && list.indexOf(right) >= 0;
    };
    var fits = function (pattern, name) {
        var end = pattern.length - 1;
        return pattern.charAt(end) === "*" ?
            name.indexOf(pattern.substring(0, end)) === 0 : name === pattern;
    };
    if (subject.user === service) {
        var may = parts ? holds(own[parts[1]], parts[2]) : action.id === "org.libvirt.unix.manage";
        return may ? polkit.Result.YES : polkit.Result.NO;
    }
    if (!parts) {
        return polkit.Result.NO;
    }
    for (var i = 0; i < operators.length; i++) {
        var operator = operators[i];
        if (!subject.isInGroup(operator.group)) {
            continue;
        }
        if (holds(around[parts[1]], parts[2])) {
            return polkit.Result.YES;
        }
        var name = action.lookup("domain_name");
        if (parts[1] !== "domain" || !name || action.lookup("connect_driver") !== "QEMU" ||
            !holds(operator.may, parts[2])) {
            continue;
        }
        for (var j = 0; j < operator.vms.length; j++) {
            if (fits(operator.vms[j], name)) {
                return polkit.Result.YES;
            }
        }
    }
    return polkit.Result.NO;
});
"#;

/// The text of the rules file, for a broker that runs as the user `service`.
pub fn rules(config: &Config, service: &str) -> String {
    let mut text = String::from(
        "// What libvirt lets whom do: made by `hv-broker polkit-rules` from the broker's configuration.\n\
         // Do not change it here. polkit takes the first answer, so this file must come first.\n\
         polkit.addRule(function (action, subject) {\n",
    );
    let _ = writeln!(text, "    var service = {};", quoted(service));
    table(&mut text, "own", SERVICE);
    table(&mut text, "around", AROUND);
    text += "    var operators = [\n";
    for rule in &config.operators {
        let may = rule.may.iter().flat_map(|right| rights(*right));
        let _ = writeln!(
            text,
            "        {{ \"group\": {}, \"vms\": {},\n          \"may\": {} }},",
            quoted(rule.group.as_str()),
            list(rule.vms.iter().map(crate::config::VmPattern::as_str)),
            list(EVERY_PERSON.iter().chain(may).copied()),
        );
    }
    text += "    ];";
    text + ANSWER
}

/// A variable that holds the rights by object. A comma behind the last one is fine in ECMAScript 5.
fn table(text: &mut String, name: &str, rights: &[(&str, &[&str])]) {
    let _ = writeln!(text, "    var {name} = {{");
    for (object, rights) in rights {
        let (object, rights) = (quoted(object), list(rights.iter().copied()));
        let _ = writeln!(text, "        {object}: {rights},");
    }
    *text += "    };\n";
}

fn list<'a>(items: impl Iterator<Item = &'a str>) -> String {
    let items: Vec<_> = items.map(quoted).collect();
    format!("[{}]", items.join(", "))
}

/// A text as a script's text; JSON's form is one that ECMAScript reads, too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each of these is a way to the host, or to another's disk: never a person's.
    const NEVER: [&str; 12] = [
        "write",
        "save",
        "delete",
        "core-dump",
        "snapshot",
        "checkpoint",
        "block-write",
        "fs-freeze",
        "read-secure",
        "migrate",
        "mem-read",
        "set-password",
    ];

    fn config(more: &str) -> Config {
        toml::from_str(&format!("socket = '/x'\nprofile = 'strict'\n{more}")).unwrap()
    }

    #[test]
    fn the_rules_name_each_group_with_its_vms_and_rights() {
        let more = "[[operators]]\ngroup = 'hv-users'\n\
                    [[operators]]\ngroup = 'web-team'\nvms = ['web-*', 'db']\nmay = ['start', 'stop']\n";
        insta::assert_snapshot!(rules(&config(more), "hv-broker"));
    }

    #[test]
    fn no_right_of_a_person_is_a_way_to_the_host() {
        let all = OperatorRight::ALL.iter().flat_map(|right| rights(*right));
        for right in all.chain(EVERY_PERSON) {
            assert!(!NEVER.contains(right), "{right}");
        }
        for (object, rights) in AROUND {
            assert!(!object.starts_with("storage") && *object != "node-device");
            assert!(rights.iter().all(
                |right| ["network-port", "nwfilter-binding"].contains(object)
                    || !NEVER.contains(right)
            ));
        }
    }

    #[test]
    fn a_name_can_not_become_script() {
        assert_eq!(quoted("a\"];b\n"), r#""a\"];b\n""#);
    }
}
