// SPDX-License-Identifier: GPL-3.0-or-later
//! Users and groups, from the host's own files.

use super::{Root, Unreadable};

/// The host's users and groups.
#[derive(Debug, Clone, Default)]
pub(crate) struct Accounts {
    /// The users.
    pub users: Vec<User>,
    /// The groups.
    pub groups: Vec<Group>,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    /// Its name.
    pub name: String,
    /// Its number.
    pub id: u32,
    /// The number of its first group.
    pub group: u32,
    /// What it gets when it logs in.
    pub shell: String,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    /// Its name.
    pub name: String,
    /// Its number.
    pub id: u32,
    /// The users that are added to it.
    pub members: Vec<String>,
}

impl Accounts {
    /// Reads them.
    pub(crate) fn read(root: &Root) -> Result<Self, Unreadable> {
        let users = root.text("/etc/passwd")?;
        let groups = root.text("/etc/group")?;
        Ok(Self {
            users: users.lines().filter_map(user).collect(),
            groups: groups.lines().filter_map(group).collect(),
        })
    }

    /// The name of a group, or its number.
    pub(crate) fn group_name(&self, id: u32) -> String {
        let group = self.groups.iter().find(|group| group.id == id);
        group.map_or_else(|| id.to_string(), |group| group.name.clone())
    }

    /// The group of this name.
    pub(crate) fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// Every user that is in a group, as its first one or added to it, but for root.
    pub(crate) fn members(&self, group: &Group) -> Vec<String> {
        let first = self
            .users
            .iter()
            .filter(|user| user.group == group.id && user.id != 0);
        let mut names: Vec<String> = first.map(|user| user.name.clone()).collect();
        names.extend(group.members.iter().filter(|name| *name != "root").cloned());
        names.sort();
        names.dedup();
        names
    }

    /// Users that can log in.
    pub(crate) fn people(&self) -> impl Iterator<Item = &User> {
        self.users.iter().filter(|user| user.logs_in())
    }
}

impl User {
    /// Whether it gets a shell.
    pub(crate) fn logs_in(&self) -> bool {
        !matches!(
            self.shell.rsplit('/').next(),
            None | Some("nologin" | "false" | "sync" | "shutdown" | "halt")
        )
    }
}

fn user(line: &str) -> Option<User> {
    let fields: Vec<&str> = line.split(':').collect();
    match fields.as_slice() {
        [name, _, id, group, _, _, shell] => Some(User {
            name: (*name).to_owned(),
            id: id.parse().ok()?,
            group: group.parse().ok()?,
            // An empty field is /bin/sh.
            shell: if shell.is_empty() { "/bin/sh" } else { shell }.to_owned(),
        }),
        _ => None,
    }
}

fn group(line: &str) -> Option<Group> {
    let fields: Vec<&str> = line.split(':').collect();
    match fields.as_slice() {
        [name, _, id, members] => Some(Group {
            name: (*name).to_owned(),
            id: id.parse().ok()?,
            members: members
                .split(',')
                .filter(|name| !name.is_empty())
                .map(String::from)
                .collect(),
        }),
        _ => None,
    }
}
