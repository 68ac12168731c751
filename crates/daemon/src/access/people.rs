// SPDX-License-Identifier: GPL-3.0-or-later
//! What the host knows of its users: their names, numbers and groups.
//!
//! Names may come from a directory in the network, so every look-up may block for long.

use std::collections::BTreeSet;

use hv_model::{
    access::Principal,
    name::{NameError, UserGroupName, UserName},
};

use super::Subject;

/// The user of this number, with the groups that the host has them in. One whose name our rule for
/// names does not allow, or who has none, is called by the number.
pub(crate) fn user_of_number(uid: u32) -> Result<Subject, NameError> {
    let Some(user) = uzers::get_user_by_uid(uid) else {
        return nameless(uid);
    };
    match user.name().to_str().map(str::parse) {
        Some(Ok(name)) => Ok(subject(Principal::User { name, uid }, &user)),
        _ => nameless(uid),
    }
}

/// The person of this name: the host's user, if there is one, else whoever has the account.
pub(crate) fn person_of_name(name: &UserName) -> Subject {
    let name = name.clone();
    match uzers::get_user_by_name(name.as_str()) {
        Some(user) => {
            let uid = user.uid();
            subject(Principal::User { name, uid }, &user)
        }
        None => Subject::new(Principal::Account { name }),
    }
}

/// What the host knows of whoever a principal stands for.
pub(crate) fn subject_of(principal: Principal) -> Subject {
    let groups = match principal.person() {
        Some(name) => person_of_name(name).groups,
        None => BTreeSet::new(),
    };
    Subject {
        groups,
        ..Subject::new(principal)
    }
}

fn nameless(uid: u32) -> Result<Subject, NameError> {
    let name = format!("uid-{uid}").parse()?;
    Ok(Subject::new(Principal::User { name, uid }))
}

/// A user with their groups, as far as our rule for names allows them.
fn subject(principal: Principal, user: &uzers::User) -> Subject {
    let groups = user.groups().unwrap_or_default();
    let groups = groups
        .iter()
        .filter_map(|group| group.name().to_str()?.parse::<UserGroupName>().ok());
    Subject {
        groups: groups.collect(),
        ..Subject::new(principal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_known_by_number_and_by_name() {
        let by_number = user_of_number(0).unwrap();
        assert!(by_number.principal.is_root());
        assert_eq!(person_of_name(&"root".parse().unwrap()), by_number);
    }

    #[test]
    fn a_number_that_nobody_has_is_a_name_of_its_own() {
        let nobody = user_of_number(3_999_999_999).unwrap();
        assert_eq!(nobody.principal.label(), "uid-3999999999");
        assert!(nobody.groups.is_empty());
    }
}
