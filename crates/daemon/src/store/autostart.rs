// SPDX-License-Identifier: GPL-3.0-or-later
//! VMs that are still to be started, since their host booted.

use hv_model::id::VmId;
use rusqlite::params;

use super::{ReadTransaction, Result, WriteTransaction, transaction::from_text};

impl ReadTransaction<'_> {
    /// The VMs that are still to be started, in their order, each with its place in it.
    pub fn autostart(&self) -> Result<Vec<(u32, VmId)>> {
        let mut statement = self
            .sql
            .prepare_cached("SELECT place, vm FROM autostart WHERE host = ?1 ORDER BY place")?;
        let rows = statement.query_map([self.host_text()], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.map(|row| {
            let (place, vm): (u32, String) = row?;
            Ok((place, from_text("VM id", vm)?))
        })
        .collect()
    }
}

impl WriteTransaction<'_> {
    /// Notes the VMs that are to be started, each with its place, instead of all that were noted.
    pub fn put_autostart(&self, vms: &[(u32, VmId)]) -> Result<()> {
        self.sql
            .execute("DELETE FROM autostart WHERE host = ?1", [self.host_text()])?;
        let mut statement = self
            .sql
            .prepare_cached("INSERT INTO autostart (host, vm, place) VALUES (?1, ?2, ?3)")?;
        for (place, vm) in vms {
            statement.execute(params![self.host_text(), vm.to_string(), place])?;
        }
        Ok(())
    }

    /// A VM is no longer to be started.
    pub fn remove_autostart(&self, vm: VmId) -> Result<()> {
        self.sql
            .prepare_cached("DELETE FROM autostart WHERE host = ?1 AND vm = ?2")?
            .execute([self.host_text(), vm.to_string()])?;
        Ok(())
    }
}
