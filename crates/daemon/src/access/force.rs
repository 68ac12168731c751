// SPDX-License-Identifier: GPL-3.0-or-later
//! Putting policies in force: at the start, when a grant is given or taken, when files change.

use hv_model::access::{Grant, GrantSource};

use super::{Access, GivenGrant, PolicyFault, Sources, read_folder};
use crate::{
    clock::Clock,
    config::AccessConfig,
    store::{ReadTransaction, Result as StoreResult, Store},
};

impl Access {
    /// What decides by this configuration and these grants of the store.
    ///
    /// If a policy is at fault nobody but root may do anything, until [`reload`](Self::reload)
    /// finds it mended: to leave out a policy could allow what it forbids.
    pub fn start(
        config: &AccessConfig,
        stored: Vec<Grant>,
        clock: &Clock,
    ) -> Result<Self, PolicyFault> {
        let files = match read_folder(&config.policies) {
            Ok(files) => files,
            Err(fault) => return Self::closed(config, clock, &fault),
        };
        match Self::new(sources(config, stored, files), clock.clone()) {
            Ok(access) => Ok(access),
            Err(fault) => Self::closed(config, clock, &fault),
        }
    }

    fn closed(
        config: &AccessConfig,
        clock: &Clock,
        fault: &PolicyFault,
    ) -> Result<Self, PolicyFault> {
        tracing::error!(%fault, "a policy is at fault, so nobody but root may do anything");
        let sources = Sources {
            profile: config.profile,
            ..Sources::default()
        };
        let access = Self::new(sources, clock.clone())?;
        access.note_fault(Some(fault.to_string()));
        Ok(access)
    }

    /// Reads the policies of the configuration's folder and the store's grants again. If something
    /// is at fault, what was in force stays, and health says so.
    pub async fn reload(&self, config: &AccessConfig, store: &Store) -> Result<(), PolicyFault> {
        let _one_at_a_time = self.turn().await;
        let read = async {
            let folder = config.policies.clone();
            let files = tokio::task::spawn_blocking(move || read_folder(&folder)).await;
            let files = files.map_err(|error| unreadable(&error))??;
            let stored = store.read(stored_grants).await;
            Ok(sources(
                config,
                stored.map_err(|error| unreadable(&error))?,
                files,
            ))
        };
        let outcome = read.await.and_then(|sources| self.replace(sources));
        match &outcome {
            Ok(()) => self.note_fault(None),
            Err(fault) => {
                tracing::error!(%fault, "policies are not taken; those that were in force stay");
                self.note_fault(Some(fault.to_string()));
            }
        }
        outcome
    }
}

/// The grants of the store.
pub(crate) fn stored_grants(read: &ReadTransaction<'_>) -> StoreResult<Vec<Grant>> {
    read.grants()
}

fn unreadable(error: &dyn std::fmt::Display) -> PolicyFault {
    PolicyFault::Wrong {
        name: "grants".to_owned(),
        why: error.to_string(),
    }
}

fn sources(config: &AccessConfig, stored: Vec<Grant>, files: Vec<(String, String)>) -> Sources {
    let given = |source| move |grant| GivenGrant { grant, source };
    let configured = config.grants.iter().cloned();
    // One of the configuration's name is the configuration's.
    let stored = stored
        .into_iter()
        .filter(|grant| config.grants.iter().all(|other| other.name != grant.name));
    Sources {
        profile: config.profile,
        grants: configured
            .map(given(GrantSource::Configuration))
            .chain(stored.map(given(GrantSource::RunTime)))
            .collect(),
        files,
    }
}
