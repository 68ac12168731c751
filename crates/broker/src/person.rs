// SPDX-License-Identifier: GPL-3.0-or-later
//! The person that a change is made for, as a user of this host.
//!
//! In profile `strict` libvirt judges people, whom it knows as users of the host. What the port
//! says of a person is checked against the host's own accounts, since whoever speaks to the port
//! may have been taken over. It can name neither root nor the user of a service (the broker's own
//! may more than any person, hvd's is in the groups of people to serve them), nor anybody outside
//! the groups that the configuration lists.

use std::collections::BTreeSet;

use hv_model::hypervisor::{Behalf, HypervisorError, HypervisorErrorKind, Result};

use crate::config::OperatorRule;

/// A person whom libvirt is to judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) user: u32,
    pub(crate) group: u32,
}

/// A user of the host with the names of all their groups.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    user: u32,
    group: u32,
    groups: Vec<String>,
}

/// The person that a call names, if they may be acted for at all.
///
/// Users in `services` are none.
pub(crate) fn resolve(
    behalf: &Behalf,
    services: &BTreeSet<u32>,
    operators: &[OperatorRule],
) -> Result<Person> {
    vouch(behalf, known(behalf.name.as_str()), services, operators).map_err(|why| {
        tracing::warn!(person = %behalf.name, uid = ?behalf.uid, why, "not acted for");
        HypervisorError::new(HypervisorErrorKind::Denied, why)
    })
}

fn known(name: &str) -> Option<Known> {
    let user = uzers::get_user_by_name(name)?;
    let group = user.primary_group_id();
    let groups = uzers::get_user_groups(name, group).unwrap_or_default();
    let names = groups.iter().map(|group| group.name().to_string_lossy());
    Some(Known {
        user: user.uid(),
        group,
        groups: names.map(std::borrow::Cow::into_owned).collect(),
    })
}

fn vouch(
    behalf: &Behalf,
    known: Option<Known>,
    services: &BTreeSet<u32>,
    operators: &[OperatorRule],
) -> std::result::Result<Person, String> {
    let name = behalf.name.as_str();
    let Some(known) = known else {
        return Err(format!(
            "this host has no user {name}; in profile strict libvirt judges people as users of the \
             host, so an account alone is not enough"
        ));
    };
    if let Some(claimed) = behalf.uid.filter(|claimed| *claimed != known.user) {
        return Err(format!(
            "user {name} of this host has the id {}, not {claimed}",
            known.user
        ));
    }
    if known.user == 0 || services.contains(&known.user) {
        return Err(format!(
            "{name} is no person whom libvirt could judge: in profile strict use an account of your \
             own"
        ));
    }
    let is_operator = |rule: &OperatorRule| known.groups.iter().any(|g| g == rule.group.as_str());
    if !operators.iter().any(is_operator) {
        let groups: Vec<_> = operators.iter().map(|rule| rule.group.as_str()).collect();
        return Err(format!(
            "{name} is in none of the groups whose members change VMs on this host: {}",
            groups.join(", ")
        ));
    }
    Ok(Person {
        name: name.to_owned(),
        user: known.user,
        group: known.group,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BROKER: u32 = 990;
    const HVD: u32 = 991;

    fn judged(
        name: &str,
        claimed: Option<u32>,
        user: Option<u32>,
    ) -> std::result::Result<Person, String> {
        let behalf = Behalf {
            name: name.parse().unwrap(),
            uid: claimed,
        };
        let known = user.map(|user| Known {
            user,
            group: 100,
            groups: vec!["users".to_owned(), "hv-users".to_owned()],
        });
        let rule: OperatorRule = toml::from_str("group = 'hv-users'").unwrap();
        vouch(&behalf, known, &[BROKER, HVD].into(), &[rule])
    }

    #[test]
    fn a_member_is_acted_for_whether_or_not_the_id_was_told() {
        let ada = judged("ada", None, Some(1000)).unwrap();
        assert_eq!((ada.user, ada.group), (1000, 100));
        assert_eq!(judged("ada", Some(1000), Some(1000)).unwrap(), ada);
    }

    #[test]
    fn nobody_acts_as_root_as_a_service_or_under_a_name_that_is_anothers() {
        for (name, claimed, user, words) in [
            ("root", Some(0), Some(0), "account of your own"),
            ("toor", None, Some(0), "account of your own"),
            (
                "hv-broker",
                Some(BROKER),
                Some(BROKER),
                "account of your own",
            ),
            ("hvd", None, Some(HVD), "account of your own"),
            ("ada", Some(0), Some(1000), "not 0"),
            ("ghost", Some(1000), None, "no user ghost"),
        ] {
            let why = judged(name, claimed, user).unwrap_err();
            assert!(why.contains(words), "{name}: {why}");
        }
    }

    #[test]
    fn who_is_in_no_listed_group_is_not_acted_for() {
        let behalf = Behalf {
            name: "ada".parse().unwrap(),
            uid: None,
        };
        let known = Known {
            user: 1000,
            group: 100,
            groups: vec!["hv-users-too".to_owned()],
        };
        let rule: OperatorRule = toml::from_str("group = 'hv-users'").unwrap();
        let why = vouch(&behalf, Some(known.clone()), &BTreeSet::new(), &[rule]).unwrap_err();
        assert!(
            why.contains("none of the groups") && why.contains("hv-users"),
            "{why}"
        );
        vouch(&behalf, Some(known), &BTreeSet::new(), &[]).unwrap_err();
    }

    #[test]
    fn users_and_their_groups_are_looked_up_on_the_host() {
        let root = known("root").unwrap();
        assert_eq!(root.user, 0);
        assert!(root.groups.contains(&"root".to_owned()), "{root:?}");
        assert_eq!(known("nobody-has-this-name"), None);
    }
}
