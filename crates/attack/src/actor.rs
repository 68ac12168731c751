// SPDX-License-Identifier: GPL-3.0-or-later
//! Who tries: real users of the system, each in a process of their own.

use std::{
    fmt,
    io::{self, BufRead, BufReader, Write},
    str::FromStr,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use crate::{Arena, Facts, Loot, Trouble, all, stage::PREFIX};

/// Who tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Actor {
    /// Somebody who runs one VM of their own.
    Operator,
    /// Somebody who may make VMs of their own.
    Creator,
    /// Somebody who may look at one VM.
    Viewer,
    /// Somebody who may everything that hvd offers, and is not root.
    Admin,
    /// Somebody with an account on the host to whom nothing was granted, or who comes by the
    /// network.
    Anonymous,
    /// What runs inside a VM.
    Guest,
    /// hvd itself, once it was taken over.
    Hvd,
    /// The host's owner, who tries nothing: to show that what stops others is what they are.
    Root,
}

impl Actor {
    /// Every actor who tries something.
    pub const ALL: &[Self] = &[
        Self::Operator,
        Self::Creator,
        Self::Viewer,
        Self::Admin,
        Self::Anonymous,
        Self::Guest,
        Self::Hvd,
    ];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Creator => "creator",
            Self::Viewer => "viewer",
            Self::Admin => "admin",
            Self::Anonymous => "anonymous",
            Self::Guest => "guest",
            Self::Hvd => "hvd",
            Self::Root => "root",
        }
    }

    /// The number of the user that they are on the system; hvd has its own. systemd gives out none
    /// of this range.
    ///
    /// What a guest does is done by hand on its console, by who runs it.
    pub const fn user(self) -> Option<u32> {
        match self {
            Self::Operator | Self::Guest => Some(60_931),
            Self::Creator => Some(60_932),
            Self::Viewer => Some(60_933),
            Self::Admin => Some(60_934),
            Self::Anonymous => Some(60_935),
            Self::Root => Some(0),
            Self::Hvd => None,
        }
    }

    /// The name of that user.
    pub fn user_name(self) -> Option<String> {
        match self {
            Self::Root => Some("root".to_owned()),
            Self::Guest => Self::Operator.user_name(),
            _ => self.user().map(|_| format!("{PREFIX}-{self}")),
        }
    }

    /// The users that actors are and nobody else is, with their numbers.
    pub fn users() -> impl Iterator<Item = (String, u32)> {
        let own = Self::ALL.iter().filter(|actor| **actor != Self::Guest);
        own.filter_map(|actor| actor.user_name().zip(actor.user()))
    }

    /// The name of the user that this process runs as.
    pub(crate) fn own_name() -> String {
        let number = rustix::process::getuid().as_raw();
        let user = uzers::get_user_by_uid(number);
        user.map_or_else(
            || format!("uid-{number}"),
            |user| user.name().to_string_lossy().into_owned(),
        )
    }

    /// Whether what others have is to be hidden from them. hvd has to know all VMs, and who may
    /// everything may see them.
    pub const fn is_kept_apart(self) -> bool {
        !matches!(self, Self::Hvd | Self::Admin | Self::Root)
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Actor {
    type Err = Trouble;
    fn from_str(text: &str) -> Result<Self, Trouble> {
        let found = Self::ALL.iter().copied().chain([Self::Root]);
        found
            .into_iter()
            .find(|actor| actor.as_str() == text)
            .ok_or_else(|| {
                let known: Vec<_> = Self::ALL.iter().map(|actor| actor.as_str()).collect();
                Trouble(format!(
                    "{text:?} is no actor: there are {}",
                    known.join(", ")
                ))
            })
    }
}

/// What a child is to try.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) attempt: String,
    pub(crate) arena: Arena,
    pub(crate) facts: Facts,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Deed {
    Loot(Loot),
    Trouble(String),
}

/// Carries out what is asked for on standard input, a line each, and says on standard output what
/// came of it: what a child of the suite does.
pub fn act() -> io::Result<()> {
    raise_limit();
    let mut said = io::stdout().lock();
    for line in BufReader::new(io::stdin()).lines() {
        let order: Order = serde_json::from_str(&line?)?;
        let deed = match carry_out(&order) {
            Ok(loot) => Deed::Loot(loot),
            Err(trouble) => Deed::Trouble(trouble.0),
        };
        serde_json::to_writer(&mut said, &deed)?;
        said.write_all(b"\n")?;
        said.flush()?;
    }
    Ok(())
}

/// As many open files as a user may have, so that what a daemon takes is what ends first.
pub fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: limit.maximum,
        ..limit
    };
    // Where it may not be raised, as many connections as there are files will do.
    setrlimit(Resource::Nofile, most).unwrap_or_default();
}

fn carry_out(order: &Order) -> Result<Loot, Trouble> {
    let attempt = all().find(|attempt| attempt.name == order.attempt);
    let attempt = attempt.ok_or_else(|| Trouble::new("this program knows no such attempt"))?;
    (attempt.run)(&order.arena, &order.facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_is_named_as_it_is_written() {
        for actor in Actor::ALL {
            assert_eq!(actor.as_str().parse(), Ok(*actor));
            assert_eq!(serde_json::to_value(actor).unwrap(), actor.as_str());
        }
        assert!("queen".parse::<Actor>().is_err());
    }
}
