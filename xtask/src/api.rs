// SPDX-License-Identifier: GPL-3.0-or-later
//! The API's description, from the daemon's routes.

use crate::generated::{Generated, Outcome};

/// The files that describe the API.
pub(crate) fn all() -> Outcome<Vec<Generated>> {
    let mut text = serde_json::to_string_pretty(&hvd::http::openapi())?;
    text.push('\n');
    Ok(vec![Generated::new("docs/openapi.json", text)])
}
