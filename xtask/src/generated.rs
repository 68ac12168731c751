// SPDX-License-Identifier: GPL-3.0-or-later
//! Generated files: written, or compared with what is there.

use std::{
    collections::BTreeSet,
    error::Error,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The folders that hold nothing but generated files.
const FOLDERS: [&str; 1] = ["docs/man"];

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
    fn write(&self, root: &Path) -> Outcome<()> {
        if self.is_up_to_date(root) {
            return Ok(());
        }
        let path = root.join(&self.path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, &self.text).map_err(|error| format!("{}: {error}", self.path))?;
        println!("{} is written", self.path);
        Ok(())
    }

    fn is_up_to_date(&self, root: &Path) -> bool {
        fs::read_to_string(root.join(&self.path)).is_ok_and(|there| there == self.text)
    }

    /// Shows in which lines what is there differs.
    fn show_difference(&self, root: &Path) -> Outcome<()> {
        let mut diff = Command::new("diff")
            .current_dir(root)
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

/// Writes what is not up to date, and deletes what nothing generates any more.
pub(crate) fn write(root: &Path, files: &[Generated]) -> Outcome<()> {
    files.iter().try_for_each(|file| file.write(root))?;
    for path in left_over(root, files)? {
        fs::remove_file(root.join(&path)).map_err(|error| format!("{path}: {error}"))?;
        println!("{path} is deleted");
    }
    Ok(())
}

/// Fails if one of the files is not what it should be, or should not be there.
pub(crate) fn check(root: &Path, files: &[Generated]) -> Outcome<()> {
    let stale: Vec<&Generated> = files
        .iter()
        .filter(|file| !file.is_up_to_date(root))
        .collect();
    for file in &stale {
        file.show_difference(root)?;
    }
    let mut paths: Vec<String> = stale.iter().map(|file| file.path.clone()).collect();
    let left_over = left_over(root, files)?;
    paths.extend(left_over.iter().map(|path| format!("{path} (left over)")));
    match paths.as_slice() {
        [] => Ok(()),
        paths => Err(format!("not up to date: {}; run ./dev gen", paths.join(", ")).into()),
    }
}

/// What lies in a folder that holds nothing but generated files, and is none of them any more.
fn left_over(root: &Path, files: &[Generated]) -> Outcome<Vec<String>> {
    let generated: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let mut left_over = Vec::new();
    for folder in FOLDERS {
        for entry in
            fs::read_dir(root.join(folder)).map_err(|error| format!("{folder}: {error}"))?
        {
            let path = format!("{folder}/{}", entry?.file_name().display());
            if !generated.contains(path.as_str()) {
                left_over.push(path);
            }
        }
    }
    left_over.sort();
    Ok(left_over)
}

/// The root of the repository, which this crate lies in.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(names: &[&str]) -> Vec<Generated> {
        let page = |name: &&str| Generated::new(format!("docs/man/{name}.1"), format!("{name}\n"));
        names.iter().map(page).collect()
    }

    #[test]
    fn the_page_of_a_command_that_is_gone_is_told_and_goes_and_what_others_wrote_stays() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        write(root, &pages(&["hv", "hv-vm"])).unwrap();
        fs::write(root.join("docs/api.md"), "by hand").unwrap();

        let now = pages(&["hv"]);
        let told = check(root, &now).unwrap_err().to_string();
        assert_eq!(
            told,
            "not up to date: docs/man/hv-vm.1 (left over); run ./dev gen"
        );
        write(root, &now).unwrap();
        check(root, &now).unwrap();
        assert!(root.join("docs/man/hv.1").exists() && root.join("docs/api.md").exists());
    }
}
