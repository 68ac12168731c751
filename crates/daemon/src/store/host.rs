// SPDX-License-Identifier: GPL-3.0-or-later
//! The host's id, and what the host last said of itself.

use std::{
    fs,
    io::{ErrorKind, Write},
    path::Path,
};

use hv_model::id::HostId;
use rusqlite::{OptionalExtension, params};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    ReadTransaction, Result, StoreError, WriteTransaction,
    transaction::{from_json, to_json},
};
use crate::clock::Ids;

/// The name of the file that keeps the host's id.
const FILE: &str = "host-id";

/// What the host's guard lately refused.
pub const REFUSALS: &str = "refusals";

/// Reads the host's id from the state folder, or makes one there.
pub(super) fn id(folder: &Path, ids: &Ids) -> Result<HostId> {
    let path = folder.join(FILE);
    let broken = |source| StoreError::File {
        path: path.clone(),
        source,
    };
    match fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().map_err(|error: uuid::Error| {
            broken(std::io::Error::new(
                ErrorKind::InvalidData,
                error.to_string(),
            ))
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let id = HostId::new(ids.next());
            let draft = folder.join("host-id.new");
            let mut file = fs::File::create(&draft).map_err(broken)?;
            writeln!(file, "{id}")
                .and_then(|()| file.sync_all())
                .map_err(broken)?;
            fs::rename(&draft, &path).map_err(broken)?;
            Ok(id)
        }
        Err(error) => Err(broken(error)),
    }
}

impl ReadTransaction<'_> {
    /// What the host last said about this; `None`, if it never did.
    pub fn host_fact<T: DeserializeOwned>(&self, what: &'static str) -> Result<Option<T>> {
        let text: Option<String> = self
            .sql
            .prepare_cached("SELECT fact_json FROM host_fact WHERE host = ?1 AND what = ?2")?
            .query_row(params![self.host_text(), what], |row| row.get(0))
            .optional()?;
        text.map(|text| from_json(what, &text)).transpose()
    }
}

impl WriteTransaction<'_> {
    /// Keeps what the host says about this.
    pub fn put_host_fact<T: Serialize>(&self, what: &'static str, fact: &T) -> Result<()> {
        self.sql
            .prepare_cached(
                "INSERT INTO host_fact (host, what, fact_json) VALUES (?1, ?2, ?3)
                 ON CONFLICT (host, what) DO UPDATE SET fact_json = excluded.fact_json",
            )?
            .execute(params![self.host_text(), what, to_json(what, fact)?])?;
        Ok(())
    }
}
