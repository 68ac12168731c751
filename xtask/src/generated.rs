// SPDX-License-Identifier: GPL-3.0-or-later
//! A generated file: written, or compared with what is there.

use std::{
    error::Error,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What a task comes to.
pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// A generated file.
pub(crate) struct Generated {
    /// Its path from the root of the repository.
    path: String,
    text: String,
}

impl Generated {
    /// The file at this path, with this text.
    pub(crate) fn new(path: impl Into<String>, text: String) -> Self {
        Self {
            path: path.into(),
            text,
        }
    }

    /// Writes it, if that is not what is there.
    pub(crate) fn write(&self) -> Outcome<()> {
        if self.is_up_to_date() {
            return Ok(());
        }
        let path = root().join(&self.path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, &self.text).map_err(|error| format!("{}: {error}", self.path))?;
        println!("{} is written", self.path);
        Ok(())
    }

    fn is_up_to_date(&self) -> bool {
        fs::read_to_string(root().join(&self.path)).is_ok_and(|there| there == self.text)
    }

    /// Shows in which lines what is there differs.
    fn show_difference(&self) -> Outcome<()> {
        let mut diff = Command::new("diff")
            .current_dir(root())
            .args([
                "--unified=1",
                "--new-file",
                "--label",
                &self.path,
                "--label",
                "generated",
            ])
            .args([&self.path, "-"])
            .stdin(Stdio::piped())
            .spawn()?;
        if let Some(mut input) = diff.stdin.take() {
            input.write_all(self.text.as_bytes())?;
        }
        diff.wait()?;
        Ok(())
    }
}

/// Fails if one of the files is not what it should be.
pub(crate) fn check(files: &[Generated]) -> Outcome<()> {
    let stale: Vec<&Generated> = files.iter().filter(|file| !file.is_up_to_date()).collect();
    for file in &stale {
        file.show_difference()?;
    }
    let paths: Vec<&str> = stale.iter().map(|file| file.path.as_str()).collect();
    match paths.as_slice() {
        [] => Ok(()),
        paths => Err(format!("not up to date: {}; run ./dev gen", paths.join(", ")).into()),
    }
}

/// The root of the repository, which this crate lies in.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
