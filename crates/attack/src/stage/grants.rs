// SPDX-License-Identifier: GPL-3.0-or-later
//! What each actor may do: given by root for the time of a run, and taken away after it.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{PREFIX, Stage};
use crate::{Actor, Trouble};

/// For how long: should a run be cut short, its grants end by themselves.
const HOURS: i64 = 2;

impl Actor {
    /// The role that they have, and where.
    fn granted(self) -> Option<(&'static str, String)> {
        match self {
            Self::Operator => Some(("operator", "own".to_owned())),
            Self::Creator => Some(("creator", "own".to_owned())),
            Self::Viewer => Some(("viewer", format!("vm:{PREFIX}-own"))),
            Self::Admin => Some(("admin", "everything".to_owned())),
            Self::Anonymous | Self::Guest | Self::Hvd | Self::Root => None,
        }
    }

    /// The grant's name.
    fn grant(self) -> String {
        format!("{PREFIX}-{self}")
    }
}

impl Stage {
    /// Gives each actor what they are to have, unless they have it.
    pub(super) fn give_grants(&self) -> Result<(), Trouble> {
        let there = self.grants()?;
        for actor in Actor::ALL {
            if there.contains(&actor.grant()) {
                continue;
            }
            if let (Some(user), Some((role, on))) = (actor.user_name(), actor.granted()) {
                let until = Timestamp::now() + SignedDuration::from_hours(HOURS);
                let grant = json!({
                    "name": actor.grant(), "to": format!("user:{user}"),
                    "role": role, "on": on, "until": until,
                });
                self.root.change("POST", "/v1/access/grants", &grant)?;
            }
        }
        Ok(())
    }

    /// Takes an actor's grant away.
    pub(crate) fn revoke(&self, actor: Actor) -> Result<(), Trouble> {
        let path = format!("/v1/access/grants/{}", actor.grant());
        self.root.change("DELETE", &path, &Value::Null).map(drop)
    }

    /// Takes away everything that a run has given, or an actor has given themselves.
    pub(super) fn take_grants(&self) -> Result<(), Trouble> {
        for name in self.grants()? {
            let path = format!("/v1/access/grants/{name}");
            self.root.change("DELETE", &path, &Value::Null)?;
        }
        Ok(())
    }

    /// The names of the grants of the suite.
    pub(crate) fn grants(&self) -> Result<Vec<String>, Trouble> {
        let seen = self.root.get("/v1/access")?;
        let grants = seen["grants"].as_array().into_iter().flatten();
        let names = grants.filter_map(|view| view.pointer("/grant/name")?.as_str());
        let names = names.filter(|name| name.starts_with(PREFIX));
        Ok(names.map(str::to_owned).collect())
    }
}

impl Stage {
    /// Takes the suite's grant of this name away, if there is one.
    pub(crate) fn take_grant_if_there(&self, name: &str) -> Result<(), Trouble> {
        let name = format!("{PREFIX}-{name}");
        if !self.grants()?.contains(&name) {
            return Ok(());
        }
        let path = format!("/v1/access/grants/{name}");
        self.root.change("DELETE", &path, &Value::Null).map(drop)
    }
}
