// SPDX-License-Identifier: GPL-3.0-or-later
//! The last signed entry, in a file beside the database.
//!
//! A database that was put back to an earlier state, or cut, does not have that entry.

use std::{
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use hv_model::audit::line;

/// The name of the file in the state folder.
pub(super) const FILE: &str = "audit-head";

/// The file of the last signed entry.
#[derive(Debug)]
pub(super) struct HeadFile(PathBuf);

impl HeadFile {
    pub(super) fn within(folder: &Path) -> Self {
        Self(folder.join(FILE))
    }

    /// The line that it holds; nothing, if there is no file.
    pub(super) fn read(&self) -> io::Result<Option<String>> {
        let file = match fs::File::open(&self.0) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut text = String::new();
        file.take(line::MAX_BYTES as u64 + 1)
            .read_to_string(&mut text)?;
        Ok(Some(text.trim_end_matches('\n').to_owned()))
    }

    /// Puts this line in place of the one before it, as a whole or not at all.
    pub(super) fn write(&self, line: &str) -> io::Result<()> {
        let draft = self.0.with_extension("new");
        let mut file = fs::File::create(&draft)?;
        writeln!(file, "{line}")?;
        file.sync_all()?;
        fs::rename(&draft, &self.0)?;
        match self.0.parent() {
            Some(folder) => fs::File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }
}
