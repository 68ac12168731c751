// SPDX-License-Identifier: GPL-3.0-or-later
//! The command line's reference and man pages, from its definition.

use crate::generated::{Generated, Outcome};

/// The files that describe the command line.
pub(crate) fn all() -> Outcome<Vec<Generated>> {
    let files = hv::reference::files()?.into_iter();
    Ok(files
        .map(|(path, text)| Generated::new(path.display().to_string(), text))
        .collect())
}
