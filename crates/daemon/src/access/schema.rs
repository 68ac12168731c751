// SPDX-License-Identifier: GPL-3.0-or-later
//! The words in which policies speak: Cedar's schema, made from the model's actions and roles.

use std::{fmt::Write, sync::LazyLock};

use cedar_policy::Schema;
use hv_model::access::{Action, Role};

/// The group of the actions that a profile may ask more for.
pub(super) const GRAVE: &str = "grave";

/// Things and people.
const ENTITIES: &str = r"
entity Group;
entity User in [Group] = {
    // Whether they have a role anywhere.
    granted: Bool,
};
entity Vm = {
    name: String,
    owner?: User,
    tags: Set<String>,
    pools: Set<String>,
};
entity Image = { name: String };
entity Network = { name: String };
entity Pool = { name: String };
entity Operation = { actor?: User };
entity Account = { name: String };
entity Host;
entity Events;
entity Audit;
entity Access;
entity Approvals;
type Circumstances = {
    // Whether a fresh proof of identity is there.
    proof: Bool,
    // Whether a second person approved just this.
    approved: Bool,
};
";

/// The schema as text, for people who write policies.
pub fn schema_text() -> String {
    let mut text = format!("namespace Hv {{\n{}\n", ENTITIES.trim());
    let groups: Vec<_> = Role::ALL.iter().map(|role| role.as_str()).collect();
    for group in groups.into_iter().chain([GRAVE]) {
        let _ = writeln!(text, "action \"{group}\";");
    }
    for action in Action::ALL {
        let roles = Role::ALL.iter().filter(|role| role.allows(*action));
        let mut groups: Vec<_> = roles.map(|role| format!("\"{role}\"")).collect();
        if action.is_grave() {
            groups.push(format!("\"{GRAVE}\""));
        }
        let _ = writeln!(
            text,
            "action \"{}\" in [{}] appliesTo {{\n    principal: [User],\n    resource: [{}],\n    \
             context: Circumstances,\n}};",
            action.as_str(),
            groups.join(", "),
            things(*action)
        );
    }
    text + "}\n"
}

/// The schema, which is read once: policies are made anew with each grant.
pub(super) fn schema() -> Result<&'static Schema, String> {
    static SCHEMA: LazyLock<Result<Schema, String>> =
        LazyLock::new(|| match Schema::from_cedarschema_str(&schema_text()) {
            Ok((schema, _)) => Ok(schema),
            Err(error) => Err(error.to_string()),
        });
    SCHEMA.as_ref().map_err(Clone::clone)
}

/// What an action can be done to.
fn things(action: Action) -> &'static str {
    match action.noun() {
        "vm" => "Vm",
        "image" => "Image",
        "network" => "Network",
        "pool" => "Pool",
        "host" => "Host",
        // Those on a VM are judged as the VM is.
        "operation" => "Operation, Vm",
        "event" => "Events, Vm",
        "audit" => "Audit",
        "access" => "Access",
        "account" => "Account",
        _ => "Approvals",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_knows_every_action_and_role() {
        let schema = schema().unwrap();
        let known: Vec<_> = schema
            .actions()
            .map(|action| action.id().unescaped().to_owned())
            .collect();
        for action in Action::ALL {
            assert!(
                known.iter().any(|name| name == action.as_str()),
                "{action:?}"
            );
        }
        insta::assert_snapshot!(schema_text());
    }
}
