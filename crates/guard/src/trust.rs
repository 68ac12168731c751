// SPDX-License-Identifier: GPL-3.0-or-later
//! Who could have written a file, or can put another in its place.

use std::{
    fs::Metadata,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// What makes a path untrusted.
#[derive(Debug)]
pub(crate) enum Doubt {
    /// Somebody else can change it.
    Shared {
        /// The file or folder.
        part: PathBuf,
        /// Who can, or what it is.
        why: String,
    },
    /// It can't be looked at.
    Unknown(io::Error),
}

/// Whether only root, or the user that runs this, can change a file, or put another in its place.
///
/// The path must have no symbolic links. `status` is the file's own, from the file that was opened.
pub(crate) fn expect_private(real: &Path, status: &Metadata) -> Result<(), Doubt> {
    if !status.is_file() {
        return Err(Doubt::Shared {
            part: real.to_owned(),
            why: "it is not a regular file".to_owned(),
        });
    }
    expect_part(real, status)?;
    expect_folders(real)
}

/// The same for the folders above alone.
pub(crate) fn expect_folders(real: &Path) -> Result<(), Doubt> {
    for folder in real.ancestors().skip(1) {
        let status = folder.symlink_metadata().map_err(Doubt::Unknown)?;
        expect_part(folder, &status)?;
    }
    Ok(())
}

/// The same for a file or a folder alone. What lies in a sticky folder can't be replaced.
pub(crate) fn expect_part(part: &Path, status: &Metadata) -> Result<(), Doubt> {
    const STICKY: u32 = 0o1000;
    let own = rustix::process::geteuid().as_raw();
    let doubt = |why: String| {
        Err(Doubt::Shared {
            part: part.to_owned(),
            why,
        })
    };
    if status.uid() != 0 && status.uid() != own {
        return doubt(format!(
            "it belongs to user {}; allowed are 0 and {own}, who reads it",
            status.uid(),
        ));
    }
    let shared = status.mode() & 0o022 != 0;
    if shared && !(status.is_dir() && status.mode() & STICKY != 0) {
        let mode = status.mode() & 0o7777;
        return doubt(format!(
            "its mode {mode:04o} lets others write it: chmod go-w"
        ));
    }
    Ok(())
}
