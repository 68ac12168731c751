// SPDX-License-Identifier: GPL-3.0-or-later
//! The groups of people who come over the network: those of the host's user of the same name.

use std::{
    collections::{BTreeSet, HashMap},
    io,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use hv_model::{
    name::{UserGroupName, UserName},
    problem::{Problem, ProblemKind},
};

use super::refusal::Answer;
use crate::access::people::person_of_name;

/// How long somebody's groups are remembered.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Of how many people they are remembered.
const AT_MOST: usize = 1_000;

/// Finds out which groups people are in, and remembers it for a while.
#[derive(Debug, Default)]
pub(super) struct Memberships(Mutex<HashMap<UserName, (BTreeSet<UserGroupName>, Instant)>>);

impl Memberships {
    /// The groups of a person; none, if the host has no user of that name.
    pub(super) async fn of(&self, person: Option<&UserName>) -> Answer<BTreeSet<UserGroupName>> {
        let Some(name) = person else {
            return Ok(BTreeSet::new());
        };
        if let Some((groups, since)) = self.known().get(name)
            && since.elapsed() < REMEMBERED
        {
            return Ok(groups.clone());
        }
        // Names may come from a directory in the network, which may take its time.
        let look = name.clone();
        let found = tokio::task::spawn_blocking(move || person_of_name(&look).groups);
        let groups = found.await.map_err(|error| unknown(&error.into()))?;
        let mut known = self.known();
        if known.len() >= AT_MOST {
            known.clear();
        }
        known.insert(name.clone(), (groups.clone(), Instant::now()));
        Ok(groups)
    }

    fn known(
        &self,
    ) -> std::sync::MutexGuard<'_, HashMap<UserName, (BTreeSet<UserGroupName>, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unknown(error: &io::Error) -> Problem {
    let detail = format!("The groups of a person cannot be looked up: {error}.");
    Problem::new(ProblemKind::Internal, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_person_has_the_groups_of_the_user_of_their_name() {
        let memberships = Memberships::default();
        let root: UserName = "root".parse().unwrap();
        let group = uzers::get_group_by_gid(0).unwrap();
        let group: UserGroupName = group.name().to_str().unwrap().parse().unwrap();
        assert!(memberships.of(Some(&root)).await.unwrap().contains(&group));
        let nobody: UserName = "no-such-user-here".parse().unwrap();
        assert!(memberships.of(Some(&nobody)).await.unwrap().is_empty());
    }
}
