// SPDX-License-Identifier: GPL-3.0-or-later
//! Names of users and groups, looked up in the host's own files.
//!
//! Services have their accounts there. An account of a directory service is given by its number.

use std::{collections::BTreeSet, fs, path::Path};

use crate::config::{Account, Config};

/// Who may use the socket, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Who is served.
    pub users: BTreeSet<u32>,
    /// The user whom the socket belongs to, if not this process's.
    pub owner: Option<u32>,
    /// The group that can reach the socket.
    pub group: Option<u32>,
}

/// Why it is not clear who may use the socket.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// There is no such account.
    #[error("{what} {name:?} is not in {file}; write a number for one that is known elsewhere")]
    Missing {
        /// `user` or `group`.
        what: &'static str,
        /// What was looked for.
        name: String,
        /// Where.
        file: &'static str,
    },
    /// The socket could be reached by one of several users.
    #[error("several users are in allow_users, so socket_group must name a group of theirs")]
    GroupNeeded,
}

impl Access {
    /// What the configuration says.
    pub fn of(config: &Config) -> Result<Self, AccountError> {
        let own = rustix::process::geteuid().as_raw();
        let named = config
            .allow_users
            .iter()
            .map(|user| number(user, "user", "/etc/passwd"));
        let named = named.collect::<Result<BTreeSet<_>, _>>()?;
        let group = config.socket_group.as_ref();
        let group = group
            .map(|group| number(group, "group", "/etc/group"))
            .transpose()?;
        let others: Vec<_> = named
            .iter()
            .copied()
            .filter(|user| ![0, own].contains(user))
            .collect();
        let owner = match (group, others.as_slice()) {
            (Some(_), _) | (None, []) => None,
            (None, [one]) => Some(*one),
            (None, _) => return Err(AccountError::GroupNeeded),
        };
        Ok(Self {
            users: named.into_iter().chain([0, own]).collect(),
            owner,
            group,
        })
    }
}

fn number(account: &Account, what: &'static str, file: &'static str) -> Result<u32, AccountError> {
    match account {
        Account::Number(number) => Ok(*number),
        Account::Name(name) => {
            let found = fs::read_to_string(Path::new(file)).ok();
            let found = found.and_then(|text| find(&text, name));
            found.ok_or_else(|| AccountError::Missing {
                what,
                name: name.clone(),
                file,
            })
        }
    }
}

/// The number in a line `name:password:number:…`.
fn find(text: &str, name: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name))
            .then(|| fields.nth(1)?.parse().ok())
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        toml::from_str(&format!("socket = '/x'\n{text}")).unwrap()
    }

    #[test]
    fn a_name_is_found_by_its_whole_field() {
        let text = "root:x:0:0::/root:/bin/sh\nhvd2:x:7:7::/:\nhvd:x:990:990::/:\nbad:x\n";
        assert_eq!(find(text, "hvd"), Some(990));
        assert_eq!(find(text, "hv"), None);
        assert_eq!(find(text, "bad"), None);
    }

    #[test]
    fn root_is_always_served_and_one_other_user_gets_the_socket() {
        let access = Access::of(&config("allow_users = ['root', 4242]")).unwrap();
        assert!(access.users.contains(&0) && access.users.contains(&4242));
        assert_eq!((access.owner, access.group), (Some(4242), None));
    }

    #[test]
    fn several_users_need_a_group() {
        let error = Access::of(&config("allow_users = [4242, 4243]")).unwrap_err();
        assert!(matches!(error, AccountError::GroupNeeded));
        let access = Access::of(&config("allow_users = [4242, 4243]\nsocket_group = 7"));
        assert_eq!(access.unwrap().group, Some(7));
    }

    #[test]
    fn an_unknown_name_is_an_error() {
        let error = Access::of(&config("allow_users = ['nobody-has-this-name']")).unwrap_err();
        assert!(
            error.to_string().contains("nobody-has-this-name"),
            "{error}"
        );
    }
}
