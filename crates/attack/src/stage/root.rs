// SPDX-License-Identifier: GPL-3.0-or-later
//! Root's own ways: hvd's API, which allows root everything, and virsh.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{
    Trouble,
    http::{Answer, Door},
};

/// Root's own ways to the host.
#[derive(Debug, Clone)]
pub struct Root {
    /// hvd.
    pub(super) hvd: Door,
    /// libvirt's address, as the broker's configuration says it.
    pub(super) libvirt: String,
}

impl Root {
    /// hvd.
    pub fn hvd(&self) -> &Door {
        &self.hvd
    }

    /// What hvd says, if it says it with success.
    pub fn get(&self, path: &str) -> Result<Value, Trouble> {
        let answer = self.hvd.get(path)?;
        if answer.is_success() {
            Ok(answer.json())
        } else {
            Err(Trouble(format!(
                "hvd answers root at {path}: {}",
                answer.refusal()
            )))
        }
    }

    /// Changes something, and fails unless it was done.
    pub fn change(&self, method: &str, path: &str, body: &Value) -> Result<Value, Trouble> {
        let answer = self.hvd.change(method, path, body)?;
        done(&answer, &format!("root's {method} of {path}"))
    }

    /// Adds an image of plain bytes.
    pub fn add_image(&self, name: &str, bytes: &[u8]) -> Result<(), Trouble> {
        let path = format!("/v1/images/{name}?format=raw&wait=60s");
        let answer = self.hvd.ask("PUT", &path, &[], Some(bytes))?;
        done(&answer, &format!("root's upload of the image {name}")).map(drop)
    }

    /// Runs virsh, which says why it fails.
    pub fn virsh(&self, arguments: &[&str]) -> Result<String, Trouble> {
        virsh(&self.libvirt, arguments)
    }

    /// Defines this domain.
    pub fn define(&self, folder: &Path, xml: &str) -> Result<(), Trouble> {
        let file: PathBuf = folder.join("domain.xml");
        std::fs::write(&file, xml).map_err(Trouble::at(&file))?;
        self.virsh(&["define", &file.to_string_lossy()]).map(drop)
    }
}

/// What is said of something that was done; why it was not, if it was not.
fn done(answer: &Answer, what: &str) -> Result<Value, Trouble> {
    let said = answer.json();
    let state = said.get("state").and_then(Value::as_str);
    if answer.is_success() && matches!(state, None | Some("succeeded")) {
        return Ok(said);
    }
    let why = said.pointer("/problem/detail").and_then(Value::as_str);
    let why = why.map_or_else(|| answer.refusal(), str::to_owned);
    Err(Trouble(format!("{what} failed: {why}")))
}

/// Runs virsh on this libvirt.
pub(crate) fn virsh(uri: &str, arguments: &[&str]) -> Result<String, Trouble> {
    let output = Command::new("virsh")
        .args(["-q", "-c", uri])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Trouble(format!("virsh, which is in libvirt-clients: {error}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let lines = said.lines().map(|line| line.trim_start_matches("error: "));
    let why: Vec<_> = lines.filter(|line| !line.trim().is_empty()).collect();
    Err(Trouble(format!(
        "virsh {}: {}",
        arguments.join(" "),
        why.join(": ")
    )))
}
